#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| opsgate_fuzz::policy_text::check(bytes));

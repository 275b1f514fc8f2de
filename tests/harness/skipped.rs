//! Tests that this machine cannot hold.

/// Says so, loudly. Where `TEST_NO_SKIP` is set, as in CI, it is a failure: there every test is held.
pub fn skipped(why: &str) {
    eprintln!("SKIPPED: {why}");
    let must = std::env::var_os("TEST_NO_SKIP").is_some_and(|value| !value.is_empty());
    assert!(!must, "TEST_NO_SKIP is set and this test cannot be held here: {why}");
}

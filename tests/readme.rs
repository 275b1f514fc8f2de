//! What the README shows is what comes out.
#![allow(clippy::unwrap_used, reason = "tests")]

mod harness;

use harness::Home;

#[test]
fn the_commands_of_the_readme_print_what_it_says() {
    let home = Home::new();
    let cases = trycmd::TestCases::new();
    cases.register_bin("opsgate", std::path::Path::new(env!("CARGO_BIN_EXE_opsgate")));
    for name in [
        "OPSGATE_LISTEN",
        "OPSGATE_ADMIN_LISTEN",
        "OPSGATE_LOG",
        "WRITE_MODE",
        "OPSGATE_SOCKET",
        "ENABLE_REAL_GITHUB_CALLS",
        "GITHUB_TOKEN",
        "GITHUB_TOKEN_FILE",
        "GITHUB_API_URL",
    ] {
        // An empty variable is none; `OPSGATE_POLICY` may not be empty.
        cases.env(name, "");
    }
    cases.env("OPSGATE_HOME", home.path().to_str().unwrap()).case("README.md");
}

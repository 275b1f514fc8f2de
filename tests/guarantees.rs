//! Each guarantee that the types make, as a program that must not compile.

#[test]
fn what_must_not_compile_does_not() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/guarantees/*.rs");
}

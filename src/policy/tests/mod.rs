//! Policy, tested from its text.
#[test]
fn quick() {
    use super::*;
    let cat = Catalogue::of([("workspace_read_file", "workspace", Class::Read), ("policy_whoami", "policy", Class::Read)]);
    match Policy::parse(Policy::shipped(), "policy.yaml", &cat) { Ok(p) => println!("{p:?} {:?}", p.warnings()), Err(e) => panic!("{e}") }
    let all: String = Policy::shipped().lines().map(|l| { let t = l.trim_start(); let x = if t.starts_with('#') && !t.starts_with("# ") && t != "#" { l.replacen('#', "", 1) } else { l.to_owned() }; x + "\n" }).collect();
    match Policy::parse(&all, "policy.yaml", &cat) { Ok(p) => for w in p.warnings() { println!("{w}"); }, Err(e) => panic!("{e}") }
}

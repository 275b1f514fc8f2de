//! A policy that changes under a running gateway: adopted whole or not at all, recorded first, told to clients.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod adopted;
#[path = "../harness/mod.rs"]
mod harness;
mod load;
mod rejected;
mod roots;
mod told;

use std::time::{Duration, Instant};

use harness::{Home, Served};
use serde_json::Value;

/// Reading is allowed to anyone, but for what these rules say.
fn policy(rules: &str) -> String {
    format!(
        "version: 1
defaults: {{read: allow}}
callers: {{\"local:*\": {{roles: [developer]}}, \"key:*\": {{roles: [developer]}}}}
systems: {{workspace: {{mode: read_only}}, policy: {{mode: read_only}}}}
limits: {{per_caller: {{rate: 100000/min, burst: 100000}}, concurrency: 64}}
rules: [{rules}]
"
    )
}

/// The policy under which this file is refused.
fn without(file: &str) -> String {
    policy(&format!("{{id: no-{file}, deny: {{paths: [\"{file}.txt\"]}}}}"))
}

/// Puts another file in the policy's place, in one step.
fn put(home: &Home, text: impl AsRef<[u8]>) {
    let next = home.path().join("next.yaml");
    std::fs::write(&next, text).unwrap();
    std::fs::rename(&next, home.path().join("policy.yaml")).unwrap();
}

/// SIGHUP; what follows from it is waited for with [`until`].
fn hangup(pid: u32) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::HUP).unwrap();
}

/// Asks until there is an answer.
fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "{what} does not come");
        std::thread::sleep(Duration::from_millis(5)); // two cores are shared with the gateway
    }
}

/// The entries of this kind, once there are so many.
fn entries(home: &Home, kind: &str, count: usize) -> Vec<Value> {
    until(kind, || {
        let found: Vec<_> = home.entries_so_far().into_iter().filter(|e| e["type"] == kind).map(|e| e["data"].clone()).collect();
        (found.len() >= count).then_some(found)
    })
}

/// The hash of the policy that the gateway says it enforces.
fn in_force(served: &Served) -> String {
    let url = served.metrics.as_deref().unwrap().replace("/metrics", "/readyz");
    let body: Value = serde_json::from_str(&ureq::get(url).call().unwrap().body_mut().read_to_string().unwrap()).unwrap();
    body["policy"].as_str().unwrap().to_owned()
}

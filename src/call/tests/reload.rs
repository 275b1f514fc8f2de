//! A policy that is swapped while calls run.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use super::{Bench, POLICY};
use crate::error::Code;
use crate::identity::Caller;
use crate::in_force::{Because, Reload, Watch};
use crate::policy::Policy;

fn denying(tool: &str) -> String {
    POLICY.replace("rules:\n", &format!("rules:\n  - {{id: none, deny: {{tools: [{tool}]}}}}\n"))
}

impl Bench {
    fn put(&self, policy: &str) {
        std::fs::write(self.dir.path().join("policy.yaml"), policy).unwrap();
    }

    /// Type and data of each entry about calls and policies.
    fn told(&self) -> Vec<(String, Value)> {
        let entry = |line: &str| {
            let entry: Value = serde_json::from_str(line).unwrap();
            (entry["type"].as_str().unwrap().to_owned(), entry["data"].clone())
        };
        self.log().lines().map(entry).filter(|(kind, _)| kind.starts_with("call.") || kind.starts_with("policy.")).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_ends_under_the_policy_it_began_under() {
    let bench = Arc::new(Bench::with_policy(&POLICY.replace("timeout: 1s, max_timeout: 2s", "timeout: 60s, max_timeout: 60s")));
    let (old, caller) = (bench.gateway.policy().hash().to_owned(), bench.clone());
    let call = tokio::spawn(async move { caller.call_as("github_peek", "held open", CancellationToken::new(), false).await });
    while bench.world.done().is_empty() {
        tokio::task::yield_now().await;
    }
    bench.put(&denying("github_peek"));
    assert_eq!(bench.gateway.reload(Because::Signal).await, Reload::Swapped);
    let new = bench.gateway.policy().hash().to_owned();
    assert_ne!(old, new);
    assert_eq!(bench.call("github_peek", "x").await.0, Some(Code::ToolUnavailable));
    bench.world.let_go.notify_one();
    assert_eq!(call.await.unwrap().0, None, "the new policy ended a call that ran");
    let told = bench.told();
    let kinds: Vec<_> = told.iter().map(|(kind, _)| kind.as_str()).collect();
    assert_eq!(kinds, ["policy.loaded", "call.intent", "policy.loaded", "call.refused", "call.outcome"]);
    assert_eq!([&told[1].1["policy"], &told[2].1["hash"], &told[2].1["replaces"], &told[3].1["policy"]], [&old, &new, &old, &new]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_waited_is_decided_under_the_policy_in_force() {
    let alone = |policy: &str| policy.replace("limits: {timeout: 1s, max_timeout: 2s", "limits: {concurrency: 1, timeout: 60s, max_timeout: 60s");
    let bench = Arc::new(Bench::with_policy(&alone(POLICY)));
    let call = |tool: &'static str, text: &'static str| {
        let caller = bench.clone();
        tokio::spawn(async move { caller.call_as(tool, text, CancellationToken::new(), false).await })
    };
    let held = call("github_peek", "held open");
    while bench.world.done().is_empty() {
        tokio::task::yield_now().await;
    }
    let waits = call("github_note", "written too late");
    while bench.gateway.rates.slots.waiting(Caller::of_this_process().id()) == 0 {
        tokio::task::yield_now().await;
    }
    bench.put(&alone(&denying("github_note")));
    assert_eq!(bench.gateway.reload(Because::Signal).await, Reload::Swapped);
    bench.world.let_go.notify_one();
    assert_eq!(held.await.unwrap().0, None);
    assert_eq!(waits.await.unwrap().0, Some(Code::ToolUnavailable), "it was decided under the policy that it came under");
    assert_eq!(
        bench.told().pop().map(|(kind, data)| (kind, data["policy"].clone())),
        Some(("call.refused".to_owned(), bench.gateway.policy().hash().into()))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_log_cannot_take_does_not_come_into_force() {
    let bench = Bench::new();
    let old = bench.gateway.policy().hash().to_owned();
    bench.put(&denying("github_note"));
    bench.world.fail.store(true, Ordering::SeqCst);
    assert_eq!(bench.gateway.reload(Because::Signal).await, Reload::Rejected);
    assert_eq!(bench.gateway.policy().hash(), old);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_that_holds_another_text_refuses_the_policy() {
    let bench = Bench::new();
    let next = denying("github_note");
    let hash = Policy::hash_of(next.as_bytes());
    std::fs::write(bench.dir.path().join("home/policies").join(format!("{}.yaml", hash.trim_start_matches("sha256:"))), "version: 1\n").unwrap();
    bench.put(&next);
    assert_eq!(bench.gateway.reload(Because::Signal).await, Reload::Rejected);
    // Once a call is recorded, so is all before it.
    bench.gateway.handle(Bench::raw("github_note", Map::new())).await;
    let (kind, data) = bench.told().into_iter().rfind(|(kind, _)| kind.starts_with("policy.")).unwrap();
    assert_eq!((kind.as_str(), &data["reason"], &data["hash"]), ("policy.rejected", &"not_archived".into(), &hash.into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_half_written_is_not_adopted() {
    let (bench, mut watch) = (Bench::new(), Watch::default());
    let look = async |watch: &mut Watch| {
        bench.gateway.look(watch).await;
        bench.gateway.policy().hash().to_owned()
    };
    let old = look(&mut watch).await;
    let whole = denying("github_note");
    let half = &whole[..whole.find("  - {id: asked").unwrap()];
    for written in [half, &whole] {
        bench.put(written);
        assert_eq!(look(&mut watch).await, old, "adopted at the first look");
    }
    assert_eq!(look(&mut watch).await, Policy::hash_of(whole.as_bytes()));
    let loaded = bench.told().len();
    for _ in 0..3 {
        look(&mut watch).await;
    }
    assert_eq!(bench.told().len(), loaded, "an unchanged file was recorded");
}

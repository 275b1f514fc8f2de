//! A policy that is swapped while calls run.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde_json::Value;
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
    assert_eq!(bench.gateway.reload(Because::Signal).await, Reload::Again, "the archive may be mended");
    let (kind, data) = bench.told().pop().unwrap();
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
        for _ in 0..2 {
            assert_eq!(look(&mut watch).await, old, "adopted before it rested");
        }
    }
    assert_eq!(look(&mut watch).await, Policy::hash_of(whole.as_bytes()));
    let loaded = bench.told().len();
    for _ in 0..3 {
        look(&mut watch).await;
    }
    assert_eq!(bench.told().len(), loaded, "an unchanged file was recorded");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_refused_for_its_surroundings_is_adopted_once_they_are_mended() {
    use std::fs::{Permissions, set_permissions};
    use std::os::unix::fs::PermissionsExt;
    let (bench, mut watch) = (Bench::new(), Watch::default());
    let open_to_others = |mode| set_permissions(bench.dir.path(), Permissions::from_mode(mode)).unwrap();
    let old = bench.gateway.policy().hash().to_owned();
    let next = denying("github_note");
    open_to_others(0o777);
    bench.put(&next);
    for _ in 0..6 {
        bench.gateway.look(&mut watch).await;
        assert_eq!(bench.gateway.policy().hash(), old);
    }
    let rejected = |bench: &Bench| bench.told().into_iter().filter(|(kind, _)| kind == "policy.rejected").count();
    let said = "opsgate_policy_loads_total{result=\"rejected\"} 1\n";
    let metrics = bench.gateway.metrics.render(&bench.gateway.log).unwrap();
    assert!(rejected(&bench) == 1 && metrics.contains(said), "told at each look: {metrics}");
    open_to_others(0o700);
    for _ in 0..3 {
        bench.gateway.look(&mut watch).await;
    }
    assert_eq!((bench.gateway.policy().hash(), rejected(&bench)), (Policy::hash_of(next.as_bytes()).as_str(), 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_that_the_log_had_no_room_for_is_recorded_later() {
    let bench = Bench::new();
    let rejected = || bench.told().into_iter().filter(|(kind, _)| kind == "policy.rejected").count();
    bench.put("version: 2\n");
    bench.world.full.store(true, Ordering::SeqCst);
    assert_eq!((bench.gateway.reload(Because::File).await, rejected()), (Reload::Again, 0));
    bench.world.full.store(false, Ordering::SeqCst);
    for _ in 0..2 {
        assert_eq!((bench.gateway.reload(Because::File).await, rejected()), (Reload::Rejected, 1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_takes_the_files_place_is_recorded_each_for_itself() {
    let bench = Bench::new();
    let file = bench.dir.path().join("policy.yaml");
    std::fs::remove_file(&file).unwrap();
    let mut records = 1; // the policy of the start
    let spoils: [fn(&std::path::Path); 2] = [|_| (), |file| std::fs::create_dir(file).unwrap()];
    for spoil in spoils {
        spoil(&file);
        records += 1;
        for _ in 0..2 {
            assert_eq!(bench.gateway.reload(Because::File).await, Reload::Again);
            assert_eq!(bench.told().len(), records);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_that_were_only_counted_name_the_policy_they_were_made_under() {
    let bench = Bench::with_policy(&POLICY.replace("rate: 1000/s, burst: 1000", "rate: 1/h, burst: 1"));
    let old = bench.gateway.policy().hash().to_owned();
    for _ in 0..4 {
        bench.call("github_peek", "x").await;
    }
    bench.put(&denying("github_note").replace("rate: 1000/s, burst: 1000", "rate: 1/h, burst: 1"));
    assert_eq!(bench.gateway.reload(Because::Signal).await, Reload::Swapped);
    assert_ne!(bench.gateway.policy().hash(), old);
    bench.gateway.close().await;
    let counted: Vec<_> = bench.told().into_iter().filter(|(_, data)| data["unrecorded"].as_u64() > Some(0)).collect();
    assert_eq!(counted.len(), 1, "{counted:?}");
    assert_eq!((&counted[0].1["unrecorded"], &counted[0].1["policy"]), (&2.into(), &old.into()));
}

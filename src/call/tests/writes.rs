//! What every write has: a preview in place of it in `dry_run`, `change`, no secret, its own time, progress.

use std::sync::{Arc, Mutex};

use opsgate_tools::progress::Progress;
use serde_json::{Map, Value, json};

use super::{Bench, POLICY, RawCall};
use crate::error::Code;

fn args(value: Value) -> Map<String, Value> {
    serde_json::from_value(value).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn dry_run_answers_with_a_preview_and_writes_nothing() {
    let bench = Bench::with_policy(&POLICY.replace("mode: mock", "mode: dry_run"));
    // What would need an approval is shown too: it does not run.
    for tool in ["github_note", "github_ask"] {
        let (code, said) = bench.call(tool, "hello").await;
        assert_eq!((code, said.as_str()), (None, r#"{"preview":{"change":null,"summary":"hello"},"status":"dry_run"}"#));
    }
    assert_eq!(bench.world.done(), ["previewed", "previewed"]);
    assert_eq!(bench.entries(), ["call.intent", "call.outcome ok", "call.intent", "call.outcome ok"]);
    assert!(bench.log().contains(r#""mode":"dry_run""#));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_write_takes_a_secret_or_a_redaction() {
    let bench = Bench::new();
    let secret = format!("ghp_{}", uuid::Uuid::new_v4().simple()) + "abcd";
    let refused = [
        json!({ "text": format!("token: {secret}") }),
        json!({ "text": "password: [REDACTED:password]" }),
        json!({ "text": "x", "change": { "reasoning": format!("uses {secret}") } }),
    ];
    for value in refused {
        let (code, said) = Bench::said(bench.gateway.handle(Bench::raw("github_note", args(value))).await);
        assert_eq!(code, Some(Code::HoldsSecret), "{said}");
    }
    assert_eq!(bench.world.done(), [""; 0]);
    assert!(!bench.log().contains(&secret));
    // A read may ask about them: nothing of it is written.
    assert_eq!(bench.call("github_peek", "[REDACTED:password]").await.0, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_takes_change_and_its_incident_is_recorded() {
    let bench = Bench::with_policy(&format!("{POLICY}audit: {{level: metadata}}\n"));
    let change = json!({ "reasoning": "tidy", "rollback_plan": "undo", "incident_id": "INC-7" });
    let (code, said) = Bench::said(bench.gateway.handle(Bench::raw("github_note", args(json!({ "text": "x", "change": change })))).await);
    assert_eq!(code, None, "{said}");
    assert!(bench.log().contains(r#""incident":"INC-7""#) && !bench.log().contains("tidy"));
    for bad in [json!({ "why": "x" }), json!("x"), json!({ "reasoning": 1 })] {
        let (code, said) = Bench::said(bench.gateway.handle(Bench::raw("github_note", args(json!({ "text": "x", "change": bad })))).await);
        assert!(code == Some(Code::InvalidArguments) && said.contains("`change`"), "{said}");
    }
    // A read has none.
    let (code, _) = Bench::said(bench.gateway.handle(Bench::raw("github_peek", args(json!({ "text": "x", "change": {} })))).await);
    assert_eq!(code, Some(Code::InvalidArguments));
}

#[tokio::test(start_paused = true)]
async fn a_write_gets_the_time_it_asks_for_within_the_policys() {
    let bench = Bench::new();
    let (code, said) = bench.call("github_note", "takes an hour").await;
    assert_eq!(code, Some(Code::TimedOut));
    // The policy's longest time, and a moment to end in.
    assert!(said.contains("within 17s"), "{said}");
    assert_eq!(bench.entries(), ["call.intent", "call.outcome indeterminate"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_is_scrubbed() {
    let bench = Bench::new();
    let secret = format!("ghp_{}", uuid::Uuid::new_v4().simple()) + "abcd";
    let heard = Arc::new(Mutex::new(Vec::new()));
    let ear = heard.clone();
    let raw = RawCall {
        progress: Progress::to(move |line| ear.lock().unwrap().push(line.to_owned())),
        ..Bench::raw("github_peek", args(json!({ "text": format!("says {secret}\u{202e}") })))
    };
    bench.gateway.handle(raw).await;
    let heard = heard.lock().unwrap().clone();
    assert!(heard.len() == 1 && heard[0].starts_with("says [REDACTED:") && !heard[0].contains('\u{202e}'), "{heard:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_whose_answer_is_withheld_is_told_as_done() {
    let bench = Bench::with_policy(&format!("{POLICY}scrub: {{on_exposure: withhold}}\n"));
    for text in ["answers a secret", "answers much"] {
        let (code, said) = bench.call("github_note", text).await;
        assert!(code.is_none() && said.starts_with(r#"{"status":"done","withheld":"the answer h"#) && !said.contains("ghp_"), "{code:?} {said}");
    }
    assert_eq!(bench.entries(), ["call.intent", "call.outcome ok", "call.intent", "call.outcome ok"]);
    assert!(bench.log().contains(r#""reference":"note 40""#), "{}", bench.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_fails_after_its_effect_is_indeterminate() {
    let bench = Bench::new();
    for text in ["breaks after it", "breaks before it"] {
        assert_eq!(bench.call("github_note", text).await.0, Some(Code::Internal));
    }
    assert_eq!(bench.entries(), ["call.intent", "call.outcome indeterminate", "call.intent", "call.outcome error"]);
}

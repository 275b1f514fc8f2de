//! What each level of the audit keeps of a call that was made, refused, or failed.

use serde_json::{Map, Value, json};

use super::{Bench, POLICY};

/// What is kept at a level: words (messages, incidents, references), arguments, answers.
const LEVELS: [(&str, bool, bool, bool); 4] =
    [("none", false, false, false), ("metadata", true, false, false), ("request", true, true, false), ("request_response", true, true, true)];

fn entries(bench: &Bench, kind: &str) -> Vec<Value> {
    bench
        .log()
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|entry| entry["type"] == kind)
        .map(|e| e["data"].clone())
        .collect()
}

async fn call(bench: &Bench, tool: &str, text: &str) {
    let change = json!({ "reasoning": "a reason of some length", "incident_id": "INC-7" });
    let args: Map<String, Value> = serde_json::from_value(json!({ "text": text, "change": change })).unwrap();
    bench.gateway.handle(Bench::raw(tool, args)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_level_keeps_what_it_says_and_what_proves_the_decision() {
    for (level, words, args, answer) in LEVELS {
        let bench = Bench::with_policy(&format!("{POLICY}audit: {{level: {level}}}\n"));
        call(&bench, "github_note", "made of words").await;
        call(&bench, "github_ask", "refused for words").await;
        call(&bench, "github_note", "breaks before it").await;
        let (intents, refusals, outcomes) = (entries(&bench, "call.intent"), entries(&bench, "call.refused"), entries(&bench, "call.outcome"));
        assert_eq!((intents.len(), refusals.len(), outcomes.len()), (2, 1, 2), "{level}");
        for entry in intents.iter().chain(&refusals) {
            for key in ["caller", "gen_ai.tool.name", "class", "decision", "decided_at", "policy", "scopes", "system", "trigger", "change", "risk"] {
                assert!(!entry[key].is_null(), "{level}: no `{key}` in {entry}");
            }
            assert_eq!(entry["args"].is_object(), args, "{level}: {entry}");
        }
        let made = outcomes.iter().find(|outcome| outcome["outcome"] == "ok").unwrap();
        let failed = outcomes.iter().find(|outcome| outcome["outcome"] == "error").unwrap();
        assert_eq!(intents[0]["incident"] == "INC-7", words, "{level}");
        assert!(made["output_digest"].is_string() && made["bytes"].is_u64() && failed["code"] == "internal", "{level}: {made} {failed}");
        assert_eq!(made["reference"].is_string(), words, "{level}");
        assert_eq!(made["answer"] == json!({ "status": "done", "result": { "said": "made of words" } }), answer, "{level}: {made}");
        for said in [&failed["message"], &refusals[0]["message"]] {
            assert_eq!(said.is_string(), words, "{level}: {said}");
        }
        assert_eq!(bench.log().contains("a reason of some length"), args, "{level}");
        assert_eq!(bench.log().contains("INC-7"), words, "{level}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_kept_clean_and_within_a_bound() {
    let bench = Bench::with_policy(&format!("{POLICY}audit: {{level: request_response}}\n"));
    call(&bench, "github_note", "answers a secret").await;
    call(&bench, "github_peek", "x").await;
    let long = "long ".repeat(8000);
    let (code, _) = bench.call("github_peek", &long).await;
    assert_eq!(code, None);
    let outcomes = entries(&bench, "call.outcome");
    assert!(outcomes[0]["answer"]["result"]["said"].as_str().unwrap().starts_with("[REDACTED"), "{}", outcomes[0]);
    let last = outcomes.last().unwrap();
    assert!(last["answer"].as_str().unwrap().ends_with("bytes of answer, kept as their digest") && last["output_digest"].is_string(), "{last}");
    assert!(!bench.log().contains("long long"));
}

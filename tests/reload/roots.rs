use opsgate::policy::Policy;
use serde_json::{Value, json};

use super::harness::Home;
use super::harness::http::Http;
use super::harness::repository::Repository;
use super::harness::stdio::Client;
use super::{hangup, in_force, policy, put, until};

fn rooted(root: &str) -> String {
    policy("").replace("workspace: {mode: read_only}", &format!("workspace: {{mode: read_only, roots: [\"{root}\"]}}"))
}

#[test]
fn a_root_that_is_taken_away_is_read_no_more() {
    let repository = Repository::with(&[("a.txt", "a\n")]);
    let (here, elsewhere) = (rooted(repository.arg()), rooted("/nowhere/**"));
    let home = Home::with_policy(&here);
    let key = home.key("ci");
    let served = home.serve(&["--workspace", repository.arg()]);
    let mut client = Client::legacy(&home, &["--workspace", repository.arg()]);
    let mut both = |tool: &str, args: Value| {
        let http = Http { url: served.url(), key: Some(&key) };
        [client.call(tool, args.clone()), http.call(tool, args).json()].map(|reply| reply["result"].clone())
    };
    let read = || ("workspace_read_file", json!({ "path": "a.txt" }));
    let explained = || ("policy_explain", json!({ "tool": "workspace_read_file", "arguments": { "path": "a.txt" } }));
    for (text, allowed) in [(&here, true), (&elsewhere, false), (&here, true)] {
        put(&home, text);
        hangup(served.child.id());
        until("the policy", || (in_force(&served) == Policy::hash_of(text.as_bytes())).then_some(()));
        for reply in both(read().0, read().1) {
            let refusal = &reply["_meta"]["opsgate/refusal"];
            let expected = if allowed { (Value::Null, Value::Null) } else { (json!("policy_denied"), json!("systems.workspace.roots")) };
            assert_eq!((refusal["code"].clone(), refusal["rule"].clone()), expected, "{reply}");
            assert_eq!(reply.to_string().contains("a\\n"), allowed, "{reply}");
        }
        for reply in both("policy_whoami", json!({})) {
            assert_ne!(reply["isError"], true, "{reply}");
        }
        // Whether a file is there is not told either.
        for reply in both(explained().0, explained().1) {
            assert_eq!(reply["isError"] != true, allowed, "{reply}");
        }
    }
    let refused = home.entries_so_far().into_iter().filter(|entry| entry["type"] == "call.refused" && entry["data"]["code"] == "policy_denied");
    let refused: Vec<_> = refused.map(|entry| entry["data"].clone()).collect();
    assert_eq!(refused.len(), 2, "{refused:?}");
    for data in refused {
        assert_eq!((&data["policy"], &data["rule"]), (&json!(Policy::hash_of(elsewhere.as_bytes())), &json!("systems.workspace.roots")));
        assert!(data["decision"].is_null(), "{data}");
    }
}

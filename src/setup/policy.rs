//! The policy and the environment file that an installation begins with.

use std::path::Path;

use crate::catalogue;
use crate::policy::Policy;

/// The environment file, read by root before the gateway starts.
pub(super) const ENVIRONMENT: &str = "\
# The gateway's environment: addresses, credentials and the second keys to real systems. Root alone reads it.
# One NAME=value a line, without quotes. After a change, start the gateway again.
#GITHUB_TOKEN=
#ENABLE_REAL_GITHUB_CALLS=true
";

/// What the environment file may set. One that ends in `*` stands for all that begin so. Everything else that the gateway reads is in its
/// unit or script, and what a program's loader reads is nobody's to set.
pub(super) const NAMES: [&str; 7] =
    ["GITHUB_*", "ENABLE_REAL_*", "OPSGATE_LOG", "OPSGATE_ADMIN_LISTEN", "WRITE_MODE", "SSL_CERT_FILE", "SSL_CERT_DIR"];

/// The names that an environment file sets beyond the table. A line that is no assignment is one too, and is not repeated.
pub(super) fn beyond(text: &str) -> Vec<String> {
    let lines = text.lines().map(str::trim_start).filter(|line| !line.is_empty() && !line.starts_with(['#', ';']));
    let name = |line: &str| line.split_once('=').map(|(name, _)| name.to_owned());
    let is_name = |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    let allowed = |name: &str| NAMES.iter().any(|known| known.strip_suffix('*').map_or(*known == name, |start| name.starts_with(start)));
    lines
        .filter_map(|line| match name(line).filter(|name| is_name(name)) {
            Some(name) if allowed(&name) => None,
            Some(name) => Some(name),
            None => Some("a line that is not NAME=value".to_owned()),
        })
        .collect()
}

/// The entry of `callers` in the shipped policy that lets everybody on the machine call.
const EVERYBODY: &str = "  \"local:*\": {roles: [developer]}\n  \"key:*\": {roles: [developer]}\n";
/// Where the shipped policy shows people and groups.
const WHO: &str = "# One person with all identities";

/// The shipped policy with this caller and this approver alone.
pub(super) fn text(agent: Option<u32>, approver: Option<&str>) -> String {
    let callers = agent.map(|uid| format!("  \"local:uid={uid}\": {{roles: [developer]}}\n"));
    let text = Policy::shipped().replacen(EVERYBODY, &callers.unwrap_or_default(), 1);
    match approver {
        Some(name) => text.replacen(WHO, &format!("{}\n{WHO}", person(name)), 1),
        None => text,
    }
}

fn person(name: &str) -> String {
    format!(
        "people:\n  {name}: {{keys: [{name}]}}\ngroups:\n  approvers: [{name}]\napprovals: {{default: {{approvals: [{{group: approvers, count: 1}}], expires: 30m}}}}\n"
    )
}

/// What a policy that is kept does not have of this, each with the lines to add.
pub(super) fn lacks(file: &Path, agent: Option<u32>, approver: Option<&str>) -> Vec<String> {
    let loaded = catalogue::catalogue().map_err(|error| error.to_string());
    let policy = match loaded.and_then(|catalogue| Policy::load(file, &catalogue).map_err(|errors| errors.to_string())) {
        Ok(policy) => policy,
        Err(errors) => return vec![format!("the policy that is there does not load, and the gateway will not start with it: {errors}")],
    };
    let mut lacks = Vec::new();
    if let Some(uid) = agent.filter(|uid| policy.caller(&format!("local:uid={uid}")).is_none()) {
        lacks.push(format!("the policy was kept and does not know the agent; add under `callers`: \"local:uid={uid}\": {{roles: [developer]}}"));
    }
    if let Some(name) = approver.filter(|name| !policy.people().values().any(|person| person.keys.iter().any(|key| key == name))) {
        lacks.push(format!("the policy was kept and does not know the approver; add:\n{}", person(name)));
    }
    lacks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_policy_knows_the_agent_and_the_approver_and_nobody_else() {
        let text = text(Some(1000), Some("ana"));
        let policy = Policy::parse(&text, "policy.yaml", &catalogue::catalogue().unwrap()).unwrap();
        assert!(policy.caller("local:uid=1000").is_some());
        for stranger in ["local:uid=1001", "local:uid=0", "key:ana", "key:ci"] {
            assert!(policy.caller(stranger).is_none(), "{stranger}");
        }
        assert_eq!(policy.people().get("ana").unwrap().keys, ["ana"]);
        assert_eq!(policy.groups().get("approvers").unwrap(), &["ana"]);
        assert!(policy.warnings().is_empty(), "{:?}", policy.warnings().len());
    }

    #[test]
    fn an_environment_file_sets_what_is_in_the_table() {
        let fine = NAMES.map(|name| format!("{}=x\n", name.replace('*', "TOKEN"))).concat();
        assert_eq!(beyond(&format!("{ENVIRONMENT}\n ; a word\n{fine}GITHUB_TOKEN=a=b\n")), [""; 0]);
        for name in
            ["OPSGATE_POLICY", "OPSGATE_HOME", "OPSGATE_SOCKET", "LD_PRELOAD", "LD_LIBRARY_PATH", "PATH", "HOME", "OPSGATE_LOGS", "github_token"]
        {
            assert_eq!(beyond(&format!("{fine}  {name}=x")), [name]);
        }
        for line in ["secret", "=secret", "A B=secret", "export PATH=secret"] {
            assert!(beyond(line).concat().contains("NAME=value") && !beyond(line).concat().contains("secret"));
        }
    }

    #[test]
    fn what_a_kept_policy_lacks_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("policy.yaml");
        std::fs::write(&file, text(Some(1000), Some("ana"))).unwrap();
        assert_eq!(lacks(&file, Some(1000), Some("ana")), [""; 0]);
        let told = lacks(&file, Some(1001), Some("ben")).join("\n");
        assert!(told.contains("local:uid=1001") && told.contains("approvers: [ben]"), "{told}");
        std::fs::write(&file, "version: 9\n").unwrap();
        assert!(lacks(&file, None, None).join("").contains("does not load"));
    }
}

//! What a person mistypes, with the words that the message must have. Nothing here may start a gateway or replace a policy.

/// What good policies begin with.
const START: &str =
    "version: 1\ndefaults: {read: allow}\ncallers: {\"local:*\": {roles: [developer]}}\nsystems: {policy: {mode: read_only}, workspace: {}}\n";

/// A policy with something mistyped, by name, and the words that its report must have, the right name among them.
pub fn policies() -> Vec<(&'static str, String, &'static [&'static str])> {
    let rows: &[(&str, &str, &[&str])] = &[
        ("write mode", "write_mode: of\n", &["`of`", "`off`"]),
        ("write mode, quoted", "write_mode: \"of\"\n", &["`of`", "`off`"]),
        ("write mode, upper case", "write_mode: OFF\n", &["`OFF`", "`off`"]),
        ("write mode, as a truth", "write_mode: false\n", &["`false`", "`off`"]),
        ("write mode, its key", "write-mode: off\n", &["`write-mode`", "`write_mode`"]),
        ("write mode, as an answer", "write_mode: no\n", &["`no`", "did you mean `off`?"]),
        ("automation", "automation: no\n", &["`no`", "did you mean `off`?"]),
        ("a switch of other programs", "read_only: ture\n", &["`read_only`", "`write_mode: off`"]),
        ("a switch of other programs, in other letters", "readOnly: true\n", &["`readOnly`", "`write_mode: off`"]),
        ("same user", "same_user_writes: flase\n", &["`flase`", "`false`"]),
        ("a rule's mode", "rules: [{id: a, mode: shaddow, deny: {paths: [x/y]}}]\n", &["`shaddow`", "`shadow`"]),
        ("a tool with dashes", "rules: [{id: a, deny: {tools: [workspace-read-file]}}]\n", &["`workspace-read-file`", "`workspace_read_file`"]),
        ("a tool in other letters", "rules: [{id: a, deny: {tools: [Workspace_Read_File]}}]\n", &["`Workspace_Read_File`", "`workspace_read_file`"]),
        ("a glob that matches no tool", "rules: [{id: a, deny: {tools: [\"workspce_*\"]}}]\n", &["no tool matches `workspce_*`"]),
        ("a system", "rules: [{id: a, deny: {systems: [workspce]}}]\n", &["`workspce`", "`workspace`"]),
        ("a glob for systems", "rules: [{id: a, deny: {systems: [\"work*\"]}}]\n", &["`work*`", "named whole"]),
        ("where a caller is from", "rules: [{id: a, deny: {callers: [\"loca:uid=1\"], paths: [x/y]}}]\n", &["`loca:uid=1`", "`local`"]),
        ("an environment", "environments: {production: {}}\nrules: [{id: a, deny: {environments: [prodution]}}]\n", &["`prodution`", "`production`"]),
        ("a trigger", "rules: [{id: a, deny: {triggers: [wehbook]}}]\n", &["`wehbook`", "`webhook`"]),
        ("what a rule does", "rules: [{id: a, dny: {paths: [x/y]}}]\n", &["`dny`", "`deny`"]),
        ("what a rule names", "rules: [{id: a, deny: {path: [x/y]}}]\n", &["`path`", "`paths`"]),
        ("a repository's list", "repositories: {\"/tmp/**\": {paths: {denny: [x/y]}}}\n", &["`denny`", "`deny`"]),
        ("a repository's write", "repositories: {\"/tmp/**\": {write: flase}}\n", &["`flase`", "`false`"]),
        ("a namespace's tier", "namespaces: {\"kube-*\": forbiden}\n", &["`forbiden`", "`forbidden`"]),
        ("the profile", "profile: prodution\n", &["`prodution`", "`production`"]),
        ("what is audited", "audit: {level: requst}\n", &["`requst`", "`request`"]),
        ("a limit", "limits: {per_calller: {rate: 5/min}}\n", &["`per_calller`", "`per_caller`"]),
    ];
    let mut all: Vec<_> = rows.iter().map(|(name, text, words)| (*name, format!("{START}{text}"), *words)).collect();
    let modes: [(&str, &str, &[&str]); 3] = [
        ("a system's mode", "read-only", &["`read-only`", "`read_only`"]),
        ("a system's mode, run together", "readonly", &["`readonly`", "`read_only`"]),
        ("a system's mode, cut", "blockd", &["`blockd`", "`blocked`"]),
    ];
    all.extend(modes.map(|(name, mode, words)| (name, START.replace("read_only", mode), words)));
    all.push(("a listed system", START.replace("workspace:", "workspce:"), &["`workspce`", "`workspace`"]));
    all.push(("a default", START.replace("read: allow", "raed: allow"), &["`raed`", "`read`"]));
    all.push(("what is allowed by default", START.replace("read: allow", "read: alow"), &["`alow`", "`allow`"]));
    all
}

/// A variable of the environment, its value, and the words that the message must have.
pub const ENVIRONMENTS: &[(&str, &str, &[&str])] = &[
    ("WRITE_MODE", "of", &["`of`", "`off`"]),
    ("WRITE_MODE", "OFF", &["`OFF`", "`off`"]),
    ("WRITE_MODE", "false", &["`false`", "`off`"]),
    ("WRITE_MODE", " off", &["` off`", "`off`"]),
    ("WRITEMODE", "off", &["`WRITEMODE`", "`WRITE_MODE`"]),
    ("WRITE-MODE", "off", &["`WRITE-MODE`", "`WRITE_MODE`"]),
    ("write_mode", "off", &["`write_mode`", "`WRITE_MODE`"]),
    ("ENABLE_REAL_GITHUB_CALLS", "ture", &["`ture`", "`true`"]),
    ("ENABLE_REAL_GITHUB_CALLS", "1", &["`1`", "`true`"]),
    ("ENABLE_REAL_GITHUB_CALL", "true", &["`ENABLE_REAL_GITHUB_CALL`", "`ENABLE_REAL_GITHUB_CALLS`"]),
    ("ENABLE_REAL_GITHIB", "false", &["`ENABLE_REAL_GITHIB`", "`ENABLE_REAL_GITHUB_CALLS`"]),
    ("OPSGATE_POLICYY", "/nowhere", &["`OPSGATE_POLICYY`", "`OPSGATE_POLICY`"]),
    ("opsgate_policy", "/nowhere", &["`opsgate_policy`", "`OPSGATE_POLICY`"]),
    ("OPSGATE_WRITE_MODE", "off", &["`OPSGATE_WRITE_MODE`", "`WRITE_MODE`"]),
    ("OPSGATE_LOG", "inof", &["`inof`", "`info`"]),
    ("OPSGATE_LISTEN", "localhost", &["`localhost`", "127.0.0.1"]),
    ("OPSGATE_ADMIN_LISTEN", "9000", &["`9000`", "127.0.0.1"]),
    ("OPSGATE_SOCKET", "gateway.sock", &["`gateway.sock`", "absolute"]),
];

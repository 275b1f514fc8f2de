//! What a workspace may run and who commits there: `systems.workspace.commands` and `.author`.

use std::collections::BTreeMap;
use std::time::Duration;

use opsgate_tools::workspace::{Author, Command, DEPENDENCY};

use super::super::diagnostics::At;
use super::super::normalise::normalise_path;
use super::super::yaml::Node;
use super::{Reader, keys};

/// The least memory that any program starts in.
pub(in super::super) const LEAST_MEMORY: u64 = 16 << 20;

impl Reader<'_> {
    pub(super) fn commands(&mut self, node: &Node, longest: Duration) -> BTreeMap<String, Command> {
        let mut commands = BTreeMap::new();
        for (name, entry) in self.entries(node, "commands") {
            commands.insert(name.value.clone(), self.command(name, entry, longest));
        }
        commands
    }

    fn command(&mut self, name: &At<String>, node: &Node, longest: Duration) -> Command {
        let fields = self.fields(node, "a command", keys::COMMAND);
        let argv = fields.get("argv").map(|node| self.plain(node, "argv")).unwrap_or_default();
        if argv.is_empty() {
            self.error(name.at, format!("the command `{}` has no `argv`", name.value), "write `argv: [program, argument]`".to_owned());
        }
        if argv.first().is_some_and(|program| program.contains(DEPENDENCY)) {
            self.error(name.at, format!("the command `{}` would run what a caller names", name.value), "write the program itself first".to_owned());
        }
        if let Some(part) = argv.iter().find(|part| part.contains(DEPENDENCY) && *part != DEPENDENCY) {
            self.error(name.at, format!("`{part}` puts a dependency into an argument"), format!("let `{DEPENDENCY}` be an argument of its own"));
        }
        let memory = fields.get("memory").and_then(|node| {
            let bytes = self.bytes(node, "memory")?;
            if bytes < LEAST_MEMORY {
                self.error(node.at, "no program starts in so little memory", "write `16MiB` or more".to_owned());
            }
            Some(bytes)
        });
        Command {
            argv,
            network: fields.get("network").is_some_and(|node| self.switch(node, "network")),
            timeout: fields.get("timeout").and_then(|node| {
                let timeout = self.duration(node, "timeout")?;
                if timeout > longest {
                    self.error(
                        node.at,
                        format!("no call may take so long: `limits.max_timeout` is {longest:?}"),
                        "raise it, or shorten this".to_owned(),
                    );
                }
                Some(timeout)
            }),
            memory,
            writable: fields.get("writable").map(|node| self.inside(node, "writable")).unwrap_or_default(),
            readable: fields.get("readable").map(|node| self.whole_paths(node)).unwrap_or_default(),
            env: fields.get("env").map(|node| self.environment_of(node)).unwrap_or_default(),
            report: fields.get("report").and_then(|node| {
                let report = self.text(node, "report")?;
                self.path_inside(&report, "report")
            }),
        }
    }

    /// Files and folders of the workspace, normalised.
    fn inside(&mut self, node: &Node, what: &str) -> Vec<String> {
        self.texts(node, what).iter().filter_map(|path| self.path_inside(path, what)).collect()
    }

    fn path_inside(&mut self, path: &At<String>, what: &str) -> Option<String> {
        let in_git = |path: &str| path.split('/').any(|part| part.eq_ignore_ascii_case(".git"));
        match normalise_path(&path.value) {
            Ok(normal) if normal != "." && !in_git(&normal) => Some(normal),
            Ok(_) => {
                self.error(
                    path.at,
                    format!("`{}` in {what} holds git's own files: what is written there runs outside of the sandbox", path.value),
                    "name the files and folders that the command writes".to_owned(),
                );
                None
            }
            Err(_) => {
                self.error(path.at, format!("`{}` in {what} is no path inside the workspace", path.value), "name it from the root".to_owned());
                None
            }
        }
    }

    fn whole_paths(&mut self, node: &Node) -> Vec<String> {
        let paths = self.plain(node, "readable");
        if let Some(path) = paths.iter().find(|path| !path.starts_with('/') || path.split('/').any(|part| part == "..")) {
            self.error(node.at, format!("`{path}` in readable is no whole path"), "begin with `/`".to_owned());
        }
        paths
    }

    fn environment_of(&mut self, node: &Node) -> BTreeMap<String, String> {
        let mut env = BTreeMap::new();
        for (name, value) in self.entries(node, "env") {
            if name.value.is_empty() || name.value.contains(['=', '\0']) {
                self.error(name.at, format!("`{}` is no name of a variable", name.value), None);
            }
            if let Some(value) = self.text(value, "env") {
                env.insert(name.value.clone(), value.value);
            }
        }
        env
    }

    /// `Name <email>`.
    pub(super) fn author(&mut self, node: &Node) -> Option<Author> {
        let text = self.text(node, "author")?;
        let parts = text.value.strip_suffix('>').and_then(|text| text.split_once(" <"));
        let sound = |part: &str| !part.is_empty() && part.trim() == part && !part.contains(['<', '>', '\n']) && !part.chars().any(char::is_control);
        match parts.filter(|(name, email)| sound(name) && sound(email)) {
            Some((name, email)) => Some(Author { name: name.to_owned(), email: email.to_owned() }),
            None => {
                self.error(text.at, format!("`{}` is no author", text.value), "write `Name <email>`".to_owned());
                None
            }
        }
    }
}

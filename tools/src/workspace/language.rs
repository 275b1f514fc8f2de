//! A file's language, from its name or its first line.

/// By extension.
#[rustfmt::skip]
const EXTENSIONS: &[(&str, &str)] = &[
    ("bash", "shell"), ("c", "c"), ("cc", "cpp"), ("cpp", "cpp"), ("cs", "csharp"), ("css", "css"),
    ("dart", "dart"), ("ex", "elixir"), ("exs", "elixir"), ("go", "go"), ("graphql", "graphql"), ("h", "c"),
    ("hcl", "hcl"), ("hpp", "cpp"), ("hs", "haskell"), ("html", "html"), ("java", "java"), ("js", "javascript"),
    ("json", "json"), ("jsonl", "json"), ("jsx", "javascript"), ("kt", "kotlin"), ("lua", "lua"), ("md", "markdown"),
    ("mjs", "javascript"), ("nix", "nix"), ("php", "php"), ("pl", "perl"), ("proto", "protobuf"), ("ps1", "powershell"),
    ("py", "python"), ("r", "r"), ("rb", "ruby"), ("rs", "rust"), ("rst", "restructuredtext"), ("scala", "scala"),
    ("scss", "scss"), ("sh", "shell"), ("sql", "sql"), ("svelte", "svelte"), ("swift", "swift"), ("tf", "terraform"),
    ("toml", "toml"), ("ts", "typescript"), ("tsx", "typescript"), ("vue", "vue"), ("xml", "xml"), ("yaml", "yaml"),
    ("yml", "yaml"), ("zig", "zig"), ("zsh", "shell"),
];

/// By whole name.
#[rustfmt::skip]
const NAMES: &[(&str, &str)] = &[
    ("dockerfile", "dockerfile"), ("makefile", "make"), ("gnumakefile", "make"), ("jenkinsfile", "groovy"), ("rakefile", "ruby"),
    ("gemfile", "ruby"), ("cmakelists.txt", "cmake"), ("vagrantfile", "ruby"), ("justfile", "just"),
];

/// By the interpreter of a `#!` line.
const INTERPRETERS: &[(&str, &str)] =
    &[("bash", "shell"), ("node", "javascript"), ("perl", "perl"), ("python", "python"), ("ruby", "ruby"), ("sh", "shell"), ("zsh", "shell")];

/// The language of the file of this path that begins so, where its name or its first line tells.
pub(super) fn of(path: &str, head: &[u8]) -> Option<&'static str> {
    let name = path.rsplit('/').next().unwrap_or(path).to_ascii_lowercase();
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    find(NAMES, &name).or_else(|| find(EXTENSIONS, extension)).or_else(|| interpreter(head))
}

fn interpreter(head: &[u8]) -> Option<&'static str> {
    let line = head.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    let line = std::str::from_utf8(line).ok()?;
    let program = line.split_whitespace().filter_map(|word| word.rsplit('/').next()).find(|word| *word != "env" && !word.starts_with('-'))?;
    find(INTERPRETERS, program.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.'))
}

fn find(table: &[(&str, &'static str)], key: &str) -> Option<&'static str> {
    table.iter().find(|(name, _)| *name == key).map(|(_, language)| *language)
}

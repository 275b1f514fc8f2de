//! `opsgate-audit`: checks an audit log with nothing but the log.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use opsgate_audit::verify::{Check, Report, verify};

/// Checks opsgate's audit logs. It needs no gateway, no key and no network.
#[derive(Parser)]
#[command(name = "opsgate-audit", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Checks that a log is whole, unchanged, in order and signed
    #[command(after_help = HELP)]
    Verify {
        /// The log's folder, or segment files in their order
        #[arg(required = true)]
        paths: Vec<PathBuf>,
        /// Receipts that a client kept, as JSON lines: they anchor the log outside of itself
        #[arg(long, value_name = "FILE")]
        receipts: Option<PathBuf>,
        /// The high-water mark that the gateway keeps beside the log's folder, `head` in its home
        #[arg(long, value_name = "FILE")]
        head: Option<PathBuf>,
        /// The public key that the log must have, 64 hex digits
        #[arg(long, value_name = "HEX", value_parser = public_key)]
        key: Option<[u8; 32]>,
        /// Fail where nothing outside of the log vouches for it
        #[arg(long)]
        require_anchor: bool,
        /// Print the report as JSON
        #[arg(long)]
        json: bool,
    },
}

const HELP: &str = "\
Exit codes: 0 nothing found · 1 something found, or no anchor where one is required · 2 wrong usage, or nothing to read

Example:
  $ opsgate-audit verify ~/.local/state/opsgate/audit
  $ opsgate-audit verify --receipts kept.jsonl --require-anchor ~/.local/state/opsgate/audit";

fn public_key(text: &str) -> Result<[u8; 32], String> {
    opsgate_audit::Digest::from_hex(text.to_ascii_lowercase().as_bytes())
        .map(|key| *key.as_bytes())
        .ok_or_else(|| "a public key is 64 hex digits".to_owned())
}

fn main() -> ExitCode {
    let Command::Verify { paths, receipts, head, key, require_anchor, json } = Arguments::parse().command;
    let report = match verify(&Check { paths, receipts, head, key }) {
        Ok(report) => report,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "opsgate-audit: {error}");
            return ExitCode::from(2);
        }
    };
    if show(&report, json).is_err() {
        return ExitCode::from(2);
    }
    let anchored = !require_anchor || report.anchored_to.is_some();
    if !anchored {
        let _ = writeln!(std::io::stderr(), "opsgate-audit: UNANCHORED, and --require-anchor was given");
    }
    if report.is_valid() && anchored { ExitCode::SUCCESS } else { ExitCode::from(1) }
}

fn show(report: &Report, json: bool) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    if json {
        serde_json::to_writer(&mut out, report)?;
        writeln!(out)
    } else {
        write!(out, "{report}")
    }
}

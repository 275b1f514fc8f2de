//! `opsgate keys`

use comfy_table::{Table, presets};
use secrecy::ExposeSecret;
use serde_json::json;

use super::{Failure, exit, out};
use crate::home::Settings;
use crate::identity::{KeyError, KeyStore};

#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Make a key; it is shown once and only its SHA-256 is kept
    #[command(after_help = "Example: opsgate keys new --caller ci-main")]
    New {
        /// Whose key it is: policy sees the caller `key:NAME`
        #[arg(long, value_name = "NAME")]
        caller: String,
        /// Print it as JSON
        #[arg(long)]
        json: bool,
    },
    /// List keys by id; the keys themselves are not kept
    #[command(after_help = "Example: opsgate keys list --json")]
    List {
        /// Print them as JSON
        #[arg(long)]
        json: bool,
    },
    /// Revoke a key; a running gateway refuses it from its next request on
    #[command(after_help = "Example: opsgate keys revoke 3f9a41c0d2e7")]
    Revoke {
        /// The key's id, from `opsgate keys list`
        id: String,
    },
}

pub(super) fn run(settings: &Settings, command: Command) -> Result<u8, Failure> {
    let home = super::own_home(settings, "keys list")?;
    let keys = KeyStore::open(&home.keys())?;
    match command {
        Command::New { caller, json } => {
            let issued = keys.issue(&caller)?;
            if json {
                out::json(&json!({ "id": issued.record.id, "caller": format!("key:{caller}"), "key": issued.key.expose_secret() }));
            } else {
                out::say(format!("{}\n\nThis is key {} of `key:{caller}`. It is not shown again.", issued.key.expose_secret(), issued.record.id));
            }
        }
        Command::List { json } => {
            let records = keys.list()?;
            if json {
                out::json(
                    &records
                        .iter()
                        .map(|r| json!({ "id": r.id, "caller": format!("key:{}", r.caller), "created": r.created, "revoked": r.revoked }))
                        .collect::<Vec<_>>(),
                );
            } else if records.is_empty() {
                out::say("there is no key; `opsgate keys new --caller NAME` makes one");
            } else {
                let mut table = Table::new();
                table.load_style(presets::NOTHING).set_header(["id", "caller", "created", "revoked"]);
                for record in records {
                    table.add_row([record.id, format!("key:{}", record.caller), record.created, record.revoked.unwrap_or_default()]);
                }
                out::say(table.trim_fmt());
            }
        }
        Command::Revoke { id } => {
            keys.revoke(&id)?;
            out::say(format!("key {id} is revoked"));
        }
    }
    Ok(exit::OK)
}

impl From<KeyError> for Failure {
    fn from(error: KeyError) -> Self {
        let exit = match error {
            KeyError::Name(_) => exit::USAGE,
            KeyError::Unknown(_) => exit::FINDING,
            _ => exit::BAD_CONFIGURATION,
        };
        Self::new(exit, error)
    }
}

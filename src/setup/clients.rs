//! What to tell an editor or an agent so that it calls the gateway.

use std::net::SocketAddr;

use serde::Serialize;
use serde_json::{Value, json};

use super::layout::Layout;

/// One client and its configuration.
#[derive(Debug, Serialize)]
pub struct Client {
    /// Its name.
    pub client: &'static str,
    /// Where the configuration goes.
    pub place: &'static str,
    /// What to put there, or to run.
    pub text: String,
}

/// The configuration of each client, for the agent's user.
#[must_use]
pub fn clients(layout: &Layout, listen: Option<SocketAddr>) -> Vec<Client> {
    let program = if layout.is_default() { "opsgate".to_owned() } else { layout.program().display().to_string() };
    let socket = layout.socket().display().to_string();
    let flag = if layout.is_default() { String::new() } else { format!(" --env OPSGATE_SOCKET={socket}") };
    let mut server = json!({ "command": program, "args": ["stdio"] });
    if let (false, Value::Object(server)) = (layout.is_default(), &mut server) {
        server.insert("env".to_owned(), json!({ "OPSGATE_SOCKET": socket }));
    }
    let mut typed = json!({ "type": "stdio" });
    if let (Value::Object(typed), Value::Object(server)) = (&mut typed, &server) {
        typed.extend(server.clone());
    }
    let mut clients = vec![
        Client { client: "Claude Code", place: "run as the agent's user", text: format!("claude mcp add opsgate{flag} -- {program} stdio") },
        Client { client: "VS Code", place: ".vscode/mcp.json", text: json!({ "servers": { "opsgate": typed } }).to_string() },
        Client { client: "Cursor", place: "~/.cursor/mcp.json", text: json!({ "mcpServers": { "opsgate": server } }).to_string() },
    ];
    if let Some(listen) = listen {
        let headers = json!({ "Authorization": "Bearer ${OPSGATE_KEY}" });
        let text = json!({ "type": "http", "url": format!("http://{listen}/mcp"), "headers": headers }).to_string();
        clients.push(Client { client: "over HTTP", place: "with a key of `opsgate keys new`, made as the gateway's user", text });
    }
    clients
}

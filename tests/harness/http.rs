//! A raw MCP client over Streamable HTTP.

use serde_json::{Value, json};

pub struct Http<'a> {
    pub url: &'a str,
    pub key: Option<&'a str>,
}

pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub text: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// The JSON body, or the last message of an event stream.
    pub fn json(&self) -> Value {
        let text = self.text.lines().rev().find_map(|l| l.strip_prefix("data:").map(str::trim).filter(|l| l.starts_with('{'))).unwrap_or(&self.text);
        serde_json::from_str(text).unwrap_or_else(|_| panic!("no JSON ({}): {}", self.status, self.text))
    }
}

impl Http<'_> {
    pub fn post(&self, body: &[u8], headers: &[(&str, &str)]) -> Answer {
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let mut request = agent.post(self.url).header("content-type", "application/json").header("accept", "application/json, text/event-stream");
        if let Some(key) = self.key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut response = request.send(body).unwrap();
        let headers = response.headers().iter().map(|(n, v)| (n.to_string(), v.to_str().unwrap_or_default().to_owned())).collect();
        let text = response.body_mut().with_config().limit(64 << 20).read_to_string().unwrap();
        Answer { status: response.status().as_u16(), headers, text }
    }

    /// A self-contained request of revision 2026-07-28.
    pub fn modern(&self, method: &str, mut params: Value) -> Answer {
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": { "name": "test", "version": "0" },
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        let name = params["name"].as_str().unwrap_or_default().to_owned();
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string();
        let mut headers = vec![("mcp-protocol-version", "2026-07-28"), ("mcp-method", method)];
        if !name.is_empty() {
            headers.push(("mcp-name", &name));
        }
        self.post(body.as_bytes(), &headers)
    }

    pub fn call(&self, tool: &str, args: Value) -> Answer {
        self.modern("tools/call", json!({ "name": tool, "arguments": args }))
    }

    /// Opens a session of the older protocol and returns its id.
    pub fn session(&self) -> String {
        self.session_of("2025-06-18")
    }

    /// Opens a session of this revision and returns its id.
    pub fn session_of(&self, revision: &str) -> String {
        let params = json!({ "protocolVersion": revision, "capabilities": {}, "clientInfo": { "name": "test", "version": "0" } });
        let answer = self.post(json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params }).to_string().as_bytes(), &[]);
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert_eq!(answer.json()["result"]["protocolVersion"], revision);
        let session = answer.header("mcp-session-id").unwrap().to_owned();
        let initialized = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }).to_string();
        assert_eq!(self.post(initialized.as_bytes(), &[("mcp-session-id", &session), ("mcp-protocol-version", revision)]).status, 202);
        session
    }

    pub fn in_session(&self, session: &str, method: &str, params: Value) -> Answer {
        self.in_session_of("2025-06-18", session, method, params)
    }

    pub fn in_session_of(&self, revision: &str, session: &str, method: &str, params: Value) -> Answer {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string();
        self.post(body.as_bytes(), &[("mcp-session-id", session), ("mcp-protocol-version", revision)])
    }
}

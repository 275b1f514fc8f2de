//! A raw MCP client over `opsgate stdio`: writes lines, reads lines.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

use super::Home;

pub struct Client {
    pub child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    next: u64,
}

impl Client {
    /// A client that has said nothing yet.
    pub fn raw(home: &Home, args: &[&str]) -> Self {
        Self::started(home.opsgate(&["stdio"]).args(args))
    }

    /// A client of this command that has said nothing yet.
    pub fn started(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (input, output) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, input, output, next: 0 }
    }

    /// A client of the older protocol, past its hand-shake.
    pub fn legacy(home: &Home, args: &[&str]) -> Self {
        Self::raw(home, args).greeted()
    }

    /// Past the hand-shake of the older protocol.
    pub fn greeted(mut self) -> Self {
        let params = json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": { "name": "test", "version": "0" } });
        let reply = self.request("initialize", params);
        assert_eq!(reply["result"]["serverInfo"]["name"], "opsgate", "{reply}");
        self.send(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }).to_string());
        self
    }

    pub fn send(&mut self, line: &str) {
        let input = self.input.as_mut().unwrap();
        input.write_all(line.as_bytes()).unwrap();
        input.write_all(b"\n").unwrap();
        input.flush().unwrap();
    }

    pub fn receive(&mut self) -> Value {
        let mut line = String::new();
        assert!(self.output.read_line(&mut line).unwrap() > 0, "the server hung up");
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("no JSON: {line}"))
    }

    pub fn ask(&mut self, method: &str, params: Value) -> u64 {
        self.next += 1;
        let id = self.next;
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }).to_string());
        id
    }

    pub fn request(&mut self, method: &str, params: Value) -> Value {
        let id = self.ask(method, params);
        loop {
            let reply = self.receive();
            if reply["id"] == id {
                return reply;
            }
        }
    }

    /// One call's whole reply.
    pub fn call(&mut self, tool: &str, args: Value) -> Value {
        self.request("tools/call", json!({ "name": tool, "arguments": args }))
    }

    /// The code a call is refused with.
    pub fn refusal(&mut self, tool: &str, args: Value) -> String {
        let reply = self.call(tool, args);
        reply["result"]["_meta"]["opsgate/refusal"]["code"].as_str().unwrap_or_else(|| panic!("not refused: {reply}")).to_owned()
    }

    /// The structured answer of a call that must go through.
    pub fn answer(&mut self, tool: &str, args: Value) -> Value {
        let reply = self.call(tool, args);
        assert_ne!(reply["result"]["isError"], true, "{reply}");
        assert!(reply["result"]["structuredContent"].is_object(), "{reply}");
        reply["result"]["structuredContent"].clone()
    }

    pub fn tools(&mut self) -> Vec<String> {
        let reply = self.request("tools/list", json!({}));
        reply["result"]["tools"].as_array().unwrap().iter().map(|t| t["name"].as_str().unwrap().to_owned()).collect()
    }

    /// Closes the input and waits for the end.
    pub fn close(mut self) -> std::process::ExitStatus {
        self.input = None;
        self.child.wait().unwrap()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // Hanging up ends it, and an in-process gateway then closes its log; one that does not is killed.
        self.input = None;
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(15);
        while self.child.try_wait().unwrap().is_none() {
            if std::time::Instant::now() > deadline {
                let _ = self.child.kill();
            }
            std::thread::yield_now();
        }
    }
}

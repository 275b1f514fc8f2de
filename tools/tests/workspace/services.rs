//! `workspace_service_status`, against a Docker and a system bus made here.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::num::NonZeroU32;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use opsgate_tools::error::ToolErrorKind::{InvalidArguments, NotFound};
use opsgate_tools::scope::ScopeKind;
use opsgate_tools::workspace::ServiceSources;
use serde_json::{Value, json};
use tempfile::TempDir;
use zbus::message::Message;
use zbus::{ObjectPath, Variant};

use crate::fixture::Fixture;

const STATUS: &str = "workspace_service_status";
const ID: &str = "4f1c5a0e9d2b";

#[tokio::test]
async fn absent_sources_say_so() {
    let fixture = Fixture::new();
    for args in [json!({}), json!({"name": "web"})] {
        let status = fixture.ok(STATUS, args).await;
        assert_eq!(status["docker"], json!({"available": false, "why": "no Docker socket is on this machine"}));
        assert_eq!(status["systemd"], json!({"available": false, "why": "no system bus is reached on this machine"}));
        assert_eq!(status["services"], json!([]));
    }
}

#[tokio::test]
async fn names_are_checked_and_judged() {
    let fixture = Fixture::new();
    for name in ["", "../x", "a/b", "a b", "a?b", "a\0", "-x", "a%2fb", &"x".repeat(256), "a..b"] {
        assert_eq!(fixture.err(STATUS, json!({"name": name})).await.kind, InvalidArguments, "{name:?}");
    }
    for (args, scope) in [(json!({"name": "web"}), "web"), (json!({}), "*")] {
        let prepared = fixture.prepare(STATUS, args).await.unwrap();
        assert_eq!(prepared.scopes.values(ScopeKind::Service).collect::<Vec<_>>(), [scope]);
    }
}

#[tokio::test]
async fn docker_tells_its_containers() {
    let here = TempDir::new().unwrap();
    docker(&here.path().join("docker.sock"), answers());
    let fixture = with(&here);
    let all = fixture.ok(STATUS, json!({})).await;
    assert_eq!(all["docker"], json!({"available": true}));
    let expected = json!([
        {"name": "db", "source": "docker", "state": "exited", "detail": "postgres:18; Exited (0)"},
        {"name": "web", "source": "docker", "state": "running", "detail": "nginx:1; Up 2 hours"},
    ]);
    assert_eq!(all["services"], expected);
    let web = fixture.ok(STATUS, json!({"name": "web"})).await["services"][0].clone();
    assert_eq!((&web["memory_bytes"], &web["cpu_seconds"]), (&json!(1_048_576), &json!(12)));
    assert!(web["uptime_seconds"].as_u64().unwrap() > 0);
    assert!(fixture.ok(STATUS, json!({"name": "db"})).await["services"][0].get("uptime_seconds").is_none());
    assert_eq!(fixture.err(STATUS, json!({"name": "we"})).await.kind, NotFound);
    assert_eq!(fixture.pages(STATUS, json!({"limit": 1})).await.len(), 2);
}

#[tokio::test]
async fn an_answer_that_is_none_of_dockers_is_told() {
    for body in ["", "no json", "{}", "[{}]", "[{\"Id\": \"../../secrets\", \"Names\": [\"/web\"]}]"] {
        let here = TempDir::new().unwrap();
        docker(&here.path().join("docker.sock"), vec![("/containers/json?all=1".into(), body.into())]);
        let status = with(&here).ok(STATUS, json!({"name": "web"})).await;
        assert_eq!(status["docker"], json!({"available": false, "why": "Docker's answer is not understood"}), "{body}");
    }
}

#[tokio::test]
async fn systemd_tells_its_units() {
    let here = TempDir::new().unwrap();
    bus(&here.path().join("bus"));
    let fixture = with(&here);
    let all = fixture.ok(STATUS, json!({})).await;
    assert_eq!(all["systemd"], json!({"available": true}));
    assert_eq!(all["services"], json!([{"name": "web.service", "source": "systemd", "state": "active (running)", "detail": "The web"}]));
    let web = fixture.ok(STATUS, json!({"name": "web"})).await["services"][0].clone();
    assert_eq!((&web["memory_bytes"], web.get("cpu_seconds")), (&json!(4096), None));
    assert!(web["uptime_seconds"].as_u64().unwrap() > 0);
    assert_eq!(fixture.err(STATUS, json!({"name": "absent"})).await.kind, NotFound);
}

fn with(here: &TempDir) -> Fixture {
    Fixture::with_services(ServiceSources {
        bus: Some(format!("unix:path={}", here.path().join("bus").display())),
        docker: here.path().join("docker.sock"),
    })
}

fn answers() -> Vec<(String, String)> {
    let containers = json!([
        {"Id": ID, "Names": ["/web"], "Image": "nginx:1", "State": "running", "Status": "Up 2 hours"},
        {"Id": "0a", "Names": ["/db"], "Image": "postgres:18", "State": "exited", "Status": "Exited (0)"},
    ]);
    let stats = json!({"memory_stats": {"usage": 1_048_576}, "cpu_stats": {"cpu_usage": {"total_usage": 12_900_000_000_u64}}});
    let all: [(String, Value); 4] = [
        ("/containers/json?all=1".into(), containers),
        (format!("/containers/{ID}/json"), json!({"State": {"Running": true, "StartedAt": "2024-01-01T00:00:00.5Z"}})),
        ("/containers/0a/json".into(), json!({"State": {"Running": false, "StartedAt": "2024-01-01T00:00:00Z"}})),
        (format!("/containers/{ID}/stats?stream=false&one-shot=true"), stats),
    ];
    all.into_iter().map(|(path, body)| (path, body.to_string())).collect()
}

/// Serves these answers by path, one request a connection.
fn docker(socket: &Path, answers: Vec<(String, String)>) {
    let listener = UnixListener::bind(socket).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut reader = BufReader::new(stream);
            let mut request = String::new();
            while reader.read_line(&mut request).is_ok_and(|count| count > 2) {}
            let path = request.split(' ').nth(1).unwrap_or_default();
            let (status, body) = answers.iter().find(|(own, _)| own == path).map_or(("404 Not Found", ""), |(_, body)| ("200 OK", body.as_str()));
            let _ = write!(reader.get_mut(), "HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        }
    });
}

/// A system bus with one unit.
fn bus(socket: &Path) {
    let listener = UnixListener::bind(socket).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || converse(stream));
        }
    });
}

fn converse(stream: UnixStream) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    while !line.ends_with("BEGIN\r\n") {
        line.clear();
        reader.read_line(&mut line).ok().filter(|count| *count > 0)?;
        let answer = match line.trim_start_matches('\0').split_whitespace().next() {
            Some("AUTH") => "OK 0123456789abcdef0123456789abcdef\r\n",
            Some("NEGOTIATE_UNIX_FD") => "AGREE_UNIX_FD\r\n",
            _ => "",
        };
        reader.get_mut().write_all(answer.as_bytes()).ok()?;
    }
    loop {
        // The fixed part of a header: byte order, type, flags, version, body length, serial, length of the fields.
        let mut fixed = [0; 16];
        reader.read_exact(&mut fixed).ok()?;
        let number = |at: usize| u32::from_le_bytes(fixed[at..at + 4].try_into().unwrap());
        let mut rest = vec![0; number(12).next_multiple_of(8) as usize + number(4) as usize];
        reader.read_exact(&mut rest).ok()?;
        let says = |word: &str| rest.windows(word.len()).any(|window| window == word.as_bytes());
        let reply = reply(NonZeroU32::new(number(8)).unwrap(), &says);
        reader.get_mut().write_all(reply.data().bytes()).ok()?;
    }
}

fn reply(serial: NonZeroU32, says: &dyn Fn(&str) -> bool) -> Message {
    let call = Message::method_call("/", "Any").serial(serial).build(&()).unwrap();
    let answer = Message::method_return(&call.header());
    let path = |path: &'static str| ObjectPath::try_from(path).unwrap();
    let unit = |load, active, sub| ("web.service", "The web", load, active, sub, "", path("/unit/web"), 0_u32, "", path("/"));
    if says("Hello") {
        answer.build(&":1.1")
    } else if says("ListUnitsByNames") && says("absent.service") {
        answer.build(&vec![unit("not-found", "inactive", "dead")])
    } else if says("ListUnitsBy") {
        answer.build(&vec![unit("loaded", "active", "running")])
    } else if says("systemd1.Service") {
        answer.build(&HashMap::from([("MemoryCurrent", Variant::from(4096_u64)), ("CPUUsageNSec", Variant::from(u64::MAX))]))
    } else {
        answer.build(&HashMap::from([("ActiveEnterTimestamp", Variant::from(1_700_000_000_000_000_u64))]))
    }
    .unwrap()
}

//! Structured logs: one JSON object a line, `ts level run_id component message context`, on standard error.
//!
//! A line takes a fixed message and `Clean` values; a string that was not scrubbed does not compile
//! (`tests/guarantees/log_an_unclean_string.rs`). What libraries log through `tracing` is scrubbed line by line.

use std::io::Write;
use std::sync::{Arc, OnceLock};

use opsgate_audit::CallRef;
use serde::Serialize;
use serde_json::{Map, Value};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::scrub::{Clean, Scrubber};

/// The part of opsgate a line is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Component {
    /// Start, stop, home, settings.
    Gateway,
    /// Sockets, HTTP, stdio.
    Server,
    /// The path of a call.
    Call,
    /// The chain.
    Audit,
    /// The policy.
    Policy,
    /// A library below.
    Library,
}

impl Component {
    fn name(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Server => "server",
            Self::Call => "call",
            Self::Audit => "audit",
            Self::Policy => "policy",
            Self::Library => "library",
        }
    }
}

/// A line being written. Nothing is logged until [`Line::emit`].
#[must_use]
pub struct Line {
    level: &'static str,
    component: Component,
    message: &'static str,
    context: Map<String, Value>,
}

/// For what an operator looks at while looking into something: a line for each call.
pub fn debug(component: Component, message: &'static str) -> Line {
    Line::new("debug", component, message)
}

/// Whether lines of [`debug`] are written at all, so that they need not be built where not.
#[must_use]
pub fn shows_debug() -> bool {
    shown("debug")
}

/// For what an operator should know and need not act on.
pub fn info(component: Component, message: &'static str) -> Line {
    Line::new("info", component, message)
}

/// For what an operator may have to act on.
pub fn warn(component: Component, message: &'static str) -> Line {
    Line::new("warn", component, message)
}

/// For what an operator must act on.
pub fn error(component: Component, message: &'static str) -> Line {
    Line::new("error", component, message)
}

impl Line {
    fn new(level: &'static str, component: Component, message: &'static str) -> Self {
        Self { level, component, message, context: Map::new() }
    }

    /// Adds a clean value.
    pub fn with<T: Clone + Into<Value>>(mut self, key: &'static str, value: &Clean<T>) -> Self {
        self.context.insert(key.into(), value.as_ref().clone().into());
        self
    }

    /// Adds the ids of the call it is about, by which its records are found.
    pub fn of_call(mut self, call: &CallRef) -> Self {
        self.context.insert("request_id".into(), call.request_id.to_string().into());
        self.context.insert("correlation_id".into(), uuid::Uuid::from_bytes(call.correlation_id).simple().to_string().into());
        self
    }

    /// Adds a number.
    pub fn count(mut self, key: &'static str, value: u64) -> Self {
        self.context.insert(key.into(), value.into());
        self
    }

    /// Writes the line.
    pub fn emit(self) {
        if shown(self.level) {
            write_line(self.level, self.component, Value::from(self.message), self.context);
        }
    }
}

static RUN: OnceLock<Run> = OnceLock::new();

struct Run {
    id: String,
    least: usize,
}

/// Sets logging up for this process: `OPSGATE_LOG` filters (default `info`), libraries' lines go through `scrubber`.
///
/// Called once by `main`; a second call changes nothing.
pub fn init(scrubber: Scrubber) {
    let wanted = std::env::var("OPSGATE_LOG").ok().filter(|wanted| !wanted.is_empty()).unwrap_or_else(|| "info".into());
    let least = LEVELS.iter().position(|level| *level == wanted).unwrap_or(1);
    if RUN.set(Run { id: uuid::Uuid::now_v7().to_string(), least }).is_err() {
        return;
    }
    // What rmcp warns of is what its peer did; that is counted, and a looping client must not fill the disk with it.
    let directives = match wanted.as_str() {
        "debug" | "info" | "warn" => "warn,rmcp=error",
        directives => directives,
    };
    let filter = EnvFilter::try_new(directives).unwrap_or_else(|_| EnvFilter::new("warn,rmcp=error"));
    let scrubber = Arc::new(scrubber);
    let panics = scrubber.clone();
    std::panic::set_hook(Box::new(move |panic| {
        error(Component::Gateway, "a task panicked: a defect").with("what", &panics.text(&panic.to_string()).0).emit()
    }));
    // A host program may have set a subscriber of its own; then its lines are its own business.
    let _ = tracing_subscriber::registry().with(filter).with(LibraryLines { scrubber }).try_init();
}

/// The levels of our own lines; `OPSGATE_LOG` names the least that is written, `off` writes none.
const LEVELS: [&str; 5] = ["debug", "info", "warn", "error", "off"];

/// Whether a value of `OPSGATE_LOG` says something: a level, or directives that each give a target its level.
#[must_use]
pub fn understands(wanted: &str) -> bool {
    let directive =
        |one: &str| one.rsplit_once('=').is_some_and(|(target, level)| !target.is_empty() && (level == "trace" || LEVELS.contains(&level)));
    LEVELS.contains(&wanted) || wanted.split(',').all(|one| LEVELS.contains(&one) || directive(one))
}

fn shown(level: &str) -> bool {
    let at = LEVELS.iter().position(|known| *known == level).unwrap_or(0);
    RUN.get().is_some_and(|run| at >= run.least)
}

fn write_line(level: &str, component: Component, message: Value, context: Map<String, Value>) {
    let run_id = RUN.get().map_or("", |run| run.id.as_str());
    let line = LogLine { ts: jiff::Timestamp::now().to_string(), level, run_id, component: component.name(), message, context };
    // Standard error may be gone (a closed terminal); a log line is no reason to die.
    let _ = writeln!(std::io::stderr().lock(), "{}", serde_json::to_string(&line).unwrap_or_default());
}

/// A line as it is written, in this order.
#[derive(Serialize)]
struct LogLine<'a> {
    ts: String,
    level: &'a str,
    run_id: &'a str,
    component: &'a str,
    message: Value,
    context: Map<String, Value>,
}

/// Lines of libraries, scrubbed whole.
struct LibraryLines {
    scrubber: Arc<Scrubber>,
}

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for LibraryLines {
    fn on_event(&self, event: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
        let mut fields = Fields(Map::new());
        event.record(&mut fields);
        fields.0.insert("target".into(), event.metadata().target().into());
        let level = event.metadata().level().as_str().to_ascii_lowercase();
        let (clean, _) = self.scrubber.json(Value::Object(fields.0));
        let Value::Object(mut context) = clean.into_inner() else { return };
        let message = context.remove("message").unwrap_or_default();
        write_line(&level, Component::Library, message, context);
    }
}

struct Fields(Map<String, Value>);

impl tracing::field::Visit for Fields {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
        self.0.insert(field.name().into(), format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &tracing::field::Field, value: &str) {
        self.0.insert(field.name().into(), value.into());
    }
}

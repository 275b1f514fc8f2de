//! The gateway that this user's clients reach: the machine's service, or one of the user's own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use crate::catalogue;
use crate::home::Settings;
use crate::home::service::{etc_folder, home_folder, name_of};
use crate::in_force::{load_policy, policy_path};
use crate::server::{Hello, JoinError, join};
use crate::trust::{Accounts, Standing, guarded};

/// How long a gateway may take to say who it is.
const ANSWER: Duration = Duration::from_secs(5);

/// How a gateway is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// The machine's, under a user of its own.
    Service,
    /// Of the user who calls it.
    PerUser,
}

/// What is known of it.
#[derive(Debug, Serialize)]
pub struct Found {
    /// How it is run.
    pub form: Form,
    /// Where clients join it.
    pub socket: PathBuf,
    /// Whether it answers.
    pub running: bool,
    /// Its user.
    pub uid: Option<u32>,
    /// That user's name, for a person.
    pub user: Option<String>,
    /// Its process.
    pub pid: Option<u32>,
    /// `same-user` or `separate`, for this user.
    pub trust: String,
    /// Why.
    pub why: String,
    /// The file of its policy; `None` is the shipped one.
    pub policy_path: Option<PathBuf>,
    /// The policy's hash, where it is known.
    pub policy: Option<String>,
    /// `development` or `production`.
    pub profile: Option<String>,
    /// Whether writes are possible at all.
    pub write_mode: Option<bool>,
    /// Systems and their modes.
    pub systems: BTreeMap<String, String>,
    /// Which second keys to real systems are set in this environment; a service has an environment of its own.
    pub real_calls: Vec<String>,
    /// What keeps it from working.
    pub problems: Vec<String>,
    #[serde(skip)]
    files: Vec<(&'static str, PathBuf)>,
}

impl Found {
    /// The files that must be beyond its callers: what each is, and where.
    pub(super) fn own_files(&self) -> impl Iterator<Item = (&'static str, &Path)> {
        self.files.iter().map(|(what, path)| (*what, path.as_path()))
    }
}

pub(super) async fn find(settings: &Settings) -> Found {
    let service = settings.service();
    let socket = service.clone().unwrap_or_else(|| settings.home.join("gateway.sock"));
    let form = if service.is_some() { Form::Service } else { Form::PerUser };
    let mut found = Found {
        form,
        socket,
        running: false,
        uid: None,
        user: None,
        pid: None,
        trust: String::new(),
        why: String::new(),
        policy_path: None,
        policy: None,
        profile: None,
        write_mode: None,
        systems: BTreeMap::new(),
        real_calls: Vec::new(),
        problems: Vec::new(),
        files: Vec::new(),
    };
    match form {
        Form::Service => found.look_at_the_service(),
        Form::PerUser => found.look_at_own(settings),
    }
    found.ask(settings).await;
    found
}

impl Found {
    /// What lies on disk of a service; its name is the name of the folder that its socket is in.
    fn look_at_the_service(&mut self) {
        "unknown".clone_into(&mut self.trust);
        "the gateway does not answer".clone_into(&mut self.why);
        let name = name_of(&self.socket);
        let policy = etc_folder(&name).join("policy.yaml");
        self.policy_path = Some(policy.clone());
        self.files = vec![
            ("the policy", policy),
            ("the credentials file", etc_folder(&name).join(format!("{name}.env"))),
            ("the gateway's home", home_folder(&name)),
            ("the gateway's program", Path::new("/usr/local/bin").join(&name)),
            ("the socket's folder", self.socket.parent().map(Path::to_owned).unwrap_or_default()),
        ];
    }

    /// What this user's own gateway would be, whether or not it runs.
    fn look_at_own(&mut self, settings: &Settings) {
        self.policy_path = policy_path(settings);
        let standing = Standing::of_this_process(self.policy_path.as_deref(), &settings.home);
        // Whoever calls a gateway of their own is that gateway's user.
        crate::trust::Trust::SameUser.to_string().clone_into(&mut self.trust);
        self.why = standing.why;
        self.real_calls = std::env::vars()
            .filter(|(name, value)| name.starts_with("ENABLE_REAL_") && name.ends_with("_CALLS") && value == "true")
            .map(|(name, _)| name)
            .collect();
        if let Some(Err(exposed)) = self.policy_path.as_deref().map(guarded) {
            self.problems.push(exposed.to_string());
        }
        let loaded = catalogue::catalogue().map_err(|error| error.to_string());
        match loaded.and_then(|catalogue| load_policy(settings, &catalogue).map_err(|errors| errors.to_string())) {
            Ok(policy) => {
                self.policy = Some(policy.hash().to_owned());
                self.profile = Some(crate::server::word(policy.settings().deployment));
                self.write_mode = Some(policy.write_mode() && !settings.write_mode_off);
                self.systems = policy.systems().map(|(name, mode)| (name.to_owned(), crate::server::word(mode))).collect();
            }
            Err(errors) => self.problems.push(errors),
        }
        if settings.home.join("sealed").exists() {
            self.problems.push("the log is sealed: `opsgate unseal` tells why".to_owned());
        }
        if settings.home.exists()
            && let Err(error) = crate::home::Home::open(&settings.home)
        {
            self.problems.push(error.to_string());
        }
    }

    /// What the gateway itself says, where it runs. None is started.
    async fn ask(&mut self, settings: &Settings) {
        let Ok(hello) = Hello::new(settings, None, false) else { return };
        let joined = tokio::time::timeout(ANSWER, join(&self.socket, &hello)).await;
        let answer = joined.unwrap_or_else(|_| Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()));
        let (stream, reply) = match (answer, self.form) {
            (Ok(joined), _) => joined,
            (Err(_), Form::PerUser) => return, // it is started when a client needs it
            (Err(JoinError::NotItsHost(error)), Form::Service) => {
                self.problems.push(error.to_string());
                return;
            }
            (Err(JoinError::Io(error)), Form::Service) => {
                self.problems.push(format!("the service does not answer at `{}`: {error}", self.socket.display()));
                return;
            }
        };
        self.running = true;
        if let Ok(peer) = stream.peer_cred() {
            self.uid = Some(peer.uid());
            self.pid = peer.pid().and_then(|pid| u32::try_from(pid).ok());
            self.user = Some(Accounts::read(Path::new("/")).user_text(peer.uid()));
        }
        if let Some(error) = reply.error {
            self.problems.push(error);
            return;
        }
        let Some(about) = reply.about else {
            self.problems.push("the gateway's policy does not know this user: every call is refused".to_owned());
            return;
        };
        (self.trust, self.why) = (about.trust, about.why);
        self.policy = Some(about.policy);
        self.profile = Some(about.profile);
        self.write_mode = Some(about.write_mode);
        self.systems = about.systems;
    }
}

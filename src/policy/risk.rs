//! How risky a call is: the tool's own risk, and what the call's circumstances add to it. Pure. One thing that a caller says makes it
//! less: a `change.reasoning`, long enough to be one, takes `unreasoned` away, whatever it says.

use std::fmt;

use globset::Error;
use opsgate_tools::scope::ScopeKind;
use opsgate_tools::tool::Class;
use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};

use super::call::Call;
use super::decision::{ChangePart, Quorum, Requirement};
use super::glob::{Compare, Subject};
use super::glob_table::GlobTable;
use super::hours::Hours;
use super::model::{Environment, RiskSettings};
use super::normalise::fold;

/// What can make a call riskier than its tool is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Circumstance {
    /// The target is in the environment that is named, or has the alias, `production`.
    Production,
    /// The time is outside of `risk.hours`; without these, outside of the hours of one of the target's environments.
    OffHours,
    /// The name of a touched file, folder, reference, log group or table speaks of secrets.
    SecretPath,
    /// The tool replaces or removes what was there.
    Destructive,
    /// A write whose caller gave no reasoning, or one too short to be one.
    Unreasoned,
}

impl Circumstance {
    /// Every circumstance with the name `policy.yaml` uses.
    pub const ALL: [(Self, &'static str); 5] = [
        (Self::Production, "production"),
        (Self::OffHours, "off_hours"),
        (Self::SecretPath, "secret_path"),
        (Self::Destructive, "destructive"),
        (Self::Unreasoned, "unreasoned"),
    ];

    /// The name in `policy.yaml`.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(one, _)| *one == self).map_or("", |(_, name)| name)
    }

    fn bit(self) -> u8 {
        Self::ALL.iter().position(|(one, _)| *one == self).map_or(0, |place| 1 << place)
    }
}

/// The names that speak of secrets; what is beneath such a folder speaks of them too. Compared without regard to case.
const SECRET_NAMES: &[&str] = &[
    "**/*secret*",
    "**/*credential*",
    "**/*password*",
    "**/*passwd*",
    "**/*{apikey,api_key,api-key}*",
    "**/*{privatekey,private_key,private-key}*",
    "**/*{token,tokens}",
    "**/*{token,tokens}.*",
    "**/.env*",
    "**/*.{pem,key,p12,pfx,jks,keystore,kdbx,tfstate}",
    "**/*vault*",
    "**/{auth,keys}",
    "**/.{aws,azure,gnupg,kube,ssh}",
    "**/{.netrc,.npmrc,.pypirc,.pgpass,.htpasswd,.git-credentials}",
    "**/id_{rsa,dsa,ecdsa,ed25519}*",
];
/// The kinds of things whose names are looked at.
const NAMED: [ScopeKind; 5] = [ScopeKind::Path, ScopeKind::Tree, ScopeKind::Ref, ScopeKind::LogGroup, ScopeKind::Table];

/// Parts of the whole that a risk is counted in, so that sums and bounds are exact.
const WHOLE: u32 = 10_000;

/// How risky a call is, and what added to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Risk {
    parts: u32,
    because: u8,
}

impl Risk {
    pub(super) fn of(score: f64) -> Self {
        Self { parts: parts(score), because: 0 }
    }

    /// From 0 to 1.
    #[must_use]
    pub fn score(self) -> f64 {
        f64::from(self.parts) / f64::from(WHOLE)
    }

    /// The circumstances that added to the tool's own risk, in the order of [`Circumstance::ALL`].
    pub fn because(self) -> impl Iterator<Item = Circumstance> {
        Circumstance::ALL.into_iter().map(|(one, _)| one).filter(move |one| self.because & one.bit() != 0)
    }

    fn with(self, circumstance: Circumstance, adds: u32) -> Self {
        Self { parts: (self.parts + adds).min(WHOLE), because: self.because | circumstance.bit() }
    }
}

/// The score with two digits, and in brackets what added to it.
impl fmt::Display for Risk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2}", self.score())?;
        let because: Vec<_> = self.because().map(Circumstance::name).collect();
        if because.is_empty() { Ok(()) } else { write!(f, " ({})", because.join(", ")) }
    }
}

impl Serialize for Risk {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut risk = serializer.serialize_struct("Risk", 2)?;
        risk.serialize_field("score", &self.score())?;
        risk.serialize_field("because", &self.because().collect::<Vec<_>>())?;
        risk.end()
    }
}

fn parts(fraction: f64) -> u32 {
    (fraction.clamp(0.0, 1.0) * f64::from(WHOLE)).round() as u32
}

/// `risk` of a policy, compiled.
pub(super) struct Weights {
    two_approvals_from: Option<u32>,
    adds: [(Circumstance, u32); 5],
    hours: Option<Hours>,
    secret_names: GlobTable,
}

impl Weights {
    pub(super) fn new(settings: &RiskSettings, hours: Option<Hours>) -> Result<Self, Error> {
        let beneath = |glob: &&str| [((*glob).to_owned(), 0), (format!("{glob}/**"), 0)];
        Ok(Self {
            two_approvals_from: settings.two_approvals_from.map(parts),
            adds: Circumstance::ALL.map(|(one, _)| (one, settings.modifiers.get(&one).copied().map_or(0, parts))),
            hours,
            secret_names: GlobTable::new(SECRET_NAMES.iter().flat_map(beneath), Subject::Scope(ScopeKind::Path), Compare::Folded)?,
        })
    }

    /// Whether the name of a touched thing speaks of secrets.
    pub(super) fn is_secret(&self, kind: ScopeKind, folded: &str) -> bool {
        NAMED.contains(&kind) && self.secret_names.is_match(folded)
    }

    /// Outside of these it is `off_hours`.
    pub(super) fn hours(&self) -> Option<&Hours> {
        self.hours.as_ref()
    }

    fn ask_for_two(&self, risk: Risk) -> bool {
        self.two_approvals_from.is_some_and(|from| risk.parts >= from)
    }
}

impl Environment {
    pub(super) fn is_production(&self) -> bool {
        self.aliases.iter().chain([&self.name]).any(|name| fold(name) == "production")
    }
}

impl Call<'_> {
    /// The tool's own risk, and what the circumstances that the policy weighs add to it; never more than 1.
    // INVARIANT: a further circumstance never makes a call less risky (test: more_circumstances_never_need_fewer_approvals).
    pub(super) fn risk(&self) -> Risk {
        let Some(weights) = &self.core.risk else { return self.entry.risk };
        let holding = weights.adds.iter().filter(|(one, adds)| *adds > 0 && self.holds(*one, weights));
        holding.fold(self.entry.risk, |risk, (one, adds)| risk.with(*one, *adds))
    }

    fn holds(&self, circumstance: Circumstance, weights: &Weights) -> bool {
        let now = self.facts.now;
        match circumstance {
            Circumstance::Production => self.in_environments().any(Environment::is_production),
            Circumstance::OffHours => match &weights.hours {
                Some(hours) => !hours.contains(now),
                None => self.in_environments().filter_map(|one| one.hours.as_ref()).any(|hours| !hours.contains(now)),
            },
            Circumstance::SecretPath => self.touched.iter().any(|one| weights.is_secret(one.kind, &one.folded)),
            Circumstance::Destructive => self.entry.destructive,
            Circumstance::Unreasoned => self.entry.class == Class::Write && !self.facts.change.contains(&ChangePart::Reasoning),
        }
    }

    /// From `two_approvals_from` on, two different people approve, whatever rules and environments say.
    // INVARIANT: risk raises what a write needs and never lowers it (test: more_circumstances_never_need_fewer_approvals).
    pub(super) fn raise(&self, requirement: &mut Requirement) {
        if !self.core.risk.as_ref().is_some_and(|weights| weights.ask_for_two(requirement.risk)) {
            return;
        }
        if requirement.approvals.is_empty() {
            requirement.approvals.clone_from(&self.core.approvals.quorums);
        }
        if let [Quorum { count, .. }] = requirement.approvals.as_mut_slice() {
            *count = (*count).max(2);
        }
        requirement.people = requirement.people.max(2);
    }
}

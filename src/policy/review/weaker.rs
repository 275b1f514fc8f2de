//! Which way a setting is weaker, as data: what a reviewer must not read past.

use opsgate_tools::mode::Mode;

use super::said::{Place, Policy, Said};

/// Which new value of a setting is weaker than the old one.
#[derive(Debug, Clone, Copy)]
pub(in super::super) enum Weaker {
    /// A lower number, or none any more.
    Fewer,
    /// A higher number or a longer time, or none any more.
    More,
    /// This word.
    Becomes(&'static str),
    /// A later one of these words; none at all is before the first.
    Later(&'static [&'static str]),
    /// Something that is on the list and was not, or another word. A list that goes and meant nothing but itself is not weaker.
    Comes,
    /// As `Comes`; and where there is no list at all, nothing is closed.
    ComesOrOpens,
    /// Something that is not on the list any more, or no word any more.
    Goes,
    /// Any other value, as long as the entry (of so many names) is there.
    Changes(usize),
}

use Weaker::{Becomes, Changes, Comes, ComesOrOpens, Fewer, Goes, Later, More};

/// The least permissive mode first. What a system that is not listed does is nothing.
const MODES: &[&str] = &["blocked", "mock", "read_only", "dry_run", "approval_required_write"];
const _: () = assert!(MODES.len() == Mode::ALL.len());

/// Settings by place, `*` for any name and `**` for any names, and which way each is weaker. The first that fits holds.
// INVARIANT: each setting that a policy can have is here, in `NEUTRAL` or in `entries::LISTS` (test: every_setting_has_its_direction).
pub(in super::super) const WEAKER: &[(&str, Weaker)] = &[
    ("write_mode", Becomes("on")),
    ("automation", Becomes("on")),
    ("defaults.*", Becomes("true")),
    ("same_user_writes", Becomes("true")),
    ("deployment", Later(&["production", "development"])),
    ("people.**", Comes),
    ("groups.*", Comes),
    ("approvals.default.*", Fewer),
    ("approvals.expires", More),
    ("approvals.override", Comes),
    ("approvals.fallback", Comes),
    ("environments.*.approvals.*", Fewer),
    ("environments.*.mfa", Goes),
    ("environments.*.require", Goes),
    ("environments.*.expires", More),
    ("environments.*.hours", Goes),
    ("systems.*.mode", Later(MODES)),
    ("systems.*.roots", ComesOrOpens),
    ("systems.*.commands.*.report", Comes),
    ("systems.*.commands.*.timeout", More),
    ("systems.*.commands.*.memory", More),
    ("systems.*.commands.*.network", Becomes("true")),
    ("systems.*.commands.*.writable", Comes),
    ("systems.*.commands.*.readable", Comes),
    ("systems.*.commands.**", Changes(4)),
    ("risk.two_approvals_from", More),
    ("risk.modifiers.*", Fewer),
    ("budgets.*", More),
    ("limits.per_caller.over_then.lasts", Fewer),
    ("limits.per_caller.over_then.rate.count", More),
    ("limits.per_caller.over_then.rate.per", Fewer),
    ("limits.*.count", More),
    ("limits.*.per", Fewer),
    ("limits.per_caller.rate.count", More),
    ("limits.per_caller.rate.per", Fewer),
    ("limits.per_caller.burst", More),
    ("limits.*", More),
    ("scrub.pii", Later(&["redact", "detect", "off"])),
    ("scrub.on_exposure", Later(&["withhold", "redact"])),
    ("audit.level", Later(&["request_response", "request", "metadata", "none"])),
    ("audit.reads", Later(&["strict", "fast"])),
];

/// Settings of which no value is known to be weaker than another.
#[cfg(test)]
pub(in super::super) const NEUTRAL: &[&str] = &["language", "risk.hours", "systems.*.author.*"];

/// Whether the setting at the place is weaker in the new policy. Where no direction is known it is not.
pub(super) fn is_weaker(place: &Place, old: &Policy, new: &Policy) -> bool {
    let Some((_, weaker)) = WEAKER.iter().find(|(pattern, _)| fits(pattern, place)) else { return false };
    let (before, after) = (old.get(place), new.get(place));
    let entry = |names: usize| place.get(..names).is_none_or(|entry| new.has(entry));
    weaker.holds(before, after, entry)
}

impl Weaker {
    fn holds(self, before: Option<&Said>, after: Option<&Said>, has_entry: impl Fn(usize) -> bool) -> bool {
        let word = |said: Option<&Said>| said.map(Said::text);
        match self {
            Self::Fewer | Self::More => match (before, after) {
                (Some(Said::Number(_, before)), Some(Said::Number(_, after))) => {
                    if matches!(self, Self::Fewer) {
                        after < before
                    } else {
                        after > before
                    }
                }
                (Some(_), None) => true,
                _ => false,
            },
            Self::Becomes(weak) => before != after && word(after).as_deref() == Some(weak),
            Self::Later(order) => {
                let at = |said| word(said).and_then(|word| order.iter().position(|one| *one == word).map(|place| place + 1)).unwrap_or(0);
                at(after) > at(before) && (at(before) > 0 || at(after) > 1)
            }
            Self::Comes | Self::ComesOrOpens => match (before, after) {
                (Some(Said::Set(before)), Some(Said::Set(after))) => !after.is_subset(before),
                (None, Some(Said::Set(after))) => matches!(self, Self::Comes) && !after.is_empty(),
                (None, Some(_)) => matches!(self, Self::Comes),
                (Some(_), None) => matches!(self, Self::ComesOrOpens),
                (before, after) => before != after,
            },
            Self::Goes => match (before, after) {
                (Some(Said::Set(before)), Some(Said::Set(after))) => !before.is_subset(after),
                (Some(Said::Text(before)), after) if before == "true" => word(after).as_deref() != Some("true"),
                (Some(Said::Text(before)), None) => before != "false",
                (Some(Said::Set(before)), None) => !before.is_empty(),
                _ => false,
            },
            Self::Changes(names) => before != after && has_entry(names),
        }
    }
}

/// Whether a place is one that the pattern describes.
pub(in super::super) fn fits(pattern: &str, place: &[String]) -> bool {
    let mut names = place.iter();
    for part in pattern.split('.') {
        if part == "**" {
            return true;
        }
        if !names.next().is_some_and(|name| part == "*" || part == name) {
            return false;
        }
    }
    names.next().is_none()
}

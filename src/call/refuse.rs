//! Refusals travel the same way as answers: scrubbed, recorded, then replied.

use opsgate_audit::AppendError;
use opsgate_tools::registry::FORBIDDEN;

use super::entry;
use super::reply::Reply;
use super::stage::{CleanRefusal, Refused};
use crate::error::Code;
use crate::gateway::{Gateway, InForce};
use crate::limit::{Kind, Sampled};
use crate::observe::{Fate, log};
use crate::scrub::Clean;

impl Gateway {
    /// Records the refusals for rate that were only counted: those whose window is over, or all of them.
    pub(crate) fn record_floods(&self, all: bool) {
        for (kind, unrecorded) in self.flood.due(all) {
            let data = entry::counted(&self.scrubber, &kind, unrecorded);
            let appended = data.map(|data| self.log.refused(&entry::fresh(), data));
            if !matches!(appended, Ok(Ok(_))) {
                log::error(log::Component::Audit, "counted refusals could not be recorded").count("refusals", unrecorded).emit();
            }
        }
    }

    /// The name of a tool as metrics and counts may keep it: ours, or `unknown`.
    fn known(in_force: &InForce, tool: &str) -> &'static str {
        let forbidden = || FORBIDDEN.iter().find(|forbidden| forbidden.name == tool).map(|forbidden| forbidden.name);
        in_force.registry.find(tool).map(|tool| tool.spec().card.name).or_else(forbidden).unwrap_or("unknown")
    }

    pub(super) async fn refuse(&self, refused: Refused) -> Reply {
        let Refused { mark, about, refusal } = refused;
        let known = Self::known(&mark.in_force, &about.tool);
        self.metrics.called(known, Fate::of(refusal.code), mark.started.elapsed());
        if let Some(detail) = &refusal.detail {
            log::warn(log::Component::Call, "a call failed")
                .of_call(&mark.re)
                .with("code", &Clean::from_fixed(refusal.code.name()))
                .with("detail", &self.scrubber.text(detail).0)
                .emit();
        } else if log::shows_debug() {
            log::debug(log::Component::Call, "a call was refused").of_call(&mark.re).with("code", &Clean::from_fixed(refusal.code.name())).emit();
        }
        let floods = matches!(refusal.code, Code::RateLimited | Code::Busy | Code::BudgetExhausted | Code::Unauthenticated);
        let code = refusal.code;
        let clean = CleanRefusal::of(&self.scrubber, refusal, mark.in_force.policy.settings().language);
        let unrecorded = if floods {
            let policy = mark.in_force.policy.hash().into();
            match self.flood.sample(&Kind { caller: mark.caller.id().clone(), code, tool: known, policy }) {
                Sampled::Record { unrecorded } => unrecorded,
                Sampled::Skip(skipped) => return Reply::counted(&mark, clean, skipped),
            }
        } else {
            0
        };
        let appended = match entry::refused(&self.scrubber, &mark, &about, &clean, unrecorded) {
            Ok(data) => self.log.refused(&mark.re, data),
            Err(_) => Err(AppendError::Full { what: "the refusal's record" }),
        };
        let recorded = match appended {
            Ok(appended) => appended.durable().await,
            Err(error) => Err(error),
        };
        match recorded {
            Ok(proof) => Reply::refused(&mark, clean, proof),
            Err(error) => Reply::unrecordable(&mark, clean.code, error),
        }
    }
}

//! opsgate: a gateway that gives AI clients DevOps tools over MCP and keeps them safe.
//!
//! The path of one call is [`call`]; everything else is what a call meets on it:
//!
//! ```text
//! server → identify → admit → prepare → authorise → approve → intend → execute → scrub → record → reply
//! ```
//!
//! * [`server`] turns MCP into a [`call::RawCall`] and a [`call::Reply`] back.
//! * [`identity`] turns a credential into a [`identity::Caller`]; [`limit`] counts it.
//! * [`policy`] decides; [`scrub`] makes what leaves [`scrub::Clean`]; `opsgate_audit` records.
//! * [`gateway`] holds them together for one [`home`]; [`cli`] is what a person types.

pub mod call;
pub mod catalogue;
pub mod cli;
pub mod doctor;
pub mod error;
pub mod gateway;
pub mod home;
pub mod identity;
pub mod in_force;
pub mod limit;
pub mod observe;
pub mod policy;
pub mod production;
pub mod scrub;
pub mod server;
pub mod setup;
#[cfg(test)]
#[allow(unreachable_pub, reason = "the tests through the outside share it")]
#[path = "../tests/harness/skipped.rs"]
mod skipped;
pub mod trust;

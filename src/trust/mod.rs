//! Whether a caller could change the gateway itself: facts that the kernel and the file system tell, not claims.
//!
//! Agent, editor and gateway often run as one user. Then whoever steers the agent can edit the policy, read the
//! credentials and re-sign the log, and the gateway is a guard rail. Under a user of its own, with a policy and a program
//! that are root's, it is a boundary.

mod accounts;
mod acl;
mod guarded;
mod hosts;
mod process;

use std::fmt;
use std::path::Path;

use serde::Serialize;

use crate::identity::{Address, Caller};

pub use accounts::{Accounts, Group, User};
pub use acl::{Acl, AclEntry, Tag};
pub use guarded::{Exposed, guarded, guarded_for};
pub use hosts::{Hosts, NotItsHost, hosts};
pub use process::{attachable, unattachable};

/// Whether the caller could change the gateway's policy, program or memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trust {
    /// It could: the gateway is a guard rail.
    SameUser,
    /// It could not: the gateway is a boundary.
    Separate,
}

impl fmt::Display for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SameUser => "same-user",
            Self::Separate => "separate",
        })
    }
}

/// How a gateway stands to those who call it.
#[derive(Debug, Clone, Serialize)]
pub struct Standing {
    /// The best that any caller gets.
    pub trust: Trust,
    /// Why, in a few words without a path.
    pub why: String,
    #[serde(skip)]
    uid: u32,
}

impl Standing {
    /// This process as a gateway that enforces the policy of this file; `None` is the shipped policy, which the home
    /// can replace.
    #[must_use]
    pub fn of_this_process(policy: Option<&Path>) -> Self {
        let uid = rustix::process::geteuid().as_raw();
        let program = std::env::current_exe().ok();
        let roots = |path: Option<&Path>| path.is_some_and(|path| guarded_for(path, &guarded::owners(0)).is_ok());
        let (trust, why) = if uid == 0 {
            (Trust::SameUser, "the gateway runs as root".to_owned())
        } else if policy.is_none() {
            (Trust::SameUser, format!("the gateway's own user (uid {uid}) can change its policy: no file of root's was named"))
        } else if !roots(policy) {
            (Trust::SameUser, format!("the gateway's own user (uid {uid}) can change its policy"))
        } else if !roots(program.as_deref()) {
            (Trust::SameUser, "the gateway's program is not root's alone".to_owned())
        } else {
            (Trust::Separate, format!("the gateway has a user of its own (uid {uid}); its policy and program are root's"))
        };
        Self { trust, why, uid }
    }

    /// How far this caller is from the gateway: who runs as the gateway's user, or as root, is not separate from it.
    // INVARIANT: no local caller under the gateway's own uid is ever separate (test: who_is_the_gateway_is_not_separate).
    #[must_use]
    pub fn towards(&self, caller: &Caller) -> Trust {
        match (caller.address(), caller.uid()) {
            (Address::Process { .. }, Some(_)) | (Address::Ip(_), _) => self.towards_id(caller.id()),
            _ => Trust::SameUser,
        }
    }

    /// As [`Standing::towards`], for a caller of whom only the id is known: where a decision is explained, none is made.
    #[must_use]
    pub fn towards_id(&self, id: &str) -> Trust {
        match id.strip_prefix("local:uid=").map(str::parse::<u32>) {
            Some(Ok(uid)) if uid != self.uid && uid != 0 => self.trust,
            None => self.trust,
            Some(_) => Trust::SameUser,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_the_gateway_is_not_separate() {
        let me = Caller::of_this_process();
        for trust in [Trust::SameUser, Trust::Separate] {
            let own = Standing { trust, why: String::new(), uid: me.uid().unwrap() };
            assert_eq!(own.towards(&me), Trust::SameUser);
            let nobody = Caller::nobody(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST));
            assert_eq!(own.towards(&nobody), trust, "over HTTP the gateway's own standing counts");
            let other = Standing { trust, why: String::new(), uid: 4_000_000 };
            let expected = if me.uid() == Some(0) { Trust::SameUser } else { trust };
            assert_eq!(other.towards(&me), expected);
        }
    }

    #[test]
    fn the_shipped_policy_makes_no_boundary() {
        assert_eq!(Standing::of_this_process(None).trust, Trust::SameUser);
    }
}

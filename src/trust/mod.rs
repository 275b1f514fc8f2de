//! Whether a caller could change the gateway itself: facts that the kernel and the file system tell, not claims.
//!
//! Agent, editor and gateway often run as one user. Then whoever steers the agent can edit the policy, read the
//! credentials and re-sign the log, and the gateway is a guard rail. Under a user that nobody logs in as, with a policy and
//! a program that are root's and a home that nobody else can be let into, it is a boundary.

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
use guarded::closed_above;
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
    /// This process as a gateway with this home that enforces the policy of this file; `None` is the shipped policy, which
    /// the home can replace.
    #[must_use]
    pub fn of_this_process(policy: Option<&Path>, home: &Path) -> Self {
        let uid = rustix::process::geteuid().as_raw();
        Self::of(uid, &Accounts::read(Path::new("/")), policy, std::env::current_exe().ok().as_deref(), home)
    }

    /// A gateway of this user, on a machine with these accounts.
    ///
    /// A user that no file lists, as in a container, is nobody's to log in as, unless the machine asks a directory service.
    /// Where nobody but root logs in at all, as in a container, a home needs no closed folder above it.
    // INVARIANT: a person's gateway is never a boundary, whoever owns its policy (test: a_persons_gateway_is_no_boundary).
    fn of(uid: u32, accounts: &Accounts, policy: Option<&Path>, program: Option<&Path>, home: &Path) -> Self {
        let roots = |path: Option<&Path>| path.is_some_and(|path| guarded_for(path, &guarded::owners(0)).is_ok());
        let (trust, why) = if uid == 0 {
            (Trust::SameUser, "the gateway runs as root".to_owned())
        } else if accounts.logs_in(uid) {
            (Trust::SameUser, format!("the gateway's user (uid {uid}) is a person's: it can log in"))
        } else if policy.is_none() {
            (Trust::SameUser, format!("the gateway's own user (uid {uid}) can change its policy: no file of root's was named"))
        } else if !roots(policy) {
            (Trust::SameUser, format!("the gateway's own user (uid {uid}) can change its policy"))
        } else if !roots(program) {
            (Trust::SameUser, "the gateway's program is not root's alone".to_owned())
        } else if accounts.others_log_in(&[uid]) && !closed_above(home, &[0, uid]) {
            (
                Trust::SameUser,
                format!("no folder of root's keeps others out of the gateway's home: what runs as its user (uid {uid}) could let them in"),
            )
        } else {
            (
                Trust::Separate,
                format!("the gateway has a user of its own (uid {uid}); its policy and program are root's, and nobody else comes to its home"),
            )
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
        assert_eq!(Standing::of_this_process(None, Path::new("/")).trust, Trust::SameUser);
    }

    #[test]
    fn a_persons_gateway_is_no_boundary() {
        use std::os::unix::fs::{PermissionsExt, chown};
        if !rustix::process::geteuid().is_root() {
            crate::skipped::skipped("only root owns a policy for others");
            return;
        }
        const GATE: u32 = 4_000_001;
        const PERSON: u32 = 4_000_002;
        let accounts = |list: &str| {
            let entry = |(name, uid, shell): (&str, u32, &str)| format!("{name}:x:{uid}:{uid}::/:{shell}\n");
            let all = [("root", 0, "/bin/sh"), ("gate", GATE, "/usr/sbin/nologin"), ("ana", PERSON, "/bin/sh")];
            Accounts::parse(&all.into_iter().filter(|(name, ..)| list.contains(name)).map(entry).collect::<String>(), "")
        };
        let dir = tempfile::tempdir().unwrap();
        let (policy, above) = (dir.path().join("policy.yaml"), dir.path().join("above"));
        let home = above.join("home");
        std::fs::create_dir_all(&home).unwrap();
        std::fs::write(&policy, "version: 1\n").unwrap();
        let mode = |path: &Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        for open in [dir.path(), &above] {
            mode(open, 0o755);
        }
        let of = |uid, list| Standing::of(uid, &accounts(list), Some(&policy), Some(&policy), &home);
        // (who, the accounts there are, the mode above the home, whose the folder above it is, what the reason says)
        for (uid, list, bits, owner, why) in [
            (PERSON, "root gate ana", 0o700, 0, "can log in"),
            (GATE, "root gate ana", 0o755, 0, "keeps others out"),
            (GATE, "root gate ana", 0o700, GATE, "keeps others out"),
            (GATE, "root gate ana", 0o750, 0, ""),
            (GATE, "root gate", 0o755, 0, ""),
            (GATE, "root", 0o755, 0, ""),
            (0, "root", 0o700, 0, "root"),
        ] {
            mode(&above, bits);
            chown(&above, Some(owner), None).unwrap();
            let standing = of(uid, list);
            assert_eq!(standing.trust == Trust::Separate, why.is_empty(), "{uid} {list} {bits:o}: {}", standing.why);
            assert!(standing.why.contains(why), "{}", standing.why);
        }
    }
}

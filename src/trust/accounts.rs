//! The machine's own users and groups, as `/etc/passwd` and `/etc/group` list them.

use std::path::Path;

/// A user of `/etc/passwd`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Its name.
    pub name: String,
    /// Its number.
    pub uid: u32,
    /// Its first group.
    pub gid: u32,
    /// Its home folder.
    pub home: String,
    /// What it logs in to.
    pub shell: String,
}

impl User {
    /// Whether a person could log in as this user.
    #[must_use]
    pub fn logs_in(&self) -> bool {
        let shell = self.shell.rsplit('/').next().unwrap_or_default();
        !["nologin", "false", "true", "sync"].contains(&shell)
    }
}

/// A group of `/etc/group`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Its number.
    pub gid: u32,
    /// The names of those that are in it beside the ones whose first group it is.
    pub members: Vec<String>,
}

/// All of them. Those of a directory service are not among them: where the machine asks one, no group counts as somebody's alone.
#[derive(Debug, Clone, Default)]
pub struct Accounts {
    users: Vec<User>,
    groups: Vec<Group>,
    directory: bool,
}

impl Accounts {
    /// Reads the files beneath this root, `/` as a rule. A file that is not there lists nobody.
    #[must_use]
    pub fn read(root: &Path) -> Self {
        let text = |name: &str| std::fs::read_to_string(root.join(name)).unwrap_or_default();
        Self::parse(&text("etc/passwd"), &text("etc/group")).asking(&text("etc/nsswitch.conf"))
    }

    /// On a machine that looks users up as this `nsswitch.conf` says.
    fn asking(self, nsswitch: &str) -> Self {
        let sources = nsswitch.lines().filter_map(|line| {
            let (database, sources) = line.split('#').next().unwrap_or_default().split_once(':')?;
            ["passwd", "group", "initgroups"].contains(&database.trim()).then_some(sources)
        });
        // `[NOTFOUND=return]` and the like tell what to do with an answer, and name no source.
        let words: Vec<_> = sources.flat_map(|sources| sources.split(['[', ']']).step_by(2).flat_map(str::split_whitespace)).collect();
        Self { directory: words.iter().any(|source| !["files", "systemd"].contains(source)), ..self }
    }

    /// Whether there are users and groups that the machine's own files do not list.
    #[must_use]
    pub fn has_directory(&self) -> bool {
        self.directory
    }

    /// Reads the two files' text; lines that do not fit list nobody.
    #[must_use]
    pub fn parse(passwd: &str, group: &str) -> Self {
        let user = |line: &str| {
            let mut fields = line.split(':');
            let (name, _, uid, gid, _, home, shell) =
                (fields.next()?, fields.next()?, fields.next()?, fields.next()?, fields.next()?, fields.next()?, fields.next()?);
            Some(User { name: name.into(), uid: uid.parse().ok()?, gid: gid.parse().ok()?, home: home.into(), shell: shell.into() })
        };
        let group_of = |line: &str| {
            let mut fields = line.split(':');
            let (name, _, gid, members) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
            let members = members.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect();
            Some(Group { name: name.into(), gid: gid.parse().ok()?, members })
        };
        Self { users: passwd.lines().filter_map(user).collect(), groups: group.lines().filter_map(group_of).collect(), directory: false }
    }

    /// The user of this name.
    #[must_use]
    pub fn user(&self, name: &str) -> Option<&User> {
        self.users.iter().find(|user| user.name == name)
    }

    /// The user of this number.
    #[must_use]
    pub fn uid(&self, uid: u32) -> Option<&User> {
        self.users.iter().find(|user| user.uid == uid)
    }

    /// The users that share this number: more than one is one user under several names.
    pub fn sharing(&self, uid: u32) -> impl Iterator<Item = &User> {
        self.users.iter().filter(move |user| user.uid == uid)
    }

    /// The group of this name.
    #[must_use]
    pub fn group(&self, name: &str) -> Option<&Group> {
        self.groups.iter().find(|group| group.name == name)
    }

    /// Whether a person could log in as the user of this number: one of a directory service could, and one that nobody lists
    /// cannot.
    #[must_use]
    pub fn logs_in(&self, uid: u32) -> bool {
        let mut listed = self.users.iter().filter(|user| user.uid == uid).peekable();
        if listed.peek().is_none() { self.directory } else { listed.any(User::logs_in) }
    }

    /// Whether anybody but root and these users could log in on this machine.
    #[must_use]
    pub fn others_log_in(&self, uids: &[u32]) -> bool {
        self.directory || self.users.iter().any(|user| user.uid != 0 && !uids.contains(&user.uid) && user.logs_in())
    }

    /// The users whose first group this is.
    pub fn of_group(&self, gid: u32) -> impl Iterator<Item = &User> {
        self.users.iter().filter(move |user| user.gid == gid)
    }

    /// The groups that list this user, its first one among them.
    pub fn groups_of(&self, user: &User) -> impl Iterator<Item = &Group> {
        self.groups.iter().filter(move |group| group.gid == user.gid || group.members.contains(&user.name))
    }

    /// Whether nobody but these users is in the group. A group that is not listed may have members we cannot see, and any
    /// group may be the first one of a directory's user.
    #[must_use]
    pub fn only(&self, gid: u32, uids: &[u32]) -> bool {
        !self.directory && self.only_listed(gid, uids)
    }

    /// As [`Accounts::only`], of the users that the machine's own files list: where who is let in is held against something else too.
    #[must_use]
    pub fn only_listed(&self, gid: u32, uids: &[u32]) -> bool {
        let mut listed = self.groups.iter().filter(|group| group.gid == gid).peekable();
        let is_ours = |name: &String| self.user(name).is_some_and(|user| uids.contains(&user.uid));
        listed.peek().is_some()
            && listed.all(|group| group.members.iter().all(is_ours))
            && self.users.iter().filter(|user| user.gid == gid).all(|user| uids.contains(&user.uid))
    }

    /// A user's name and number, for a person.
    #[must_use]
    pub fn user_text(&self, uid: u32) -> String {
        self.uid(uid).map_or_else(|| format!("uid {uid}"), |user| format!("`{}` (uid {uid})", user.name))
    }

    /// A group's name, or its number where it has none.
    #[must_use]
    pub fn group_name(&self, gid: u32) -> String {
        self.groups.iter().find(|group| group.gid == gid).map_or_else(|| gid.to_string(), |group| group.name.clone())
    }

    /// A group's name and number, for a person.
    #[must_use]
    pub fn group_text(&self, gid: u32) -> String {
        self.groups.iter().find(|group| group.gid == gid).map_or_else(|| format!("gid {gid}"), |group| format!("`{}` (gid {gid})", group.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\nana:x:1000:1000::/home/ana:/bin/sh\nben:x:1001:1001::/home/ben:/bin/sh\nbroken:x\n";
    const GROUP: &str = "root:x:0:\nana:x:1000:\nben:x:1001:ana\nstaff:x:50:\n";

    #[test]
    fn a_private_group_has_nobody_else() {
        let accounts = Accounts::parse(PASSWD, GROUP);
        for (gid, uids, expected) in [
            (1000, &[1000][..], true),
            (1001, &[1001], false),
            (1001, &[1000, 1001], true),
            (1000, &[1001], false),
            (50, &[0], true),
            (4242, &[0], false),
        ] {
            assert_eq!(accounts.only(gid, uids), expected, "{gid} {uids:?}");
        }
        assert_eq!(accounts.user("broken"), None);
    }

    #[test]
    fn who_logs_in_is_told_by_the_shell() {
        let passwd = format!("{PASSWD}gate:x:990:990::/:/usr/sbin/nologin\ngate2:x:991:991::/:/bin/false\nalias:x:991:991::/:/bin/zsh\n");
        let accounts = Accounts::parse(&passwd, GROUP);
        for (uid, expected) in [(0, true), (1000, true), (990, false), (991, true), (4242, false)] {
            assert_eq!(accounts.logs_in(uid), expected, "{uid}");
        }
        assert!(accounts.others_log_in(&[990]) && accounts.others_log_in(&[1000, 1001]));
        assert!(!accounts.others_log_in(&[1000, 1001, 991]));
    }

    #[test]
    fn where_a_directory_is_asked_no_group_is_private() {
        for (nsswitch, asks) in [
            ("", false),
            ("passwd: files systemd\ngroup:\tfiles [SUCCESS=merge] systemd\nhosts: files dns\n", false),
            ("passwd: files # sss\n", false),
            ("passwd: files sss\n", true),
            ("group: files [NOTFOUND=return] ldap\n", true),
            (" passwd : compat\n", true),
            ("initgroups: winbind\n", true),
        ] {
            let accounts = Accounts::parse(PASSWD, GROUP).asking(nsswitch);
            assert_eq!(accounts.has_directory(), asks, "{nsswitch}");
            assert_eq!(accounts.only(1000, &[1000]), !asks, "{nsswitch}");
            assert!(accounts.only_listed(1000, &[1000]));
        }
        let asking = Accounts::parse(PASSWD, GROUP).asking("passwd: files sss\n");
        assert!(asking.logs_in(4242) && asking.others_log_in(&[1000, 1001]));
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("etc")).unwrap();
        std::fs::write(dir.path().join("etc/nsswitch.conf"), "passwd: files sss\n").unwrap();
        assert!(Accounts::read(dir.path()).has_directory());
    }
}

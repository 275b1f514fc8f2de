//! Seeing that the policy's file changed, by looking at it: nothing is told by the system, so every file system will do, and
//! a link that is exchanged for another (a ConfigMap, a release folder) is seen like a file that was written.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::Signal;
use tokio::time::MissedTickBehavior;

use super::reload::{Because, Reload};
use crate::gateway::Gateway;

/// How often it is looked.
const EVERY: Duration = Duration::from_secs(1);

/// What one look at a path found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// No file is named: the shipped policy.
    Shipped,
    /// It cannot be looked at: most often, it is gone.
    Failed(std::io::ErrorKind),
    /// What the path leads to: device, number, length, and the times of its content and of its state.
    File { file: (u64, u64), length: u64, modified: (i64, i64), changed: (i64, i64) },
}

impl Look {
    /// At what a path leads to.
    pub(super) fn at(path: &Path) -> Self {
        match path.metadata() {
            Err(error) => Self::Failed(error.kind()),
            Ok(meta) => Self::File {
                file: (meta.dev(), meta.ino()),
                length: meta.size(),
                modified: (meta.mtime(), meta.mtime_nsec()),
                changed: (meta.ctime(), meta.ctime_nsec()),
            },
        }
    }
}

/// What was looked at so far.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    last: Option<Look>,
    /// How many looks before it found the same.
    alike: u8,
    acted: Option<Look>,
}

/// So many looks in a row that find the same make a file that rests: it lay untouched for two seconds.
const RESTING: u8 = 3;

impl Watch {
    /// Whether something new is there and rests.
    ///
    /// A file that is written in place is, for a moment, its first half; and the first half of a policy can be a policy, without
    /// its last denials. What rests is taken to be whole. The first such look is always new: a file that
    /// was read in the very moment of its change, at the start or for a signal, is read once more.
    fn settled(&mut self, now: Look) -> bool {
        self.alike = if self.last.replace(now) == Some(now) { self.alike.saturating_add(1) } else { 1 };
        self.alike >= RESTING && self.acted.replace(now) != Some(now)
    }

    /// What may pass without the file being touched is asked again at later looks: a denial that could not be taken when it was
    /// written comes into force once it can.
    fn after(&mut self, reload: Reload) {
        if reload == Reload::Again {
            *self = Self::default();
        }
    }
}

impl Gateway {
    /// Follows the policy's file, and reads it at once at each of these signals, until the gateway stops.
    pub async fn follow_policy(self: Arc<Self>, mut hangup: Signal) {
        let mut watch = Watch::default();
        let mut every = tokio::time::interval(EVERY);
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = self.stopping().cancelled() => return,
                Some(()) = hangup.recv() => watch.after(self.reload(Because::Signal).await),
                _ = every.tick() => self.look(&mut watch).await,
            }
        }
    }

    /// One look at the file, and what follows from it.
    pub(crate) async fn look(self: &Arc<Self>, watch: &mut Watch) {
        let gateway = self.clone();
        let look = move || gateway.loader.file(Some(&gateway.in_force())).map_or(Look::Shipped, |file| Look::at(&file));
        let Ok(now) = tokio::task::spawn_blocking(look).await else { return };
        if watch.settled(now) {
            watch.after(self.reload(Because::File).await);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_rests_is_new_once() {
        let look = |length| Look::File { file: (1, 2), length, modified: (3, 4), changed: (5, 6) };
        let gone = Look::Failed(std::io::ErrorKind::NotFound);
        let mut watch = Watch::default();
        let looks = [(1, 4), (2, 2), (3, 3), (0, 2), (3, 3), (0, 4), (1, 3)].map(|(length, times)| {
            let found = if length == 0 { gone } else { look(length) };
            (0..times).map(|_| watch.settled(found)).collect::<Vec<_>>()
        });
        let (new, old, resting) = (vec![false, false, true], vec![false; 3], vec![false, false, true, false]);
        assert_eq!(looks, [resting.clone(), vec![false; 2], new.clone(), vec![false; 2], old, resting, new]);
    }

    #[test]
    fn each_way_to_change_a_file_is_seen() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::write(at("a"), "1").unwrap();
        std::fs::write(at("b"), "1").unwrap();
        symlink("a", at("way")).unwrap();
        let mut seen = vec![Look::at(&at("way"))];
        let mut differs = |what: &str| {
            let now = Look::at(&at("way"));
            assert!(!seen.contains(&now), "{what}: {now:?}");
            seen.push(now);
        };
        std::fs::write(at("a"), "22").unwrap();
        differs("written in place");
        std::fs::rename(at("b"), at("a")).unwrap();
        differs("exchanged");
        std::fs::set_permissions(at("a"), std::fs::Permissions::from_mode(0o600)).unwrap();
        differs("another mode");
        std::fs::write(at("c"), "1").unwrap();
        symlink("c", at("new")).unwrap();
        std::fs::rename(at("new"), at("way")).unwrap();
        differs("the link leads elsewhere");
        std::fs::remove_file(at("c")).unwrap();
        differs("gone");
    }
}

//! The user who called sudo(8), whom a run's folder belongs to.

use rustix::fs::Stat;
use rustix::process::{Gid, Uid, geteuid};

/// That user and the user's group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    pub(super) uid: Uid,
    pub(super) gid: Gid,
}

impl Caller {
    /// Who called, if root runs for somebody: `SUDO_UID` and `SUDO_GID`.
    #[must_use]
    pub fn of_sudo() -> Option<Self> {
        let id = |name| std::env::var(name).ok()?.parse::<u32>().ok().filter(|&id| id != u32::MAX);
        let caller = Self { uid: Uid::from_raw(id("SUDO_UID")?), gid: Gid::from_raw(id("SUDO_GID")?) };
        (geteuid().is_root() && !caller.uid.is_root()).then_some(caller)
    }

    /// Whether that is the caller's.
    #[must_use]
    pub fn owns(self, file: &Stat) -> bool {
        file.st_uid == self.uid.as_raw()
    }

    /// Whether the caller could make something in that directory. The caller's further groups are not looked at: then
    /// what root makes there stays root's.
    #[must_use]
    pub fn could_write(self, directory: &Stat) -> bool {
        const WRITE_AND_SEARCH: u32 = 0o3;
        let allowed = if self.owns(directory) {
            directory.st_mode >> 6
        } else if directory.st_gid == self.gid.as_raw() {
            directory.st_mode >> 3
        } else {
            directory.st_mode
        };
        allowed & WRITE_AND_SEARCH == WRITE_AND_SEARCH
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_folder_is_the_callers_only_where_the_caller_could_have_made_it() {
        let place = tempfile::tempdir().expect("a place");
        let status = |mode: u32| {
            fs::set_permissions(place.path(), fs::Permissions::from_mode(mode)).expect("ours");
            rustix::fs::stat(place.path()).expect("it is there")
        };
        let ours = status(0o700);
        let owner = Caller { uid: Uid::from_raw(ours.st_uid), gid: Gid::from_raw(ours.st_gid) };
        let in_group = Caller { uid: Uid::from_raw(ours.st_uid + 1), ..owner };
        let stranger = Caller { gid: Gid::from_raw(ours.st_gid + 1), ..in_group };
        let could = |mode| [owner, in_group, stranger].map(|caller| caller.could_write(&status(mode)));
        assert_eq!(could(0o700), [true, false, false]);
        assert_eq!(could(0o570), [false, true, false]);
        assert_eq!(could(0o755), [true, false, false]);
        assert_eq!(could(0o1777), [true, true, true]);
        assert_eq!(could(0o706), [true, false, false], "to write is not enough: it must be passed through");
    }
}

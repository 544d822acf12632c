//! Users and groups of passwd(5) and group(5), as files only: what a name service knows is not asked.

use std::fs;
use std::path::{Path, PathBuf};

/// A line of /etc/passwd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Login name.
    pub name: String,
    /// User number.
    pub uid: u32,
    /// Number of the primary group.
    pub gid: u32,
    /// Home directory.
    pub home: PathBuf,
    /// Login shell.
    pub shell: PathBuf,
}

impl Account {
    /// The account of that name or number.
    #[must_use]
    pub fn find(name_or_uid: &str) -> Option<Self> {
        Self::find_in(&fs::read_to_string("/etc/passwd").ok()?, name_or_uid)
    }

    /// The names of its groups, the primary one included.
    #[must_use]
    pub fn groups(&self) -> Vec<String> {
        let file = fs::read_to_string("/etc/group").unwrap_or_default();
        self.groups_in(&file)
    }

    fn groups_in(&self, file: &str) -> Vec<String> {
        let is_in = |line: &&str| {
            let mut fields = line.split(':');
            let gid = fields.nth(2).and_then(|gid| gid.parse::<u32>().ok());
            gid == Some(self.gid) || fields.next().is_some_and(|names| names.split(',').any(|name| name == self.name))
        };
        file.lines().filter(is_in).filter_map(|line| line.split(':').next()).map(str::to_owned).collect()
    }

    fn find_in(passwd: &str, name_or_uid: &str) -> Option<Self> {
        let uid = name_or_uid.parse::<u32>().ok();
        passwd.lines().filter_map(Self::parse).find(|account| account.name == name_or_uid || Some(account.uid) == uid)
    }

    fn parse(line: &str) -> Option<Self> {
        let fields: Vec<&str> = line.split(':').collect();
        let [name, _, uid, gid, _, home, shell] = fields[..] else { return None };
        let shell = if shell.is_empty() { "/bin/sh" } else { shell };
        Some(Self {
            name: name.to_owned(),
            uid: uid.parse().ok()?,
            gid: gid.parse().ok()?,
            home: Path::new(home).to_owned(),
            shell: Path::new(shell).to_owned(),
        })
    }
}

/// The number of the group of that name or number; none if there is no such group.
#[must_use]
pub fn group_number(name_or_gid: &str) -> Option<u32> {
    let find = |file: &str| groups(file).find(|&(name, _)| name == name_or_gid).map(|(_, gid)| gid);
    name_or_gid.parse().ok().or_else(|| find(&fs::read_to_string("/etc/group").ok()?))
}

/// The name of a group; none if it has no line.
#[must_use]
pub fn group_name(gid: u32) -> Option<String> {
    let file = fs::read_to_string("/etc/group").ok()?;
    groups(&file).find(|&(_, number)| number == gid).map(|(name, _)| name.to_owned())
}

fn groups(file: &str) -> impl Iterator<Item = (&str, u32)> {
    file.lines().filter_map(|line| {
        let mut fields = line.split(':');
        Some((fields.next()?, fields.nth(1)?.parse().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_found_by_name_and_by_number() {
        let passwd = "root:x:0:0:root:/root:/bin/bash\nbroken\nweb:x:33:44:,,,:/srv:\n";
        let web = Account::find_in(passwd, "web").expect("there");
        assert_eq!((web.uid, web.gid, web.shell.to_str()), (33, 44, Some("/bin/sh")));
        assert_eq!(Account::find_in(passwd, "33").as_ref(), Some(&web));
        assert_eq!(Account::find_in(passwd, "nobody"), None);
        let groups = "root:x:0:\nweb:x:44:\nadm:x:4:syslog,web\ncobweb:x:5:cobweb\n";
        assert_eq!(web.groups_in(groups), ["web", "adm"]);
    }

    #[test]
    fn groups_are_read_by_line() {
        assert_eq!(groups("adm:x:4:syslog\nweb:x:44:\n").collect::<Vec<_>>(), [("adm", 4), ("web", 44)]);
    }
}

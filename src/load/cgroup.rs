//! Where the kernel counts for the control groups that this process is in.

use std::path::{Path, PathBuf};

/// The folders of the groups in which `controller` counts for the process with these `/proc/PID/cgroup` and
/// `/proc/PID/mountinfo`, in version 2 or 1 or both: of each, its own group first, then those above it.
pub(super) fn groups(controller: &str, cgroup: &str, mountinfo: &str) -> Vec<PathBuf> {
    let of_controller = |controllers: &str| controllers.split(',').any(|name| name == controller);
    let groups = cgroup.lines().filter_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, group) = (fields.next()?, fields.next()?);
        (controllers.is_empty() || of_controller(controllers)).then_some((controllers.is_empty(), group))
    });
    let folders = groups.flat_map(|(is_unified, group)| {
        let mount = mountinfo.lines().find_map(|line| mounted(line, is_unified, of_controller));
        let folder = mount.and_then(|(root, point)| {
            let below = Path::new(group).strip_prefix(root).ok()?;
            Some((point.join(below), point))
        });
        folder.into_iter().flat_map(|(folder, point)| {
            let above = folder.ancestors().take_while(|above| above.starts_with(&point));
            above.map(Path::to_owned).collect::<Vec<_>>()
        })
    });
    folders.collect()
}

/// The root and the mount point of a line of mountinfo (proc_pid_mountinfo(5)), if the controller is mounted there.
fn mounted(line: &str, is_unified: bool, of_controller: impl Fn(&str) -> bool) -> Option<(&str, PathBuf)> {
    let (mount, filesystem) = line.split_once(" - ")?;
    let mut mount = mount.split(' ').skip(3);
    let (root, point) = (mount.next()?, mount.next()?);
    let mut filesystem = filesystem.split(' ');
    let is_it = match filesystem.next()? {
        "cgroup2" => is_unified,
        "cgroup" => !is_unified && of_controller(filesystem.nth(1)?),
        _ => false,
    };
    is_it.then(|| (root, PathBuf::from(point)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNIFIED: &str = "30 24 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
    const SPLIT: &str = "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n\
                         32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n\
                         38 31 0:35 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";

    fn paths(cgroup: &str, mountinfo: &str) -> Vec<String> {
        groups("cpu", cgroup, mountinfo).iter().map(|path| path.components().as_path().display().to_string()).collect()
    }

    #[test]
    fn a_quota_may_be_that_of_any_group_above() {
        let expected = ["system.slice/ci.service", "system.slice", ""].map(|group| match group {
            "" => "/sys/fs/cgroup".to_owned(),
            group => format!("/sys/fs/cgroup/{group}"),
        });
        assert_eq!(paths("0::/system.slice/ci.service\n", UNIFIED), expected);
    }

    #[test]
    fn a_controller_of_version_1_has_a_hierarchy_of_its_own() {
        let cgroup = "4:memory:/m\n1:cpuacct,cpu:/ci\n0::/\n";
        let cpu = "/sys/fs/cgroup/cpu,cpuacct";
        let expected = [format!("{cpu}/ci"), cpu.to_owned(), "/sys/fs/cgroup/unified".to_owned()];
        assert_eq!(paths(cgroup, SPLIT), expected);
    }

    #[test]
    fn what_is_mounted_from_a_group_on_is_found_below_its_mount_point() {
        let mounted_below = UNIFIED.replace(" / /sys", " /docker/1 /sys");
        assert_eq!(paths("0::/docker/1/x\n", &mounted_below), ["/sys/fs/cgroup/x", "/sys/fs/cgroup"]);
        assert!(paths("0::/elsewhere\n", &mounted_below).is_empty());
    }
}

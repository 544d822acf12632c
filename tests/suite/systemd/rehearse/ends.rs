//! How a rehearsal ends that does not end well: killed, interrupted, full, not booted, kept. Nothing is left in any case.

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;

use rustix::process::{Pid, Signal, kill_process};

use super::*;

#[test]
#[ignore = "runs in the box"]
fn a_rehearsal_that_is_killed_at_any_moment_leaves_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = scenario(folder.path());
    let first = rehearse(folder.path(), &[&file.to_string_lossy(), "--times", "1", "--out", "first"]);
    assert!(first.status.code().is_some(), "{}", said(&first));
    let before = machine(&[]);
    for delay_ms in [0, 30, 80, 150, 300, 700, 1500, 3000] {
        let mut running = Command::new(GAPLESS)
            .args(["rehearse", "brought.toml", "--out", "killed"])
            .current_dir(folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it is built");
        std::thread::sleep(Duration::from_millis(delay_ms));
        running.kill().expect("ours");
        assert_eq!(running.wait().expect("it ends").signal(), Some(9), "it was killed, not over");
        let killed = Instant::now();
        let left = || {
            let _ = fs::remove_dir_all(folder.path().join("killed"));
            differences(&before, &machine(&[]))
        };
        while !left().is_empty() && killed.elapsed() < Duration::from_secs(15) {
            std::thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(left(), Vec::<String>::new(), "killed after {delay_ms} ms");
    }
}

#[test]
#[ignore = "runs in the box"]
fn an_interrupt_ends_the_rehearsal_with_what_was_measured() {
    let folder = tempfile::tempdir().expect("a folder");
    scenario(folder.path());
    let before = machine(&[]);
    let mut running = Command::new(GAPLESS)
        .args(["rehearse", "brought.toml", "--times", "100", "--out", "out"])
        .current_dir(folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it is built");
    let record = folder.path().join("out/records/brought.jsonl");
    let begun = || fs::read_to_string(&record).is_ok_and(|text| text.contains("\"type\":\"step_end\""));
    let started = Instant::now();
    while !begun() && started.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(20));
    }
    let pid = rustix::process::Pid::from_child(&running);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("ours");
    assert_eq!(running.wait().expect("it ends").code(), Some(130));
    assert!(result_in(&folder.path().join("out")).scenarios[0].requests.due > 0);
    let of_folder = folder.path().to_string_lossy().into_owned();
    let others: Vec<_> =
        differences(&before, &machine(&[])).into_iter().filter(|line| !line.contains(&of_folder)).collect();
    assert!(others.is_empty(), "{others:#?}");
}

#[test]
#[ignore = "runs in the box"]
fn a_twin_that_is_kept_can_be_entered_and_ends_as_it_is_said_to() {
    let _units = Installed::new(&pair("kept.service", "kept.socket", 18_318, ""));
    systemctl(&["start", "kept.socket"]);
    let folder = tempfile::tempdir().expect("a folder");
    let before = machine(&["kept.socket"]);
    let output = rehearse(folder.path(), &["kept.service", "--times", "1", "--keep", "--out", "out"]);
    let text = said(&output);
    let after =
        |word: &str| text.lines().find_map(|line| line.split_once(word)).map(|(_, rest)| rest.trim().to_owned());
    let enter =
        after("enter it with: ").expect("how to enter").replace("-- bash", "-- systemctl is-active kept.service");
    let state = Command::new("sh").args(["-c", &enter]).output().expect("nsenter");
    assert_eq!(String::from_utf8_lossy(&state.stdout).trim(), "active", "{text}");
    let ended = Command::new("sh").args(["-c", &after("end it with: ").expect("how to end")]).status().expect("kill");
    assert!(ended.success());
    let of_folder = folder.path().to_string_lossy().into_owned();
    let left = || {
        let all = differences(&before, &machine(&["kept.socket"])).into_iter();
        all.filter(|line| !line.contains(&of_folder)).collect::<Vec<_>>()
    };
    let begin = Instant::now();
    while !left().is_empty() && begin.elapsed() < Duration::from_secs(15) {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(left(), Vec::<String>::new());
}

/// What is new or gone on the machine, but for what lies in the test's own folder.
fn changes(before: &str, folder: &Path, units: &[&str]) -> Vec<String> {
    let of_folder = folder.to_string_lossy();
    differences(before, &machine(units)).into_iter().filter(|line| !line.contains(&*of_folder)).collect()
}

/// Waits for what the kernel does a moment after a process has ended.
fn await_no_changes(before: &str, folder: &Path, units: &[&str]) {
    let begin = Instant::now();
    while !changes(before, folder, units).is_empty() && begin.elapsed() < Duration::from_secs(30) {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(changes(before, folder, units), Vec::<String>::new());
}

fn begin(folder: &Path, arguments: &[&str]) -> std::process::Child {
    let mut command = Command::new(GAPLESS);
    command.arg("rehearse").args(arguments).current_dir(folder).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("it is built")
}

fn await_step(record: &Path) {
    let begin = Instant::now();
    while !fs::read_to_string(record).is_ok_and(|text| text.contains("\"type\":\"step_end\"")) {
        assert!(begin.elapsed() < Duration::from_secs(120), "no step has ended");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn children(pid: u32) -> Vec<u32> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

fn signal(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(pid.cast_signed()).expect("a PID"), signal).expect("ours");
}

/// The cgroups of twins that have been killed or still run.
fn twins() -> Vec<PathBuf> {
    let entries = fs::read_dir("/sys/fs/cgroup").expect("cgroup2").flatten().map(|entry| entry.path());
    entries.filter(|path| path.to_string_lossy().contains("gapless-twin.")).collect()
}

#[test]
#[ignore = "runs in the box"]
fn what_is_left_where_command_and_keeper_are_killed_together_goes_with_the_next_rehearsal() {
    let folder = tempfile::tempdir().expect("a folder");
    scenario(folder.path());
    let before = machine(&[]);
    let mut running = begin(folder.path(), &["brought.toml", "--times", "100", "--out", "out"]);
    await_step(&folder.path().join("out/records/brought.jsonl"));
    let is_keeper = |pid: &u32| {
        let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&words).contains("__twin\0keeper")
    };
    let keeper = children(running.id()).into_iter().find(is_keeper).expect("a keeper");
    // Stopped, it cannot clear up between the two kills.
    signal(keeper, Signal::STOP);
    running.kill().expect("ours");
    signal(keeper, Signal::KILL);
    running.wait().expect("it ends");
    let [left] = &twins()[..] else { panic!("one cgroup is left: {:?}", twins()) };
    let is_populated =
        || fs::read_to_string(left.join("cgroup.events")).is_ok_and(|events| events.contains("populated 1"));
    let killed = Instant::now();
    while is_populated() {
        assert!(killed.elapsed() < Duration::from_secs(30), "the twin's processes outlive its keeper");
        std::thread::sleep(Duration::from_millis(20));
    }
    // The file of a scratch has a name only until it is mounted, too short to be hit. One that is in use stays.
    let [stale, used] = ["1", "2"].map(|number| folder.path().join(format!(".gapless-twin.{number}")));
    fs::write(&stale, "").expect("written");
    let held = fs::File::create(&used).expect("written");
    rustix::fs::flock(&held, rustix::fs::FlockOperation::NonBlockingLockExclusive).expect("free");
    // Without a loop device this rehearsal fails, but only after it has swept up.
    rehearse(folder.path(), &["brought.toml", "--scratch", ".", "--scratch-size", "64M", "--out", "next"]);
    assert!(!left.exists() && !stale.exists() && used.exists());
    await_no_changes(&before, folder.path(), &[]);
}

#[test]
#[ignore = "runs in the box"]
fn a_twin_that_is_full_is_said_to_be_whatever_came_of_it_and_leaves_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let fills = "[Service]\nExecStartPre=-dd if=/dev/zero of=/var/lib/gapless-filled bs=1M\n";
    let serve = format!("{fills}ExecStart={GAPLESS} demo-server --idle-grace 300ms\n");
    fs::write(folder.path().join("filling.socket"), "[Socket]\nListenStream=127.0.0.1:18321\n").expect("written");
    fs::write(folder.path().join("filling.service"), serve).expect("written");
    let text = "name = \"filling\"\n[target]\nurl = \"http://127.0.0.1:18321/health\"\n[units]\n\
                files = [\"filling.socket\", \"filling.service\"]\n[[load]]\nname = \"all\"\nrate = 100\n\
                [[steps]]\nrestart = \"service\"\n";
    fs::write(folder.path().join("filling.toml"), text).expect("written");
    let before = machine(&[]);
    let output = rehearse(folder.path(), &["filling.toml", "--scratch-size", "32M", "--out", "out"]);
    let text = said(&output);
    assert_eq!(output.status.code(), Some(4), "{text}");
    let errors: Vec<&str> = text.lines().filter(|line| line.starts_with("error:")).collect();
    let [error] = errors[..] else { panic!("{text}") };
    assert!(
        error.contains("the twin's scratch (32 MiB) is full") && error.contains("a larger --scratch-size"),
        "{error}"
    );
    assert_eq!(result_in(&folder.path().join("out")).verdict, Verdict::Inconclusive);
    let report = fs::read_to_string(folder.path().join("out/report.md")).expect("a report");
    assert!(report.contains("The twin's scratch (32 MiB) is full, so what happens in the twin is not"), "{report}");
    assert!(!Path::new("/var/lib/gapless-filled").exists());
    await_no_changes(&before, folder.path(), &[]);
}

/// A drop-in of the machine, for as long as this lives; the twin reads it as well.
struct DropIn(PathBuf);

impl DropIn {
    fn new(unit: &str, text: &str) -> Self {
        let folder = Path::new(UNITS).join(format!("{unit}.d"));
        fs::create_dir(&folder).expect("made");
        let path = folder.join("gapless-test.conf");
        fs::write(&path, text).expect("written");
        Self(path)
    }
}

impl Drop for DropIn {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
        let _ = self.0.parent().map(fs::remove_dir);
    }
}

/// Rehearses in vain: what is said of it. Nothing is left.
fn not_booted(more: &[&str]) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let file = scenario(folder.path());
    let before = machine(&[]);
    let output = rehearse(folder.path(), &[&[&*file.to_string_lossy(), "--out", "out"], more].concat());
    let text = said(&output);
    assert_eq!(output.status.code(), Some(4), "{text}");
    assert_eq!(text.lines().filter(|line| line.starts_with("error:")).count(), 1, "{text}");
    assert!(text.contains("error: the twin does not boot: ") && text.contains("--boot-timeout"), "{text}");
    assert!(!folder.path().join("out").exists(), "a run that never began leaves no folder");
    await_no_changes(&before, folder.path(), &[]);
    text
}

#[test]
#[ignore = "runs in the box"]
fn a_twin_that_never_boots_is_given_up_with_what_it_waits_for() {
    let script = "while :; do echo waiting in vain; sleep 1; done";
    let hangs = format!("[Service]\nExecStart=\nExecStart=/bin/sh -c '{script}'\n");
    let _drop_in = DropIn::new("systemd-tmpfiles-setup.service", &hangs);
    let text = not_booted(&["--boot-timeout", "20s"]);
    assert!(text.contains("its system bus is not up after 20 s"), "{text}");
    assert!(text.contains("not done: systemd-tmpfiles-setup.service (start)"), "{text}");
    assert!(text.contains("the end of its journal:\n") && text.contains("\n  waiting in vain\n"), "{text}");
}

#[test]
#[ignore = "runs in the box"]
fn a_twin_without_a_bus_is_given_up_as_soon_as_that_is_clear() {
    let _drop_in = DropIn::new("dbus.service", "[Service]\nExecStart=\nExecStart=/bin/false\n");
    // Longer than a test may take: it is not waited for.
    let text = not_booted(&["--boot-timeout", "1h"]);
    assert!(text.contains("its systemd is degraded, and its system bus is not up"), "{text}");
    assert!(text.contains("dbus.service: Failed with result 'exit-code'."), "{text}");
}

/// Another program in the place of systemd, for as long as this lives: a mount, which the twin has as well.
struct Replaced(&'static str);

impl Replaced {
    fn systemd(script: &Path) -> Self {
        let systemd =
            ["/usr/lib/systemd/systemd", "/lib/systemd/systemd"].into_iter().find(|it| Path::new(it).exists());
        let systemd = systemd.expect("systemd is installed");
        rustix::mount::mount_bind(script, systemd).expect("mounted");
        Self(systemd)
    }
}

impl Drop for Replaced {
    fn drop(&mut self) {
        let _ = rustix::mount::unmount(self.0, rustix::mount::UnmountFlags::DETACH);
    }
}

#[test]
#[ignore = "runs in the box"]
fn a_twin_whose_systemd_dies_is_said_to_with_what_it_said_on_its_console() {
    let folder = tempfile::tempdir().expect("a folder");
    let script = folder.path().join("dies");
    fs::write(&script, "#!/bin/sh\necho 'Failed to allocate manager object' >/dev/console\nexit 3\n").expect("written");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("ours");
    let _replaced = Replaced::systemd(&script);
    let text = not_booted(&[]);
    assert!(text.contains("its systemd ended: exit status: 3"), "{text}");
    assert!(text.contains("the end of its console:\n  Failed to allocate manager object\n"), "{text}");
}

#[test]
#[ignore = "runs in the box"]
fn a_real_unit_that_somebody_restarts_meanwhile_is_said_to_have_changed_and_changes_no_verdict() {
    let _units = Installed::new(&pair("altered.service", "altered.socket", 18_322, ""));
    systemctl(&["start", "altered.socket", "altered.service"]);
    let folder = tempfile::tempdir().expect("a folder");
    let arguments = ["rehearse", "altered.service", "--times", "2", "--every", "1s", "--out", "out"];
    let running = Command::new(GAPLESS)
        .args(arguments)
        .current_dir(folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it is built");
    let records = || fs::read_dir(folder.path().join("out/records")).ok()?.flatten().next();
    let begin = Instant::now();
    while records().is_none() {
        assert!(begin.elapsed() < Duration::from_secs(120), "no record is begun");
        std::thread::sleep(Duration::from_millis(20));
    }
    systemctl(&["restart", "altered.service"]);
    let output = running.wait_with_output().expect("it ends");
    assert_passed_unless_late(&output, &result_in(&folder.path().join("out")));
    let text = said(&output);
    let told = "the real altered.service changed during the rehearsal, which did not touch it: before: active";
    assert!(text.contains(told), "{text}");
}

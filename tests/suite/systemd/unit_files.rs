//! The unit files of named packages and of the scenario library, as the parser reads them beside systemd's own reading.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use gapless::model::{UnitKind, UnitName};
use gapless::unit_file::specifier::Directories;
use gapless::unit_file::{
    CommandLine, ListenAddress, ListenType, ServiceUnit, Severity, SocketUnit, Specifiers, TimeSpan, UnitFile,
    UnitSection, value,
};

/// Where the vendor's units are.
const FOLDER: &str = "/usr/lib/systemd/system";

/// Where units are installed for as long as the machine runs.
const RUNTIME_FOLDER: &str = "/run/systemd/system";

/// What one of the two says of a unit, by property of `systemctl show`.
type Facts = BTreeMap<&'static str, String>;

/// Every property that is compared. systemd puts dependencies of its own beside those of the file.
const EXACT: &[&str] = &[
    "Type",
    "RemainAfterExit",
    "NotifyAccess",
    "Restart",
    "RestartUSec",
    "TimeoutStartUSec",
    "TimeoutStopUSec",
    "KillMode",
    "KillSignal",
    "RestartKillSignal",
    "FinalKillSignal",
    "SendSIGKILL",
    "SendSIGHUP",
    "UMask",
    "RuntimeDirectory",
    "RuntimeDirectoryMode",
    "RuntimeDirectoryPreserve",
    "StartLimitBurst",
    "StartLimitIntervalUSec",
    "RefuseManualStart",
    "RefuseManualStop",
    "ExecStart",
    "ExecStartPre",
    "ExecStartPost",
    "ExecReload",
    "ExecStop",
    "ExecStopPost",
    "EnvironmentFiles",
    "Accept",
    "Backlog",
    "FileDescriptorName",
    "SocketMode",
    "SocketUser",
    "SocketGroup",
    "DirectoryMode",
    "RemoveOnStop",
    "FlushPending",
    "FreeBind",
    "NoDelay",
    "KeepAlive",
    "ReusePort",
    "MaxConnections",
    "TriggerLimitBurst",
    "TriggerLimitIntervalUSec",
    "Listen",
];

/// Lists that systemd adds to, with names that are aliases replaced.
const WITHIN: &[&str] = &["Requires", "BindsTo", "PartOf", "Wants", "After", "Before"];

/// The units of a folder, a template by an instance of it; aliases by their own files alone.
fn units(folder: &Path) -> Vec<(UnitName, PathBuf)> {
    let entries = std::fs::read_dir(folder).expect("it is there");
    let mut units: Vec<(UnitName, PathBuf)> = entries
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.is_file() && !path.is_symlink())
        .filter_map(|path| {
            let name = path.file_name()?.to_str()?.replace("@.", "@instance.");
            let unit = UnitName::new(name).ok()?;
            (unit.kind() != UnitKind::Other).then_some((unit, path))
        })
        .collect();
    units.sort();
    units
}

/// What systemd says of all units, by name.
fn of_systemd(units: &[(UnitName, PathBuf)]) -> BTreeMap<String, BTreeMap<String, Vec<String>>> {
    let mut systemctl = Command::new("systemctl");
    systemctl.args(["show", "--no-pager"]).args(units.iter().map(|(unit, _)| unit.as_str()));
    let output = String::from_utf8(systemctl.output().expect("systemd is there").stdout).expect("UTF-8");
    let unit = |block: &str| {
        let mut properties = BTreeMap::<String, Vec<String>>::new();
        for (name, value) in block.lines().filter_map(|line| line.split_once('=')) {
            properties.entry(name.to_owned()).or_default().push(value.to_owned());
        }
        Some((properties.get("Id")?.first()?.clone(), properties))
    };
    output.split("\n\n").filter_map(unit).collect()
}

fn yes(switch: bool) -> String {
    if switch { "yes" } else { "no" }.to_owned()
}

fn span(span: TimeSpan) -> String {
    format!("{span:?}")
}

fn finite(span: std::time::Duration) -> String {
    self::span(if span == std::time::Duration::MAX { TimeSpan::Infinity } else { TimeSpan::Finite(span) })
}

/// As `systemctl show` prints commands, as far as they are compared: `argv[]=/bin/true x ignore_errors=no`.
fn commands(commands: &[CommandLine]) -> String {
    let told = |command: &CommandLine| {
        format!("argv[]={} ignore_errors={}", command.argv.join(" "), yes(command.ignore_failure))
    };
    commands.iter().map(told).collect::<Vec<_>>().join("; ")
}

fn of_section(section: &UnitSection, facts: &mut Facts) {
    let names = |units: &[UnitName]| units.iter().map(UnitName::as_str).collect::<Vec<_>>().join(" ");
    facts.extend([
        ("Requires", names(&section.requires)),
        ("BindsTo", names(&section.binds_to)),
        ("PartOf", names(&section.part_of)),
        ("Wants", names(&section.wants)),
        ("After", names(&section.after)),
        ("Before", names(&section.before)),
        ("RefuseManualStart", yes(section.refuse_manual_start)),
        ("RefuseManualStop", yes(section.refuse_manual_stop)),
    ]);
    if let Some((burst, interval)) = section.start_limit {
        facts.extend([("StartLimitBurst", burst.to_string()), ("StartLimitIntervalUSec", finite(interval))]);
    }
}

fn of_service(service: &ServiceUnit) -> Facts {
    let (kill, exec, run) = (&service.kill, &service.exec, &service.commands);
    let mut facts = Facts::from([
        ("Type", service.service_type.name().to_owned()),
        ("RemainAfterExit", yes(service.remain_after_exit)),
        ("NotifyAccess", service.notify_access.name().to_owned()),
        ("Restart", service.restart.name().to_owned()),
        ("RestartUSec", span(service.restart_sec)),
        ("TimeoutStartUSec", span(service.timeout_start)),
        ("TimeoutStopUSec", span(service.timeout_stop)),
        ("KillMode", kill.mode.name().to_owned()),
        ("KillSignal", kill.signal.number().to_string()),
        ("RestartKillSignal", kill.restart_signal.number().to_string()),
        ("FinalKillSignal", kill.final_signal.number().to_string()),
        ("SendSIGKILL", yes(kill.send_sigkill)),
        ("SendSIGHUP", yes(kill.send_sighup)),
        ("UMask", format!("{:04o}", exec.umask)),
        ("RuntimeDirectory", sorted(&exec.runtime_directories.join(" "))),
        ("RuntimeDirectoryMode", format!("{:04o}", exec.runtime_directory_mode)),
        ("RuntimeDirectoryPreserve", exec.runtime_directory_preserve.name().to_owned()),
        ("ExecStart", commands(&run.start)),
        ("ExecStartPre", commands(&run.start_pre)),
        ("ExecStartPost", commands(&run.start_post)),
        ("ExecReload", commands(&run.reload)),
        ("ExecStop", commands(&run.stop)),
        ("ExecStopPost", commands(&run.stop_post)),
    ]);
    let files = exec.environment_files.iter();
    let files = files.map(|(path, optional)| format!("{} (ignore_errors={})", path.display(), yes(*optional)));
    facts.insert("EnvironmentFiles", files.collect::<Vec<_>>().join(" "));
    of_section(&service.unit, &mut facts);
    facts
}

fn of_socket(socket: &SocketUnit) -> Facts {
    let mut facts = Facts::from([
        ("Accept", yes(socket.accept)),
        ("Backlog", backlog(socket.backlog)),
        ("FileDescriptorName", socket.descriptor_name.clone()),
        ("SocketMode", format!("{:04o}", socket.socket_mode)),
        ("SocketUser", socket.owner.0.clone().unwrap_or_default()),
        ("SocketGroup", socket.owner.1.clone().unwrap_or_default()),
        ("DirectoryMode", format!("{:04o}", socket.directory_mode)),
        ("RemoveOnStop", yes(socket.remove_on_stop)),
        ("FlushPending", yes(socket.flush_pending)),
        ("FreeBind", yes(socket.free_bind)),
        ("NoDelay", yes(socket.no_delay)),
        ("KeepAlive", yes(socket.keep_alive)),
        ("ReusePort", yes(socket.reuse_port)),
        ("MaxConnections", socket.max_connections.to_string()),
        ("Listen", socket.listen.iter().map(|(address, _)| listened(address)).collect::<Vec<_>>().join(" ")),
    ]);
    if let Some((burst, interval)) = socket.trigger_limit {
        facts.extend([("TriggerLimitBurst", burst.to_string()), ("TriggerLimitIntervalUSec", finite(interval))]);
    }
    of_section(&socket.unit, &mut facts);
    facts
}

/// How systemd writes what a socket unit listens at, of the kinds that are read.
const LISTENED: [&str; 4] = [" (Stream)", " (Datagram)", " (SequentialPacket)", " (FIFO)"];

fn listened(address: &ListenAddress) -> String {
    let kind = match address {
        ListenAddress::OfType(ListenType::Datagram, _) => LISTENED[1],
        ListenAddress::OfType(ListenType::SequentialPacket, _) => LISTENED[2],
        ListenAddress::OfType(ListenType::Fifo, _) => LISTENED[3],
        _ => LISTENED[0],
    };
    format!("{address}{kind}")
}

/// One property of systemd in the words of [`Facts`].
fn in_our_words(property: &str, values: &[String]) -> String {
    if property.ends_with("USec") {
        return value::time_span(&values[0]).map_or_else(|_| values[0].clone(), span);
    }
    if property.starts_with("Exec") {
        let field = |value: &str, name: &str| {
            let found = value.split(" ; ").find_map(|field| field.trim_start_matches("{ ").strip_prefix(name));
            found.unwrap_or_default().to_owned()
        };
        let told = |value: &String| {
            format!("argv[]={} ignore_errors={}", field(value, "argv[]="), field(value, "ignore_errors="))
        };
        return values.iter().map(told).collect::<Vec<_>>().join("; ");
    }
    match property {
        // Who does not say so gets all that the kernel grants, which every version of systemd writes its own way.
        "Backlog" => values[0].parse().map_or_else(|_| values[0].clone(), backlog),
        "Listen" => {
            let is_read = |value: &&String| LISTENED.iter().any(|kind| value.ends_with(kind));
            values.iter().filter(is_read).cloned().collect::<Vec<_>>().join(" ")
        }
        "RuntimeDirectory" => sorted(&values.join(" ")),
        _ => values.join(" "),
    }
}

fn backlog(asked: u32) -> String {
    i32::try_from(asked).map_or(i32::MAX, |asked| asked).to_string()
}

fn sorted(words: &str) -> String {
    let mut words: Vec<&str> = words.split(' ').collect();
    words.sort_unstable();
    words.join(" ")
}

/// Where the two differ: unit, property, ours, systemd's.
fn differences(path: &Path, unit: &UnitName, of_systemd: &BTreeMap<String, Vec<String>>) -> Vec<String> {
    let text = std::fs::read_to_string(path).expect("readable");
    let (file, mut findings) = UnitFile::parse(&text);
    let specifiers = Specifiers::new(unit.clone(), Directories::system());
    let (ours, more) = if unit.kind() == UnitKind::Service {
        let (service, findings, _) = ServiceUnit::read(&file, &specifiers);
        (of_service(&service), findings)
    } else {
        let (socket, findings, _) = SocketUnit::read(&file, &specifiers);
        (of_socket(&socket), findings)
    };
    findings.extend(more);
    let errors = findings.iter().filter(|finding| finding.severity == Severity::Error);
    let mut differences: Vec<String> = errors.map(|finding| format!("{unit}: {finding}")).collect();
    for (&property, ours) in &ours {
        let theirs = of_systemd.get(property).map(|values| in_our_words(property, values)).unwrap_or_default();
        let is_same = if WITHIN.contains(&property) {
            let is_alias = |name: &str| Path::new(FOLDER).join(name).is_symlink();
            let named = |name: &str| theirs.split(' ').any(|other| other == name) || is_alias(name);
            ours.split(' ').all(|name| name.is_empty() || named(name))
        } else {
            assert!(EXACT.contains(&property), "{property} is compared");
            *ours == theirs
        };
        if !is_same {
            differences.push(format!("{unit} {property}: {ours:?}, systemd has {theirs:?}"));
        }
    }
    differences
}

/// How many were compared, and where the two differ.
fn compare(units: &[(UnitName, PathBuf)]) -> (usize, Vec<String>) {
    let of_systemd = of_systemd(units);
    let (mut compared, mut differing) = (0, Vec::new());
    for (unit, path) in units {
        // Drop-ins, and units that go by another name or that systemd refuses, are no question of the file.
        let Some(properties) = of_systemd.get(unit.as_str()).filter(|properties| {
            properties.get("LoadState").is_some_and(|state| state == &["loaded"])
                && properties.get("DropInPaths").is_none_or(|paths| paths == &[""])
                && properties
                    .get("FragmentPath")
                    .is_some_and(|fragment| Path::new(&fragment[0]).ends_with(path.file_name().expect("a file")))
        }) else {
            continue;
        };
        compared += 1;
        differing.extend(differences(path, unit, properties));
    }
    (compared, differing)
}

/// The unit files that `tests/unit_files` unpacked, with the units of their names.
pub(super) fn of_packages() -> Vec<(UnitName, PathBuf)> {
    let packages = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/unit_files/packages");
    let folders =
        std::fs::read_dir(packages).expect("tests/unit_files unpacks them").map(|entry| entry.expect("readable"));
    let units: Vec<_> = folders.flat_map(|folder| units(&folder.path())).collect();
    assert!(units.len() > 150, "only {} unit files were unpacked", units.len());
    units
}

#[test]
#[ignore = "runs in the box"]
fn every_unit_file_of_debians_packages_is_read_as_systemd_reads_it() {
    let units = of_packages();
    let paths: Vec<PathBuf> = units.iter().map(|(_, path)| path.clone()).collect();
    let installed = Installed::files(&paths, "");
    let own: Vec<_> = units.into_iter().zip(&installed.0).map(|((unit, _), path)| (unit, path.clone())).collect();
    let (compared, differing) = compare(&own);
    assert!(differing.is_empty(), "{compared} compared:\n{}", differing.join("\n"));
    assert!(compared > 100, "only {compared} were compared");
}

/// Unit files as a run installs them; taken away again when this goes.
struct Installed(Vec<PathBuf>);

impl Installed {
    fn of(scenarios: &Path) -> Self {
        let paths: Vec<PathBuf> = units(&scenarios.join("units")).into_iter().map(|(_, path)| path).collect();
        Self::files(&paths, &scenarios.display().to_string())
    }

    fn files(paths: &[PathBuf], scenario_dir: &str) -> Self {
        let install = |path: &PathBuf| {
            let text = std::fs::read_to_string(path).expect("readable").replace("{scenario_dir}", scenario_dir);
            let installed = Path::new(RUNTIME_FOLDER).join(path.file_name().expect("a file"));
            std::fs::write(&installed, text).expect("we are root");
            installed
        };
        let installed = Self(paths.iter().map(install).collect());
        daemon_reload();
        installed
    }
}

impl Drop for Installed {
    fn drop(&mut self) {
        for path in &self.0 {
            let _ = std::fs::remove_file(path);
        }
        daemon_reload();
    }
}

fn daemon_reload() {
    let status = Command::new("systemctl").arg("daemon-reload").status().expect("systemd is there");
    assert!(status.success());
}

#[test]
#[ignore = "runs in the box"]
fn every_unit_file_of_the_library_is_read_as_systemd_reads_it() {
    let library = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let entries = std::fs::read_dir(library).expect("it is there");
    let folders = entries.map(|entry| entry.expect("readable").path()).filter(|path| path.join("units").is_dir());
    let (mut compared, mut differing) = (0, Vec::new());
    for folder in folders {
        let installed = Installed::of(&folder);
        let own: Vec<_> =
            units(Path::new(RUNTIME_FOLDER)).into_iter().filter(|(_, path)| installed.0.contains(path)).collect();
        let (of_folder, differences) = compare(&own);
        compared += of_folder;
        differing.extend(differences);
    }
    assert!(differing.is_empty(), "{compared} compared:\n{}", differing.join("\n"));
    assert!(compared > 50, "only {compared} were compared");
}

//! The section `[Service]`, systemd.service(5), with what it shares: systemd.exec(5) and systemd.kill(5).

use std::path::PathBuf;
use std::time::Duration;

use super::command::CommandLine;
use super::finding::{Finding, IgnoredDirective, ValueError};
use super::reader::Reader;
use super::service_choices::{
    ExitStatusSet, Input, KillMode, NotifyAccess, Output, Preserve, RestartPolicy, ServiceType, is_of_systemd_alone,
};
use super::specifier::Specifiers;
use super::syntax::UnitFile;
use super::unit_section::UnitSection;
use super::value::{self, TimeSpan};
use super::word;
use crate::model::{Signal, UnitName};

/// DefaultTimeoutStartSec= and DefaultTimeoutStopSec=, systemd-system.conf(5).
const DEFAULT_TIMEOUT: TimeSpan = TimeSpan::Finite(Duration::from_secs(90));

/// DefaultRestartSec=, systemd-system.conf(5).
const DEFAULT_RESTART_SEC: TimeSpan = TimeSpan::Finite(Duration::from_millis(100));

/// What a `.service` file says, as far as it is acted on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceUnit {
    /// Its name; an instance's where the file is a template.
    pub name: UnitName,
    /// `[Unit]`.
    pub unit: UnitSection,
    /// Type=.
    pub service_type: ServiceType,
    /// The commands.
    pub commands: Commands,
    /// RemainAfterExit=.
    pub remain_after_exit: bool,
    /// NotifyAccess=.
    pub notify_access: NotifyAccess,
    /// Sockets=.
    pub sockets: Vec<UnitName>,
    /// Restart=.
    pub restart: RestartPolicy,
    /// RestartSec=.
    pub restart_sec: TimeSpan,
    /// SuccessExitStatus=.
    pub success_exit_status: ExitStatusSet,
    /// RestartPreventExitStatus=.
    pub restart_prevent_exit_status: ExitStatusSet,
    /// RestartForceExitStatus=.
    pub restart_force_exit_status: ExitStatusSet,
    /// TimeoutStartSec=.
    pub timeout_start: TimeSpan,
    /// TimeoutStopSec=.
    pub timeout_stop: TimeSpan,
    /// How it is ended.
    pub kill: KillSettings,
    /// What its processes run in.
    pub exec: ExecSettings,
}

/// The commands of a service, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Commands {
    /// ExecStartPre=.
    pub start_pre: Vec<CommandLine>,
    /// ExecStart=.
    pub start: Vec<CommandLine>,
    /// ExecStartPost=.
    pub start_post: Vec<CommandLine>,
    /// ExecReload=.
    pub reload: Vec<CommandLine>,
    /// ExecStop=.
    pub stop: Vec<CommandLine>,
    /// ExecStopPost=.
    pub stop_post: Vec<CommandLine>,
}

/// systemd.kill(5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KillSettings {
    /// KillMode=.
    pub mode: KillMode,
    /// KillSignal=.
    pub signal: Signal,
    /// RestartKillSignal=, by default `signal`.
    pub restart_signal: Signal,
    /// FinalKillSignal=.
    pub final_signal: Signal,
    /// SendSIGKILL=.
    pub send_sigkill: bool,
    /// SendSIGHUP=.
    pub send_sighup: bool,
}

/// What is acted on of systemd.exec(5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecSettings {
    /// Environment=: `NAME=value`, later ones win.
    pub environment: Vec<String>,
    /// EnvironmentFile=: path, and whether it may be missing.
    pub environment_files: Vec<(PathBuf, bool)>,
    /// UnsetEnvironment=: names, or `NAME=value`.
    pub unset_environment: Vec<String>,
    /// WorkingDirectory=: path (none for the home directory), and whether it may be missing.
    pub working_directory: Option<(Option<PathBuf>, bool)>,
    /// RuntimeDirectory=: relative to `%t`.
    pub runtime_directories: Vec<String>,
    /// RuntimeDirectoryMode=.
    pub runtime_directory_mode: u32,
    /// RuntimeDirectoryPreserve=.
    pub runtime_directory_preserve: Preserve,
    /// SetCredential=: name and text.
    pub set_credentials: Vec<(String, String)>,
    /// LoadCredential= from a file: name and path.
    pub load_credentials: Vec<(String, PathBuf)>,
    /// UMask=.
    pub umask: u32,
    /// StandardInput=.
    pub input: Input,
    /// StandardOutput=.
    pub output: Output,
    /// StandardError=.
    pub error: Output,
}

impl Commands {
    /// Every command.
    pub fn all(&self) -> impl Iterator<Item = &CommandLine> {
        let lists = [&self.start_pre, &self.start, &self.start_post, &self.reload, &self.stop, &self.stop_post];
        lists.into_iter().flatten()
    }
}

impl ServiceUnit {
    /// Reads a file as the service that `specifiers` names. A finding of severity error means that systemd
    /// would not load it.
    #[must_use]
    pub fn read(file: &UnitFile, specifiers: &Specifiers) -> (Self, Vec<Finding>, Vec<IgnoredDirective>) {
        let mut reader = Reader::new(file, specifiers);
        let unit = read_service(&mut reader);
        check(&unit, file, &mut reader);
        let (findings, ignored) = reader.finish("Service");
        (unit, findings, ignored)
    }
}

fn read_service(reader: &mut Reader<'_>) -> ServiceUnit {
    const S: &str = "Service";
    let commands = Commands {
        start_pre: reader.commands("ExecStartPre"),
        start: reader.commands("ExecStart"),
        start_post: reader.commands("ExecStartPost"),
        reload: reader.commands("ExecReload"),
        stop: reader.commands("ExecStop"),
        stop_post: reader.commands("ExecStopPost"),
    };
    let says = |reader: &Reader<'_>, key| reader.line_of(S, key) > 0;
    // `service_add_extras` in systemd's service.c.
    let default_type = match commands.start.is_empty() {
        _ if says(reader, "BusName") => ServiceType::Dbus,
        true => ServiceType::Oneshot,
        false => ServiceType::Simple,
    };
    let notifies = says(reader, "WatchdogSec") || says(reader, "FileDescriptorStoreMax");
    let service_type = reader.value(S, &["Type"], ServiceType::parse).unwrap_or(default_type);
    let notify_access = reader.value(S, &["NotifyAccess"], NotifyAccess::parse);
    // A oneshot may take as long as it likes, unless it says otherwise.
    let default_start = if service_type == ServiceType::Oneshot { TimeSpan::Infinity } else { DEFAULT_TIMEOUT };
    let exit_statuses = |reader: &mut Reader<'_>, key| {
        ExitStatusSet::union(reader.list(S, key, ExitStatusSet::parse).into_iter().map(|(set, _)| set))
    };
    ServiceUnit {
        name: reader.specifiers().unit().clone(),
        unit: UnitSection::read(reader, S),
        service_type,
        commands,
        remain_after_exit: reader.switch(S, "RemainAfterExit", false),
        notify_access: match (service_type, notify_access) {
            (ServiceType::Notify | ServiceType::NotifyReload, None | Some(NotifyAccess::None)) => NotifyAccess::Main,
            (_, None | Some(NotifyAccess::None)) if notifies => NotifyAccess::Main,
            (_, access) => access.unwrap_or(NotifyAccess::None),
        },
        sockets: reader.units(S, "Sockets"),
        restart: reader.value(S, &["Restart"], RestartPolicy::parse).unwrap_or(RestartPolicy::No),
        restart_sec: reader.value(S, &["RestartSec"], value::time_span).unwrap_or(DEFAULT_RESTART_SEC),
        success_exit_status: exit_statuses(reader, "SuccessExitStatus"),
        restart_prevent_exit_status: exit_statuses(reader, "RestartPreventExitStatus"),
        restart_force_exit_status: exit_statuses(reader, "RestartForceExitStatus"),
        timeout_start: reader.value(S, &["TimeoutSec", "TimeoutStartSec"], value::timeout).unwrap_or(default_start),
        timeout_stop: reader.value(S, &["TimeoutSec", "TimeoutStopSec"], value::timeout).unwrap_or(DEFAULT_TIMEOUT),
        kill: read_kill(reader),
        exec: read_exec(reader),
    }
}

fn read_kill(reader: &mut Reader<'_>) -> KillSettings {
    const S: &str = "Service";
    let signal = reader.value(S, &["KillSignal"], value::signal).unwrap_or(Signal::TERM);
    KillSettings {
        mode: reader.value(S, &["KillMode"], KillMode::parse).unwrap_or(KillMode::ControlGroup),
        signal,
        restart_signal: reader.value(S, &["RestartKillSignal"], value::signal).unwrap_or(signal),
        final_signal: reader.value(S, &["FinalKillSignal"], value::signal).unwrap_or(Signal::KILL),
        send_sigkill: reader.switch(S, "SendSIGKILL", true),
        send_sighup: reader.switch(S, "SendSIGHUP", false),
    }
}

fn read_exec(reader: &mut Reader<'_>) -> ExecSettings {
    const S: &str = "Service";
    let specifiers = reader.specifiers();
    let optional_path = |text: &str| {
        let (path, may_be_missing) = text.strip_prefix('-').map_or((text, false), |path| (path, true));
        absolute_path(specifiers, path).map(|path| (path, may_be_missing))
    };
    let input = reader.value(S, &["StandardInput"], |text| read_input(specifiers, text)).unwrap_or(Input::Null);
    // Without a choice, output goes where a socket comes in, or else to the journal.
    let default = if input == Input::Socket { Output::Inherit } else { Output::Journal };
    ExecSettings {
        environment: reader.words(S, "Environment"),
        environment_files: reader.list(S, "EnvironmentFile", optional_path).into_iter().map(|(file, _)| file).collect(),
        unset_environment: reader.words(S, "UnsetEnvironment"),
        working_directory: reader.value(S, &["WorkingDirectory"], |text| {
            match text.strip_prefix('-').unwrap_or(text) {
                "~" => Ok((None, text.starts_with('-'))),
                _ => optional_path(text).map(|(path, may_be_missing)| (Some(path), may_be_missing)),
            }
        }),
        runtime_directories: read_runtime_directories(reader),
        runtime_directory_mode: reader.value(S, &["RuntimeDirectoryMode"], value::mode).unwrap_or(0o755),
        runtime_directory_preserve: reader
            .value(S, &["RuntimeDirectoryPreserve"], |text| match value::boolean(text) {
                Ok(true) => Ok(Preserve::Yes),
                Ok(false) => Ok(Preserve::No),
                Err(_) => Preserve::parse(text),
            })
            .unwrap_or(Preserve::No),
        set_credentials: reader.list(S, "SetCredential", read_credential).into_iter().map(|(set, _)| set).collect(),
        load_credentials: reader
            .list(S, "LoadCredential", |text| {
                // Without a path, or by a relative one, it is handed down to systemd itself.
                let (name, path) = text.split_once(':').unwrap_or((text, ""));
                let path = specifiers.replace(path)?;
                Ok((specifiers.replace(name)?, PathBuf::from(path)))
            })
            .into_iter()
            .map(|(loaded, _)| loaded)
            .filter(|(_, path)| path.is_absolute())
            .collect(),
        umask: reader.value(S, &["UMask"], value::mode).unwrap_or(0o022),
        output: reader.value(S, &["StandardOutput"], |text| read_output(specifiers, text)).unwrap_or(default),
        error: reader.value(S, &["StandardError"], |text| read_output(specifiers, text)).unwrap_or(Output::Inherit),
        input,
    }
}

fn read_runtime_directories(reader: &mut Reader<'_>) -> Vec<String> {
    let directories = reader.words("Service", "RuntimeDirectory");
    let line = reader.line_of("Service", "RuntimeDirectory");
    let mut inside = Vec::new();
    for directory in directories {
        // `DIRECTORY:SYMLINK` and, from systemd 257 on, `:ro` behind it.
        let path = directory.split(':').next().unwrap_or_default();
        let parts: Vec<&str> = path.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
        if path.starts_with('/') || parts.is_empty() || parts.contains(&"..") {
            let message = format!("RuntimeDirectory=: {directory:?} is not a relative path below it; ignored");
            reader.report(Finding::warning(line, message));
        } else {
            inside.push(parts.join("/"));
        }
    }
    inside
}

/// `NAME:TEXT`, escaped as C does.
fn read_credential(text: &str) -> Result<(String, String), ValueError> {
    let (name, text) = text.split_once(':').ok_or_else(|| ValueError::not(text, "credential; say NAME:TEXT"))?;
    Ok((name.to_owned(), word::unescaped(text)))
}

fn absolute_path(specifiers: &Specifiers, text: &str) -> Result<PathBuf, ValueError> {
    let path = specifiers.replace(text)?;
    if path.starts_with('/') { Ok(PathBuf::from(path)) } else { Err(ValueError::not(&path, "absolute path")) }
}

fn read_input(specifiers: &Specifiers, text: &str) -> Result<Input, ValueError> {
    match (text, text.strip_prefix("file:")) {
        ("null", _) => Ok(Input::Null),
        ("socket", _) => Ok(Input::Socket),
        (_, Some(path)) => absolute_path(specifiers, path).map(Input::File),
        ("tty-force" | "tty-fail" | "data", _) => Ok(Input::Other(text.to_owned())),
        _ if is_of_systemd_alone(text) => Ok(Input::Other(text.to_owned())),
        _ => Err(ValueError::not(text, "input of a service; say null, tty, data, socket, file:PATH or fd:NAME")),
    }
}

fn read_output(specifiers: &Specifiers, text: &str) -> Result<Output, ValueError> {
    let (kind, path) = text.split_once(':').unwrap_or((text, ""));
    match kind {
        "inherit" => Ok(Output::Inherit),
        "null" => Ok(Output::Null),
        // What goes beside the journal, to syslog, the kernel's buffer or the console, is kept in one place here.
        "journal" | "syslog" | "kmsg" | "journal+console" | "syslog+console" | "kmsg+console" if path.is_empty() => {
            Ok(Output::Journal)
        }
        "socket" if path.is_empty() => Ok(Output::Socket),
        "file" => absolute_path(specifiers, path).map(Output::File),
        "append" => absolute_path(specifiers, path).map(Output::Append),
        "truncate" => absolute_path(specifiers, path).map(Output::Truncate),
        _ if is_of_systemd_alone(text) => Ok(Output::Other(text.to_owned())),
        _ => {
            Err(ValueError::not(text, "output of a service; say inherit, null, tty, journal, socket, append:PATH, ..."))
        }
    }
}

/// What systemd refuses to load (`service_verify` in its service.c).
fn check(unit: &ServiceUnit, file: &UnitFile, reader: &mut Reader<'_>) {
    let oneshot = unit.service_type == ServiceType::Oneshot;
    let Commands { start, stop, .. } = &unit.commands;
    if start.is_empty() && stop.is_empty() && file.last("Unit", "SuccessAction").is_some() {
        return;
    }
    if start.is_empty() && stop.is_empty() {
        reader.report(Finding::error(0, "the service has neither ExecStart= nor ExecStop="));
    } else if start.is_empty() && !unit.remain_after_exit {
        reader.report(Finding::error(0, "a service without ExecStart= needs RemainAfterExit=yes"));
    } else if start.is_empty() && !oneshot {
        reader.report(Finding::error(reader.line_of("Service", "Type"), "only Type=oneshot may have no ExecStart="));
    }
    if let (Some(second), false) = (start.get(1), oneshot) {
        reader.report(Finding::error(second.line, "only Type=oneshot may have more than one ExecStart="));
    }
    if oneshot && matches!(unit.restart, RestartPolicy::Always | RestartPolicy::OnSuccess) {
        let message = format!("Type=oneshot does not go with Restart={}", unit.restart.name());
        reader.report(Finding::error(reader.line_of("Service", "Restart"), message));
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::finding::Severity;
    use super::super::socket::SocketUnit;
    use super::super::specifier::Directories;
    use super::*;

    fn read(text: &str) -> (ServiceUnit, Vec<Finding>, Vec<IgnoredDirective>) {
        let (file, findings) = UnitFile::parse(text);
        assert_eq!(findings, []);
        let name = UnitName::new("ledger@1.service").expect("valid");
        ServiceUnit::read(&file, &Specifiers::new(name, Directories::system()))
    }

    fn error_lines(text: &str) -> Vec<u32> {
        let (_, findings, _) = read(text);
        findings.iter().filter(|finding| finding.severity == Severity::Error).map(|finding| finding.line).collect()
    }

    #[test]
    fn defaults_are_those_of_the_man_page() {
        let (unit, findings, ignored) = read("[Service]\nExecStart=/bin/true\n");
        assert_eq!((findings, ignored), (vec![], vec![]));
        assert_eq!((unit.service_type, unit.restart, unit.kill.mode), defaults());
        assert_eq!(unit.restart_sec, DEFAULT_RESTART_SEC);
        assert_eq!((unit.timeout_start, unit.timeout_stop), (DEFAULT_TIMEOUT, DEFAULT_TIMEOUT));
        assert_eq!(unit.unit.start_limit, Some((5, Duration::from_secs(10))));
        assert_eq!((unit.exec.output, unit.exec.umask), (Output::Journal, 0o022));
    }

    fn defaults() -> (ServiceType, RestartPolicy, KillMode) {
        (ServiceType::Simple, RestartPolicy::No, KillMode::ControlGroup)
    }

    #[test]
    fn what_a_file_says_is_read_with_its_specifiers() {
        let (unit, findings, ignored) = read(
            "[Unit]\nRequires=ledger.socket\nStartLimitIntervalSec=0\n[Service]\nType=notify\n\
             Environment=A=1 'B=two %i'\nEnvironmentFile=-/etc/%p\nExecStart=/usr/bin/%p --n=%i\nTimeoutSec=5\n\
             TimeoutStopSec=0\nRuntimeDirectory=%p ../x\nMemoryMax=1G\nSuccessExitStatus=3 KILL\n",
        );
        assert_eq!(unit.notify_access, NotifyAccess::Main);
        assert_eq!(unit.exec.environment, ["A=1", "B=two 1"]);
        assert_eq!(unit.exec.environment_files, [(PathBuf::from("/etc/ledger"), true)]);
        assert_eq!(unit.commands.start[0].argv, ["/usr/bin/ledger", "--n=1"]);
        assert_eq!(unit.timeout_start, TimeSpan::Finite(Duration::from_secs(5)));
        assert_eq!(unit.timeout_stop, TimeSpan::Infinity);
        assert_eq!(unit.unit.start_limit, None);
        assert_eq!(unit.exec.runtime_directories, ["ledger"]);
        assert_eq!(unit.success_exit_status, ExitStatusSet { codes: vec![3], signals: vec![Signal::KILL] });
        assert_eq!(findings.iter().map(|finding| finding.line).collect::<Vec<_>>(), [11]);
        assert_eq!(
            ignored.iter().map(|one| (one.directive.as_str(), one.line)).collect::<Vec<_>>(),
            [("MemoryMax", 12)]
        );
    }

    #[test]
    fn what_systemd_would_not_load_is_an_error_with_its_line() {
        for (text, lines) in [
            ("[Service]\nType=simple\n", vec![0]),
            ("[Service]\nExecStart=/a\nExecStart=/b\n", vec![3]),
            ("[Service]\nType=oneshot\nExecStart=/a\nRestart=always\n", vec![4]),
            ("[Service]\nExecStart=/a 'b\nRemainAfterExit=yes\nExecStop=/c\nType=oneshot\n", vec![2]),
            ("[Service]\nExecStart=-/a 'b\nExecStart=/c\n", vec![]),
            ("[Service]\nExecStart=/a\nRestart=sometimes\n", vec![]),
        ] {
            assert_eq!(error_lines(text), lines, "{text}");
        }
    }

    #[test]
    fn units_of_this_machine_read_without_an_error() {
        let directory = fs::read_dir("/usr/lib/systemd/system").expect("the package systemd is installed");
        let paths = directory.filter_map(Result::ok).map(|entry| entry.path());
        for path in paths.filter(|path| path.is_file()) {
            let Ok(text) = fs::read_to_string(&path) else { continue };
            let (file, mut findings) = UnitFile::parse(&text);
            let name = path.file_name().and_then(|name| name.to_str()).expect("ASCII");
            let name = name.replace("@.", "@x.");
            let specifiers = Specifiers::new(UnitName::new(name).expect("valid"), Directories::system());
            match specifiers.unit().suffix() {
                "service" if !file.is_empty() => findings.extend(ServiceUnit::read(&file, &specifiers).1),
                "socket" => findings.extend(SocketUnit::read(&file, &specifiers).1),
                _ => {}
            }
            findings.retain(|finding| finding.severity == Severity::Error || finding.message.contains("unknown"));
            assert_eq!(findings, [], "{}", path.display());
        }
    }
}

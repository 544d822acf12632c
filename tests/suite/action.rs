//! The shell parts of the GitHub Action, as a runner starts them. Installing needs curl.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// A folder of releases that has version 1.2.3, and what a runner gives a step.
struct Runner {
    folder: TempDir,
}

impl Runner {
    fn new() -> Self {
        let runner = Self { folder: tempfile::tempdir().expect("a folder") };
        let release = runner.path("releases/v1.2.3");
        let content = runner.path("gapless-1.2.3-x86_64-linux");
        for directory in [&release, &content] {
            fs::create_dir_all(directory).expect("made");
        }
        // In place of the program: it shows how it is called, one argument a line.
        write_program(&content.join("gapless"), "#!/bin/sh\nprintf '%s\\n' \"$@\"\n");
        let archive = "releases/v1.2.3/gapless-1.2.3-x86_64-linux.tar.gz";
        runner.shell(&format!("tar -czf {archive} gapless-1.2.3-x86_64-linux"));
        runner.shell("cd releases/v1.2.3 && sha256sum *.tar.gz >SHA256SUMS");
        runner
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn shell(&self, command: &str) {
        let status = Command::new("sh").args(["-c", command]).current_dir(self.folder.path()).status();
        assert!(status.expect("a shell").success(), "{command}");
    }

    fn step(&self, name: &str, environment: &[(&str, &str)]) -> Output {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(".github/action").join(name);
        let mut command = Command::new(script);
        command.env("RUNNER_TEMP", self.path("temp")).env("GITHUB_PATH", self.path("path"));
        command.env("GAPLESS_RELEASES", format!("file://{}", self.path("releases").display()));
        command.envs(environment.iter().copied()).output().expect("it starts")
    }

    /// What was added to PATH.
    fn added(&self) -> String {
        fs::read_to_string(self.path("path")).unwrap_or_default()
    }
}

fn write_program(path: &Path, text: &str) {
    fs::write(path, text).expect("written");
    fs::set_permissions(path, Permissions::from_mode(0o755)).expect("its own file");
}

#[test]
#[ignore = "runs in the box"]
fn a_release_is_installed_once_its_checksum_is_right() {
    let runner = Runner::new();
    let installed = runner.step("install", &[("GAPLESS_VERSION", "v1.2.3")]);
    assert!(installed.status.success(), "{installed:?}");
    assert!(Path::new(runner.added().trim()).join("gapless").exists());
}

#[test]
#[ignore = "runs in the box"]
fn what_is_not_the_release_that_was_asked_for_is_never_put_on_the_path() {
    let cases: [(&[(&str, &str)], &str); 3] = [
        (&[("GAPLESS_VERSION", "1.2.3"), ("GAPLESS_SHA256", "00ff")], "does not match: expected 00ff"),
        (&[("GAPLESS_VERSION", "1.2.4")], "does the release exist?"),
        (&[("GAPLESS_VERSION", "latest")], "\"latest\" is not a version"),
    ];
    for (environment, why) in cases {
        let runner = Runner::new();
        let refused = runner.step("install", environment);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(1), "{said}");
        assert!(said.contains("::error title=gapless::") && said.contains(why), "{said}");
        assert_eq!(runner.added(), "");
    }
}

#[test]
fn each_line_of_the_arguments_is_one_argument() {
    let runner = Runner::new();
    let path = std::env::var("PATH").expect("a PATH");
    let with_program = format!("{}:{path}", runner.path("gapless-1.2.3-x86_64-linux").display());
    let arguments = "watch\nhttp://127.0.0.1:1/\n\n--\nsh\n-c\necho one two\n";
    let environment = [
        ("PATH", with_program.as_str()),
        ("GAPLESS_ARGS", arguments),
        ("GAPLESS_OUT", "report"),
        ("GAPLESS_SUDO", "false"),
    ];
    let ran = runner.step("run", &environment);
    let called = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert_eq!(called, "watch\n--out\nreport\nhttp://127.0.0.1:1/\n--\nsh\n-c\necho one two\n");
}

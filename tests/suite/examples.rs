//! The examples of `--help` and of the README, run as they are written.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::support::GAPLESS;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Commands of the README that other tests run, or that only set up.
const RUN_ELSEWHERE: [&str; 5] = [
    "cargo run --release -- demo",                  // by its own example
    "gapless run scenarios/fastapi/restart-*.toml", // systemd::library
    "tests/box --out reports gapless run scenarios/fastapi/restart-*.toml", // systemd::library, in this very box
    "gapless check --host root@web-1 app.service",  // fleet, where there is another machine
    "gapless try   --host root@web-1 app.service --times 3", // fleet
];

/// What `--help` of a command prints; of gapless itself without one.
fn help(command: Option<&str>) -> String {
    let output = Command::new(GAPLESS).args(command).arg("--help").output().expect("it is built");
    String::from_utf8(output.stdout).expect("text")
}

/// The names of all commands.
fn commands() -> Vec<String> {
    let help = help(None);
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let names = listed.filter_map(|line| line.strip_prefix("  ")?.split(' ').next()).filter(|name| !name.is_empty());
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}

/// The example of a command; one that is wrapped is put together again.
fn example(command: &str) -> Option<String> {
    let help = help(Some(command));
    let example = help.split_once("\nExample: ")?.1.split("\n\n").next()?;
    Some(example.lines().map(str::trim).collect::<Vec<_>>().join(" "))
}

/// The lines of the README's shell blocks without their comments.
fn readme_commands() -> Vec<String> {
    let readme = fs::read_to_string(Path::new(ROOT).join("README.md")).expect("it is there");
    let blocks = readme.split("```sh\n").skip(1).filter_map(|block| block.split("```").next().map(str::to_owned));
    let lines = blocks.flat_map(|block| block.lines().map(str::to_owned).collect::<Vec<_>>());
    let commands = lines.map(|line| line.split(" #").next().unwrap_or_default().trim().to_owned());
    commands.filter(|line| !line.is_empty()).collect()
}

/// A folder with everything that examples name, and `ledger-api` on 127.0.0.1:8008 as a unit of systemd.
struct World {
    folder: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let world = Self { folder: tempfile::tempdir().expect("a folder") };
        symlink(Path::new(ROOT).join("scenarios"), world.path("scenarios")).expect("it is ours");
        world.write("app.socket", "[Socket]\nListenStream=127.0.0.1:8008\n[Install]\nWantedBy=sockets.target\n");
        world.write(
            "app.service",
            "[Unit]\nRequires=app.socket\nStartLimitIntervalSec=0\n[Service]\nExecStart=/bin/app\n",
        );
        world.write("deploy.sh", "#!/bin/sh\nsystemctl restart ledger-api.service\n");
        world.sh("chmod +x deploy.sh");
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("it is ours");
    }

    /// Runs a line as a person types it.
    fn sh(&self, line: &str) -> Output {
        let folder = Path::new(GAPLESS).parent().expect("it lies in one").display().to_string();
        let path = format!("{folder}:{}", std::env::var("PATH").unwrap_or_default());
        let mut command = Command::new("sh");
        command.args(["-c", line]).current_dir(&self.folder).env("PATH", path).stdin(Stdio::null());
        command.output().expect("sh is there")
    }

    fn install_ledger_api(&self) {
        let service = format!(
            "[Unit]\nRequires=ledger-api.socket\nStartLimitIntervalSec=0\n\
             [Service]\nType=notify\nExecStart={GAPLESS} demo-server --idle-grace 300ms\n"
        );
        let socket = "[Socket]\nListenStream=127.0.0.1:8008\n[Install]\nWantedBy=sockets.target\n";
        fs::write("/run/systemd/system/ledger-api.service", service).expect("we are root");
        fs::write("/run/systemd/system/ledger-api.socket", socket).expect("we are root");
        assert!(self.sh("systemctl daemon-reload && systemctl start ledger-api.socket").status.success());
    }

    /// Two saved runs, one that `report` names, and those of three generators that shared a load.
    fn save_runs(&self, reported: &str) {
        let url = "http://127.0.0.1:8008/health";
        let saved = self.sh(&format!("gapless watch {url} --duration 1s --out reports/main"));
        assert!(saved.status.success(), "{}", shown(&saved));
        assert!(self.sh(&format!("cp -r reports/main reports/branch; cp -r reports/main {reported}")).status.success());
        let shard = format!("gapless watch {url} --duration 1s --shard $I/3 --start-at $AT --out out/$I");
        self.sh(&format!("AT=@$(( $(date +%s) + 4 )); for I in 1 2 3; do {shard} & done; wait"));
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.sh("systemctl stop ledger-api.socket ledger-api.service");
        self.sh("rm -f /run/systemd/system/ledger-api.*; systemctl daemon-reload");
    }
}

fn shown(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// It did what it shows. On a busy machine the generator is late, which leaves a doubt (3).
fn works(world: &World, line: &str) {
    let output = world.sh(line);
    assert!(matches!(output.status.code(), Some(0 | 3)), "{line}\n{}", shown(&output));
}

#[test]
fn every_command_has_an_example() {
    let commands = commands();
    assert!(commands.len() > 10, "{commands:?}");
    for command in commands {
        let example = example(&command).unwrap_or_else(|| panic!("{command} --help shows no example"));
        assert!(example.starts_with(&format!("gapless {command}")), "{example}");
    }
}

#[test]
#[ignore = "runs in the box"]
fn examples_of_help_work() {
    let world = World::new();
    // Its units are those that the others use as installed ones.
    works(&world, &example("run").expect("there is one"));
    world.install_ledger_api();
    let report = example("report").expect("there is one");
    world.save_runs(report.split(' ').nth(2).expect("a folder"));
    for command in commands().iter().filter(|command| *command != "run") {
        let example = example(command).expect("there is one");
        match command.as_str() {
            "demo-server" => works(&world, &format!("timeout --preserve-status 2 {example}")),
            _ => works(&world, &example),
        }
    }
}

#[test]
#[ignore = "runs in the box"]
fn commands_of_the_readme_work() {
    let world = World::new();
    let commands = readme_commands();
    for elsewhere in RUN_ELSEWHERE {
        assert!(commands.iter().any(|command| command == elsewhere), "the README no longer has {elsewhere}");
    }
    world.install_ledger_api();
    let own = commands.iter().filter(|line| line.starts_with("gapless ") && !RUN_ELSEWHERE.contains(&line.as_str()));
    for line in own {
        works(&world, line);
    }
}

//! A folder with units and a scenario that gapless runs on the systemd of the box.

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::MutexGuard;

use gapless::analysis::result::ScenarioResult;
use gapless::model::Verdict;

use crate::support::{GAPLESS, result_in, turn};

/// A folder with a scenario, its units, and the files beside them.
pub(super) struct Bench {
    folder: tempfile::TempDir,
    port: String,
    _turn: MutexGuard<'static, ()>,
}

impl Bench {
    /// `{port}`, `{serve}` (the demo server) and `{folder}` in the texts are replaced.
    pub(super) fn new(files: &[(&str, &str)], target: &str, rest: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = listener.local_addr().expect("bound").port().to_string();
        drop(listener);
        let bench = Self { folder, port, _turn: turn() };
        for (name, text) in files {
            std::fs::write(bench.path().join(name), bench.filled(text)).expect("written");
        }
        let is_unit = |name: &&str| name.ends_with(".service") || name.ends_with(".socket");
        let units: Vec<&str> = files.iter().map(|(name, _)| *name).filter(is_unit).collect();
        let scenario = format!(
            "name = \"case\"\n[target]\nurl = \"http://127.0.0.1:{{port}}/\"\n{target}\n[units]\nfiles = {units:?}\n{rest}"
        );
        std::fs::write(bench.path().join("case.toml"), bench.filled(&scenario)).expect("written");
        bench
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn filled(&self, text: &str) -> String {
        let serve = format!("{GAPLESS} demo-server --idle-grace 300ms");
        let folder = self.path().display().to_string();
        text.replace("{port}", &self.port).replace("{serve}", &serve).replace("{folder}", &folder)
    }

    pub(super) fn run(&self) -> (ScenarioResult, Output) {
        let out = self.path().join("out");
        let _ = std::fs::remove_dir_all(&out);
        let mut command = Command::new(GAPLESS);
        command.args(["run", "case.toml", "--manager", "system", "--out", "out"]).current_dir(self.path());
        let output = command.output().expect("it is built");
        let scenario = result_in(&out).scenarios.into_iter().next();
        (scenario.unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&output.stderr))), output)
    }

    /// The verdict, and the reasons in one text.
    pub(super) fn came_to(&self) -> (Verdict, String) {
        let (scenario, _) = self.run();
        (scenario.verdict, scenario.reasons.join(" "))
    }
}

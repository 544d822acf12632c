//! Input that cannot work: one clear error with its remedy, before anything is begun; the same from a file and from
//! the command line.

use std::fs;

use assert_cmd::Command;
use tempfile::TempDir;

use crate::support::GAPLESS;

/// Far fewer descriptors than the load asks for; the hard limit too, so that it cannot be raised.
const FEW_DESCRIPTORS: &str = "ulimit -n 256 && exec \"$0\" \"$@\"";

/// What is wrong with a load.
struct Bad {
    url: &'static str,
    /// A line of its only cohort, and the option that says the same.
    load: (&'static str, [&'static str; 2]),
}

impl Bad {
    fn url(url: &'static str) -> Self {
        Self { url, load: ("rate = 10", ["--rate", "10"]) }
    }

    fn load(line: &'static str, option: [&'static str; 2]) -> Self {
        Self { url: "http://127.0.0.1:9/", load: (line, option) }
    }

    /// Both `run` and `watch` exit with `code`, name each of `words` on stderr, print nothing and leave no folder.
    fn assert_refused(&self, code: i32, words: &[&str]) {
        self.assert_each_refused(code, [words, words]);
    }

    /// The same, with the words of `run` and those of `watch`.
    fn assert_each_refused(&self, code: i32, words: [&[&str]; 2]) {
        let folder = TempDir::new().expect("a folder");
        let (line, option) = &self.load;
        let scenario = format!("name = \"bad\"\n[target]\nurl = \"{}\"\n[[load]]\nname = \"only\"\n{line}\n", self.url);
        fs::write(folder.path().join("bad.toml"), scenario).expect("written");
        let run = ["run", "bad.toml", "--out", "out"].map(str::to_owned).to_vec();
        let watch = [&["watch", self.url, "--duration", "1s", "--out", "out"][..], option].concat();
        let watch = watch.into_iter().map(str::to_owned).collect();
        for (arguments, words) in [run, watch].into_iter().zip(words) {
            let mut command = Command::new("sh");
            command.args(["-c", FEW_DESCRIPTORS, GAPLESS]).args(&arguments);
            let assert = command.current_dir(folder.path()).assert().code(code);
            let output = assert.get_output();
            let stderr = String::from_utf8_lossy(&output.stderr).split_whitespace().collect::<Vec<_>>().join(" ");
            for word in words {
                assert!(stderr.contains(word), "{arguments:?} does not say {word:?}: {stderr}");
            }
            assert_eq!(String::from_utf8_lossy(&output.stdout), "", "{arguments:?}");
            assert!(!folder.path().join("out").exists(), "{arguments:?} has begun");
        }
    }
}

#[test]
fn a_host_that_does_not_resolve_exits_4() {
    let words = ["cannot resolve host \"no-such-host.invalid\"", "check the URL"];
    Bad::url("http://no-such-host.invalid/").assert_refused(4, &words);
}

#[test]
fn a_scheme_that_is_not_known_exits_2() {
    Bad::url("gopher://127.0.0.1/").assert_refused(2, &["unknown scheme", "http, https, tcp"]);
}

#[test]
fn a_rate_of_0_or_less_exits_2() {
    for (line, rate) in [("rate = 0", "0"), ("rate = -5", "-5")] {
        Bad::load(line, ["--rate", rate]).assert_refused(2, &["out of range", "more than 0"]);
    }
}

#[test]
fn no_client_at_all_exits_2() {
    Bad::load("clients = 0", ["--clients", "0"]).assert_refused(2, &["out of range", "1 to 65535"]);
}

#[test]
fn more_connections_than_the_descriptor_limit_allows_exit_4() {
    // watch loads with new connections too, which need descriptors of their own.
    let bad = Bad::load("connections = 1000", ["--connections", "1000"]);
    bad.assert_each_refused(4, [&["the limit is 256", "ulimit -n 1128"], &["the limit is 256", "ulimit -n 1629"]]);
}

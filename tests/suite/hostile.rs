//! Input that means harm: to the terminal that shows it, to the reader of a report, and to the machine that makes one.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Output;
use std::time::{Duration, Instant};

use assert_cmd::Command;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::GAPLESS;

const RECORD: &str = include_str!("../fixtures/ledger-plain.jsonl");

/// A title, a colour, a C1 sequence, text in reverse, markup of three kinds, and a second line that looks like ours.
const EVIL: &str = "\u{1b}[31mX\u{1b}]0;t\u{7}\u{9b}1m\u{202e}\u{61c}<script>alert(1)</script>\"'><img src=x onerror=alert(1)>|`a`[l](javascript:1)]]>\n::error::x\n# head @all\u{7f}";

/// A folder with a saved run in it that somebody forged.
struct Forged(TempDir);

impl Forged {
    fn of(record: &str) -> Self {
        let forged = Self::empty();
        fs::write(forged.path().join("records/h.jsonl"), record).expect("written");
        forged
    }

    fn empty() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir(folder.path().join("records")).expect("made");
        Self(folder)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn report(&self, format: &str) -> Output {
        gapless(&["report", self.path().to_str().expect("UTF-8"), "--format", format])
    }
}

fn gapless(arguments: &[&str]) -> Output {
    Command::new(GAPLESS).args(arguments).timeout(Duration::from_secs(60)).output().expect("it ends")
}

/// Whether a terminal would obey something in it.
fn is_raw(bytes: &[u8]) -> bool {
    let obeyed = |c: char| {
        (c.is_control() && c != '\n' && c != '\t')
            || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    String::from_utf8_lossy(bytes).contains(obeyed)
}

#[track_caller]
fn assert_shown_safely(output: &Output, what: &str) {
    for stream in [&output.stdout, &output.stderr] {
        assert!(!is_raw(stream), "{what}: {}", String::from_utf8_lossy(stream).escape_debug());
    }
}

/// The lines as one record, its end made to fit.
fn sealed(lines: &[Value]) -> String {
    let mut text = String::new();
    for (number, line) in lines.iter().enumerate() {
        let mut line = line.clone();
        if line["type"] == "end" {
            line["lines"] = json!(number);
            line["checksum"] = json!(format!("{:08x}", crc32fast::hash(text.as_bytes())));
        }
        text += &line.to_string();
        text.push('\n');
    }
    text
}

fn lines() -> Vec<Value> {
    RECORD.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// The places of all texts in a line, one for each kind.
fn texts(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| texts(value, &format!("{at}/{name}"), found)),
        Value::Array(values) => {
            values.iter().take(1).enumerate().for_each(|(n, value)| texts(value, &format!("{at}/{n}"), found));
        }
        Value::String(_) => found.push(at.to_owned()),
        _ => {}
    }
}

#[test]
fn whatever_text_of_a_record_is_forged_no_terminal_obeys_it_and_no_reader_takes_it_for_markup() {
    let lines = lines();
    let mut kinds = std::collections::BTreeSet::new();
    let mut accepted = 0;
    for (number, line) in lines.iter().enumerate() {
        let mut places = Vec::new();
        texts(line, "", &mut places);
        for place in places {
            let is_form = ["/type", "/schema", "/checksum"].contains(&place.as_str());
            if is_form || !kinds.insert(format!("{}{place}", line["type"])) {
                continue;
            }
            let mut forged = lines.clone();
            *forged[number].pointer_mut(&place).expect("it is there") = json!(EVIL);
            let folder = Forged::of(&sealed(&forged));
            let first = folder.report("markdown");
            assert_shown_safely(&first, &place);
            if first.status.code() == Some(4) {
                continue;
            }
            accepted += 1;
            let markdown = String::from_utf8_lossy(&first.stdout).into_owned();
            let is_in_a_fence = place == "/scenario_text";
            let fakes = ["<script", "<img", "\n::error", "\n# head"].into_iter().find(|fake| markdown.contains(fake));
            assert!(is_in_a_fence || fakes.is_none(), "{place}: {fakes:?}");
            let html = fs::read_to_string(folder.path().join("report.html")).expect("it wrote one");
            assert!(!html.contains("<img") && !html.contains("<script>alert") && !is_raw(html.as_bytes()), "{place}");
            let junit = fs::read_to_string(folder.path().join("junit.xml")).expect("it wrote one");
            assert!(!is_raw(junit.as_bytes()) && !junit.contains("<script>"), "{place}");
            for format in ["table", "json", "junit"] {
                assert_shown_safely(&folder.report(format), &format!("{place} as {format}"));
            }
        }
    }
    assert!(kinds.len() > 20 && accepted > 5, "{} kinds, {accepted} accepted", kinds.len());
}

#[test]
fn what_makes_no_record_is_refused_in_words_that_no_terminal_obeys() {
    let mut other_schema = lines();
    other_schema[0]["schema"] = json!(EVIL);
    let output = Forged::of(&sealed(&other_schema)).report("table");
    assert_eq!(output.status.code(), Some(4));
    assert_shown_safely(&output, "a schema");
    let mut unknown = lines();
    unknown[1]["type"] = json!(EVIL);
    let output = Forged::of(&sealed(&unknown)).report("table");
    assert_eq!(output.status.code(), Some(4));
    assert_shown_safely(&output, "an unknown kind of line");
    let folder = Forged::empty();
    fs::write(folder.path().join(format!("records/x{}.jsonl", EVIL.replace('/', ""))), "nope").expect("written");
    assert_shown_safely(&folder.report("table"), "a file's name");
}

#[test]
fn a_name_that_leads_elsewhere_leads_nowhere() {
    for name in ["../../pwned", "/tmp/pwned", "a/b", "..", "", "-rf"] {
        let mut lines = lines();
        lines[0]["plan"]["name"] = json!(name);
        let folder = Forged::of(&sealed(&lines));
        folder.report("table");
        let left = |path: &Path| -> Vec<String> {
            let entries = fs::read_dir(path).expect("readable").flatten();
            entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
        };
        let known = ["records", "result.json", "report.html", "report.md", "junit.xml", "metrics.prom", "charts"];
        let strangers: Vec<_> =
            left(folder.path()).into_iter().filter(|name| !known.contains(&name.as_str())).collect();
        assert_eq!(strangers, Vec::<String>::new(), "{name:?}");
        assert!(
            left(&folder.path().join("charts")).iter().all(|chart| chart.strip_suffix(".svg").is_some()),
            "{name:?}"
        );
    }
}

#[test]
fn no_link_fifo_or_device_of_a_saved_run_is_opened() {
    for (name, make) in [
        ("link to a secret", Box::new(|path: &Path| symlink("/etc/passwd", path).expect("made")) as Box<dyn Fn(&Path)>),
        ("link to a device", Box::new(|path| symlink("/dev/zero", path).expect("made"))),
        ("fifo", Box::new(|path| mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).expect("made"))),
    ] {
        let folder = Forged::empty();
        make(&folder.path().join("records/h.jsonl"));
        let output = folder.report("table");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(4), "{name}: {said}");
        assert!(said.contains("link") || said.contains("regular file"), "{name}: {said}");
        assert!(!said.contains("root:"), "{name}: {said}");
    }
    let elsewhere = tempfile::tempdir().expect("a folder");
    let folder = Forged::of(RECORD);
    symlink(elsewhere.path(), folder.path().join("charts")).expect("made");
    let output = folder.report("table");
    assert!(!output.stdout.is_empty(), "the verdict is printed all the same");
    assert_eq!(fs::read_dir(elsewhere.path()).expect("readable").count(), 0);
}

#[test]
fn a_record_of_any_size_is_reported_or_refused_in_bounded_time() {
    let note = |message: String| json!({"type": "note", "kind": "info", "message": message});
    let with = |more: Vec<Value>| {
        let mut lines = lines();
        lines.splice(1..1, more);
        sealed(&lines)
    };
    let deep = format!(
        "{{\"type\":\"begin\",\"schema\":\"gapless/record/1\",\"x\":{}{}}}\n",
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    for (what, record, reason) in [
        ("a word of 200 KB", with(vec![note("A".repeat(200_000))]), None),
        ("a longer text", with(vec![note("A".repeat(400_000))]), Some("longer text")),
        ("a longer line", with(vec![note("A".repeat(20_000_000))]), Some("more than 16 MiB")),
        ("more remarks", with(vec![note("m".to_owned()); 20_000]), Some("more remarks")),
        ("a deep one", deep, Some("recursion limit")),
    ] {
        let folder = Forged::of(&record);
        let begun = Instant::now();
        let output = folder.report("table");
        assert!(begun.elapsed() < Duration::from_secs(30), "{what} took {:?}", begun.elapsed());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        match reason {
            Some(reason) => assert!(output.status.code() == Some(4) && said.contains(reason), "{what}: {said}"),
            None => assert_ne!(output.status.code(), Some(4), "{what}: {said}"),
        }
    }
}

#[test]
fn no_scenario_unit_file_or_argument_moves_a_terminal() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let evil = EVIL.replace(['/', '\n'], "");
    let escaped = "\\u001b[31m\\u009b\\u202e";
    for (name, text) in [
        ("a.toml", format!("name = \"x\"\n[target]\nurl = \"http://127.0.0.1:1/{evil}\"\n")),
        ("b.toml", format!("name = \"x\"\n# {evil}\n[target]\nurl = 'http://127.0.0.1:1/'\nfoo = 1\n")),
        (
            "c.toml",
            format!(
                "name = \"x{escaped}\"\n[target]\nurl = \"http://127.0.0.1:1/{escaped}\"\n\"k{escaped}\" = 2\n[units]\n\
                 service = \"{escaped}.service\"\nfiles = [\"{escaped}.service\"]\n[[steps]]\nrestart = \"{escaped}\"\n"
            ),
        ),
        ("d.toml", evil.clone()),
    ] {
        fs::write(path(name), text).expect("written");
        let output = gapless(&["run", &path(name)]);
        assert_eq!(output.status.code(), Some(2), "{name}");
        assert_shown_safely(&output, name);
    }
    let plan = format!(
        "name = \"p\"\n[target]\nurl = \"http://127.0.0.1:1/\"\n[[steps]]\nexec = [\"a{escaped}\\nstep 9: b\"]\n"
    );
    fs::write(path("p.toml"), plan).expect("written");
    let output = gapless(&["run", &path("p.toml"), "--plan"]);
    assert_shown_safely(&output, "--plan");
    assert!(!String::from_utf8_lossy(&output.stdout).contains("\nstep 9"), "a value is no line of its own");
    fs::write(path(&format!("n{evil}.toml")), "nope").expect("written");
    for arguments in [
        vec!["run".to_owned(), folder.path().display().to_string()],
        vec!["run".to_owned(), path(&format!("missing{evil}.toml"))],
        vec![format!("command{evil}")],
        vec!["run".to_owned(), "--times".to_owned(), evil.clone()],
        vec!["report".to_owned(), path(&format!("missing{evil}"))],
        vec!["compare".to_owned(), path(&evil), path(&evil)],
        vec!["watch".to_owned(), format!("http://{evil}/"), "--duration".to_owned(), "1s".to_owned()],
        vec!["check".to_owned(), evil.clone()],
    ] {
        let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
        assert_shown_safely(&gapless(&words), &format!("{arguments:?}"));
    }
    let service = format!(
        "[Service]\nExecStart=/bin/sh -c \"x{evil}\" --workers 2\nFoo{evil}=1\nKillMode={evil}\n[Sock{evil}et]\n"
    );
    fs::write(path("e.service"), service).expect("written");
    fs::write(path("e.socket"), format!("[Socket]\nListenStream=127.0.0.1:1{evil}\nBacklog={evil}\n"))
        .expect("written");
    for format in ["table", "json", "github"] {
        let output = gapless(&["check", &path("e.service"), &path("e.socket"), "--format", format]);
        assert_shown_safely(&output, &format!("check --format {format}"));
    }
}

#[test]
fn a_unit_file_that_links_to_what_not_everybody_may_read_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    fs::write(path("private.txt"), "[Service]\nExecStart=/bin/true\n").expect("written");
    symlink(path("private.txt"), path("a.service")).expect("made");
    fs::write(
        path("s.toml"),
        "name = \"s\"\n[target]\nurl = \"http://127.0.0.1:9/\"\n[units]\nfiles = [\"a.service\"]\n[[steps]]\nrestart = \"service\"\n",
    )
    .expect("written");
    let plan = || gapless(&["run", "--manager", "embedded", "--plan", path("s.toml").to_str().expect("UTF-8")]);
    for (mode, code) in [(0o600, Some(2)), (0o640, Some(2)), (0o644, Some(0))] {
        fs::set_permissions(path("private.txt"), fs::Permissions::from_mode(mode)).expect("ours");
        let output = plan();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), code, "{mode:o}: {said}");
        assert!(code == Some(0) || said.contains("a link to a file that not everybody may read"), "{said}");
    }
}

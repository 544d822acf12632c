//! The live view as a terminal shows it: script(1) gives the run a terminal, and a virtual one obeys what it wrote.

use std::io::{Read as _, Write as _};
use std::process::{Child, Command, Stdio};

use avt::Terminal;
use gapless::demo::server::{Background, ServerOptions};
use gapless::model::Endpoint;
use tempfile::TempDir;

use crate::support::{GAPLESS, turn};

const ROWS: usize = 24;

/// The rows that the view takes.
const VIEW: usize = 3;

/// A run that was given a terminal of this width.
struct AtTerminal {
    columns: usize,
    child: Child,
    folder: TempDir,
}

impl AtTerminal {
    fn begin(columns: usize, arguments: &str, environment: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let line = format!("stty rows {ROWS} cols {columns} && exec {GAPLESS} {arguments}");
        let child = Command::new("script")
            .args(["--quiet", "--return", "--command", &line, "/dev/null"])
            .current_dir(folder.path())
            .env("TERM", "xterm-256color")
            .env("SHELL", "/bin/sh")
            .env_remove("NO_COLOR")
            .envs(environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("script is there");
        Self { columns, child, folder }
    }

    /// What was written until it contains `text`.
    fn until(&mut self, text: &str) -> String {
        let (mut written, mut buffer) = (Vec::new(), [0; 4096]);
        loop {
            let seen = String::from_utf8_lossy(&written);
            if seen.contains(text) {
                return seen.into_owned();
            }
            let count = self.child.stdout.as_mut().expect("piped").read(&mut buffer).expect("it can be read");
            assert_ne!(count, 0, "it ended before {text:?}: {seen}");
            written.extend(&buffer[..count]);
        }
    }

    /// All that is written from now on, and how the run ends.
    fn rest(mut self) -> (String, Option<i32>) {
        let mut written = Vec::new();
        self.child.stdout.take().expect("piped").read_to_end(&mut written).expect("it can be read");
        let status = self.child.wait().expect("it ends");
        drop(self.folder);
        (String::from_utf8(written).expect("text"), status.code())
    }

    fn screen(&self) -> Screen {
        Screen(Terminal::with_scrollback(self.columns, ROWS, None).expect("a size"))
    }
}

struct Screen(Terminal);

impl Screen {
    /// All lines that were ever shown, the rows of the screen last.
    fn lines(&self) -> Vec<String> {
        self.0.screen().all_lines().map(|line| line.text().trim_end().to_owned()).collect()
    }

    /// What stands above the view, its empty end left out, and the view.
    fn parts(&self) -> (Vec<String>, Vec<String>) {
        let mut above = self.lines();
        let view = above.split_off(above.len() - VIEW);
        while above.last().is_some_and(String::is_empty) {
            above.pop();
        }
        (above, view)
    }
}

fn server() -> (Background, String) {
    let anywhere = Endpoint::Tcp("127.0.0.1:0".parse().expect("an address"));
    let server = Background::start(ServerOptions::listening_on(vec![anywhere])).expect("it listens");
    let Endpoint::Tcp(address) = server.endpoints()[0] else { panic!("a TCP server") };
    (server, format!("http://{address}/health"))
}

/// Where the view has been drawn: after each of these writes the terminal shows it.
fn drawings(written: &str) -> impl Iterator<Item = &str> {
    written.split_inclusive("\x1b8").filter(|piece| piece.ends_with("\x1b8"))
}

/// The terminal is as whoever writes next expects it: no view, the whole screen scrolls, and the cursor is seen.
fn assert_left_clean(screen: &mut Screen) {
    assert!(!screen.lines().iter().any(|line| line.contains("──")), "{:#?}", screen.lines());
    assert!(screen.0.cursor().visible, "the cursor is hidden");
    for _ in 0..ROWS {
        screen.0.feed("\r\n");
    }
    screen.0.feed("the last row");
    assert_eq!(screen.lines().last().map(String::as_str), Some("the last row"), "only a part of it scrolls");
}

#[test]
fn what_a_command_writes_is_never_written_over_and_in_the_end_the_view_is_gone() {
    let _turn = turn();
    let (_server, url) = server();
    for columns in [60, 80, 140] {
        // A question that no pipe of ours sees, both streams, more lines than there are rows, a line that ends later. The
        // pipes of the two streams have no order, so one is given time to be read before the other is written.
        let command = "printf \"Password: \" >/dev/tty; sleep 0.7; echo given >/dev/tty; echo to stderr >&2; sleep 0.7; \
                       seq 101 130; printf half; sleep 0.7; echo -and-half; echo the end";
        let arguments = format!("watch {url} --warmup 1s --cooldown 1s --out out -- sh -c '{command}'");
        let run = AtTerminal::begin(columns, &arguments, &[]);
        let mut screen = run.screen();
        let (written, _) = run.rest();
        let (mut before, mut views, mut at) = (Vec::new(), Vec::new(), 0);
        for drawing in drawings(&written) {
            screen.0.feed(drawing);
            at += drawing.len();
            let (above, view) = screen.parts();
            // What was there is there, and the last line may have gone on.
            assert!(above.len() >= before.len(), "{columns}: {before:#?} has become {above:#?}");
            for (line, was) in above.iter().zip(&before) {
                assert!(line.starts_with(was), "{columns}: {was:?} has become {line:?}");
            }
            assert!(view.iter().all(|line| line.chars().count() <= columns), "{columns}: {view:?}");
            before = above;
            views.push(view);
        }
        screen.0.feed(&written[at..]);

        let is_of_the_step = |view: &&Vec<String>| view[0].starts_with("── watch: step 1/1 exec ─");
        let of_the_step = views.iter().rfind(is_of_the_step).expect("it is shown");
        assert!(of_the_step[0].ends_with("──"), "{columns}: {of_the_step:?}");
        assert!(of_the_step[1].starts_with("  ok "), "{columns}: {of_the_step:?}");
        assert!(of_the_step[1].contains("failed 0 (0/s)  queue "), "{columns}: {of_the_step:?}");
        assert!(
            of_the_step[2].contains(|c| ('▁'..='█').contains(&c)) && of_the_step[2].ends_with('s'),
            "{columns}: {of_the_step:?}"
        );
        assert!(views.iter().any(|view| view[0].contains("cooling down") && view[0].contains(" left ")), "{views:#?}");

        let lines = screen.lines();
        let place =
            |line: &str| lines.iter().position(|shown| shown == line).unwrap_or_else(|| panic!("{line}: {lines:#?}"));
        let of_command: Vec<String> = (101..=130).map(|number: u32| number.to_string()).collect();
        assert_eq!(lines[place("101")..=place("130")], of_command, "{columns}");
        let places = ["Password: given", "101", "half-and-half", "the end", "Requests"].map(place);
        assert!(places.is_sorted(), "{columns}: {lines:#?}");
        place("to stderr");
        assert_left_clean(&mut screen);
    }
}

#[test]
fn ctrl_c_leaves_the_terminal_as_it_was() {
    let _turn = turn();
    let (_server, url) = server();
    let mut run = AtTerminal::begin(80, &format!("watch {url} --duration 60s --out out"), &[]);
    let mut screen = run.screen();
    screen.0.feed(run.until("  ok "));
    run.child.stdin.as_mut().expect("piped").write_all(b"\x03").expect("it reads");
    let (written, status) = run.rest();
    screen.0.feed(&written);
    assert_eq!(status, Some(130), "{written}");
    assert_left_clean(&mut screen);
}

#[test]
fn colours_and_the_view_itself_are_left_out_where_they_are_not_wanted() {
    let _turn = turn();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let nobody = format!("http://{}/", taken.local_addr().expect("bound"));
    drop(taken);
    let written_by = |options: &str, environment: &[(&str, &str)]| {
        let arguments = format!("{options} watch {nobody} --duration 1s --out out --format json");
        AtTerminal::begin(80, &arguments, environment).rest().0
    };
    let (red, region, phase) = ("\x1b[31mfailed ", "\x1b[1;21r", "watch: step 1/1 wait");
    let usual = written_by("", &[]);
    assert!(usual.contains(red) && usual.contains(region), "{usual}");
    let colourless = written_by("", &[("NO_COLOR", "1")]);
    assert!(!colourless.contains(red) && colourless.contains(region), "{colourless}");
    let dumb = written_by("", &[("TERM", "dumb")]);
    assert!(!dumb.contains('\x1b') && dumb.contains(phase), "{dumb}");
    let quiet = written_by("--quiet", &[]);
    assert!(!quiet.contains('\x1b') && !quiet.contains(phase), "{quiet}");
}

//! Marks: events that somebody else announces, one line each, while the load runs.

use std::convert::Infallible;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, BufRead as _, BufReader};
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::numbering::Numbering;
use super::recorder::Recorder;
use super::step::StepRun;
use crate::load::LoadHandle;
use crate::model::ActionKind;
use crate::record::line::{NoteKind, StepBegin};
use crate::scenario::plan::Plan;

/// The variable that tells a command where to write its marks.
pub const VARIABLE: &str = "GAPLESS_MARKS";

/// The most marks of one run: each cuts the counters of the load.
const MOST: u32 = 1_000;

/// A longer name is cut.
const LONGEST_CHARACTERS: usize = 100;

/// Marks as they come in.
#[derive(Debug)]
pub struct Marks {
    names: UnboundedReceiver<String>,
    /// The pipe that was made for them, removed with this.
    pipe: Option<Pipe>,
}

impl Marks {
    /// Those of a pipe that is made for a command.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn of_command() -> io::Result<Self> {
        let pipe = Pipe::make()?;
        // Open for writing as well: it never ends, however many writers come and go.
        let file = OpenOptions::new().read(true).write(true).open(&pipe.path)?;
        let (sender, names) = unbounded_channel();
        read_beside(move || send_lines(file, &sender))?;
        Ok(Self { names, pipe: Some(pipe) })
    }

    /// Those that a file holds, a pipe brings, or, with `-`, standard input.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn of_file(path: &Path) -> io::Result<Self> {
        let (sender, names) = unbounded_channel();
        if path == Path::new("-") {
            read_beside(move || send_lines(io::stdin(), &sender))?;
        } else if path.metadata()?.file_type().is_fifo() {
            let file = OpenOptions::new().read(true).write(true).open(path)?;
            read_beside(move || send_lines(file, &sender))?;
        } else {
            let file = File::open(path)?;
            read_beside(move || send_lines(file, &sender))?;
        }
        Ok(Self { names, pipe: None })
    }

    /// The pipe that a command is told of.
    #[must_use]
    pub fn pipe(&self) -> Option<&Path> {
        self.pipe.as_ref().map(|pipe| pipe.path.as_path())
    }

    /// Begins an event for each mark, as long as it is polled.
    pub(super) async fn record(
        &mut self,
        plan: &Plan,
        numbering: &Numbering,
        load: &LoadHandle,
        recorder: &Recorder,
    ) -> Infallible {
        let step = u16::try_from(plan.steps.len()).unwrap_or(u16::MAX);
        let mut run = 0;
        while let Some(name) = self.names.recv().await {
            if run == MOST {
                recorder.note(NoteKind::Info, format!("more than {MOST} marks came: the others are left out"));
                break;
            }
            let event = numbering.next();
            let at = load.mark(event).await;
            let which = StepRun { event, step, run };
            recorder.unasked(StepBegin { name: Some(name), ..which.begins(ActionKind::Mark, at) });
            run += 1;
        }
        std::future::pending().await
    }
}

/// Reads on a thread of its own, which ends with the process: a read of a pipe cannot be given up.
fn read_beside(read: impl FnOnce() + Send + 'static) -> io::Result<()> {
    std::thread::Builder::new().name("marks".to_owned()).spawn(read).map(drop)
}

fn send_lines(from: impl io::Read, to: &UnboundedSender<String>) {
    for line in BufReader::new(from).lines().map_while(Result::ok) {
        let name: String = line.trim().chars().take(LONGEST_CHARACTERS).collect();
        if !name.is_empty() && to.send(name).is_err() {
            return;
        }
    }
}

/// A pipe in a directory of its own, which is its owner's alone.
#[derive(Debug)]
struct Pipe {
    path: PathBuf,
}

impl Pipe {
    fn make() -> io::Result<Self> {
        let own = format!("gapless-marks-{}-{}", std::process::id(), crate::clock::now().as_nanos());
        let directory = std::env::temp_dir().join(own);
        DirBuilder::new().mode(0o700).create(&directory)?;
        let pipe = Self { path: directory.join("marks") };
        mknodat(CWD, &pipe.path, FileType::Fifo, Mode::from_raw_mode(0o600), 0)?;
        Ok(pipe)
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        // What cannot be removed is an empty pipe in a temporary folder.
        let _ = std::fs::remove_file(&self.path);
        let _ = self.path.parent().map(std::fs::remove_dir);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[tokio::test]
    async fn each_line_of_each_writer_is_a_mark_and_the_pipe_goes_with_the_run() {
        let mut marks = Marks::of_command().expect("a pipe");
        let pipe = marks.pipe().expect("its own").to_owned();
        for text in ["flipped\n", "\n  drained  \nover\n"] {
            OpenOptions::new().write(true).open(&pipe).expect("open").write_all(text.as_bytes()).expect("written");
        }
        for expected in ["flipped", "drained", "over"] {
            assert_eq!(marks.names.recv().await.as_deref(), Some(expected));
        }
        drop(marks);
        assert!(!pipe.exists() && !pipe.parent().expect("its own").exists());
    }

    #[tokio::test]
    async fn a_file_brings_the_marks_that_it_holds() {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(b"one\ntwo").expect("written");
        let mut marks = Marks::of_file(file.path()).expect("it is there");
        assert_eq!(marks.names.recv().await.as_deref(), Some("one"));
        assert_eq!(marks.names.recv().await.as_deref(), Some("two"));
        assert_eq!(marks.names.recv().await, None);
        assert!(Marks::of_file(Path::new("/no/such/file")).is_err());
    }
}

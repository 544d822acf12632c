//! The probe's two ends. Each has a thread of its own: a peer that reads slowly keeps nobody from dating an exit, and every
//! line is dated as it comes and as it goes.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::rc::Rc;
use std::thread;

use tokio::sync::mpsc;

use super::protocol::{ANSWER_BYTES_MAX, Answered, Hello, REQUEST_BYTES_MAX, Told};
use super::serve::{ServeError, serve};
use crate::clock;
use crate::host::Host;
use crate::model::MonoTime;
use crate::record::line::{JournalEntry, TraceEvent};

/// The maximum number of lines that wait on either side. Behind them, events wait where the host bounds and counts them.
const LINES_MAX: usize = 64;

/// What came in.
#[derive(Debug)]
pub(super) enum Incoming {
    /// A line, and when it was there.
    Line(Vec<u8>, MonoTime),
    /// A line that is longer than any request.
    TooLong,
    /// Input cannot be read.
    Failed(io::Error),
}

/// What goes out.
#[derive(Debug)]
pub(super) enum Outgoing {
    Hello(Box<Hello>),
    Answer { id: u64, got: MonoTime, answer: Answered },
    Trace { feed: u64, event: TraceEvent },
    Journal { feed: u64, entry: JournalEntry },
    Over { feed: u64 },
}

/// Serves until `input` ends. Needs a runtime of one thread and a `LocalSet`.
///
/// # Errors
/// When `input` has a line that is not a request.
pub async fn run(
    host: Rc<dyn Host>,
    input: impl Read + Send + 'static,
    output: impl Write + Send + 'static,
) -> Result<(), ServeError> {
    let (lines, incoming) = mpsc::channel(LINES_MAX);
    let (outgoing, told) = mpsc::channel(LINES_MAX);
    // Neither is waited for: input may never end, and output may never be taken.
    thread::Builder::new().name("probe-input".to_owned()).spawn(move || read(input, &lines))?;
    let writer = thread::Builder::new().name("probe-output".to_owned()).spawn(move || write(output, told))?;
    let served = serve(host, incoming, outgoing).await;
    // What was answered before the end of input is still written, unless nobody takes it.
    if served.is_ok() && !writer.is_finished() {
        let _ = tokio::time::timeout(super::serve::LAST_WORDS, tokio::task::spawn_blocking(|| writer.join())).await;
    }
    served
}

fn read(input: impl Read, lines: &mpsc::Sender<Incoming>) {
    let mut input = BufReader::new(input);
    loop {
        let mut line = Vec::new();
        let came = match input.by_ref().take(REQUEST_BYTES_MAX as u64 + 1).read_until(b'\n', &mut line) {
            Ok(0) => return,
            Ok(_) if line.len() > REQUEST_BYTES_MAX => Incoming::TooLong,
            Ok(_) => Incoming::Line(line, clock::now()),
            Err(error) => Incoming::Failed(error),
        };
        let is_last = !matches!(came, Incoming::Line(..));
        if lines.blocking_send(came).is_err() || is_last {
            return;
        }
    }
}

fn write(mut output: impl Write, mut told: mpsc::Receiver<Outgoing>) {
    while let Some(next) = told.blocking_recv() {
        let line = line(next);
        if output.write_all(&line).and_then(|()| output.flush()).is_err() {
            // Nobody reads: dropping the receiver tells who answers.
            return;
        }
    }
}

/// A line as it is written. One that cannot be, such as a path that is not UTF-8, is an answer that says so.
fn line(next: Outgoing) -> Vec<u8> {
    let told = match next {
        Outgoing::Hello(hello) => return with_newline(serde_json::to_vec(&*hello).unwrap_or_default()),
        Outgoing::Trace { feed, event } => Told::Trace { feed, event },
        Outgoing::Journal { feed, entry } => Told::Journal { feed, entry },
        Outgoing::Over { feed } => Told::Over { feed },
        Outgoing::Answer { id, got, answer } => {
            let written = serde_json::to_vec(&Told::Answer { id, got, sent: clock::now(), answer });
            match written {
                Ok(line) if line.len() < ANSWER_BYTES_MAX => return with_newline(line),
                Ok(line) => {
                    let answer = Answered::Failed(format!("the answer has {} bytes, more than 4 MiB", line.len()));
                    Told::Answer { id, got, sent: clock::now(), answer }
                }
                Err(error) => {
                    let answer = Answered::Failed(format!("the answer cannot be written: {error}"));
                    Told::Answer { id, got, sent: clock::now(), answer }
                }
            }
        }
    };
    with_newline(serde_json::to_vec(&told).unwrap_or_default())
}

fn with_newline(mut line: Vec<u8>) -> Vec<u8> {
    line.push(b'\n');
    line
}

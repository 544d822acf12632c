//! The one place where lines enter the record.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;

use super::discretion::Discretion;
use crate::model::MonoTime;
use crate::record::line::{EndReason, Line, Note, NoteKind};
use crate::record::reader::RecordError;
use crate::record::writer::read_back;
use crate::record::{Record, RecordWriter};
use crate::secrets::Secrets;

/// Writes lines in the order it is given them, for all who observe. Cheap to clone; one thread only.
///
/// A write that fails (disk full) does not stop what is under way: it is remembered, nothing more is written,
/// and the run ends as soon as it can. The record then has no end and says by that that it is incomplete.
#[derive(Clone, Debug)]
pub struct Recorder {
    discretion: Rc<Discretion>,
    state: Rc<RefCell<State>>,
}

#[derive(Debug)]
enum State {
    Writing(Box<RecordWriter>),
    Failed(String),
    Finished,
}

impl Recorder {
    /// Records through `writer`, all but what `discretion` keeps out.
    #[must_use]
    pub fn new(writer: RecordWriter, discretion: Discretion) -> Self {
        let state = State::Writing(Box::new(writer));
        Self { discretion: Rc::new(discretion), state: Rc::new(RefCell::new(state)) }
    }

    /// Appends a line.
    pub fn write(&self, line: &Line) {
        let discreet = self.discretion.applied(line);
        let mut state = self.state.borrow_mut();
        if let State::Writing(writer) = &mut *state
            && let Err(error) = writer.write(discreet.as_ref().unwrap_or(line))
        {
            *state = State::Failed(format!("cannot write the record: {error}; free space, or use --out elsewhere"));
        }
    }

    /// Appends a note.
    pub fn note(&self, kind: NoteKind, message: impl Into<String>) {
        self.write(&Line::Note(Note { kind, message: message.into() }));
    }

    /// Everything that was written until now.
    ///
    /// # Errors
    /// When it cannot be read back, or lines are no longer written.
    pub fn so_far(&self) -> Result<Record, RecordError> {
        match &*self.state.borrow() {
            State::Writing(writer) => writer.so_far(),
            State::Failed(reason) => Err(io::Error::other(reason.clone()).into()),
            State::Finished => Err(io::Error::other("it is finished").into()),
        }
    }

    /// What is kept out of the record.
    #[must_use]
    pub fn secrets(&self) -> &Secrets {
        self.discretion.secrets()
    }

    /// Why lines are no longer written; none while they are.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        match &*self.state.borrow() {
            State::Failed(reason) => Some(reason.clone()),
            State::Writing(_) | State::Finished => None,
        }
    }

    /// Appends the last line, and reads the whole back. Nothing is written after it.
    ///
    /// # Errors
    /// When it cannot be written or read, or an earlier line could not be written.
    pub fn finish(&self, reason: EndReason, at: MonoTime) -> Result<Record, RecordError> {
        match std::mem::replace(&mut *self.state.borrow_mut(), State::Finished) {
            State::Writing(writer) => read_back(&writer.finish(self.discretion.reason(reason), at)?),
            State::Failed(reason) => Err(io::Error::other(reason).into()),
            State::Finished => Err(io::Error::other("it is finished").into()),
        }
    }
}

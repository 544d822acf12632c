//! The one place where lines enter the record.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;

use super::redaction::Redaction;
use crate::model::MonoTime;
use crate::record::line::{EndReason, Line, Note, NoteKind, StepBegin, StepEnd};
use crate::record::reader::RecordError;
use crate::record::{Fold, Record, RecordWriter};
use crate::secrets::Secrets;

/// Writes lines in the order it is given them, for all who observe. Cheap to clone; one thread only.
///
/// A write that fails (disk full) does not stop what is under way: it is remembered, nothing more is written,
/// and the run ends as soon as it can. The record then has no end and says by that that it is incomplete.
#[derive(Clone, Debug)]
pub struct Recorder {
    redaction: Rc<Redaction>,
    state: Rc<RefCell<State>>,
}

#[derive(Debug)]
enum State {
    Writing(Box<Writing>),
    Failed(String),
    Finished,
}

/// What is written, and what it comes to.
#[derive(Debug)]
struct Writing {
    writer: RecordWriter,
    fold: Result<Fold, RecordError>,
}

impl Writing {
    fn write(&mut self, line: &Line) -> io::Result<()> {
        let bytes = self.writer.write(line)?;
        // As it will be read: a report made now is the one that is made later.
        if let Ok(fold) = &mut self.fold
            && let Err(error) = fold.add(bytes)
        {
            self.fold = Err(error);
        }
        Ok(())
    }
}

impl Recorder {
    /// Records through `writer`, all but what `redaction` keeps out.
    #[must_use]
    pub fn new(writer: RecordWriter, redaction: Redaction) -> Self {
        let state = State::Writing(Box::new(Writing { writer, fold: Ok(Fold::default()) }));
        Self { redaction: Rc::new(redaction), state: Rc::new(RefCell::new(state)) }
    }

    /// Appends a line.
    pub fn write(&self, line: &Line) {
        let discreet = self.redaction.applied(line);
        let mut state = self.state.borrow_mut();
        if let State::Writing(writing) = &mut *state
            && let Err(error) = writing.write(discreet.as_ref().unwrap_or(line))
        {
            *state = State::Failed(format!("cannot write the record: {error}; free space, or use --out elsewhere"));
        }
    }

    /// Appends an event that no step asked for: it is over as it begins, and what follows belongs to it until the next one.
    pub fn unasked(&self, begin: StepBegin) {
        let end = StepEnd { done_at: Some(begin.at), ..StepEnd::of(begin.event, begin.at) };
        self.write(&Line::StepBegin(begin));
        self.write(&Line::StepEnd(Box::new(end)));
    }

    /// Appends a note.
    pub fn note(&self, kind: NoteKind, message: impl Into<String>) {
        self.write(&Line::Note(Note { kind, message: message.into() }));
    }

    /// What is made of the record so far.
    ///
    /// # Errors
    /// Why it cannot be read, or that lines are no longer written.
    pub fn so_far<T>(&self, make: impl FnOnce(&Record) -> T) -> Result<T, String> {
        let state = self.state.borrow();
        let fold = match &*state {
            State::Writing(writing) => writing.fold.as_ref().map_err(ToString::to_string)?,
            State::Failed(reason) => return Err(reason.clone()),
            State::Finished => return Err("it is finished".to_owned()),
        };
        fold.record().map(make).ok_or_else(|| "it has not begun".to_owned())
    }

    /// What is kept out of the record.
    #[must_use]
    pub fn secrets(&self) -> &Secrets {
        self.redaction.secrets()
    }

    /// Why lines are no longer written; none while they are.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        match &*self.state.borrow() {
            State::Failed(reason) => Some(reason.clone()),
            State::Writing(_) | State::Finished => None,
        }
    }

    /// Appends the last line: the whole record. Nothing is written after it.
    ///
    /// # Errors
    /// When it cannot be written or read, or an earlier line could not be written.
    pub fn finish(&self, reason: EndReason, at: MonoTime) -> Result<Record, RecordError> {
        match std::mem::replace(&mut *self.state.borrow_mut(), State::Finished) {
            State::Writing(writing) => {
                let Writing { mut writer, fold } = *writing;
                let last = writer.finish(self.redaction.reason(reason), at)?;
                let mut fold = fold?;
                fold.add(last)?;
                fold.finish().ok_or_else(|| io::Error::other("it has not begun").into())
            }
            State::Failed(reason) => Err(io::Error::other(reason).into()),
            State::Finished => Err(io::Error::other("it is finished").into()),
        }
    }
}

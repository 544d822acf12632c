//! The last rows of the terminal on stderr, which the live view has to itself.
//!
//! The terminal keeps them apart: its scrolling region (DECSTBM) ends above them. So nothing that anybody writes is in
//! the way of the view, nor the view in the way of it: the output of a command, a line without an end, or a question
//! that ssh(1) or sudo(8) asks on /dev/tty, which we never see. apt(8) shows its progress in the same way. The cursor
//! stays where it is, and visible.
//!
//! Sequences: DEC VT100 and ECMA-48, as in xterm's ctlseqs.

use std::io;
use std::time::{Duration, Instant};

use rustix::process::getpgrp;
use rustix::termios::{LocalModes, tcgetattr, tcgetpgrp, tcgetwinsize};

use super::view::{LINES, Line};

/// In fewer rows or columns, there is no view.
const SMALLEST: Size = Size { rows: 10, columns: 20 };

/// After a pause this long, others may have had the terminal: the process was stopped (Ctrl-Z), or the machine slept.
const PAUSE: Duration = Duration::from_secs(2);

/// The size of a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size {
    rows: usize,
    columns: usize,
}

/// The rows, while they are ours.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Screen {
    /// The terminal is as it was found.
    #[default]
    Untouched,
    /// The view was drawn, in a terminal of that size, and then.
    Drawn(Size, Instant),
    /// The view was drawn, and then somebody else had the screen.
    Lost,
}

impl Screen {
    /// Whether there can be a view on stderr at all.
    pub(super) fn is_possible() -> bool {
        let obeys = std::env::var_os("TERM").is_some_and(|term| term != "dumb" && !term.is_empty());
        obeys && size().is_some()
    }

    /// Draws the view that `lines` makes for a number of columns, where the terminal is ours.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub(super) fn draw(&mut self, lines: impl FnOnce(usize) -> [Line; LINES], color: bool) -> io::Result<()> {
        if !is_ours() {
            if !matches!(self, Self::Untouched) {
                *self = Self::Lost;
            }
            return Ok(());
        }
        let Some(size) = size() else { return self.leave() };
        let is_there = matches!(*self, Self::Drawn(before, at) if before == size && at.elapsed() < PAUSE);
        let mut bytes = if is_there { String::new() } else { room(LINES) };
        bytes += &frame(&lines(size.columns), size, color);
        *self = Self::Drawn(size, Instant::now());
        write(&bytes)
    }

    /// Gives the rows back, empty.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub(super) fn leave(&mut self) -> io::Result<()> {
        match std::mem::take(self) {
            Self::Untouched => Ok(()),
            // A shell's own line would go with what is cleared.
            _ if !is_ours() => write(WHOLE),
            Self::Drawn(before, _) if size() == Some(before) => write(&gone(before)),
            Self::Drawn(..) | Self::Lost => write(&format!("{WHOLE}{BELOW}")),
        }
    }
}

/// Of the terminal on stderr; none if that is too small, or not a terminal.
fn size() -> Option<Size> {
    let size = tcgetwinsize(io::stderr()).ok()?;
    let size = Size { rows: size.ws_row.into(), columns: size.ws_col.into() };
    (size.rows >= SMALLEST.rows && size.columns >= SMALLEST.columns).then_some(size)
}

/// Nobody else has the whole screen: a program that reads key by key (an editor, a pager), or a shell that has sent us
/// to the background.
fn is_ours() -> bool {
    let reads_lines = tcgetattr(io::stderr()).is_ok_and(|modes| modes.local_modes.contains(LocalModes::ICANON));
    // Fails where it is not our controlling terminal, and in a twin, which does not know the processes outside.
    let in_foreground = tcgetpgrp(io::stderr()).map_or(true, |group| group == getpgrp());
    reads_lines && in_foreground
}

/// The whole screen scrolls. The cursor is where it was: setting the region moves it.
const WHOLE: &str = "\x1b7\x1b[r\x1b8";

/// From the cursor to the end of the screen, all is empty.
const BELOW: &str = "\x1b[J";

/// The whole screen scrolls, and below the cursor there are that many rows, all empty.
fn room(rows: usize) -> String {
    format!("{WHOLE}{BELOW}{}\x1b[{rows}A", "\x1bD".repeat(rows))
}

/// The lines in the last rows, out of reach of what scrolls. One write of less than 2 kB, which the kernel's line
/// discipline does not interleave with those of others.
fn frame(lines: &[Line; LINES], size: Size, color: bool) -> String {
    let first = size.rows - LINES + 1;
    let mut bytes = format!("\x1b7\x1b[1;{}r\x1b[0m", first - 1);
    for (place, line) in lines.iter().enumerate() {
        bytes += &empty(first + place);
        for piece in line {
            let colors = if color && piece.is_loss { ["\x1b[31m", "\x1b[0m"] } else { [""; 2] };
            bytes.extend([colors[0], &piece.text, colors[1]]);
        }
    }
    bytes + "\x1b8"
}

/// That row is empty, and the cursor at its beginning.
fn empty(row: usize) -> String {
    format!("\x1b[{row};1H\x1b[2K")
}

/// The last rows are empty, and the whole screen scrolls.
fn gone(size: Size) -> String {
    let first = size.rows - LINES + 1;
    let mut bytes = String::from("\x1b7\x1b[r");
    for row in first..=size.rows {
        bytes += &empty(row);
    }
    bytes + "\x1b8"
}

fn write(bytes: &str) -> io::Result<()> {
    // Not through std's lock of stderr: a terminal that takes nothing (Ctrl-S) holds up nobody who has something to say
    // elsewhere.
    let mut rest = bytes.as_bytes();
    while !rest.is_empty() {
        match rustix::io::write(io::stderr(), rest) {
            Ok(count) => rest = &rest[count..],
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

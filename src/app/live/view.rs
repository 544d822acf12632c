//! The live view as three lines of text: what is done and how long it takes, figures, and the latency of the last
//! seconds.

use std::time::Duration;

use crate::render::text::{self, LOSS};
use crate::run::progress::{Accepting, Figures, Tenth};

/// How many lines it has.
pub(super) const LINES: usize = 3;

/// The time that one character of the strip stands for, in tenths of a second.
const TENTHS_PER_CHARACTER: u64 = 2;

/// The scale of the strip ends here at least, in microseconds: noise is not to look like a stall.
const SCALE_MIN_US: u64 = 10_000;

/// What lies left of the lines under the title.
const MARGIN: &str = "  ";

/// Columns that the end of the scale takes, whatever it says, so that the strip keeps its place.
const SCALE_COLUMNS: usize = "  up to 10000 ms".len();

/// What is shown.
#[derive(Clone, Debug)]
pub(super) struct View {
    /// Of the scenario.
    pub(super) name: String,
    /// What is done in it.
    pub(super) doing: String,
    /// Since the load began; none before that.
    pub(super) elapsed: Option<Duration>,
    /// Until the load ends, where that can be told.
    pub(super) left: Option<Duration>,
    /// What was counted so far; none before the load began.
    pub(super) figures: Option<Figures>,
    /// Requests that ended `ok` in the last second.
    pub(super) ok_per_s: f64,
    /// Requests that failed in the last second.
    pub(super) failed_per_s: f64,
}

/// A piece of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) text: String,
    /// It tells of a loss.
    pub(super) is_loss: bool,
}

/// The pieces of a line.
pub(super) type Line = Vec<Piece>;

/// The view in this number of columns. What has no room is left out, the least telling first.
pub(super) fn lines(view: &View, columns: usize) -> [Line; LINES] {
    let [figures, strip] = view.figures.as_ref().map_or_else(Default::default, |figures| {
        [self::figures(view, figures, columns), strip(&figures.recent, columns)]
    });
    [vec![plain(title(view, columns))], figures, strip]
}

fn plain(text: impl Into<String>) -> Piece {
    Piece { text: text.into(), is_loss: false }
}

fn loss(text: impl Into<String>) -> Piece {
    Piece { text: text.into(), is_loss: true }
}

/// A rule with the title at its left and the times at its right: it parts the view from what stands above it.
fn title(view: &View, columns: usize) -> String {
    let elapsed = view.elapsed.map(minutes);
    let left = view.left.map(|left| format!("~{} left", minutes(left)));
    let both = elapsed.clone().zip(left.clone()).map(|(elapsed, left)| format!("{elapsed}, {left}"));
    let named = format!("{}: {}", view.name, view.doing);
    let rule = |title: &str, times: &str| {
        let times = if times.is_empty() { String::new() } else { format!(" {times} ──") };
        let used = format!("── {title} ").chars().count() + times.chars().count();
        let length = columns.checked_sub(used).filter(|&length| length > 0)?;
        Some(format!("── {title} {}{times}", "─".repeat(length)))
    };
    let with = |title: &str, times: &Option<String>| times.as_deref().and_then(|times| rule(title, times));
    with(&named, &both)
        .or_else(|| {
            [left, elapsed, Some(String::new())]
                .iter()
                .find_map(|times| with(&named, times).or_else(|| with(&view.doing, times)))
        })
        .unwrap_or_else(|| format!("── {}", view.doing).chars().take(columns).collect())
}

/// `ok 1240 (248/s)  failed 3 (0/s)  queue 0/128  p99 2.14 ms`
fn figures(view: &View, figures: &Figures, columns: usize) -> Line {
    let failed = format!("failed {} ({:.0}/s)", figures.failed, view.failed_per_s);
    let failed = if figures.failed > 0 { loss(failed) } else { plain(failed) };
    let queue = figures.accepting.map(|accepting| match accepting {
        Accepting::Nobody => loss("no listener"),
        Accepting::Queue { queued, backlog: 0 } => plain(format!("queue {queued}")),
        Accepting::Queue { queued, backlog } => plain(format!("queue {queued}/{backlog}")),
    });
    let p99 = figures.p99_ms.map(|ms| {
        plain(if ms.is_finite() { format!("p99 {} ms", text::ms(Some(ms))) } else { "p99 never".to_owned() })
    });
    let all = [Some(plain(format!("ok {} ({:.0}/s)", figures.ok, view.ok_per_s))), Some(failed), queue, p99];
    let (mut line, mut used) = (Line::new(), 0);
    for piece in all.into_iter().flatten() {
        used += MARGIN.len() + piece.text.len();
        if used > columns {
            break;
        }
        line.extend([plain(MARGIN), piece]);
    }
    line
}

/// The slowest answer of each moment, the newest at the right, and what the scale ends at.
fn strip(recent: &[Tenth], columns: usize) -> Line {
    let width = columns.saturating_sub(MARGIN.len() + SCALE_COLUMNS);
    let Some(last) = recent.iter().map(|tenth| tenth.index / TENTHS_PER_CHARACTER).max() else { return Line::new() };
    if width == 0 {
        return Line::new();
    }
    let mut moments = vec![Moment::default(); width];
    for tenth in recent {
        let age = usize::try_from(last - tenth.index / TENTHS_PER_CHARACTER).unwrap_or(usize::MAX);
        if let Some(place) = (width - 1).checked_sub(age) {
            moments[place].add(tenth);
        }
    }
    let slowest_us = moments.iter().filter_map(|moment| moment.slowest_us).max();
    let scale_us = slowest_us.unwrap_or_default().max(SCALE_MIN_US);
    let mut line = vec![plain(MARGIN)];
    for moment in moments {
        let (character, is_loss) = moment.character(scale_us);
        match line.last_mut().filter(|piece| piece.is_loss == is_loss) {
            Some(piece) => piece.text.push(character),
            None => line.push(Piece { text: character.into(), is_loss }),
        }
    }
    line.push(plain(format!("  up to {:.0} ms", micros_as_ms(scale_us))));
    line
}

#[expect(clippy::cast_precision_loss, reason = "latencies are far below 2^53 us")]
fn micros_as_ms(us: u64) -> f64 {
    us as f64 / 1e3
}

/// What one character of the strip stands for.
#[derive(Clone, Debug, Default)]
struct Moment {
    due: u64,
    failed: u64,
    slowest_us: Option<u64>,
}

impl Moment {
    fn add(&mut self, tenth: &Tenth) {
        self.due += tenth.due;
        self.failed += tenth.failed;
        self.slowest_us = self.slowest_us.max(tenth.slowest_us);
    }

    /// Its character, and whether it tells of a loss.
    fn character(&self, scale_us: u64) -> (char, bool) {
        match self.slowest_us {
            _ if self.failed > 0 => (LOSS, true),
            Some(us) => (text::block(micros_as_ms(us) / micros_as_ms(scale_us)), false),
            // Due, and no word of it yet.
            None if self.due > 0 => ('·', false),
            None => (' ', false),
        }
    }
}

/// `1:05`.
fn minutes(time: Duration) -> String {
    format!("{}:{:02}", time.as_secs() / 60, time.as_secs() % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenth(index: u64, slowest_us: Option<u64>, failed: u64) -> Tenth {
        Tenth { index, due: 25, failed, slowest_us }
    }

    /// Twelve seconds: fast, a stall of which the beginning is lost, then requests that are still under way.
    fn recent() -> Vec<Tenth> {
        let of = |index: u64| match index {
            70..74 => tenth(index, Some(1_000), 3),
            74..80 => tenth(index, Some(600_000 - (index - 74) * 100_000), 0),
            116.. => tenth(index, None, 0),
            _ => tenth(index, Some(1_200), 0),
        };
        (0..120).map(of).collect()
    }

    fn figures() -> Figures {
        let accepting = Some(Accepting::Queue { queued: 3, backlog: 128 });
        Figures { ok: 2875, failed: 12, p99_ms: Some(412.4), recent: recent(), accepting }
    }

    fn view(figures: &Figures) -> View {
        View {
            name: "ledger-restart".to_owned(),
            doing: "step 3/10 restart ledger-api.service".to_owned(),
            elapsed: Some(Duration::from_secs(12)),
            left: Some(Duration::from_secs(75)),
            figures: Some(figures.clone()),
            ok_per_s: 248.4,
            failed_per_s: 2.0,
        }
    }

    fn text_of(line: &Line) -> String {
        line.iter().map(|piece| piece.text.as_str()).collect()
    }

    fn drawn(view: &View, columns: usize) -> String {
        lines(view, columns).iter().map(|line| text_of(line) + "\n").collect()
    }

    #[test]
    fn the_view_fits_terminals_of_usual_widths() {
        let figures = figures();
        let at = |columns| drawn(&view(&figures), columns);
        insta::assert_snapshot!([40, 60, 80, 140].map(at).join("\n"));
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        let figures = figures();
        for columns in 1..200 {
            for line in lines(&view(&figures), columns) {
                let width = text_of(&line).chars().count();
                assert!(width <= columns, "{columns}: {:?}", text_of(&line));
            }
        }
    }

    #[test]
    fn before_the_load_only_the_title_is_known() {
        let setting_up = View {
            doing: "setting up".to_owned(),
            elapsed: None,
            left: None,
            figures: None,
            ..view(&Figures::default())
        };
        assert_eq!(drawn(&setting_up, 20), "── setting up ──────\n\n\n");
    }

    #[test]
    fn losses_and_a_missing_listener_stand_out_and_nothing_else_does() {
        let outstanding = |figures: &Figures| -> Vec<String> {
            let lines = lines(&view(figures), 140);
            lines.iter().flatten().filter(|piece| piece.is_loss).map(|piece| piece.text.clone()).collect()
        };
        assert_eq!(outstanding(&figures()), ["failed 12 (2/s)", "××"]);
        let quiet = Figures { failed: 0, recent: Vec::new(), ..figures() };
        assert_eq!(outstanding(&quiet), Vec::<String>::new());
        assert_eq!(outstanding(&Figures { accepting: Some(Accepting::Nobody), ..quiet }), ["no listener"]);
    }

    #[test]
    fn the_strip_scrolls_by_whole_characters_and_late_answers_change_their_own() {
        let before: Vec<Tenth> = (0..40).map(|index| tenth(index, Some(1_000), 0)).collect();
        let mut after = before.clone();
        after.extend((40..50).map(|index| tenth(index, Some(1_000), 0)));
        after[10].slowest_us = Some(900_000);
        let of = |recent: &[Tenth]| {
            let line = text_of(&strip(recent, 60));
            line.chars().take(60 - SCALE_COLUMNS).collect::<String>().trim().to_owned()
        };
        assert_eq!(of(&before), "▁".repeat(20));
        assert_eq!(of(&after), format!("{}█{}", "▁".repeat(5), "▁".repeat(19)));
    }
}

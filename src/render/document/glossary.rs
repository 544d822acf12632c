//! What the columns of tables and the bands of the timeline mean: for tooltips and the legend.

use super::table::Column;
use super::{Block, Cell, Content, Level, Table};

/// A column or a band, and what it means.
#[derive(Debug)]
pub(crate) struct Definition {
    name: &'static str,
    meaning: &'static str,
}

const fn of(name: &'static str, meaning: &'static str) -> Definition {
    Definition { name, meaning }
}

const COLUMNS: &[Definition] = &[
    of("due", "Requests that fell due after the warmup: ok, dropped, wrong and unsent together."),
    of("ok", "Requests that had the expected answer, whole and in time."),
    of("dropped", "The client lost its connection, never got one, or got half an answer while a request was due."),
    of("wrong", "Complete answers that are not the expected one, by status where the status is what is wrong."),
    of("000", "Dropped before a complete status line had come, as curl writes 000."),
    of("unsent", "Requests that the generator itself could not send."),
    of("p50 ms", "Half of the requests took at most this long from their due time; a dropped request never ends."),
    of("p90 ms", "90 % of the requests took at most this long from their due time; a dropped request never ends."),
    of("p99 ms", "99 % of the requests took at most this long from their due time; a dropped request never ends."),
    of("p99.9 ms", "99.9 % of the requests took at most this long from their due time; a dropped request never ends."),
    of("max ms", "The slowest request, from its due time."),
    of("of run", "The folder of the run."),
    of("run", "The step and which run of it, both from 1: 2.3 is the third run of the second step."),
    of("action", "What was done to which unit, the command that ran, or the mark that was announced."),
    of("job", "How systemd's job ended."),
    of(
        "proven",
        "Whether the action was seen to have happened: another process, another incarnation, the same listener.",
    ),
    of("stop ms", "From the beginning of the event until the old main process was gone."),
    of("boot ms", "From the start of the new main process until the first answer that it gave."),
    of(
        "first ok ms",
        "From the action (of a command: from when it had ended the old main process) until the end of the first expected answer after it, in the worst cohort.",
    ),
    of(
        "outage ms",
        "From the first failed due time until the first expected answer after which nothing failed, in the worst cohort; 0 if nothing failed.",
    ),
    of("stall ms", "The longest time without an expected answer while requests were due, in the worst cohort."),
    of(
        "recovery ms",
        "From the beginning of the event until a second began without a failure and with p99 back at its level before.",
    ),
    of(
        "slowest ms = drain + queue + boot + rest",
        "The slowest answer, and how long it waited for the old process to go, without one, for the new one to answer, and besides.",
    ),
    of("queue / backlog", "The most connections seen waiting in the accept queue, and how many fit; of UDP, bytes."),
    of("backlog needed", "Connections that arrive during a stall of this length: what Backlog= would have to hold."),
    of("request", "One of the requests of [[target.requests]]."),
    of("instance", "A process, release or pod, by the name that its answers give."),
    of("answers", "Its complete answers to requests that fell due after the warmup, expected or wrong."),
    of("first answer s", "When its first answer was whole, from the first counted due time; negative in the warmup."),
    of("last answer s", "When its last answer was whole, from the first counted due time."),
    of(
        "stale",
        "Answers to requests sent after an event was over, from an instance that had answered before that event began.",
    ),
    of("answered by", "The instances that answered until the next event, with the number of their answers."),
    of("main PID", "The main process before and after."),
];

const BANDS: &[Definition] = &[
    of("shaded span", "An event, from the beginning of the action until the target answered every cohort again."),
    of(
        "latency",
        "Expected answers by due time, darker where there are more, and the slowest of each column as a point.",
    ),
    of("not ok, by due time", "Dropped and wrong requests, by class."),
    of("accept queue", "The deepest queue seen, and the length that fits."),
    of("band of a unit", "Its state over time: active, on its way up or down, or neither."),
    of("listener", "Whether any process was listening at the address of the load."),
];

/// What a column means; nothing for one that says it itself.
pub(crate) fn meaning(column: &str) -> Option<&'static str> {
    COLUMNS.iter().find(|definition| definition.name == column).map(|definition| definition.meaning)
}

const LEGEND: &[Column<Definition>] = &[
    Column::words("name", Level::Full, |definition| Cell::plain(definition.name)),
    Column::prose("meaning", Level::Full, |definition| Cell::plain(definition.meaning)),
];

/// All of them, behind a fold.
pub(super) fn legend() -> Block<'static> {
    let content = Content::Table(Table::of(LEGEND, Level::Full, COLUMNS.iter().chain(BANDS)));
    Block::Folded { summary: "What the columns and bands mean".to_owned(), is_open: false, content }
}

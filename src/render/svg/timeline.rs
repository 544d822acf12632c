//! The run over time: latency as a density, what failed, the queue, and what the units were, on one axis.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::axis::{LogScale, TimeScale, time};
use super::{Chart, LEFT, RIGHT, bar, float, label, line, px, scale_name};
use crate::model::{ActiveState, FailureClass};
use crate::record::segment::density_floor_us;
use crate::render::document::subject;
use crate::render::markup::Markup;
use crate::result::EventResult;
use crate::result::ScenarioResult;
use crate::result::charts::Charts;

/// The heights of the panels, and the room between two.
const LATENCY: f64 = 230.0;
const FAILURES: f64 = 56.0;
const QUEUE: f64 = 44.0;
const BAND: f64 = 14.0;
const GAP: f64 = 14.0;

/// The line above a panel that holds its title.
const TITLE: f64 = 14.0;

/// Where the first panel begins: above it stand the legend and the events' numbers.
const TOP: f64 = 52.0;

/// Steps of shade in the density.
const SHADES: [&str; 5] = ["heat h1", "heat h2", "heat h3", "heat h4", "heat h5"];

/// Density buckets drawn as one cell: a quarter of an octave, 19 % wide.
const BUCKETS_PER_CELL: u16 = 2;

/// The number of slowest answers that are drawn as points, each from another column.
const SLOWEST: usize = 40;

/// Colours of failure classes; more classes than these share one.
const CLASS_COLOURS: [&str; 8] = ["f0", "f1", "f2", "f3", "f4", "f5", "f6", "f7"];

/// The most events that are marked with a line and a number: more would hide what they mark.
const MARKED_EVENTS: usize = 30;

/// The run of a scenario; none if nothing ended.
pub(super) fn draw(scenario: &ScenarioResult) -> Option<Chart> {
    let charts = &scenario.charts;
    let high_ms = highest_ms(charts)?;
    let low_ms = lowest_ms(charts).unwrap_or(high_ms);
    let layout = Layout::of(scenario);
    let mut drawing = Drawing {
        charts,
        x: TimeScale::new(charts.end_ms, (LEFT, RIGHT)),
        y: LogScale::new((low_ms, high_ms), (TOP, TOP + LATENCY)),
        colours: colours(charts),
        to: Markup::default(),
    };
    drawing.events(&scenario.events, layout.axis);
    drawing.latency();
    drawing.lost(layout.failures);
    drawing.queue(layout.queue);
    drawing.units(layout.units);
    drawing.axis(layout.axis);
    drawing.legend();
    Some(Chart { name: "timeline", title: "The run over time", height: layout.height, drawing: drawing.to })
}

/// The tops of the panels.
struct Layout {
    failures: Option<f64>,
    queue: Option<f64>,
    units: f64,
    axis: f64,
    height: f64,
}

impl Layout {
    fn of(scenario: &ScenarioResult) -> Self {
        let charts = &scenario.charts;
        let mut next = TOP + LATENCY + GAP;
        let mut panel = |is_there: bool, height: f64| {
            let top = next + TITLE;
            is_there.then(|| {
                next = top + height + GAP;
                top
            })
        };
        let failures = panel(charts.columns.iter().any(|column| !column.losses.is_empty()), FAILURES);
        let queue = panel(!charts.queue.is_empty(), QUEUE);
        let units = next;
        let bands = charts.units.len() + usize::from(charts.backlog.is_some());
        let axis = units + float(bands) * (BAND + 4.0) - 2.0;
        Self { failures, queue, units, axis, height: axis + 44.0 }
    }
}

struct Drawing<'a> {
    charts: &'a Charts,
    x: TimeScale,
    y: LogScale,
    colours: BTreeMap<FailureClass, &'static str>,
    to: Markup,
}

impl Drawing<'_> {
    /// Each event's span behind everything else, and its number above.
    fn events(&mut self, results: &[EventResult], bottom: f64) {
        let height = bottom - TOP;
        for (span, result) in self.charts.events.iter().zip(results) {
            let (from, to) = (self.x.at(span.from_ms), self.x.at(span.to_ms));
            let tip = format!(
                "{}.{} {} at {}, over after {}",
                result.step,
                result.run,
                subject(result),
                time(span.from_ms),
                time(span.to_ms - span.from_ms)
            );
            bar(&mut self.to, "event", (from, TOP), ((to - from).max(1.0), height), &tip);
            if self.charts.events.len() <= MARKED_EVENTS {
                line(&mut self.to, "event-line", (from, TOP - 4.0), (from, bottom));
                label(&mut self.to, "event-text", (from, TOP - 8.0), format!("{}.{}", result.step, result.run));
            }
        }
    }

    fn latency(&mut self) {
        for (y, text) in self.y.ticks() {
            line(&mut self.to, "grid", (LEFT, y), (RIGHT, y));
            label(&mut self.to, "end", (LEFT - 8.0, y + 4.0), text);
        }
        scale_name(&mut self.to, (TOP, TOP + LATENCY), "latency");
        self.density();
        self.slowest();
        self.failure_points();
    }

    /// One path for each shade: thousands of elements would make the page slow.
    fn density(&mut self) {
        let cells = cells(self.charts);
        let most = cells.values().copied().max().unwrap_or(1);
        let mut paths: [String; SHADES.len()] = Default::default();
        for (&(column, cell), &n) in &cells {
            let from_ms = self.charts.columns[column].at_ms;
            let (left, right) = (self.x.at(from_ms), self.x.at(from_ms + column_ms(self.charts)));
            let bottom = self.y.at(floor_ms(cell * BUCKETS_PER_CELL));
            let top = self.y.at(floor_ms((cell + 1) * BUCKETS_PER_CELL));
            let (width, height) = ((right - left).max(0.6), (bottom - top).max(1.2));
            let path = &mut paths[shade(n, most)];
            let _ = write!(path, "M{} {}h{}v{}h-{}z", px(left), px(bottom - height), px(width), px(height), px(width));
        }
        for (class, path) in SHADES.iter().zip(&paths).filter(|(_, path)| !path.is_empty()) {
            self.to.shape("path", &[("class", class), ("d", path)]);
        }
    }

    fn slowest(&mut self) {
        let mut slowest: Vec<(f64, f64)> =
            self.charts.columns.iter().filter_map(|column| Some((column.at_ms, column.max_ms?))).collect();
        slowest.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.total_cmp(&b.0)));
        for &(at_ms, max_ms) in slowest.iter().take(SLOWEST) {
            let (x, y) = (self.x.at(at_ms + column_ms(self.charts) / 2.0), self.y.at(max_ms));
            let tip = format!("slowest at {}: {}", time(at_ms.max(0.0)), time(max_ms));
            let attributes: super::Attributes<'_> =
                &[("class", &"slow"), ("cx", &px(x)), ("cy", &px(y)), ("r", &"2.4")];
            self.to.nested("circle", attributes, |dot| dot.element("title", &[], tip));
        }
    }

    /// A cross for each failure that is known one by one.
    fn failure_points(&mut self) {
        let mut paths = BTreeMap::<&'static str, (FailureClass, String)>::new();
        for point in &self.charts.failures {
            let (x, y) = (self.x.at(point.at_ms), self.y.at(point.after_ms));
            let colour = self.colour(point.class);
            let (_, path) = paths.entry(colour).or_insert((point.class, String::new()));
            let _ = write!(path, "M{} {}l5 5m0 -5l-5 5", px(x - 2.5), px(y - 2.5));
        }
        for (colour, (class, path)) in paths {
            self.to.nested("path", &[("class", &format!("cross {colour}")), ("d", &path)], |cross| {
                cross.element("title", &[], class.name());
            });
        }
    }

    /// Failures in each column, one class upon the other.
    fn lost(&mut self, top: Option<f64>) {
        let Some(top) = top else { return };
        let totals = self.charts.columns.iter().map(|column| column.losses.values().sum::<u64>());
        let most = totals.max().unwrap_or(1).max(1);
        self.panel(top, FAILURES, "not ok, by due time", most);
        for column in &self.charts.columns {
            let (left, right) = (self.x.at(column.at_ms), self.x.at(column.at_ms + column_ms(self.charts)));
            let mut bottom = top + FAILURES;
            for (&class, &n) in &column.losses {
                let height = share(n, most) * FAILURES;
                let tip = format!("{n} {class} due at {}", time(column.at_ms.max(0.0)));
                let at = (left, bottom - height);
                let colour = self.colour(class);
                bar(&mut self.to, colour, at, ((right - left).max(1.0), height), &tip);
                bottom -= height;
            }
        }
    }

    fn queue(&mut self, top: Option<f64>) {
        let (Some(top), Some(backlog)) = (top, self.charts.backlog) else { return };
        let peak = self.charts.queue.iter().map(|step| step.queued).max().unwrap_or(0);
        // The backlog sets the scale only once it is near: or else every queue would look empty.
        let most = if peak.saturating_mul(2) >= backlog { backlog.max(peak) } else { peak.max(1) };
        let title = format!("accept queue, backlog {backlog}");
        self.panel(top, QUEUE, &title, u64::from(most));
        for step in &self.charts.queue {
            let (left, right) = (self.x.at(step.from_ms), self.x.at(step.to_ms));
            let height = share(u64::from(step.queued), u64::from(most)) * QUEUE;
            let tip = format!("{} waiting at {}", step.queued, time(step.from_ms));
            bar(&mut self.to, "queue", (left, top + QUEUE - height), ((right - left).max(1.0), height), &tip);
        }
        if most >= backlog {
            let y = top + QUEUE - share(u64::from(backlog), u64::from(most)) * QUEUE;
            line(&mut self.to, "limit", (LEFT, y), (RIGHT, y));
        }
    }

    /// The frame of a panel with its own linear scale.
    fn panel(&mut self, top: f64, height: f64, title: &str, most: u64) {
        line(&mut self.to, "grid", (LEFT, top), (RIGHT, top));
        line(&mut self.to, "grid", (LEFT, top + height), (RIGHT, top + height));
        label(&mut self.to, "end", (LEFT - 8.0, top + 9.0), most);
        label(&mut self.to, "end", (LEFT - 8.0, top + height), 0);
        label(&mut self.to, "soft panel", (LEFT, top - 5.0), title);
    }

    /// A band for each unit, and one for the kernel's listeners.
    fn units(&mut self, top: f64) {
        let mut y = top;
        for band in &self.charts.units {
            for state in &band.states {
                let (left, right) = (self.x.at(state.from_ms), self.x.at(state.to_ms));
                let length = time((state.to_ms - state.from_ms).max(0.0));
                let tip = format!("{} {} ({}) for {length}", band.unit, state.active_state, state.sub_state);
                bar(&mut self.to, state_class(&state.active_state), (left, y), ((right - left).max(1.0), BAND), &tip);
            }
            label(&mut self.to, "band-text", (LEFT + 6.0, y + BAND - 3.0), &band.unit);
            y += BAND + 4.0;
        }
        if self.charts.backlog.is_some() {
            bar(&mut self.to, "state on", (LEFT, y), (RIGHT - LEFT, BAND), "the kernel has a listener");
            for &(from_ms, to_ms) in &self.charts.unheard {
                let (left, right) = (self.x.at(from_ms), self.x.at(to_ms));
                let tip = format!("no process was listening for {}", time(to_ms - from_ms));
                bar(&mut self.to, "state failed", (left, y), ((right - left).max(1.0), BAND), &tip);
            }
            let is_idle = self.charts.queue.is_empty();
            let name = if is_idle { "listener: nothing ever waited in its queue" } else { "listener" };
            label(&mut self.to, "band-text", (LEFT + 6.0, y + BAND - 3.0), name);
        }
    }

    fn axis(&mut self, y: f64) {
        line(&mut self.to, "axis", (LEFT, y), (RIGHT, y));
        for (x, text) in self.x.ticks() {
            line(&mut self.to, "axis", (x, y), (x, y + 5.0));
            label(&mut self.to, "middle", (x, y + 19.0), text);
        }
        label(&mut self.to, "end soft", (RIGHT, y + 36.0), "time since the first counted request");
    }

    fn legend(&mut self) {
        let mut x = LEFT;
        for (place, class) in SHADES.iter().enumerate() {
            bar(&mut self.to, class, (x + float(place) * 9.0, 10.0), (9.0, 10.0), "");
        }
        label(&mut self.to, "start", (x + 52.0, 19.0), "few to many answers, by latency");
        x += 252.0;
        self.to.shape("circle", &[("class", &"slow"), ("cx", &px(x)), ("cy", &"15"), ("r", &"2.4")]);
        label(&mut self.to, "start", (x + 8.0, 19.0), "slowest");
        x += 70.0;
        for (class, colour) in self.colours.clone() {
            bar(&mut self.to, colour, (x, 10.0), (10.0, 10.0), "");
            label(&mut self.to, "start", (x + 15.0, 19.0), class.name());
            x += 32.0 + float(class.name().len()) * 6.4;
        }
    }

    fn colour(&self, class: FailureClass) -> &'static str {
        self.colours.get(&class).copied().unwrap_or(CLASS_COLOURS[0])
    }
}

/// A colour for each class that there is, in their order: the same in every chart of the scenario.
fn colours(charts: &Charts) -> BTreeMap<FailureClass, &'static str> {
    let classes: BTreeSet<FailureClass> =
        charts.columns.iter().flat_map(|column| column.losses.keys().copied()).collect();
    classes.into_iter().zip(CLASS_COLOURS.into_iter().cycle()).collect()
}

/// Answers by column and cell of the density.
fn cells(charts: &Charts) -> BTreeMap<(usize, u16), u64> {
    let mut cells = BTreeMap::new();
    for (place, column) in charts.columns.iter().enumerate() {
        for (&bucket, &n) in &column.density {
            *cells.entry((place, bucket / BUCKETS_PER_CELL)).or_default() += n;
        }
    }
    cells
}

fn highest_ms(charts: &Charts) -> Option<f64> {
    let answers = charts.columns.iter().filter_map(|column| column.max_ms);
    answers.chain(charts.failures.iter().map(|failure| failure.after_ms)).reduce(f64::max)
}

fn lowest_ms(charts: &Charts) -> Option<f64> {
    let answers =
        charts.columns.iter().filter_map(|column| column.density.keys().next()).map(|&bucket| floor_ms(bucket));
    answers.chain(charts.failures.iter().map(|failure| failure.after_ms)).reduce(f64::min)
}

#[expect(clippy::cast_precision_loss, reason = "latencies are far below 2^53 us")]
fn floor_ms(bucket: u16) -> f64 {
    density_floor_us(bucket.min(511)) as f64 / 1e3
}

#[expect(clippy::cast_precision_loss, reason = "columns are short")]
fn column_ms(charts: &Charts) -> f64 {
    charts.column_ms as f64
}

#[expect(clippy::cast_precision_loss, reason = "counts of one column are far below 2^53")]
fn share(n: u64, most: u64) -> f64 {
    n as f64 / most.max(1) as f64
}

/// The shade of a cell, by the logarithm of its count: one slow answer must show beside thousands of usual ones.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of five, clamped")]
fn shade(n: u64, most: u64) -> usize {
    let share = if most <= 1 { 1.0 } else { share(n, 1).ln() / self::share(most, 1).ln() };
    ((share * 5.0) as usize).min(SHADES.len() - 1)
}

fn state_class(active_state: &ActiveState) -> &'static str {
    match active_state {
        ActiveState::Active | ActiveState::Reloading => "state on",
        ActiveState::Activating => "state starting",
        ActiveState::Deactivating => "state stopping",
        ActiveState::Failed => "state failed",
        _ => "state off",
    }
}

//! Mistakes in scenarios: collected while one is read, then shown all at once.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceCode, SourceSpan};

use super::mask::Places;
use super::source::{Place, Sources};
use crate::secrets::{Secrets, masked};
use crate::visible;

/// Mistakes of one scenario that are shown, the most: who made more has another file in hand than he thinks.
const MOST_SHOWN: usize = 50;

/// Collects the mistakes of one scenario.
#[derive(Debug, Default)]
pub(crate) struct Mistakes(Vec<Draft>);

/// A mistake, its places still relative to the [`Sources`] of its scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Draft {
    message: String,
    help: Option<String>,
    labels: Vec<(Place, String)>,
    is_missing: bool,
}

impl Mistakes {
    /// Notes a mistake at `place`.
    pub(crate) fn add(&mut self, place: Place, message: impl Into<String>) -> &mut Draft {
        let labels = vec![(place, String::new())];
        self.0.push(Draft { message: message.into(), help: None, labels, is_missing: false });
        let last = self.0.len() - 1;
        &mut self.0[last]
    }

    /// Notes that the table at `place` lacks a key.
    pub(crate) fn add_missing(&mut self, place: Place, message: impl Into<String>) -> &mut Draft {
        let draft = self.add(place, message);
        draft.is_missing = true;
        draft
    }

    /// Forgets what is missing: it may stand where the text could not be parsed.
    pub(crate) fn forget_missing(&mut self) {
        self.0.retain(|draft| !draft.is_missing);
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Forgets the mistakes that `keep` says no to, by their first place.
    pub(crate) fn retain(&mut self, keep: impl Fn(Place) -> bool) {
        self.0.retain(|draft| draft.labels.first().is_none_or(|(place, _)| keep(*place)));
    }

    /// The mistakes in the order of the text, each once.
    /// Secrets are left out, and nothing in them moves a terminal.
    pub(crate) fn into_errors(mut self, sources: &Sources, places: &Places) -> ScenarioErrors {
        let first = |draft: &Draft| draft.labels.first().map(|(place, _)| *place);
        self.0.sort_by(|left, right| first(left).cmp(&first(right)).then_with(|| left.message.cmp(&right.message)));
        self.0.dedup();
        let unshown = self.0.len().saturating_sub(MOST_SHOWN);
        let shown = self.0.into_iter().take(MOST_SHOWN);
        let texts: Vec<Shown> = (0..sources.len()).map(|source| Shown::new(sources, source, places)).collect();
        let mistakes = shown.map(|draft| draft.settle(&texts, |words| words_shown(places.secrets(), words)));
        ScenarioErrors { mistakes: mistakes.collect(), unshown }
    }
}

impl Draft {
    /// What to do about it.
    pub(crate) fn help(&mut self, help: impl Into<String>) -> &mut Self {
        self.help = Some(help.into());
        self
    }

    /// Underlines another place as well.
    pub(crate) fn and(&mut self, place: Place, label: impl Into<String>) -> &mut Self {
        self.labels.push((place, label.into()));
        self
    }

    /// Binds it to the text of its first place. Labels in other texts are left out: a report shows one text.
    fn settle(self, texts: &[Shown], words: impl Fn(&str) -> String) -> Mistake {
        let (message, help) = (words(&self.message), self.help.map(|help| words(&help)));
        let first = self.labels.first().map(|(place, _)| place.source);
        let Some((first, shown)) = first.and_then(|first| Some((first, texts.get(first)?))) else {
            return Mistake { message, help, source: None, labels: Vec::new() };
        };
        let here = self.labels.into_iter().filter(|(place, _)| place.source == first);
        let labels = here.enumerate().map(|(index, (place, text))| {
            let span = shown.span(place);
            let text = (!text.is_empty()).then(|| words(&text));
            if index == 0 {
                LabeledSpan::new_primary_with_span(text, span)
            } else {
                LabeledSpan::new_with_span(text, span)
            }
        });
        Mistake { message, help, labels: labels.collect(), source: Some(Arc::clone(&shown.source)) }
    }
}

fn words_shown(secrets: &Secrets, words: &str) -> String {
    visible::escape_lines(&secrets.hide_known(words))
}

/// A text as it is shown: each of its characters at its place, but for those of secrets and those that a terminal obeys.
struct Shown<'a> {
    source: Arc<NamedSource<String>>,
    written: &'a str,
}

impl<'a> Shown<'a> {
    fn new(sources: &'a Sources, source: usize, places: &Places) -> Self {
        let written = sources.text(source);
        let name = visible::escape(&places.secrets().hide(sources.get(source).name()));
        let text = visible::in_place(&places.blot(source, written));
        Self { source: Arc::new(NamedSource::new(name, text)), written }
    }

    fn span(&self, place: Place) -> SourceSpan {
        let [start, end] = [place.start, place.end.max(place.start)].map(|byte| self.moved(byte));
        SourceSpan::from((start, end - start))
    }

    /// Where the character stands that stood at that byte.
    fn moved(&self, byte: usize) -> usize {
        let shown = self.source.inner();
        if shown.len() == self.written.len() && self.written.is_ascii() {
            return byte.min(shown.len());
        }
        let before = self.written.char_indices().take_while(|&(at, _)| at < byte).count();
        shown.char_indices().nth(before).map_or(shown.len(), |(at, _)| at)
    }
}

/// One mistake: what is wrong, where, and what to do.
#[derive(Clone, Debug)]
pub struct Mistake {
    message: String,
    help: Option<String>,
    source: Option<Arc<NamedSource<String>>>,
    labels: Vec<LabeledSpan>,
}

impl Mistake {
    /// A mistake about something other than a place in a scenario's text.
    pub(crate) fn without_place(message: impl Into<String>, help: impl Into<String>) -> Self {
        let [message, help] = [message.into(), help.into()].map(|words| visible::escape_lines(&masked(&words)));
        Self { message, help: Some(help), source: None, labels: Vec::new() }
    }

    /// What is wrong.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What to do about it.
    #[must_use]
    pub fn advice(&self) -> Option<&str> {
        self.help.as_deref()
    }

    /// `FILE:LINE:COLUMN`, both counted from 1; none if it is about no place in a text.
    #[must_use]
    pub fn position(&self) -> Option<String> {
        let source = self.source.as_ref()?;
        let before = source.inner().get(..self.labels.first()?.offset())?;
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |rest| rest.chars().count()) + 1;
        Some(format!("{}:{line}:{column}", source.name()))
    }

    fn is_same(&self, other: &Self) -> bool {
        self.message == other.message && self.position() == other.position()
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Mistake {}

impl Diagnostic for Mistake {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source.as_ref().map(|source| source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        (!self.labels.is_empty()).then(|| Box::new(self.labels.iter().cloned()) as Box<dyn Iterator<Item = _>>)
    }
}

/// Every mistake that was found in the scenarios of a run; at least one.
#[derive(Clone, Debug)]
pub struct ScenarioErrors {
    mistakes: Vec<Mistake>,
    /// Further ones that are only counted.
    unshown: usize,
}

impl ScenarioErrors {
    /// A single mistake that is about no place in a text.
    pub(crate) fn one(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { mistakes: vec![Mistake::without_place(message, help)], unshown: 0 }
    }

    /// A file or folder that cannot be read.
    pub(crate) fn unreadable(path: &Path, error: &std::io::Error) -> Self {
        Self::one(format!("cannot read {}: {error}", path.display()), "give a scenario file, or a folder of them")
    }

    /// Adds the mistakes of another scenario, but not those that are known (in an override that several share).
    pub(crate) fn append(&mut self, other: Self) {
        self.unshown += other.unshown;
        for mistake in other.mistakes {
            if !self.mistakes.iter().any(|known| known.is_same(&mistake)) {
                self.mistakes.push(mistake);
            }
        }
    }

    /// The mistakes, file by file in the order of the text; of each file the first 50.
    #[must_use]
    pub fn mistakes(&self) -> &[Mistake] {
        &self.mistakes
    }

    /// All of them for people: each with its FILE:LINE:COLUMN, the text underlined and a help line, in lines of
    /// at most `width` columns where that can be done; with terminal colours if `color`.
    #[must_use]
    pub fn render(&self, color: bool, width: usize) -> String {
        let theme = if color { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
        let handler = GraphicalReportHandler::new_themed(theme).with_links(false).with_width(width.max(40));
        let mut text = String::new();
        for mistake in &self.mistakes {
            if handler.render_report(&mut text, mistake).is_err() {
                // The one thing it fails on is a span outside its text; the words are worth having all the same.
                text.push_str(&mistake.message);
            }
            text.push('\n');
        }
        text.extend([&self.to_string(), "\n"]);
        text
    }
}

impl fmt::Display for ScenarioErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.mistakes.len(), self.unshown) {
            (1, 0) => f.write_str("1 mistake; nothing was started"),
            (count, 0) => write!(f, "{count} mistakes; nothing was started"),
            (count, more) => write!(f, "{count} mistakes and {more} more; nothing was started"),
        }
    }
}

impl std::error::Error for ScenarioErrors {}

impl Diagnostic for ScenarioErrors {
    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        Some(Box::new(self.mistakes.iter().map(|mistake| mistake as &dyn Diagnostic)))
    }
}

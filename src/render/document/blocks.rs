//! The parts that documents are made of: text as it is, which each layout escapes by the rules of its format.

use super::shown::Shown;
use super::table::Table;
use crate::result::{ScenarioResult, Strategy};

/// How much a document tells: each level has all of the one before, and more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// For a terminal: what decides the verdict.
    Brief,
    /// For a pull request: what a reviewer asks next.
    Normal,
    /// For a page of its own: all that there is.
    Full,
}

impl Level {
    /// The most events that a table shows.
    pub(crate) fn events_max(self) -> usize {
        match self {
            Self::Brief => 20,
            Self::Normal | Self::Full => 50,
        }
    }

    /// The most sentences of evidence that one cause is shown with.
    pub(crate) fn sentences_max(self) -> usize {
        match self {
            Self::Brief => 3,
            Self::Normal => 5,
            Self::Full => 20,
        }
    }

    /// The most lines of a scenario file.
    pub(crate) fn scenario_lines_max(self) -> usize {
        match self {
            Self::Brief => 0,
            Self::Normal => 400,
            Self::Full => usize::MAX,
        }
    }
}

/// A whole report.
#[derive(Debug, Default)]
pub(crate) struct Document<'a> {
    /// For a format that has a place for it outside of the text.
    pub(crate) title: String,
    pub(crate) parts: Vec<Part<'a>>,
    /// Where the figures come from; empty if that is not said.
    pub(crate) footer: Vec<Span>,
}

/// What stands under one title.
#[derive(Debug)]
pub(crate) struct Part<'a> {
    pub(crate) subject: Subject,
    pub(crate) verdict: Option<Shown>,
    /// Empty: the part has no title.
    pub(crate) title: String,
    pub(crate) blocks: Vec<Block<'a>>,
}

/// What a part is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    /// All of the document.
    Whole,
    /// The scenario of that number, from 1.
    Scenario(usize),
}

#[derive(Debug)]
pub(crate) enum Block<'a> {
    /// What the part is about, in its own words.
    Lead(String),
    /// The sentences that explain the verdict, the most important first.
    Reasons(Vec<String>),
    /// The figures that everybody asks for.
    Tiles(Vec<Tile>),
    Heading(String),
    Text(Vec<Span>),
    /// A sentence about what stands before it.
    Aside(String),
    List(Vec<String>),
    /// A list about what stands before it.
    Asides(Vec<String>),
    Table(Table),
    /// The scenario over time: as text, as drawings, or as links to them.
    Charts(&'a ScenarioResult),
    /// Scenarios next to each other: as a drawing, or as bars of text.
    Strategies(Vec<Strategy>),
    Causes(Vec<Cause>),
    /// Names and values.
    Facts(Vec<(&'static str, String)>),
    /// What is shown when asked for, where the format can hide it.
    Folded {
        summary: String,
        is_open: bool,
        content: Content<'a>,
    },
}

#[derive(Debug)]
pub(crate) enum Content<'a> {
    Table(Table),
    /// The lines of a file.
    File(Vec<&'a str>),
}

/// A figure with its name.
#[derive(Debug)]
pub(crate) struct Tile {
    pub(crate) value: String,
    pub(crate) name: &'static str,
    pub(crate) is_bad: bool,
}

/// A part of a text.
#[derive(Debug)]
pub(crate) enum Span {
    Plain(String),
    /// A command, or another word of a program.
    Code(String),
}

/// A mechanism, and what was seen of it.
#[derive(Debug)]
pub(crate) struct Cause {
    pub(crate) name: &'static str,
    /// How many requests it cost.
    pub(crate) count: u64,
    pub(crate) meaning: String,
    pub(crate) sentences: Vec<String>,
    /// How many sentences were left out, in words; none if all are there.
    pub(crate) more: Option<String>,
    pub(crate) remedy: String,
}

/// A sentence without a command in it.
pub(crate) fn text(sentence: impl Into<String>) -> Block<'static> {
    Block::Text(vec![Span::Plain(sentence.into())])
}

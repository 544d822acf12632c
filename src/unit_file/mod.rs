//! systemd's unit files: systemd.syntax(7), systemd.unit(5), systemd.service(5), systemd.socket(5).
//!
//! Two layers. [`UnitFile`] is the text as sections and entries, each with its line, whatever the keys mean.
//! [`ServiceUnit`] and [`SocketUnit`] are what the directives mean, with specifiers replaced and defaults
//! applied, as far as something here acts on them; the rest is listed as [`IgnoredDirective`]s.
//!
//! What systemd only warns about and goes on, this goes on as well, and says so in a [`Finding`] with its line.

pub mod account;
pub mod command;
pub mod directives;
pub mod exit_status;
pub mod finding;
pub mod listen;
pub mod reader;
pub mod service;
pub mod service_choices;
pub mod socket;
pub mod specifier;
pub mod syntax;
pub mod unit_section;
pub mod value;
pub mod word;

pub use command::CommandLine;
pub use finding::{Finding, IgnoredDirective, Severity, ValueError};
pub use listen::{ListenAddress, ListenType};
pub use service::ServiceUnit;
pub use socket::SocketUnit;
pub use specifier::Specifiers;
pub use syntax::{Entry, Section, UnitFile};
pub use unit_section::UnitSection;
pub use value::TimeSpan;

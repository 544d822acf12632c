//! Secrets in the text of unit files.

use super::MASK;
use super::find::{Finder, masked};
use super::known::Secrets;
use super::name::{Named, named};
use super::piece::Piece;
use crate::unit_file::word;

/// Assignments that hold a secret as a whole.
const SECRET_KEYS: &[&str] = &["SetCredential", "SetCredentialEncrypted"];

/// Assignments of variables.
const VARIABLE_KEYS: &[&str] = &["Environment", "UnsetEnvironment", "DefaultEnvironment", "ManagerEnvironment"];

/// Assignments whose names tell of secrets and whose values are none.
const PUBLIC_KEYS: &[&str] = &[
    "LoadCredential",
    "LoadCredentialEncrypted",
    "ImportCredential",
    "PassCredentials",
    "PassSecurity",
    "PassEnvironment",
];

/// The text of a unit file as it is recorded: the names of its variables, not their values; no credentials; all else
/// without what looks like one. A masked assignment stands on one line. Comments are treated as what they put out of use.
pub(crate) fn masked_unit(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for line in logical_lines(text) {
        let masked = masked_line(&line);
        shown.push_str(masked.as_deref().unwrap_or(&line.written));
    }
    shown
}

impl Secrets {
    /// Learns what a unit file keeps: the values of its variables and credentials, and what its commands are given.
    pub fn learn_unit(&self, text: &str) {
        for line in logical_lines(text) {
            let Some((key, value)) = line.assignment() else {
                self.learn_text(&line.joined);
                continue;
            };
            if VARIABLE_KEYS.contains(&key) {
                self.learn_variables(value);
            } else if SECRET_KEYS.contains(&key) {
                self.keep(value.split_once(':').map_or(value, |(_, data)| data));
            } else if !PUBLIC_KEYS.contains(&key) {
                self.learn_text(&line.joined);
            }
        }
    }

    /// Learns the variables of an environment file or of `Environment=`.
    pub fn learn_variables(&self, text: &str) {
        for word in Piece::new(text, 0).commands().iter().flatten() {
            if let Some((name, value)) = word.text().split_once('=') {
                self.learn_variable(name, value);
            }
        }
    }

    /// Learns one variable.
    pub fn learn_variable(&self, name: &str, value: &str) {
        let mut finder = Finder::default();
        finder.in_text(value);
        self.learn(&finder);
        if named(name) == Named::Not { self.suspect(value) } else { self.keep(value) }
    }
}

/// A line with what its backslashes join to it.
struct Line {
    /// As it stands in the file, line breaks and all.
    written: String,
    /// On one line.
    joined: String,
}

impl Line {
    /// Key and value, also where they are put out of use.
    fn assignment(&self) -> Option<(&str, &str)> {
        let (_, assignment) = split_comment(&self.joined);
        let (key, value) = assignment.split_once('=')?;
        Some((key.trim(), value.trim()))
    }
}

fn logical_lines(text: &str) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut rest = text.split_inclusive('\n');
    while let Some(first) = rest.next() {
        let (mut written, mut joined) = (first.to_owned(), first.to_owned());
        while let Some(continued) = joined.trim_end_matches(['\n', '\r']).strip_suffix('\\') {
            let Some(next) = rest.next() else { break };
            joined = format!("{continued} {next}");
            written.push_str(next);
        }
        lines.push(Line { written, joined });
    }
    lines
}

/// The line as it is recorded; none if it is recorded as it is.
fn masked_line(line: &Line) -> Option<String> {
    let (marks, assignment) = split_comment(&line.joined);
    let shown = match assignment.split_once('=').map(|(key, value)| (key, value.trim())) {
        Some((_, "")) => return None,
        Some((key, _)) if PUBLIC_KEYS.contains(&key.trim()) => return None,
        Some((key, value)) if SECRET_KEYS.contains(&key.trim()) => {
            format!("{key}={}:{MASK}", value.split_once(':').map_or("", |(id, _)| id))
        }
        Some((key, value)) if VARIABLE_KEYS.contains(&key.trim()) => format!("{key}={}", names_of(value)),
        _ => {
            let whole = line.joined.trim_end_matches(['\n', '\r']);
            let shown = masked(whole);
            return (shown != whole).then(|| shown + "\n");
        }
    };
    Some(format!("{marks}{shown}\n"))
}

/// The marks of a comment with the space around them, and what stands behind.
fn split_comment(line: &str) -> (&str, &str) {
    line.split_at(line.len() - line.trim_start_matches(['#', ';', ' ', '\t']).len())
}

fn names_of(value: &str) -> String {
    let Ok(words) = word::split(value) else { return MASK.to_owned() };
    let named = |word: &String| word.split_once('=').map_or(MASK.to_owned(), |(name, _)| format!("{name}={MASK}"));
    words.iter().map(named).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_variables_only_the_names_are_recorded() {
        let text = "[Service]\nEnvironment=A=hunter2 \"B=hunter2 too\"\nEnvironment=C=hunter2 \\\n  D=hunter2\nEnvironment=\n\
                    #Environment=E=hunter2\nType=notify\n";
        let shown = "[Service]\nEnvironment=A=*** B=***\nEnvironment=C=*** D=***\nEnvironment=\n#Environment=E=***\nType=notify\n";
        assert_eq!(masked_unit(text), shown);
    }

    #[test]
    fn commands_credentials_comments_and_unknown_keys_lose_their_secrets_only() {
        for (text, shown) in [
            ("ExecStart=-/bin/app --token=hunter2 --port 80\n", "ExecStart=-/bin/app --token=*** --port 80\n"),
            ("SetCredential=db:hunter2\n", "SetCredential=db:***\n"),
            ("KeyringMode=private", "KeyringMode=private"),
            ("X-Foo=token=hunter2\n", "X-Foo=token=***\n"),
            ("X-Api-Token=hunter2\n", "X-Api-Token=***\n"),
            ("# the password is: password=hunter2\n", "# the password is: password=***\n"),
            (
                "ExecStartPre=/bin/sh -c \"curl -H 'Authorization: Bearer hunter2' http://h/ ; true\"\n",
                "ExecStartPre=/bin/sh -c \"curl -H 'Authorization: ***' http://h/ ; true\"\n",
            ),
            ("ExecStart=/a --header=X-Auth:\\x20hunter2 b\n", "ExecStart=/a --header=X-Auth:*** b\n"),
            ("ExecStart=/a --token \\\n  hunter2\n", "ExecStart=/a --token    ***\n"),
            (
                "PassEnvironment=TOKEN\nEnvironmentFile=/etc/a.env\n",
                "PassEnvironment=TOKEN\nEnvironmentFile=/etc/a.env\n",
            ),
        ] {
            assert_eq!(masked_unit(text), shown);
        }
    }

    #[test]
    fn a_variable_that_cannot_be_read_is_masked_whole() {
        assert_eq!(masked_unit("Environment=\"A=hunter2\n"), "Environment=***\n");
    }

    #[test]
    fn a_text_without_secrets_stays_as_it_is() {
        let text = "# a comment\n[Service]\r\nExecStart=/bin/app  \\\n  --port 80\nRestart=no";
        assert_eq!(masked_unit(text), text);
    }

    #[test]
    fn what_a_unit_keeps_is_known() {
        let secrets = Secrets::default();
        secrets.learn_unit(
            "[Service]\nEnvironment=DB_PASSWORD=hunter2 MODE=fast \"PLAIN=plain-SECRET1\"\n\
             Environment='DSN=postgres://u:dsn-SECRET2@db/x'\nSetCredential=a:cred-SECRET3\n\
             ExecStart=/bin/app --token hunter3\n#Environment=OLD_TOKEN=hunter4\n",
        );
        let text = "fast hunter2 plain-SECRET1 dsn-SECRET2 cred-SECRET3 hunter3 hunter4";
        assert_eq!(secrets.hide_known(text), "fast *** *** *** *** *** ***");
    }
}

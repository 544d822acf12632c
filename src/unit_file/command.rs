//! Command lines of ExecStart= and its kin, systemd.service(5) "COMMAND LINES".

use super::finding::ValueError;
use super::specifier::Specifiers;
use super::word;

/// One command, its specifiers replaced and its variables not yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandLine {
    /// What is executed: an absolute path, or a plain name to look up.
    pub program: String,
    /// What the program sees as its arguments, its own name first; at least one.
    pub argv: Vec<String>,
    /// `-`: a failure counts as success.
    pub ignore_failure: bool,
    /// `:` was not given: variables are replaced.
    pub replace_variables: bool,
    /// `+`, `!` or `!!`: which privileges it runs with differs from the unit's. Not acted on.
    pub privileged: bool,
    /// The line it stands on, from 1.
    pub line: u32,
}

impl CommandLine {
    /// Reads the commands of one assignment; a lone `;` separates them.
    ///
    /// # Errors
    /// When quoting, a specifier or the program's name is wrong.
    pub fn parse(text: &str, line: u32, specifiers: &Specifiers) -> Result<Vec<Self>, ValueError> {
        let mut commands = Vec::new();
        let mut rest = text.trim();
        while !rest.is_empty() {
            let (command, behind) = Self::parse_one(rest, line, specifiers)?;
            commands.push(command);
            rest = behind.trim_start();
        }
        Ok(commands)
    }

    fn parse_one<'a>(text: &'a str, line: u32, specifiers: &Specifiers) -> Result<(Self, &'a str), ValueError> {
        let (first, mut rest) = word::first(text)?.ok_or_else(|| ValueError::Program(text.to_owned()))?;
        let program = first.trim_start_matches(['-', '@', ':', '+', '!']);
        let prefixes = &first[..first.len() - program.len()];
        let program = specifiers.replace(program)?;
        if !is_program(&program) {
            return Err(ValueError::Program(program));
        }
        let mut argv = Vec::new();
        loop {
            rest = rest.trim_start();
            let token = rest.split_whitespace().next();
            match token {
                Some(";") => {
                    rest = &rest[1..];
                    break;
                }
                Some(r"\;") => {
                    argv.push(";".to_owned());
                    rest = &rest[2..];
                }
                _ => match word::first(rest)? {
                    Some((argument, behind)) => {
                        argv.push(specifiers.replace(&argument)?);
                        rest = behind;
                    }
                    None => break,
                },
            }
        }
        // With `@` the first argument is the name the program sees; without, its path.
        if !prefixes.contains('@') || argv.is_empty() {
            argv.insert(0, program.clone());
        }
        let command = Self {
            program,
            argv,
            ignore_failure: prefixes.contains('-'),
            replace_variables: !prefixes.contains(':'),
            privileged: prefixes.contains(['+', '!']),
            line,
        };
        Ok((command, rest))
    }

    /// The arguments with variables replaced by what `lookup` knows: `${NAME}` anywhere in a word, `$NAME` as
    /// a word of its own, which becomes as many words as its value has. A variable that is not set is empty.
    #[must_use]
    pub fn arguments<'v>(&self, lookup: impl Fn(&str) -> Option<&'v str>) -> Vec<String> {
        if !self.replace_variables {
            return self.argv.clone();
        }
        let mut out = Vec::with_capacity(self.argv.len());
        for argument in &self.argv {
            match argument.strip_prefix('$').filter(|name| is_variable(name)) {
                Some(name) => {
                    let value = lookup(name).unwrap_or_default();
                    let plain = || value.split_whitespace().map(str::to_owned).collect();
                    out.extend(word::split(value).unwrap_or_else(|_| plain()));
                }
                None => out.push(replace_braced(argument, &lookup)),
            }
        }
        out
    }
}

fn is_program(name: &str) -> bool {
    if name.contains('/') { name.starts_with('/') && !name.ends_with('/') } else { !matches!(name, "" | "." | "..") }
}

fn is_variable(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Replaces `${NAME}` and `$$`; any other dollar sign stays.
fn replace_braced<'v>(text: &str, lookup: &impl Fn(&str) -> Option<&'v str>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('$') {
        out.push_str(before);
        let braced = behind.strip_prefix('{').and_then(|inner| inner.split_once('}'));
        if let Some((name, behind)) = braced.filter(|(name, _)| is_variable(name)) {
            out.push_str(lookup(name).unwrap_or_default());
            rest = behind;
        } else {
            out.push('$');
            rest = behind.strip_prefix('$').unwrap_or(behind);
        }
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::specifier::Directories;
    use super::*;
    use crate::model::UnitName;

    fn parse(text: &str) -> Result<Vec<CommandLine>, ValueError> {
        let specifiers = Specifiers::new(UnitName::new("a@b.service").expect("valid"), Directories::system());
        CommandLine::parse(text, 7, &specifiers)
    }

    fn arguments(text: &str) -> Vec<String> {
        let variables = [("ONE", "one"), ("TWO", "two two"), ("THREE", ""), ("Q", "'a b' c")];
        let commands = parse(text).expect(text);
        assert_eq!(commands.len(), 1, "{text}");
        commands[0].arguments(|name| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| *value))
    }

    #[test]
    fn variables_are_replaced_as_the_man_page_shows() {
        for (text, expected) in [
            ("/bin/echo $ONE $TWO ${TWO}", vec!["/bin/echo", "one", "two", "two", "two two"]),
            ("/bin/echo ${ONE} ${TWO} ${THREE}", vec!["/bin/echo", "one", "two two", ""]),
            ("/bin/echo $THREE x", vec!["/bin/echo", "x"]),
            ("/bin/echo a$ONE x${ONE}y $$ONE $$", vec!["/bin/echo", "a$ONE", "xoney", "$ONE", "$"]),
            ("/bin/echo $Q $1 ${ONE", vec!["/bin/echo", "a b", "c", "$1", "${ONE"]),
            (":/bin/echo $ONE", vec!["/bin/echo", "$ONE"]),
        ] {
            assert_eq!(arguments(text), expected, "{text}");
        }
    }

    #[test]
    fn words_are_quoted_as_the_man_page_shows() {
        assert_eq!(
            arguments(r"/bin/echo / >/dev/null & \; /bin/ls"),
            ["/bin/echo", "/", ">/dev/null", "&", ";", "/bin/ls"]
        );
        assert_eq!(
            arguments(r#"/bin/sh -c 'dmesg | tac' "a\x20b" %i 5%%"#),
            ["/bin/sh", "-c", "dmesg | tac", "a b", "b", "5%"]
        );
    }

    #[test]
    fn a_lone_semicolon_separates_commands() {
        let commands = parse("/bin/echo one ; -echo \"two two\"").expect("valid");
        assert_eq!(commands.len(), 2);
        assert_eq!(commands[1].argv, ["echo", "two two"]);
        assert!(commands[1].ignore_failure && !commands[0].ignore_failure);
    }

    #[test]
    fn prefixes_come_in_any_order() {
        let command = &parse("@-+/bin/sh sshd -c true").expect("valid")[0];
        assert_eq!((command.program.as_str(), command.argv[0].as_str()), ("/bin/sh", "sshd"));
        assert!(command.ignore_failure && command.privileged && command.replace_variables);
        assert_eq!(command.line, 7);
    }

    #[test]
    fn what_cannot_be_run_is_an_error() {
        for text in ["bin/sh", "-", "/bin/sh 'x", "/bin/sh %Q", "./x", "/bin/"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(\\PC|[${}A%;\\\\\"' @-])*") {
            if let Ok(commands) = parse(&text) {
                for command in commands {
                    prop_assert!(!command.argv.is_empty());
                    let _ = command.arguments(|_| Some("a \"b"));
                }
            }
        }
    }
}

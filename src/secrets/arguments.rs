//! Credentials in the arguments of commands.

use std::ops::Range;

use super::find::{self, Finder, Kind};
use super::name::{Named, named};
use super::piece::Piece;
use super::{MASK, shape};

/// Options whose value is `user:password`.
const USER_OPTIONS: &[&str] = &[
    "u",
    "user",
    "U",
    "proxy-user",
    "basic-auth",
    "auth",
    "authentication",
    "login",
    "userpass",
    "http-auth",
    "user-password",
];

/// Options whose value is a header.
const HEADER_OPTIONS: &[&str] = &["H", "header", "proxy-header", "headers", "add-header"];

/// Options whose value is a cookie, if there is a `=` in it: otherwise it names a file.
const COOKIE_OPTIONS: &[&str] = &["b", "cookie", "C", "cookies"];

/// Programs with an option of one letter for a password, and how it is given.
const PASSWORD_LETTERS: &[(&str, char, Given)] = &[
    ("mysql", 'p', Given::Attached),
    ("mariadb", 'p', Given::Attached),
    ("mycli", 'p', Given::Either),
    ("7z", 'p', Given::Attached),
    ("sshpass", 'p', Given::Either),
    ("redis-cli", 'a', Given::Either),
    ("valkey-cli", 'a', Given::Either),
    ("mongo", 'p', Given::Either),
    ("ldap", 'w', Given::Either),
    ("cqlsh", 'p', Given::Either),
    ("rabbitmqadmin", 'p', Given::Either),
    ("docker", 'p', Given::Login),
    ("podman", 'p', Given::Login),
    ("buildah", 'p', Given::Login),
    ("skopeo", 'p', Given::Login),
    ("helm", 'p', Given::Login),
    ("nerdctl", 'p', Given::Login),
    ("oc", 'p', Given::Login),
    ("az", 'p', Given::Login),
    ("ab", 'A', Given::Either),
    ("ab", 'P', Given::Either),
    ("http", 'a', Given::Either),
    ("xh", 'a', Given::Either),
    ("mosquitto_", 'P', Given::Either),
    ("sqlcmd", 'P', Given::Either),
    ("bcp", 'P', Given::Either),
    ("isql", 'P', Given::Either),
    ("tsql", 'P', Given::Either),
    ("ipmitool", 'P', Given::Either),
    ("zip", 'P', Given::Either),
    ("unzip", 'P', Given::Either),
    ("openssl", 'k', Given::Either),
    ("smbclient", 'U', Given::Either),
    ("lftp", 'u', Given::Either),
    ("nats", 's', Given::Either),
];

/// How such an option is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Given {
    /// `-pX` alone: what follows `-p` is something else.
    Attached,
    /// `-pX` or `-p X`.
    Either,
    /// Either, after the word `login`.
    Login,
}

/// A command with what looks like a credential masked: `--token=X` and `--token X`, `NAME_TOKEN=X`,
/// `Authorization: X`, `-u user:X`, the user of a URL, and the same in scripts that are arguments. Program and arguments
/// keep their places.
#[must_use]
pub fn masked_arguments(argv: &[String]) -> Vec<String> {
    let (pieces, starts) = pieces(argv);
    let mut finder = Finder::default();
    finder.in_words(&pieces, 0);
    let spans = finder.spans();
    let of = |(argument, start): (&String, &usize)| {
        let within = spans.iter().filter(|span| (*start..*start + argument.len().max(1)).contains(&span.start));
        let within: Vec<Range<usize>> = within.map(|span| span.start - start..span.end - start).collect();
        find::with_masks(argument, &within, |_| MASK.to_owned())
    };
    argv.iter().zip(&starts).map(of).collect()
}

/// The arguments one behind the other, and where each begins.
pub(super) fn pieces(argv: &[String]) -> (Vec<Piece>, Vec<usize>) {
    let mut next = 0;
    let starts: Vec<usize> = argv
        .iter()
        .map(|argument| {
            let start = next;
            next += argument.len() + 1;
            start
        })
        .collect();
    (argv.iter().zip(&starts).map(|(argument, start)| Piece::new(argument, *start)).collect(), starts)
}

impl Finder {
    /// Finds the secrets of one command.
    pub(super) fn in_words(&mut self, words: &[Piece], depth: usize) {
        for (place, word) in words.iter().enumerate() {
            let before = &words[..place];
            self.in_piece(word, depth);
            match before.last().and_then(|option| option_of(option.text())) {
                Some(option) => self.after_option(option, before, word),
                None => self.in_word(before, word),
            }
        }
    }

    /// A word that follows `-x` or `--option`.
    fn after_option(&mut self, option: &str, before: &[Piece], word: &Piece) {
        let text = word.text();
        let is_another_option = is_plain_option(text);
        if HEADER_OPTIONS.contains(&option) {
            self.header(word, 0);
        } else if USER_OPTIONS.contains(&option) && self.user(word, 0) {
        } else if COOKIE_OPTIONS.contains(&option) && text.contains('=') {
            self.add(word, 0..text.len(), Kind::Header);
        } else if !is_another_option && (is_secret_option(option, text) || takes_password(before, option, false)) {
            self.add(word, 0..text.len(), Kind::Value);
        } else {
            self.in_word(before, word);
        }
    }

    /// A word by itself: `-pX`, `-uA:B`, `-HX`, `--header=X`, `--user=A:B`, `pass:X`.
    fn in_word(&mut self, before: &[Piece], word: &Piece) {
        let text = word.text();
        if let Some(rest) = text.strip_prefix("--") {
            if let Some((name, value)) = rest.split_once('=') {
                let start = text.len() - value.len();
                if HEADER_OPTIONS.contains(&name) {
                    self.header(word, start);
                } else if COOKIE_OPTIONS.contains(&name) && value.contains('=') {
                    self.add(word, start..text.len(), Kind::Header);
                } else if USER_OPTIONS.contains(&name) {
                    self.user(word, start);
                }
            }
        } else if let Some(rest) = text.strip_prefix('-').filter(|rest| rest.len() > 1) {
            let letter = rest.chars().next().map_or(0, char::len_utf8);
            let (option, value) = rest.split_at(letter);
            let start = 1 + letter + usize::from(value.starts_with('='));
            let value = &text[start..];
            match option {
                "H" if value.contains(':') => self.header(word, start),
                "u" | "U" if value.contains(':') => drop(self.user(word, start)),
                "b" if value.contains('=') => self.add(word, start..text.len(), Kind::Header),
                _ if takes_password(before, option, true) || (option == "p" && looks_attached(value)) => {
                    self.add(word, start..text.len(), Kind::Value);
                }
                _ => {}
            }
        } else if let Some(value) = text.strip_prefix("pass:").filter(|value| !value.is_empty()) {
            self.add(word, text.len() - value.len()..text.len(), Kind::Value);
        } else if shape::looks_random(text) && !text.contains('.') && !text.starts_with(['/', '~']) {
            self.add(word, 0..text.len(), Kind::Value);
        }
    }

    /// `user:password`, from `start` on: its password, or the user where that is all. Nothing where it is no such pair.
    fn user(&mut self, word: &Piece, start: usize) -> bool {
        let text = &word.text()[start..];
        let Some(colon) = text.find([':', '%']).filter(|_| !text.contains("://")) else { return false };
        let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        let (user, password) = (&text[..colon], &text[colon + 1..]);
        if is_number(user) && is_number(password) {
            return false;
        }
        self.know_user(text);
        if password.is_empty() {
            self.add(word, start..start + colon, Kind::Value);
        } else {
            self.add(word, start + colon + 1..start + text.len(), Kind::Value);
        }
        true
    }

    /// `NAME: VALUE`, from `start` on.
    fn header(&mut self, word: &Piece, start: usize) {
        let text = &word.text()[start..];
        let Some((name, value)) = text.split_once([':', '=']) else { return };
        let value_start = start + name.len() + 1 + (value.len() - value.trim_start().len());
        if !value.trim().is_empty() && find::is_secret_value_of(name.trim(), value) {
            self.add(word, value_start..word.text().len(), Kind::Header);
        }
    }
}

/// The name of an option whose value is the next word, if it has one.
fn option_of(word: &str) -> Option<&str> {
    let name = word.strip_prefix("--").or_else(|| word.strip_prefix('-'))?;
    let is_name = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    (!name.is_empty() && name.chars().all(is_name)).then_some(name)
}

/// `--verbose`: a value of that form is rarer than an option without a value before it.
fn is_plain_option(word: &str) -> bool {
    let name = word.strip_prefix("--").unwrap_or_default();
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')
}

fn is_secret_option(option: &str, value: &str) -> bool {
    let is_path = value.starts_with(['/', '.', '~']) && value.contains('/');
    option.len() > 1
        && match named(option) {
            Named::Surely => true,
            Named::Perhaps => !shape::is_wordlike(value) && !is_path,
            Named::Not => false,
        }
}

fn takes_password(before: &[Piece], option: &str, attached: bool) -> bool {
    let names = || before.iter().map(|word| word.text().rsplit('/').next().unwrap_or_default());
    PASSWORD_LETTERS.iter().any(|(program, letter, given)| {
        let is_given = match given {
            Given::Attached => attached,
            Given::Either => true,
            Given::Login => names().any(|word| word == "login"),
        };
        is_given && option.chars().eq([*letter]) && names().any(|name| is_program(name, program))
    })
}

/// Whether `name` is that program or one of its family, such as mysqldump.
fn is_program(name: &str, program: &str) -> bool {
    const FAMILIES: &[&str] = &["mysql", "mariadb", "mongo", "ldap", "mosquitto_", "7z"];
    name == program || (FAMILIES.contains(&program) && name.starts_with(program))
}

/// `-pX` of a program that is not known: not a port, a path or a word such as `-print`.
fn looks_attached(value: &str) -> bool {
    let is_number = value.bytes().all(|byte| byte.is_ascii_digit() || b".:-/,".contains(&byte));
    let is_option = value.bytes().all(|byte| byte.is_ascii_lowercase() || b"-_=".contains(&byte));
    value.len() >= 4 && !is_number && !is_option && !value.contains('/') && !value.contains('=')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(command: &[&str]) -> Vec<String> {
        masked_arguments(&command.iter().map(|&word| word.to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn what_looks_like_a_credential_is_masked_and_all_else_stays() {
        for (command, shown) in [
            (&["deploy", "--token=hunter2"][..], &["deploy", "--token=***"][..]),
            (&["deploy", "--api-key", "hunter2", "prod"], &["deploy", "--api-key", "***", "prod"]),
            (&["env", "DB_PASSWORD=hunter2", "run"], &["env", "DB_PASSWORD=***", "run"]),
            (&["curl", "-H", "Authorization: Bearer hunter2"], &["curl", "-H", "Authorization: ***"]),
            (&["curl", "-HAuthorization: Bearer hunter2"], &["curl", "-HAuthorization: ***"]),
            (&["curl", "--header=X-Auth: hunter2"], &["curl", "--header=X-Auth: ***"]),
            (&["curl", "-H", "X-Custom: Bearer hunter2-x"], &["curl", "-H", "X-Custom: ***"]),
            (&["curl", "-b", "sid=hunter2; a=b"], &["curl", "-b", "***"]),
            (&["curl", "-u", "admin:hunter2"], &["curl", "-u", "admin:***"]),
            (&["curl", "-uadmin:hunter2"], &["curl", "-uadmin:***"]),
            (&["curl", "--user=admin:hunter2"], &["curl", "--user=admin:***"]),
            (&["curl", "-d", "user=a&password=hunter2"], &["curl", "-d", "user=a&password=***"]),
            (&["curl", "--json", "{\"password\": \"hunter2\"}"], &["curl", "--json", "{\"password\": \"***\"}"]),
            (&["/usr/bin/mysqldump", "-phunter"], &["/usr/bin/mysqldump", "-p***"]),
            (&["mysql", "-p", "shop"], &["mysql", "-p", "shop"]),
            (&["x", "-ps3cret-X"], &["x", "-p***"]),
            (&["redis-cli", "-a", "hunter"], &["redis-cli", "-a", "***"]),
            (&["docker", "login", "-p", "hunter"], &["docker", "login", "-p", "***"]),
            (&["openssl", "-passin", "pass:hunter2"], &["openssl", "-passin", "pass:***"]),
            (&["x", "--pass", "hunter2"], &["x", "--pass", "***"]),
            (&["x", "--token", "-dash-2"], &["x", "--token", "***"]),
            (&["git", "pull", "https://u:hunter2@h/x@y"], &["git", "pull", "https://***@h/x@y"]),
            (&["curl", "http://h/?token=hunter2&a=b"], &["curl", "http://h/?token=***&a=b"]),
            (&["curl", "http://u:x@h/?a=b&key=hunter2#c"], &["curl", "http://***@h/?a=b&key=***#c"]),
            (
                &["sh", "-c", "TOKEN=hunter2 x; mysql -u root -phunter db"],
                &["sh", "-c", "TOKEN=*** x; mysql -u root -p*** db"],
            ),
            (
                &["ssh", "h", "sh -c \"curl -u 'a:hunter2' -H 'Cookie: hunter3' http://h/\""],
                &["ssh", "h", "sh -c \"curl -u 'a:***' -H 'Cookie: ***' http://h/\""],
            ),
        ] {
            assert_eq!(masked(command), shown);
        }
    }

    #[test]
    fn what_only_resembles_one_stays() {
        for command in [
            &["--password", "--verbose"][..],
            &["x", "--color=red", "http://h/a@b", "note: monkey", "http://h:80/a@b"],
            &["find", ".", "-print", "-perm", "644", "-path", "a"],
            &["ssh", "-p", "22", "-p2222", "h"],
            &["docker", "run", "-u", "1000:1000", "-p", "8080:80", "x"],
            &["mkdir", "-p", "a/b"],
            &["gunicorn", "-b", "127.0.0.1:8000", "--workers", "2", "app:app"],
            &["curl", "--key", "/etc/ssl/a.pem", "-H", "Accept: text/html", "-u", "admin"],
            &["git", "checkout", "0123456789abcdef0123456789abcdef01234567"],
            &["systemctl", "restart", "auth-api.service"],
            &["x", "--password-file", "f", "--max-tokens", "100", "--auth", "basic"],
        ] {
            assert_eq!(masked(command), command);
        }
    }
}

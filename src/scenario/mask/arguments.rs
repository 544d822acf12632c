//! Credentials in the arguments of commands.

use super::query::{masked_query, secrets_in_query};
use super::{MASK, is_secret_header};

/// What the names of secrets contain, lower case, `-` and `_` left out.
const SECRET_NAMES: &[&str] =
    &["token", "secret", "password", "passwd", "credential", "apikey", "accesskey", "privatekey"];

/// Whether a variable or an option of that name holds a secret: `DB_PASSWORD`, `--api-key`.
pub(super) fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase().replace(['-', '_'], "");
    SECRET_NAMES.iter().any(|part| name.contains(part))
}

/// A command with what looks like a credential masked: `--token=X` and `--token X`, `NAME_TOKEN=X`,
/// `Authorization: X`, and the user of a URL. Program and arguments keep their places.
#[must_use]
pub fn masked_arguments(argv: &[String]) -> Vec<String> {
    split(argv).map(|part| part.shown).collect()
}

/// The credentials that [`masked_arguments`] takes out.
pub(super) fn secrets_in(argv: &[String]) -> impl Iterator<Item = &str> {
    split(argv).flat_map(|part| part.secrets)
}

/// An argument as it is shown, and the secrets that are left out of it.
struct Part<'a> {
    shown: String,
    secrets: Vec<&'a str>,
}

fn split(argv: &[String]) -> impl Iterator<Item = Part<'_>> {
    let before = std::iter::once(None).chain(argv.iter().map(Some));
    argv.iter().zip(before).map(|(argument, before)| {
        let is_value = before.is_some_and(|option| is_secret_option(option)) && !argument.starts_with('-');
        if is_value { Part { shown: MASK.to_owned(), secrets: vec![argument] } } else { part(argument) }
    })
}

/// `--token`, whose value is the next argument.
fn is_secret_option(argument: &str) -> bool {
    argument.starts_with('-') && !argument.contains('=') && is_secret_name(argument)
}

fn part(argument: &str) -> Part<'_> {
    let is_named_secret =
        |(name, value): &(&str, &str)| is_secret_name(name) && !name.contains("://") && !value.is_empty();
    if let Some((name, value)) = argument.split_once('=').filter(is_named_secret) {
        return Part { shown: format!("{name}={MASK}"), secrets: vec![value] };
    }
    if let Some((name, value)) = argument.split_once(": ").filter(|(name, _)| is_token(name) && is_secret_header(name))
    {
        return Part { shown: format!("{name}: {MASK}"), secrets: vec![value] };
    }
    if argument.contains("://") {
        return url(argument);
    }
    Part { shown: argument.to_owned(), secrets: Vec::new() }
}

/// A URL, alone or within other words: its user, and what of its query is secret.
fn url(argument: &str) -> Part<'_> {
    let user = user_of_url(argument);
    let (before, after) = user.map_or((argument, ""), |(start, end)| (&argument[..start], &argument[end..]));
    let mask = if user.is_some() { MASK } else { "" };
    let shown = format!("{}{mask}{}", masked_query(before), masked_query(after));
    let users = user.map(|(start, end)| &argument[start..end]);
    Part { shown, secrets: users.into_iter().chain(secrets_in_query(argument)).collect() }
}

/// Whether it can be the name of a header: RFC 9110, `token`, as far as headers are named in practice.
fn is_token(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

/// Where the credentials of the first URL in `text` stand: `scheme://HERE@host`.
fn user_of_url(text: &str) -> Option<(usize, usize)> {
    let start = text.find("://")? + "://".len();
    let rest = &text[start..];
    let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
    Some((start, start + authority.rfind('@')?))
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
            (&["git", "pull", "https://u:hunter2@h/x@y"], &["git", "pull", "https://***@h/x@y"]),
            (&["curl", "http://h/?token=hunter2&a=b"], &["curl", "http://h/?token=***&a=b"]),
            (&["curl", "http://u:x@h/?a=b&key=hunter2#c"], &["curl", "http://***@h/?a=b&key=***#c"]),
            (&["--password", "--verbose"], &["--password", "--verbose"]),
            (
                &["x", "--color=red", "http://h/a@b", "note: monkey"],
                &["x", "--color=red", "http://h/a@b", "note: monkey"],
            ),
        ] {
            assert_eq!(masked(command), shown);
        }
    }

    #[test]
    fn what_is_masked_is_known() {
        let argv = ["x", "--secret", "a", "T_TOKEN=b", "http://c@h/?token=d&key=e"].map(str::to_owned);
        assert_eq!(secrets_in(&argv).collect::<Vec<_>>(), ["a", "b", "c", "d", "e"]);
    }
}

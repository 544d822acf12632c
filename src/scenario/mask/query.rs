//! Credentials in the query of a URL.

use super::MASK;
use super::arguments::is_secret_name;

/// Names of parameters that hold secrets beside those that [`is_secret_name`] knows, lower case: whole ones, for as
/// parts of a name they mean other things as well.
const SECRET_PARAMETERS: &[&str] = &["key", "auth", "sig", "signature", "pwd", "jwt", "session", "sid", "code"];

/// A URL, or a path and its query, without the values of parameters that hold secrets: `/?token=***&page=2`.
pub(super) fn masked_query(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut done = 0;
    for secret in secrets(text) {
        masked.extend([&text[done..secret.start], MASK]);
        done = secret.end;
    }
    masked + &text[done..]
}

/// What [`masked_query`] takes out.
pub(super) fn secrets_in_query(text: &str) -> impl Iterator<Item = &str> {
    secrets(text).map(|secret| &text[secret])
}

/// Where they stand.
fn secrets(text: &str) -> impl Iterator<Item = std::ops::Range<usize>> {
    let start = text.find('?').map_or(text.len(), |mark| mark + 1);
    let end = text[start..].find('#').map_or(text.len(), |mark| start + mark);
    let mut next = start;
    text[start..end].split('&').filter_map(move |parameter| {
        let from = next;
        next += parameter.len() + 1;
        let (name, value) = parameter.split_once('=').filter(|(name, value)| is_secret(name) && !value.is_empty())?;
        let value_from = from + name.len() + 1;
        Some(value_from..value_from + value.len())
    })
}

fn is_secret(name: &str) -> bool {
    is_secret_name(name) || SECRET_PARAMETERS.contains(&name.to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_secret_parameters_are_masked_and_all_else_stays() {
        for (text, shown) in [
            ("http://h/a?token=x1&page=2", "http://h/a?token=***&page=2"),
            ("/a?page=2&API-Key=x1&Access_Token=x2#token=x", "/a?page=2&API-Key=***&Access_Token=***#token=x"),
            ("/?sig=x1%20&key=x2&keyword=shoes", "/?sig=***&key=***&keyword=shoes"),
            ("/?token=&tokens", "/?token=&tokens"),
            ("/token=x", "/token=x"),
            ("http://h/", "http://h/"),
        ] {
            assert_eq!(masked_query(text), shown);
        }
    }

    #[test]
    fn what_is_masked_is_known() {
        assert_eq!(secrets_in_query("/a?b=c&token=x1&pwd=x2#d").collect::<Vec<_>>(), ["x1", "x2"]);
    }
}

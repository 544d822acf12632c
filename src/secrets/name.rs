//! Secrets by their name: of a header, a parameter, a variable, a field or an option.

/// What the name of a secret contains, lower case and without separators.
const PARTS: &[&str] = &[
    "token",
    "secret",
    "password",
    "passwd",
    "passphrase",
    "passcode",
    "credential",
    "apikey",
    "accesskey",
    "privatekey",
    "secretkey",
    "authkey",
    "signingkey",
    "encryptionkey",
    "masterkey",
    "accountkey",
    "sharedkey",
    "subscriptionkey",
    "sessionkey",
    "sessionid",
    "signature",
    "authorization",
    "jwt",
    "bearer",
    "cookie",
];

/// Words that do so by themselves.
const SURE_WORDS: &[&str] =
    &["pass", "pw", "pwd", "psw", "cred", "creds", "otp", "totp", "psk", "csrf", "xsrf", "oauth"];

/// Words that may: it depends on the value.
const WORDS: &[&str] = &["auth", "sig", "sid", "sess", "session", "pin", "hmac", "cvv", "cvc", "ssn"];

/// Words that do so for a parameter of a URL or a field of a form: elsewhere they mean other things as well.
const PARAMETERS: &[&str] =
    &["key", "code", "access", "assertion", "ticket", "hash", "sign", "state", "nonce", "verifier", "credential"];

/// Last words of names that tell something about a secret, not the secret.
const ABOUT: &[&str] = &[
    "file",
    "path",
    "dir",
    "directory",
    "url",
    "uri",
    "endpoint",
    "type",
    "method",
    "name",
    "ttl",
    "expiry",
    "expires",
    "timeout",
    "length",
    "len",
    "size",
    "count",
    "min",
    "max",
    "limit",
    "enabled",
    "disabled",
    "required",
    "policy",
    "header",
    "field",
    "mode",
    "level",
    "version",
    "algorithm",
    "alg",
    "prefix",
    "stdin",
    "prompt",
    "hint",
    "age",
    "lifetime",
    "rotation",
    "provider",
    "issuer",
    "scope",
    "host",
    "port",
    "env",
    "format",
    "store",
    "manager",
];

/// Headers whose values are public, though their names say otherwise.
const PUBLIC_HEADERS: &[&str] = &["www-authenticate", "proxy-authenticate", "authentication-info"];

/// Whether the value of that header is a secret.
#[must_use]
pub fn is_secret_header(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    if PUBLIC_HEADERS.contains(&lower.as_str()) || lower.starts_with("access-control-") {
        return false;
    }
    is_secret_parameter(name)
}

/// Whether a name is that of a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Named {
    /// It is not.
    Not,
    /// It may be: a session may be one of several kinds, a key one of a keyboard. The value decides.
    Perhaps,
    /// It is.
    Surely,
}

/// Whether a variable, an option or a field of that name holds a secret: `DB_PASSWORD`, `--api-key`, `authToken`.
pub(super) fn named(name: &str) -> Named {
    let words = words(name);
    if words.last().is_some_and(|last| ABOUT.contains(&last.as_str())) || is_a_limit(&words) {
        return Named::Not;
    }
    let squashed = words.concat().replace("tokeniz", "");
    let has = |list: &[&str]| words.iter().any(|word| list.contains(&word.as_str()));
    if PARTS.iter().any(|part| squashed.contains(part)) || has(SURE_WORDS) {
        Named::Surely
    } else if has(WORDS) || (words.last().is_some_and(|last| last == "key") && !is_harmless_key(&words)) {
        Named::Perhaps
    } else {
        Named::Not
    }
}

/// The same for a parameter of a URL or a field of a form: `key`, `code`, `X-Amz-Signature`.
pub(super) fn is_secret_parameter(name: &str) -> bool {
    named(name) != Named::Not || words(name).last().is_some_and(|last| PARAMETERS.contains(&last.as_str()))
}

/// Whether a key of that name holds a secret, whatever its value.
pub(crate) fn is_secret_key(name: &str) -> bool {
    named(name) == Named::Surely
}

/// `max_tokens`.
fn is_a_limit(words: &[String]) -> bool {
    words.first().is_some_and(|first| ["max", "min", "num", "no", "total"].contains(&first.as_str()))
}

/// `primary_key`.
fn is_harmless_key(words: &[String]) -> bool {
    const KINDS: &[&str] =
        &["primary", "foreign", "partition", "sort", "public", "routing", "cache", "group", "object", "bucket", "row"];
    words.iter().any(|word| KINDS.contains(&word.as_str()))
}

/// The words of a name, lower case, whichever way they are joined: `DB_PASS`, `db-pass`, `dbPass`.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_lower = false;
    for c in name.chars() {
        if !c.is_alphanumeric() || (c.is_ascii_uppercase() && was_lower) {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut().filter(|_| c.is_alphanumeric()) {
            word.extend(c.to_lowercase());
        }
        was_lower = c.is_ascii_lowercase() || c.is_ascii_digit();
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_secret_headers_are_known_in_any_case() {
        for name in [
            "Authorization",
            "Proxy-Authorization",
            "COOKIE",
            "Set-Cookie",
            "X-Api-Key",
            "Api-Key",
            "My-Secret-Thing",
            "x-csrf-token",
            "X-PASSWORD",
            "X-Auth",
            "X-Session",
            "X-Session-Id",
            "X-Amz-Security-Token",
            "X-Vault-Token",
            "Ocp-Apim-Subscription-Key",
            "X-Hub-Signature-256",
            "X-Access",
        ] {
            assert!(is_secret_header(name), "{name}");
        }
        for name in ["Accept", "Host", "User-Agent", "WWW-Authenticate", "Access-Control-Request-Headers", "Referer"] {
            assert!(!is_secret_header(name), "{name}");
        }
    }

    #[test]
    fn names_are_taken_word_by_word_however_they_are_joined() {
        for name in [
            "DB_PASSWORD",
            "PGPASSWORD",
            "MYSQL_PWD",
            "db-pass",
            "dbPass",
            "apiKey",
            "API_KEY",
            "AUTH_KEY",
            "authToken",
            "passphrase",
            "client_secret",
            "session",
            "JWT",
            "OLD_TOKEN",
            "aws_secret_access_key",
            "pin",
        ] {
            assert!(named(name) != Named::Not, "{name}");
        }
        for name in [
            "PATH",
            "MODE",
            "keyboard",
            "monkey",
            "keyspace",
            "passenger",
            "bypass",
            "author",
            "design",
            "primary_key",
            "password-file",
            "token_ttl",
            "max_tokens",
            "tokenizer",
            "no-password",
            "code",
            "access",
            "signal",
            "compass",
        ] {
            assert!(named(name) == Named::Not, "{name}");
        }
    }

    #[test]
    fn parameters_have_a_longer_list() {
        for name in ["key", "code", "access", "X-Amz-Signature", "sig", "auth", "pw", "pwd", "access_token", "API-Key"]
        {
            assert!(is_secret_parameter(name), "{name}");
        }
        for name in ["page", "keyword", "country", "q", "id", "encode"] {
            assert!(!is_secret_parameter(name), "{name}");
        }
    }
}

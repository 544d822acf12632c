//! Secrets by their shape: tokens of known makes, credentials of a scheme, and what no word looks like.

use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::sync::LazyLock;

use regex_lite::Regex;

/// A shorter secret is masked where it stands, not wherever its letters are.
const SHORTEST_BYTES: usize = 6;
/// So is a shorter one of letters alone, or of digits alone.
const SHORTEST_PLAIN_BYTES: usize = 8;

/// Passwords of the careless that are words of any report as well, and words that stand for a missing value.
const ORDINARY: &[&str] = &[
    "localhost",
    "localdomain",
    "password",
    "passwd",
    "username",
    "postgres",
    "postgresql",
    "production",
    "development",
    "staging",
    "testing",
    "example",
    "anonymous",
    "administrator",
    "disabled",
    "enabled",
    "required",
    "optional",
    "application",
    "service",
    "gapless",
    "systemd",
    "credentials",
    "authorization",
    "completed",
    "keep-alive",
    "undefined",
    "redacted",
    "bearer",
    "basic",
    "default",
    "standard",
    "internal",
    "external",
    "connection",
    "connected",
    "restart",
    "listener",
    "request",
    "requests",
    "response",
    "timeout",
    "cohort",
    "scenario",
    "inconclusive",
];

/// The makes of tokens that tell themselves by their beginning.
const MAKES: &[&str] = &[
    r"\beyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*)*",
    r"\bgh[pousr]_[A-Za-z0-9]{16,}",
    r"\bgithub_pat_[A-Za-z0-9_]{16,}",
    r"\bgl(?:pat|dt|rt|ptt)-[A-Za-z0-9_-]{12,}",
    r"\bxox[abeposr]-[A-Za-z0-9-]{8,}",
    r"\b(?:AKIA|ASIA)[A-Z0-9]{12,}",
    r"\b(?:sk|pk|rk|whsec)_(?:live_|test_)?[A-Za-z0-9]{16,}",
    r"\bsk-[A-Za-z0-9_-]{16,}",
    r"\bAIza[A-Za-z0-9_-]{20,}",
    r"\bya29\.[A-Za-z0-9_-]{8,}",
    r"\b(?:npm|hf|dckr_pat)_[A-Za-z0-9]{16,}",
    r"\bpypi-[A-Za-z0-9_-]{16,}",
    r"\bhv[sbr]\.[A-Za-z0-9_-]{16,}",
    r"\bSG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]+",
    r"\$(?:1|5|6|7|y|2[abxy]|argon2[a-z]*)\$[./A-Za-z0-9$,=]{12,}",
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|\z)",
];

static MADE: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(&MAKES.join("|")).ok());
static SCHEME: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let schemes = r"(?:bearer|basic|token|digest|negotiate|apikey|api-key|sso-key)";
    Regex::new(&format!(r"(?i)\b{schemes}(?:[ \t]|%20|\\x20)+([A-Za-z0-9._~+/=:-]{{6,}})")).ok()
});

/// Where tokens of a known make stand.
pub(super) fn made(text: &str) -> impl Iterator<Item = Range<usize>> {
    MADE.iter().flat_map(|made| made.find_iter(text)).map(|found| found.range())
}

/// Where the credentials of a scheme stand: `Bearer HERE`. Words of a sentence about one are left.
pub(super) fn of_scheme(text: &str) -> impl Iterator<Item = Range<usize>> {
    let found = SCHEME.iter().flat_map(|scheme| scheme.captures_iter(text)).filter_map(|captures| captures.get(1));
    found.filter(|found| !is_wordlike(found.as_str())).map(|found| found.range())
}

/// A word of a sentence: letters of one case, or with a capital, and the marks between words.
pub(super) fn is_wordlike(text: &str) -> bool {
    let mut letters = text.trim_end_matches(['.', ':', ',']).chars();
    letters.next().is_none_or(char::is_alphabetic) && letters.all(|c| c.is_ascii_lowercase() || c == '-')
}

/// Whether a secret says too little to be told wherever it turns up: `true`, `8080`, `localhost`, an address, a path.
pub(super) fn is_ordinary(value: &str) -> bool {
    let plain = value.chars().all(|c| c.is_ascii_digit())
        || value.chars().all(|c| c.is_ascii_lowercase())
        || value.chars().all(|c| c.is_ascii_uppercase());
    value.len() < SHORTEST_BYTES
        || (plain && value.len() < SHORTEST_PLAIN_BYTES)
        || value.chars().all(|c| c == '*')
        || ORDINARY.contains(&value.to_ascii_lowercase().as_str())
        || is_place(value)
}

/// Whether a value that is declared a secret can be looked for: it is no place, and longer than most numbers.
pub(super) fn is_telling(value: &str) -> bool {
    let is_number = value.chars().all(|c| c.is_ascii_digit());
    let shortest = if is_number { SHORTEST_BYTES } else { 4 };
    value.len() >= shortest && !is_place(value) && value != "localhost"
}

/// Where something is, not what it is: an address, a path, a URL. Credentials within are found by their place.
pub(super) fn is_place(value: &str) -> bool {
    let is_path = ["/", "./", "../", "~/", "{scenario_dir}"].iter().any(|start| value.starts_with(start))
        && value.split('/').all(|part| !looks_random(part));
    is_path || value.contains("://") || value.parse::<IpAddr>().is_ok() || value.parse::<SocketAddr>().is_ok()
}

/// Whether a value that nothing calls a secret is taken for one all the same wherever it turns up: it is no word, name,
/// number, version, place or option.
pub(super) fn looks_secret(value: &str) -> bool {
    value.len() >= SHORTEST_PLAIN_BYTES
        && !is_ordinary(value)
        && !value.starts_with('-')
        && !value.contains(char::is_whitespace)
        && value.split(['-', '_', '.', ':', '/', ',', '@']).any(is_mixed)
}

/// Letters and digits in one word, and not just a few: `SECRET03`, not `v2`, `utf8` or `UTF`.
fn is_mixed(word: &str) -> bool {
    word.len() > 4
        && word.bytes().any(|byte| byte.is_ascii_digit())
        && word.bytes().any(|byte| byte.is_ascii_alphabetic())
}

/// Whether nothing but chance, or a cipher, puts such a text together.
pub(super) fn looks_random(value: &str) -> bool {
    // Base64 is padded at its end; elsewhere an equals sign gives a name a value.
    let unpadded = value.trim_end_matches('=');
    let is_token =
        value.len() >= 20 && unpadded.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/_-.~".contains(&byte));
    let has = |is: fn(&u8) -> bool| value.bytes().any(|byte| is(&byte));
    is_token
        && has(u8::is_ascii_digit)
        && has(u8::is_ascii_uppercase)
        && has(u8::is_ascii_lowercase)
        && entropy_bits(value) > 3.4
}

/// Hexadecimal of at least 128 bits, in groups or not: a key, but a checksum or an id as well.
pub(super) fn is_long_hex(value: &str) -> bool {
    let digits = value.bytes().filter(u8::is_ascii_hexdigit).count();
    digits >= 32 && value.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

/// Shannon's, for each character.
fn entropy_bits(text: &str) -> f64 {
    let mut counts = [0_u32; 256];
    text.bytes().for_each(|byte| counts[usize::from(byte)] += 1);
    let total = f64::from(u32::try_from(text.len()).unwrap_or(u32::MAX));
    let shares = counts.iter().filter(|&&count| count > 0).map(|&count| f64::from(count) / total);
    shares.map(|share| -share * share.log2()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_known_by_their_make() {
        for token in [
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln",
            "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
            "AKIAIOSFODNN7EXAMPLE",
            "xoxb-1234567890-abc",
            "$6$rounds=5000$abc$defghijk",
        ] {
            let text = format!("got {token} ok");
            let found: Vec<_> = made(&text).map(|span| text[span].to_owned()).collect();
            assert_eq!(found, [token]);
        }
        assert_eq!(made("ghp_ is a prefix, AKIA too; sk-learn is a library").count(), 0);
    }

    #[test]
    fn a_scheme_tells_its_credentials_and_a_sentence_about_it_none() {
        let found = |text: &str| of_scheme(text).map(|span| text[span].to_owned()).collect::<Vec<_>>();
        assert_eq!(found("Authorization: Bearer hunter2-x, basic dXNlcjpw"), ["hunter2-x", "dXNlcjpw"]);
        assert!(found("basic authentication failed: token expired. Digest algorithms differ").is_empty());
    }

    #[test]
    fn what_every_report_says_is_not_masked_throughout() {
        for value in [
            "true",
            "1",
            "localhost",
            "8080",
            "65535",
            "127.0.0.1:8080",
            "secret",
            "production",
            "/etc/ssl/key.pem",
            "http://h/",
            "***",
            "::1",
        ] {
            assert!(is_ordinary(value), "{value}");
        }
        for value in ["hunter2", "hunter2-other", "correcthorse", "12345678", "s3cr3t!", "dXNlcjpw"] {
            assert!(!is_ordinary(value), "{value}");
        }
    }

    #[test]
    fn a_value_without_a_name_is_a_secret_only_if_it_looks_like_one() {
        for value in ["envplain-SECRET03", "hunter2hunter2", "a1b2c3d4e5"] {
            assert!(looks_secret(value), "{value}");
        }
        for value in
            ["eu-west-1", "v1.2.3-rc4", "production", "en_US.UTF-8", "worker-12", "--workers=2", "0.0.0.0:8080"]
        {
            assert!(!looks_secret(value), "{value}");
        }
    }

    #[test]
    fn chance_looks_like_chance() {
        assert!(looks_random("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"));
        assert!(!looks_random("aaaaaaaaaaaaaaaaaaaaaaaaaaaaA1"));
        assert!(!looks_random("a-long-name-of-a-unit.service"));
        assert!(!looks_random("StartLimitIntervalSec=0"));
        assert!(looks_random("d0fSlp3bVQ3kZb8Jw2xk9A=="));
        assert!(is_long_hex("550e8400-e29b-41d4-a716-446655440000") && !is_long_hex("deadbeef"));
    }
}

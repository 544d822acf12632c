//! The part of an answer's body that a regular expression is held against.

use regex_lite::Regex;

/// At most so much of a body is kept for `expect_body`; what follows is read and dropped.
pub(super) const BODY_KEPT_BYTES: usize = 1 << 20;

/// Keeps the start of a body, if anybody is to look at it.
#[derive(Debug)]
pub(super) struct KeptBody<'a> {
    pattern: Option<&'a Regex>,
    bytes: Vec<u8>,
}

impl<'a> KeptBody<'a> {
    /// Keeps nothing without a pattern.
    pub(super) fn new(pattern: Option<&'a Regex>) -> Self {
        Self { pattern, bytes: Vec::new() }
    }

    /// Takes the next bytes.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        if self.pattern.is_some() {
            let room = BODY_KEPT_BYTES - self.bytes.len();
            self.bytes.extend_from_slice(&bytes[..bytes.len().min(room)]);
        }
    }

    /// Whether the pattern matches somewhere in what was kept; always true without one. Bytes that are no
    /// UTF-8 stand as U+FFFD.
    pub(super) fn matches(&self) -> bool {
        self.pattern.is_none_or(|pattern| pattern.is_match(&String::from_utf8_lossy(&self.bytes)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_matches_across_its_parts_and_beside_what_is_no_text() {
        let pattern = Regex::new("status.:.ok").unwrap();
        let mut body = KeptBody::new(Some(&pattern));
        body.feed(b"\xff{\"sta");
        assert!(!body.matches());
        body.feed(b"tus\":\"ok\"}");
        assert!(body.matches());
    }

    #[test]
    fn what_lies_behind_the_limit_is_not_kept() {
        let pattern = Regex::new("end$").unwrap();
        let mut body = KeptBody::new(Some(&pattern));
        body.feed(&vec![b' '; BODY_KEPT_BYTES - 1]);
        body.feed(b"end");
        assert_eq!(body.bytes.len(), BODY_KEPT_BYTES);
        assert!(!body.matches());
    }

    #[test]
    fn without_a_pattern_nothing_is_kept_and_all_is_well() {
        let mut body = KeptBody::new(None);
        body.feed(b"anything");
        assert!(body.matches() && body.bytes.capacity() == 0);
    }
}

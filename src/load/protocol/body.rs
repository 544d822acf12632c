//! The part of an answer's body that a regular expression is held against.

use std::borrow::Cow;

use regex_lite::Regex;

/// Bytes of a body that are kept for `expect_body`; what follows is read and dropped.
pub(in crate::load) const BODY_KEPT_BYTES: usize = 1 << 20;

/// Keeps the start of a body, if anybody is to look at it.
#[derive(Debug, Default)]
pub(in crate::load) struct KeptBody {
    keeps: bool,
    bytes: Vec<u8>,
}

impl KeptBody {
    /// Starts the next body, of which nothing is kept unless `keeps`.
    pub(in crate::load) fn begin(&mut self, keeps: bool) {
        self.keeps = keeps;
        self.bytes.clear();
    }

    /// Takes the next bytes.
    pub(in crate::load) fn feed(&mut self, bytes: &[u8]) {
        if self.keeps {
            let room = BODY_KEPT_BYTES - self.bytes.len();
            self.bytes.extend_from_slice(&bytes[..bytes.len().min(room)]);
        }
    }

    /// Whether the pattern matches somewhere in what was kept. Bytes that are no UTF-8 stand as U+FFFD.
    pub(in crate::load) fn matches(&self, pattern: &Regex) -> bool {
        pattern.is_match(&self.text())
    }

    /// What was kept.
    pub(in crate::load) fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(parts: &[&[u8]]) -> KeptBody {
        let mut body = KeptBody::default();
        body.begin(true);
        parts.iter().for_each(|part| body.feed(part));
        body
    }

    #[test]
    fn a_body_matches_across_its_parts_and_beside_what_is_no_text() {
        let pattern = Regex::new("status.:.ok").unwrap();
        assert!(!kept(&[b"\xff{\"sta"]).matches(&pattern));
        assert!(kept(&[b"\xff{\"sta", b"tus\":\"ok\"}"]).matches(&pattern));
    }

    #[test]
    fn a_body_does_not_match_what_the_one_before_it_said() {
        let mut body = kept(&[b"ok"]);
        body.begin(true);
        assert!(!body.matches(&Regex::new("ok").unwrap()));
    }

    #[test]
    fn what_lies_behind_the_limit_is_not_kept() {
        let body = kept(&[&vec![b' '; BODY_KEPT_BYTES - 1], b"end"]);
        assert_eq!(body.bytes.len(), BODY_KEPT_BYTES);
        assert!(!body.matches(&Regex::new("end$").unwrap()));
    }

    #[test]
    fn what_nobody_looks_at_is_not_kept() {
        let mut body = KeptBody::default();
        body.begin(false);
        body.feed(b"anything");
        assert_eq!(body.bytes.capacity(), 0);
    }
}

//! Plain text for people: escaped, wrapped, and numbers as they are read.

pub(crate) use crate::visible::escape;

/// Breaks text between words so that no line is longer than `width` characters; a longer word is broken inside.
pub(crate) fn wrap(text: &str, width: usize) -> Vec<String> {
    let width = width.max(1);
    let (mut lines, mut line, mut length) = (Vec::new(), String::new(), 0);
    for word in text.split_whitespace() {
        let letters = word.chars().count();
        if length > 0 && length + 1 + letters > width {
            lines.push(std::mem::take(&mut line));
            length = 0;
        }
        if length > 0 {
            line.push(' ');
            length += 1;
        }
        for c in word.chars() {
            if length == width {
                lines.push(std::mem::take(&mut line));
                length = 0;
            }
            line.push(c);
            length += 1;
        }
    }
    lines.push(line);
    lines
}

/// Milliseconds with as many digits as anybody reads: `1.25`, `41.5`, `812`; `-` for none.
pub(crate) fn ms(ms: Option<f64>) -> String {
    match ms {
        None => "-".to_owned(),
        Some(ms) if ms >= 100.0 => format!("{ms:.0}"),
        Some(ms) if ms >= 10.0 => format!("{ms:.1}"),
        Some(0.0) => "0".to_owned(),
        Some(ms) => format!("{ms:.2}"),
    }
}

/// A number with at most two decimals and no zeros behind them: `1`, `1.5`, `12.25`.
pub(crate) fn trimmed(value: f64) -> String {
    let rounded = (value * 100.0).round() / 100.0 + 0.0;
    format!("{rounded}")
}

/// A moment in which something was dropped or answered wrong, in a strip of latencies.
pub(crate) const LOSS: char = '×';

/// A latency in a strip, as a share of the one at which the scale ends.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of 8, clamped below")]
pub(crate) fn block(share: f64) -> char {
    const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    BLOCKS[((share * 8.0) as usize).min(7)]
}

/// A latency of answered and unanswered requests: none is never, unless there was no request.
pub(crate) fn latency(latency: Option<f64>, requests: u64) -> String {
    if latency.is_none() && requests > 0 { "never".to_owned() } else { ms(latency) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_keep_their_width_and_all_their_words() {
        let text = "one two three four5678901234567890 five";
        for width in 1..40 {
            let lines = wrap(text, width);
            assert!(lines.iter().all(|line| line.chars().count() <= width), "{width}: {lines:?}");
            let letters = |text: &str| text.replace(' ', "");
            assert_eq!(letters(&lines.concat()), letters(text), "{width}");
        }
    }

    #[test]
    fn times_have_the_digits_that_count() {
        assert_eq!(
            [ms(Some(0.0)), ms(Some(1.254)), ms(Some(41.54)), ms(Some(812.4)), ms(None)],
            ["0", "1.25", "41.5", "812", "-"]
        );
        assert_eq!(latency(None, 1), "never");
        assert_eq!(latency(None, 0), "-");
    }
}

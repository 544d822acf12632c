//! Bounds as scenarios write them: `0`, `"<= 20"`, `"> 0"`, `"500ms"`, `"< 1%"`.

use serde_json::json;

use crate::model::bound::Limit;
use crate::model::metric::Dimension;
use crate::model::{Bound, Comparison};

use super::duration;
use super::kind::{Kind, wrong_type};
use super::mistake::Mistakes;
use super::tree::{Node, Value};

/// Longer signs first, since `<` is the start of `<=`.
const SIGNS: &[Comparison] =
    &[Comparison::AtMost, Comparison::AtLeast, Comparison::Exactly, Comparison::LessThan, Comparison::MoreThan];

/// A bound on a figure of that dimension: a bare value is the most that is allowed; `"> 0"` says otherwise.
pub(crate) fn kind(dimension: Dimension) -> Kind<Bound> {
    let schema = move || {
        let text = json!({ "type": "string", "pattern": r"^\s*(<=|>=|==|<|>)?\s*[0-9]" });
        match dimension {
            Dimension::Count => json!({ "anyOf": [{ "type": "integer", "minimum": 0 }, text] }),
            Dimension::Ratio => json!({ "anyOf": [{ "type": "number", "minimum": 0 }, text] }),
            Dimension::Time => text,
        }
    };
    Kind::new(schema, move |node, mistakes| read(node, mistakes, dimension))
}

/// Reads a bound on a figure of that dimension.
pub(crate) fn read(node: &Node, mistakes: &mut Mistakes, dimension: Dimension) -> Option<Bound> {
    let help = help(dimension);
    let bound = match (&node.value, dimension) {
        (Value::String(text), _) => from_text(text, dimension),
        (Value::Integer(number), Dimension::Count | Dimension::Ratio) => {
            number_limit(&number.to_string(), dimension).map(at_most)
        }
        (Value::Float(number), Dimension::Ratio) => number_limit(&number.to_string(), dimension).map(at_most),
        (Value::Float(_), Dimension::Count) => Err("a count is a whole number".to_owned()),
        _ => {
            wrong_type(node, "a bound", mistakes, help);
            return None;
        }
    };
    match bound.and_then(possible) {
        Ok(bound) => Some(bound),
        Err(why) => {
            mistakes.add(node.place, why).help(help);
            None
        }
    }
}

fn help(dimension: Dimension) -> &'static str {
    match dimension {
        Dimension::Count => {
            "a bound is a whole number, the most that is allowed, or says how: \"<= 20\", \"> 0\", \"== 3\""
        }
        Dimension::Ratio => "a bound is a share, the most that is allowed, or says how: 0.01, \"1%\", \"< 0.5%\"",
        Dimension::Time => {
            "a bound is a duration, the most that is allowed, or says how: \"500ms\", \"< 500ms\", \">= 1s\""
        }
    }
}

fn from_text(text: &str, dimension: Dimension) -> Result<Bound, String> {
    let text = text.trim();
    let sign = SIGNS.iter().find(|comparison| text.starts_with(comparison.sign()));
    let (comparison, rest) = match sign {
        Some(comparison) => (*comparison, text[comparison.sign().len()..].trim_start()),
        None => (Comparison::AtMost, text),
    };
    if let Some(operator) = rest.chars().next().filter(|c| "=<>!~".contains(*c)) {
        return Err(format!("unknown comparison {operator:?}"));
    }
    let limit = match dimension {
        Dimension::Time => duration::parse(rest).map(Limit::Time)?,
        Dimension::Count | Dimension::Ratio => number_limit(rest, dimension)?,
    };
    Ok(Bound { comparison, limit })
}

fn number_limit(text: &str, dimension: Dimension) -> Result<Limit, String> {
    // Beyond it, f64 has gaps between whole numbers and `==` would lie.
    const LARGEST: u64 = 1 << 53;
    if dimension == Dimension::Count {
        let count = text.parse::<u64>().ok().filter(|count| *count <= LARGEST);
        #[expect(clippy::cast_precision_loss, reason = "at most 2^53")]
        return count.map(|count| Limit::Number(count as f64)).ok_or_else(|| format!("{text:?} is not a count"));
    }
    let (digits, scale) = text.strip_suffix('%').map_or((text, 1.0), |digits| (digits.trim_end(), 100.0));
    let share = digits.parse::<f64>().ok().map(|number| number / scale);
    let share = share.filter(|share| (0.0..=1.0).contains(share));
    share.map(Limit::Number).ok_or_else(|| format!("{text:?} must be between 0 and 1, or 0% and 100%"))
}

fn at_most(limit: Limit) -> Bound {
    Bound { comparison: Comparison::AtMost, limit }
}

/// Refuses a bound that no figure can keep.
fn possible(bound: Bound) -> Result<Bound, String> {
    let is_zero = match bound.limit {
        Limit::Number(number) => number <= 0.0,
        Limit::Time(time) => time.is_zero(),
    };
    if bound.comparison == Comparison::LessThan && is_zero {
        return Err("nothing is less than 0: this can never hold".to_owned());
    }
    Ok(bound)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn number(comparison: Comparison, number: f64) -> Bound {
        Bound { comparison, limit: Limit::Number(number) }
    }

    #[test]
    fn a_bound_without_a_sign_is_the_most_that_is_allowed() {
        assert_eq!(from_text("20", Dimension::Count), Ok(number(Comparison::AtMost, 20.0)));
        assert_eq!(from_text("1%", Dimension::Ratio), Ok(number(Comparison::AtMost, 0.01)));
        let limit = Limit::Time(Duration::from_millis(500));
        assert_eq!(from_text("500ms", Dimension::Time), Ok(at_most(limit)));
    }

    #[test]
    fn each_sign_has_its_meaning_with_or_without_a_space() {
        for &comparison in SIGNS {
            let sign = comparison.sign();
            for text in [format!("{sign} 3"), format!("{sign}3"), format!(" {sign}  3 ")] {
                assert_eq!(from_text(&text, Dimension::Count), Ok(number(comparison, 3.0)), "{text}");
            }
        }
    }

    #[test]
    fn a_bound_that_nothing_keeps_is_refused() {
        assert!(possible(number(Comparison::LessThan, 0.0)).is_err());
        assert!(possible(number(Comparison::AtLeast, 0.0)).is_ok());
    }

    #[test]
    fn what_is_no_bound_is_refused() {
        for (text, dimension) in [
            ("", Dimension::Count),
            ("-1", Dimension::Count),
            ("1.5", Dimension::Count),
            ("= 3", Dimension::Count),
            ("!= 3", Dimension::Count),
            ("=> 3", Dimension::Count),
            ("<=> 3", Dimension::Count),
            ("101%", Dimension::Ratio),
            ("nan", Dimension::Ratio),
            ("500", Dimension::Time),
        ] {
            assert!(from_text(text, dimension).is_err(), "{text:?}");
        }
    }
}

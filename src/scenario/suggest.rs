//! "Did you mean": the known word that is nearest to a mistyped one.

/// The word of `known` that `word` was probably meant to be: few letters off for its length.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let folded = word.to_lowercase().replace('-', "_");
    let allowed = (folded.chars().count() / 3).clamp(1, 3);
    let distances = known.into_iter().map(|candidate| (distance(&folded, &candidate.replace('-', "_")), candidate));
    distances.filter(|(distance, _)| *distance <= allowed).min_by_key(|(distance, _)| *distance).map(|(_, best)| best)
}

/// A help line: the nearest word, or all of them.
pub(crate) fn did_you_mean(word: &str, known: &[&str]) -> String {
    match nearest(word, known.iter().copied()) {
        Some(best) => format!("did you mean `{best}`?"),
        None if known.is_empty() => "there are none here".to_owned(),
        None => format!("known here: {}", known.join(", ")),
    }
}

/// Letters to insert, delete, replace, or swap with their neighbour to get from one word to the other
/// (optimal string alignment).
fn distance(left: &str, right: &str) -> usize {
    // A key of a megabyte is nobody's typing error, and the table would be its square.
    const LONGEST: usize = 64;
    let (left, right): (Vec<char>, Vec<char>) = (left.chars().collect(), right.chars().collect());
    if left.len().max(right.len()) > LONGEST {
        return usize::MAX;
    }
    let mut rows: Vec<Vec<usize>> = vec![(0..=right.len()).collect()];
    for i in 1..=left.len() {
        let mut row = vec![i];
        for j in 1..=right.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(left[i - 1] != right[j - 1]);
            let mut best = replaced.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[left.len()][right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typing_error_is_seen_through_and_a_different_word_is_not() {
        let known = ["warmup", "cooldown", "ready_timeout"];
        assert_eq!(nearest("warmpu", known), Some("warmup"));
        assert_eq!(nearest("ready-timeout", known), Some("ready_timeout"));
        assert_eq!(nearest("Cooldwn", known), Some("cooldown"));
        assert_eq!(nearest("seed", known), None);
    }

    #[test]
    fn a_swap_is_one_letter_off() {
        assert_eq!(distance("rtae", "rate"), 1);
        assert_eq!(distance("", "rate"), 4);
    }
}

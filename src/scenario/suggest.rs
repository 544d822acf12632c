//! "Did you mean": the known word that is nearest to a mistyped one.

/// The word of `known` that `word` was probably meant to be: few letters off for its length.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // A word of a megabyte is nobody's typing error, and the table of distances would be its square.
    const LONGEST: usize = 64;
    let folded = word.to_lowercase().replace('-', "_");
    let allowed = (folded.chars().count() / 3).clamp(1, 3);
    let comparable = known.into_iter().filter(|candidate| folded.len().max(candidate.len()) <= LONGEST);
    let distance = |candidate: &str| strsim::osa_distance(&folded, &candidate.replace('-', "_"));
    let distances = comparable.map(|candidate| (distance(candidate), candidate));
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
    fn a_swap_is_one_letter_off_and_a_megabyte_is_no_typing_error() {
        assert_eq!(nearest("rtae", ["rate"]), Some("rate"));
        assert_eq!(nearest(&"a".repeat(1 << 20), ["rate"]), None);
    }
}

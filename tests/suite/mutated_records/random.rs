//! Whatever becomes of a record's bytes.

use gapless::model::Verdict;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};

use crate::mutated_records::document::{RECORDS, leaves, read};

/// One change to a record.
#[derive(Clone, Debug)]
enum Mutation {
    /// A number or text somewhere in a line becomes this.
    Leaf(Index, Index, Value),
    /// A field or element somewhere in a line is not there.
    Without(Index, Index),
    Remove(Index),
    Swap(Index, Index),
    /// The line comes a second time.
    Repeat(Index, Index),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let index = any::<Index>;
    let extremes = select(vec![
        json!(0),
        json!(1),
        json!(-1),
        json!(u64::MAX),
        json!(u64::from(u32::MAX)),
        json!(i64::MAX),
        json!(65_535),
        json!(1e300),
        json!(0.5),
        json!(null),
        json!(""),
        json!("x"),
        json!([]),
    ]);
    prop_oneof![
        6 => (index(), index(), extremes).prop_map(|(line, leaf, value)| Mutation::Leaf(line, leaf, value)),
        2 => (index(), index()).prop_map(|(line, leaf)| Mutation::Without(line, leaf)),
        1 => index().prop_map(Mutation::Remove),
        1 => (index(), index()).prop_map(|(a, b)| Mutation::Swap(a, b)),
        1 => (index(), index()).prop_map(|(line, to)| Mutation::Repeat(line, to)),
    ]
}

fn change_line(line: &mut String, leaf: Index, change: impl FnOnce(&mut Value, &str)) {
    let Ok(mut value) = serde_json::from_str::<Value>(line) else { return };
    let places = leaves(&value);
    if !places.is_empty() {
        change(&mut value, leaf.get::<String>(&places));
        *line = value.to_string();
    }
}

fn mutate(lines: &mut Vec<String>, mutation: &Mutation) {
    if lines.is_empty() {
        return;
    }
    let count = lines.len();
    let place = |index: &Index| index.index(count);
    match mutation {
        Mutation::Leaf(line, leaf, extreme) => {
            let line = place(line);
            change_line(&mut lines[line], *leaf, |value, at| {
                if let Some(place) = value.pointer_mut(at) {
                    *place = extreme.clone();
                }
            });
        }
        Mutation::Without(line, leaf) => {
            let line = place(line);
            change_line(&mut lines[line], *leaf, |value, at| {
                let Some((parent, name)) = at.rsplit_once('/') else { return };
                match value.pointer_mut(parent) {
                    Some(Value::Object(fields)) => drop(fields.remove(name)),
                    Some(Value::Array(values)) => drop(name.parse().map(|index: usize| values.remove(index))),
                    _ => {}
                }
            });
        }
        Mutation::Remove(line) => drop(lines.remove(place(line))),
        Mutation::Swap(a, b) => lines.swap(place(a), place(b)),
        Mutation::Repeat(line, to) => lines.insert(place(to), lines[place(line)].clone()),
    }
}

/// Each takes a tenth of a second in a debug build; `PROPTEST_CASES` asks for more.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    /// Its last line goes: with it, the checksum would refuse the rest.
    #[test]
    fn a_record_without_an_end_is_analysed_and_rendered_and_never_passed(
        record in select(RECORDS), mutations in proptest::collection::vec(mutation(), 1..6),
    ) {
        let mut lines: Vec<String> = record.lines().filter(|line| !line.contains("\"type\":\"end\"")).map(str::to_owned).collect();
        mutations.iter().for_each(|mutation| mutate(&mut lines, mutation));
        let text = lines.join("\n") + "\n";
        if let Some(result) = read(text.as_bytes()) {
            prop_assert_ne!(result.verdict, Verdict::Passed);
        }
    }

    #[test]
    fn a_record_whose_bytes_were_changed_never_passes(
        record in select(RECORDS), at in any::<Index>(), byte in any::<u8>(),
    ) {
        let mut bytes = record.as_bytes().to_vec();
        let at = at.index(bytes.len());
        prop_assume!(bytes[at] != byte);
        bytes[at] = byte;
        prop_assert!(read(&bytes).is_none_or(|result| result.verdict != Verdict::Passed));
    }

    #[test]
    fn a_record_that_was_cut_anywhere_never_passes(record in select(RECORDS), at in any::<Index>()) {
        let bytes = &record.as_bytes()[..at.index(record.len() - 1)];
        prop_assert!(read(bytes).is_none_or(|result| result.verdict != Verdict::Passed));
    }
}

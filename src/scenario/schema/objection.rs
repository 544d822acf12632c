//! What JSON Schema says against a value: as much of it as our schemas use.

use serde_json::Value;

/// Why `value` is not what `schema` says; none if it is.
pub(crate) fn objection(schema: &Value, value: &Value) -> Option<String> {
    Check { root: schema }.of(schema, value, "")
}

struct Check<'a> {
    root: &'a Value,
}

impl Check<'_> {
    fn of(&self, schema: &Value, value: &Value, place: &str) -> Option<String> {
        if let Some(reference) = schema["$ref"].as_str() {
            let target = self.root.pointer(reference.trim_start_matches('#')).expect("a reference leads somewhere");
            return self.of(target, value, place);
        }
        for words in ["anyOf", "oneOf"] {
            if let Some(choices) = schema[words].as_array() {
                let fits = choices.iter().any(|choice| self.of(choice, value, place).is_none());
                return (!fits).then(|| format!("{place}: {value} is none of {words}"));
            }
        }
        if let Some(constant) = schema.get("const") {
            return (constant != value).then(|| format!("{place}: {value} is not {constant}"));
        }
        if let Some(names) = schema["enum"].as_array() {
            return (!names.contains(value)).then(|| format!("{place}: {value} is not in the enum"));
        }
        if !is_of_type(&schema["type"], value) {
            return Some(format!("{place}: {value} is no {}", schema["type"]));
        }
        let limit = broken_limit(schema, value).map(|word| format!("{place}: {value} is beyond its {word}"));
        limit.or_else(|| match value {
            Value::Array(items) => items.iter().find_map(|item| self.of(&schema["items"], item, place)),
            Value::Object(fields) => self.of_fields(schema, fields, place),
            _ => None,
        })
    }

    fn of_fields(&self, schema: &Value, fields: &serde_json::Map<String, Value>, place: &str) -> Option<String> {
        let required = schema["required"].as_array().map_or(&[][..], Vec::as_slice);
        let missing = required.iter().filter_map(Value::as_str).find(|name| !fields.contains_key(*name));
        let wrong = |(name, field): (&String, &Value)| {
            let place = format!("{place}.{name}");
            let of_name = schema["properties"].get(name);
            let of_any = schema.get("additionalProperties").filter(|any| any.is_object());
            let of_pattern = schema["patternProperties"].as_object().and_then(|all| all.values().next());
            match of_name.or(of_any).or(of_pattern) {
                Some(schema) => self.of(schema, field, &place),
                None => Some(format!("{place} is not in the schema")),
            }
        };
        missing.map(|name| format!("{place}: {name} is missing")).or_else(|| fields.iter().find_map(wrong))
    }
}

fn is_of_type(types: &Value, value: &Value) -> bool {
    let is_of = |word: &str| match word {
        "null" => value.is_null(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("no type is called {other}"),
    };
    match types {
        Value::String(word) => is_of(word),
        Value::Array(words) => words.iter().filter_map(Value::as_str).any(is_of),
        other => panic!("the schema says nothing of a type: {other}"),
    }
}

/// The first word of `schema` that limits `value` and is not kept.
fn broken_limit(schema: &Value, value: &Value) -> Option<&'static str> {
    let number = |word: &str| schema[word].as_f64();
    let length = |word: &str| schema[word].as_u64().map(|length| usize::try_from(length).expect("it is small"));
    let pattern = || schema["pattern"].as_str().map(|text| regex_lite::Regex::new(text).expect("a pattern is one"));
    let checks: Vec<(&'static str, bool)> = match value {
        Value::Number(n) => {
            let n = n.as_f64().expect("JSON has no others");
            vec![
                ("minimum", number("minimum").is_none_or(|least| n >= least)),
                ("maximum", number("maximum").is_none_or(|most| n <= most)),
                ("exclusiveMinimum", number("exclusiveMinimum").is_none_or(|least| n > least)),
            ]
        }
        Value::String(text) => vec![
            ("pattern", pattern().is_none_or(|pattern| pattern.is_match(text))),
            ("minLength", length("minLength").is_none_or(|least| text.chars().count() >= least)),
            ("maxLength", length("maxLength").is_none_or(|most| text.chars().count() <= most)),
        ],
        Value::Array(items) => vec![
            ("minItems", length("minItems").is_none_or(|least| items.len() >= least)),
            ("maxItems", length("maxItems").is_none_or(|most| items.len() <= most)),
        ],
        _ => Vec::new(),
    };
    checks.into_iter().find(|(_, is_kept)| !is_kept).map(|(word, _)| word)
}

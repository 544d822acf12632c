//! `gapless schema`: the JSON Schema of a format.

use anyhow::Context as _;

use super::exit::Exit;
use super::output;
use crate::cli::{SchemaArgs, SchemaOf};
use crate::result::RunResult;
use crate::scenario;

/// Runs the command.
///
/// # Errors
/// When stdout cannot be written to.
pub fn main(args: &SchemaArgs) -> anyhow::Result<Exit> {
    let schema = match args.of {
        SchemaOf::Scenario => scenario::schema::schema(),
        SchemaOf::Result => schemars::schema_for!(RunResult).to_value(),
    };
    let mut bytes = serde_json::to_vec_pretty(&schema).context("cannot write the schema as JSON")?;
    bytes.push(b'\n');
    output::write(&bytes)?;
    Ok(Exit::Passed)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use crate::analysis::combine;
    use crate::analysis::simulator::stories;
    use crate::result::RunResult;
    use crate::scenario::schema::objection::objection;

    fn schema() -> Value {
        serde_json::to_value(schemars::schema_for!(RunResult)).expect("a schema is JSON")
    }

    fn result() -> Value {
        let stories =
            [stories::socket_restart(), stories::plain_restart(), stories::interrupted(), stories::incomplete()];
        let records = stories.map(|story| story.record());
        serde_json::to_value(combine(&records).expect("there are records")).expect("a result is JSON")
    }

    #[test]
    fn every_fixture_s_result_is_what_the_schema_says() {
        let schema = schema();
        assert_eq!(objection(&schema, &result()), None);
    }

    #[test]
    fn the_schema_objects_to_what_is_not_a_result() {
        let schema = schema();
        let broken = |change: fn(&mut Value)| {
            let mut result = result();
            change(&mut result);
            objection(&schema, &result)
        };
        assert!(broken(|result| result["verdict"] = "fine".into()).is_some());
        assert!(broken(|result| result["scenarios"][0]["dropped"] = (-1).into()).is_some());
        assert!(broken(|result| result["scenarios"][0]["surprise"] = 1.into()).is_some());
        let without_events = |result: &mut Value| {
            result["scenarios"][0].as_object_mut().expect("an object").remove("events");
        };
        assert!(broken(without_events).is_some());
    }
}

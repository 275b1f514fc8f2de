//! The schemas of arguments and replies, as small as they can be: they cost the client's context.

use schemars::JsonSchema;
use serde_json::{Map, Value};

/// A schema without what costs context and says nothing: titles, the dialect, number formats.
pub(crate) fn object_schema<T: JsonSchema>() -> Map<String, Value> {
    let generator = schemars::generate::SchemaSettings::draft2020_12().with(|s| s.inline_subschemas = true).into_generator();
    let mut schema = generator.into_root_schema_for::<T>().to_value();
    strip(&mut schema, true);
    match schema {
        Value::Object(mut map) => {
            map.remove("description"); // the Rust type's own, which says less than the tool's
            map
        }
        _ => Map::new(),
    }
}

fn strip(value: &mut Value, is_schema: bool) {
    match value {
        Value::Object(map) => {
            if is_schema {
                for noise in ["title", "$schema", "format"] {
                    if map.get(noise).is_some_and(Value::is_string) {
                        map.remove(noise);
                    }
                }
            }
            for (key, inner) in map.iter_mut() {
                // Below `properties` the keys are the user's field names, not schema words.
                strip(inner, !(is_schema && key == "properties"));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| strip(item, true)),
        _ => {}
    }
}

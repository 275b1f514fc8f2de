//! Schemas without the words that cost context and tell a client nothing.

use schemars::Schema;
use serde_json::{Map, Value};

/// Drops `null` from the types of optional fields (a field that may be absent is not in `required`), the lower bound
/// that every count has, and the type's own description.
pub(crate) fn lean(schema: &mut Schema) {
    if let Some(object) = schema.as_object_mut() {
        object.remove("description");
        fields(object);
    }
}

/// As [`lean`], for a row of a list: which fields are always there, the rows show.
pub(crate) fn row(schema: &mut Schema) {
    lean(schema);
    schema.remove("required");
}

fn fields(schema: &mut Map<String, Value>) {
    if schema.get("minimum").and_then(Value::as_u64) == Some(0) {
        schema.remove("minimum");
    }
    let plain = match schema.get("type") {
        Some(Value::Array(types)) => types.iter().find(|kind| *kind != "null").cloned(),
        _ => None,
    };
    if let Some(plain) = plain {
        schema.insert("type".to_owned(), plain);
    }
    for inner in schema.get_mut("properties").and_then(Value::as_object_mut).into_iter().flat_map(Map::values_mut).filter_map(Value::as_object_mut) {
        fields(inner);
    }
    if let Some(items) = schema.get_mut("items").and_then(Value::as_object_mut) {
        items.remove("description");
        fields(items);
    }
}

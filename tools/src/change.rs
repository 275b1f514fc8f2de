//! `change`: why a write is made, how it is undone, and for which incident. Every write takes it beside its own arguments.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::ToolError;
use crate::schema::object_schema;

/// The name of the argument.
pub(crate) const FIELD: &str = "change";

/// What a caller says of a write. Policy says which parts an environment requires; people read them before they approve.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = crate::lean::lean)]
pub struct Change {
    /// Why it is made.
    pub reasoning: Option<String>,
    /// How it is undone.
    pub rollback_plan: Option<String>,
    /// For which incident.
    pub incident_id: Option<String>,
}

impl Change {
    /// What a write's arguments say of it; nothing where they say it wrongly, which the write itself refuses.
    #[must_use]
    pub fn said_in(args: &Map<String, Value>) -> Self {
        args.get(FIELD).and_then(|value| Self::deserialize(value).ok()).unwrap_or_default()
    }
}

/// Takes `change` out of a write's arguments, so that the tool's own are left.
pub(crate) fn taken(args: &mut Map<String, Value>) -> Result<Change, ToolError> {
    match args.remove(FIELD) {
        None | Some(Value::Null) => Ok(Change::default()),
        Some(value) => serde_json::from_value(value)
            .map_err(|error| ToolError::invalid(format!("`change` takes `reasoning`, `rollback_plan` and `incident_id`, each a text: {error}"))),
    }
}

/// Adds `change` to the schema of a write's own arguments.
pub(crate) fn beside(mut own: Map<String, Value>) -> Map<String, Value> {
    let mut schema = object_schema::<Change>();
    for part in schema.get_mut("properties").and_then(Value::as_object_mut).into_iter().flat_map(Map::values_mut).filter_map(Value::as_object_mut) {
        part.remove("description"); // the names say it, and each write tool pays for it
    }
    let properties = own.entry("properties").or_insert_with(|| Value::Object(Map::new()));
    if let Value::Object(properties) = properties {
        properties.insert(FIELD.to_owned(), Value::Object(schema));
    }
    own
}

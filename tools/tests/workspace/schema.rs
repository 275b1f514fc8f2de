//! What the tools cost a client's context, and what they say of themselves.

use opsgate_tools::tool::Class;
use opsgate_tools::workspace::{Settings, tools};

const AVERAGE: usize = 900;

#[test]
fn the_tools_cost_little_context() {
    let tools = tools(&Settings::default());
    let mut total = 0;
    for tool in &tools {
        let spec = tool.spec();
        let (input, output) = (serde_json::to_string(&*spec.input_schema).unwrap(), serde_json::to_string(&*spec.output_schema).unwrap());
        let size = spec.card.name.len() + spec.card.description.len() + input.len() + output.len();
        println!("{} {size} = {} + {}\n{input}\n{output}", spec.card.name, input.len(), output.len());
        total += size;
    }
    assert!(total <= AVERAGE * tools.len(), "{total} bytes for {} tools", tools.len());
}

#[test]
fn every_tool_refuses_unknown_arguments_and_a_write_takes_change() {
    for tool in tools(&Settings::default()) {
        let spec = tool.spec();
        assert_eq!(spec.card.system, "workspace", "{}", spec.card.name);
        assert_eq!(spec.class == Class::Write, spec.input_schema["properties"].get("change").is_some(), "{}", spec.card.name);
        assert!(spec.card.name.starts_with("workspace_"));
        assert_eq!(spec.input_schema["additionalProperties"], false, "{}", spec.card.name);
        assert_eq!(spec.output_schema["type"], "object", "{}", spec.card.name);
    }
}

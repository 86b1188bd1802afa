//! As much of JSON Schema as our schemas use.

use serde_json::Value;

/// Where `value` breaks `schema`, if it does.
pub(crate) fn breach(schema: &Value, value: &Value, path: &str) -> Option<String> {
    if let Some(only) = schema.get("const") {
        return (only != value).then(|| format!("{path}: {value} is not {only}"));
    }
    if let Some(Value::Array(choices)) = schema.get("enum") {
        return (!choices.contains(value)).then(|| format!("{path}: {value} is none of {choices:?}"));
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(some) => some.iter().filter_map(Value::as_str).collect(),
        other => return Some(format!("{path}: the schema's type is {other}")),
    };
    if !types.iter().any(|name| is(name, value)) {
        return Some(format!("{path}: {value} is no {types:?}"));
    }
    match value {
        Value::Object(members) => {
            let known = &schema["properties"];
            let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
            let missing = required.filter(|name| !members.contains_key(*name)).map(|name| format!("{path}: no {name}"));
            let wrong = members.iter().filter_map(|(name, value)| match known.get(name) {
                Some(schema) => breach(schema, value, &format!("{path}.{name}")),
                None => Some(format!("{path}: {name} is not in the schema")),
            });
            missing.chain(wrong).next()
        }
        Value::Array(elements) => {
            let schema = schema.get("items")?;
            elements.iter().enumerate().find_map(|(i, value)| breach(schema, value, &format!("{path}[{i}]")))
        }
        _ => None,
    }
}

fn is(name: &str, value: &Value) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64(),
        _ => false,
    }
}

#[test]
fn a_breach_is_found_and_named() {
    let schema = serde_json::json!({
        "type": "object", "required": ["a"], "additionalProperties": false,
        "properties": { "a": { "type": ["array", "null"], "items": { "type": "integer" } } },
    });
    let check = |value: Value| breach(&schema, &value, "$");
    assert_eq!(check(serde_json::json!({ "a": [1, 2] })), None);
    assert_eq!(check(serde_json::json!({ "a": null })), None);
    assert_eq!(check(serde_json::json!({})).as_deref(), Some("$: no a"));
    assert_eq!(check(serde_json::json!({ "a": [1, "x"] })).as_deref(), Some("$.a[1]: \"x\" is no [\"integer\"]"));
    assert_eq!(check(serde_json::json!({ "a": [], "b": 1 })).as_deref(), Some("$: b is not in the schema"));
}

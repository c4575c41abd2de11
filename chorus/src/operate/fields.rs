//! Objects of the API, shown field by field.

use std::{collections::BTreeMap, fmt::Write as _};

use serde_json::value::RawValue;

use super::client::parse_text;
use crate::printable::printable;

/// An object's fields, each with its original text.
pub type Fields = BTreeMap<String, Box<RawValue>>;

pub fn fields(response: &RawValue) -> anyhow::Result<Fields> {
    parse_text(response.get())
}

/// A line for each field, and a line below it for each element of a list.
pub fn lines(response: &RawValue) -> anyhow::Result<String> {
    let mut fields = fields(response)?;
    fields.retain(|_, field| field.get() != "null");
    let width = fields.keys().map(String::len).max().unwrap_or(0);
    let mut text = String::new();
    for (name, field) in &fields {
        match serde_json::from_str::<Vec<Fields>>(field.get()) {
            Ok(entries) => {
                let _ = writeln!(text, "{name:<width$}  {}", entries.len());
                for entry in &entries {
                    let _ = writeln!(text, "{:<width$}  {}", "", pairs(entry));
                }
            }
            Err(_) => {
                let _ = writeln!(text, "{name:<width$}  {}", value(field));
            }
        }
    }
    Ok(text.trim_end().to_owned())
}

/// One line with all of them.
pub fn pairs(fields: &Fields) -> String {
    let present = fields.iter().filter(|(_, field)| field.get() != "null");
    present.map(|(name, field)| format!("{name}={}", value(field))).collect::<Vec<_>>().join(" ")
}

/// One field.
pub fn value(value: &RawValue) -> String {
    match serde_json::from_str::<String>(value.get()) {
        Ok(text) => printable(&text).into_owned(),
        Err(_) => printable(value.get()).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_shown_field_by_field() {
        let state = r#"{"room":"7","locked":false,"timers":[{"name":"turn","due":5}],"state":{"z":0.30000000000000004,"a":1},"outcome":null}"#;
        let shown =
            "locked  false\nroom    7\nstate   {\"z\":0.30000000000000004,\"a\":1}\ntimers  1\n        due=5 name=turn";
        assert_eq!(lines(&raw(state)).unwrap(), shown);
    }

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).unwrap()
    }
}

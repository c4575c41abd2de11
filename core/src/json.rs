//! JSON text that was checked to be one whole value.
//!
//! Players' data crosses edge, channel, room and guest as text: it is parsed once, on arrival, to check it, and becomes a tree
//! only where its content is needed.

use std::{fmt, ops::Deref, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::secret::without_quoted;

/// One JSON value, as text. Cheap to clone: a message in flight is in a log, in two queues and in a room.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Json(Arc<str>);

impl Json {
    /// Checks that `text` is one JSON value.
    pub fn parse(text: &str) -> Result<Json, serde_json::Error> {
        let raw: &serde_json::value::RawValue = serde_json::from_str(text)?;
        Ok(Json(raw.get().into()))
    }

    /// Text that was checked before: a parser's raw value, or the output of our own encoder.
    pub fn trusted(text: impl Into<Arc<str>>) -> Json {
        Json(text.into())
    }

    /// The JSON of a value that always has one.
    pub fn of(value: &impl Serialize) -> Json {
        Json(serde_json::to_string(value).expect("a value of ours has string keys and no failing serializer").into())
    }

    pub fn null() -> Json {
        Json("null".into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Longer texts about JSON are cut.
const MAX_SHOWN: usize = 256;

/// The text of an error, cut to a bounded length, and without a string of the JSON, which may be a secret.
pub fn shown(error: &serde_json::Error) -> String {
    let text = without_quoted(&error.to_string());
    text.chars().take(MAX_SHOWN).collect()
}

impl Deref for Json {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_has_no_string_of_the_json() {
        let error = |text: &str| shown(&serde_json::from_str::<u8>(text).unwrap_err());
        assert!(error(r#""hunter2 \" or \"""#).starts_with(r#"invalid type: string "…", expected u8 at line 1"#));
        assert_eq!(error("[]"), "invalid type: sequence, expected u8 at line 1 column 0");
    }

    #[test]
    fn only_one_whole_value_is_json() {
        assert_eq!(Json::parse(" {\"a\":1} ").unwrap().as_str(), "{\"a\":1}");
        for bad in ["", "{", "1 2", "undefined", "\"\u{1}\""] {
            assert!(Json::parse(bad).is_err(), "{bad}");
        }
    }
}

//! JSON from a guest, parsed as strictly as any parser downstream may parse it, so that none of them fails on it later:
//! numbers that no `f64` holds and nesting beyond 127 are rejected. One thing is repaired instead. JavaScript makes half a
//! surrogate pair by cutting a string inside an emoji, and prints it as `\ud83d`, which parsers of other languages reject: it
//! becomes `\ufffd`.

use std::{borrow::Cow, fmt};

use chorus_core::json::Json;

/// The text as one JSON value, repaired if need be; otherwise the reason why it is none.
pub(crate) fn strict_json(text: &str) -> Result<Json, serde_json::Error> {
    let cause = match serde_json::from_str::<StrictJson>(text) {
        Ok(StrictJson) => return Ok(Json::trusted(text)),
        Err(cause) => cause,
    };
    if let Cow::Owned(repaired) = repair_surrogates(text)
        && serde_json::from_str::<StrictJson>(&repaired).is_ok()
    {
        return Ok(Json::trusted(repaired));
    }
    Err(cause)
}

/// Replaces each escape of half a surrogate pair by the escape of the replacement character.
fn repair_surrogates(text: &str) -> Cow<'_, str> {
    let escape = |at: usize| -> Option<u16> {
        let digits = text.get(at..at + 6)?.strip_prefix("\\u")?;
        u16::from_str_radix(digits, 16).ok()
    };
    let mut repaired = String::new();
    let (mut copied, mut at) = (0, 0);
    while let Some(found) = text[at..].find('\\') {
        at += found;
        match escape(at) {
            Some(0xd800..=0xdbff) if matches!(escape(at + 6), Some(0xdc00..=0xdfff)) => at += 12,
            Some(0xd800..=0xdfff) => {
                repaired.push_str(&text[copied..at]);
                repaired.push_str("\\ufffd");
                at += 6;
                copied = at;
            }
            // The backslash and what it escapes: one character, which may be another backslash.
            _ => at += 1 + text[at + 1..].chars().next().map_or(0, char::len_utf8),
        }
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    repaired.push_str(&text[copied..]);
    Cow::Owned(repaired)
}

/// Parses as a [`serde_json::Value`] does, and builds nothing.
struct StrictJson;

impl<'de> serde::Deserialize<'de> for StrictJson {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<StrictJson, D::Error> {
        from.deserialize_any(StrictJson)
    }
}

impl<'de> serde::de::Visitor<'de> for StrictJson {
    type Value = StrictJson;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }
    fn visit_bool<E>(self, _: bool) -> Result<StrictJson, E> {
        Ok(StrictJson)
    }
    fn visit_i64<E>(self, _: i64) -> Result<StrictJson, E> {
        Ok(StrictJson)
    }
    fn visit_u64<E>(self, _: u64) -> Result<StrictJson, E> {
        Ok(StrictJson)
    }
    fn visit_f64<E>(self, _: f64) -> Result<StrictJson, E> {
        Ok(StrictJson)
    }
    fn visit_str<E>(self, _: &str) -> Result<StrictJson, E> {
        Ok(StrictJson)
    }
    fn visit_unit<E>(self) -> Result<StrictJson, E> {
        Ok(StrictJson)
    }
    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<StrictJson, A::Error> {
        while let Some(StrictJson) = seq.next_element()? {}
        Ok(StrictJson)
    }
    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<StrictJson, A::Error> {
        while let Some((StrictJson, StrictJson)) = map.next_entry()? {}
        Ok(StrictJson)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Option<String> {
        strict_json(text).ok().map(|json| json.as_str().to_owned())
    }

    #[test]
    fn what_is_called_json_parses_as_a_value() {
        for good in ["null", "{\"a\":[1,2.5,\"x\",true,null]}", "\"\\ud83d\\ude00\"", "-0", " 1 "] {
            assert_eq!(check(good).as_deref(), Some(good));
            assert!(serde_json::from_str::<serde_json::Value>(good).is_ok(), "{good}");
        }
        let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
        for bad in ["", "{", "1 2", "undefined", "1e999", "\"\u{1}\"", "\"\\ud83\"", &deep] {
            assert_eq!(check(bad), None, "{bad}");
        }
    }

    #[test]
    fn half_a_surrogate_pair_is_repaired() {
        assert_eq!(check(r#""cut \ud83d""#).unwrap(), r#""cut \ufffd""#);
        assert_eq!(
            check(r#"["\ude00","\ud83d\ude00","\\ud83d","\ud83d\ud83d\ude00"]"#).unwrap(),
            r#"["\ufffd","\ud83d\ude00","\\ud83d","\ufffd\ud83d\ude00"]"#
        );
        assert_eq!(check(r#""é\ud83d é"#), None);
    }
}

//! Limits on the JSON of a client's frame.
//!
//! A guest parses a client's data by recursion, and its engine stores names in tables whose hash has no seed, so that colliding
//! names cost the square of their number. The limits below make the most expensive frame affordable. They hold for the whole
//! frame, unknown members included, and are checked in one pass over the text, in little memory and without recursion, before
//! any parser reads it. Text that is no JSON at all may pass: the parser refuses it.

use std::collections::BTreeSet;

/// Nested objects and arrays, the frame itself counted. An engine's parser recurses at each level, and so does code that
/// copies, compares or prints the value afterwards; the host's own parsers end at 128.
pub const MAX_DEPTH: usize = 64;

/// Values: objects, arrays, strings, numbers, literals. Parsing and printing 4,096 of them costs the JavaScript SDK 11 M
/// (numbers) to 20 M of fuel (objects).
pub const MAX_VALUES: usize = 4_096;

/// Members of all objects together. With [`MAX_NAMES`], each may have to be compared with all names of the frame.
pub const MAX_MEMBERS: usize = 1_024;

/// Different names of members. Names that collide cost the square of their number: 256 cost 8 M of fuel, 1,024 cost 80 M.
pub const MAX_NAMES: usize = 256;

/// Bytes of one name. Names that collide are compared byte by byte.
pub const MAX_NAME: usize = 128;

/// Characters of one number. A double has 17 digits, a sign, a point and an exponent.
pub const MAX_NUMBER: usize = 64;

/// Numbers, other than 0, above 10²¹ or below 10⁻²¹ in absolute value. An engine parses and prints them with long arithmetic:
/// 1e300 costs 470,000 units of fuel, an ordinary double 12,000.
pub const MAX_EXTREME: usize = 32;

const EXTREME: std::ops::RangeInclusive<f64> = 1e-21..=1e21;

/// The limit that a frame exceeds. The text is for the client's author.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Excess {
    #[error("a frame nests at most {MAX_DEPTH} levels deep")]
    Depth,
    #[error("a frame has at most {MAX_VALUES} values")]
    Values,
    #[error("the objects of a frame have at most {MAX_MEMBERS} members together")]
    Members,
    #[error("the members of a frame have at most {MAX_NAMES} different names")]
    Names,
    #[error("the name of a member has at most {MAX_NAME} bytes")]
    LongName,
    #[error("a number has at most {MAX_NUMBER} characters")]
    LongNumber,
    #[error("a number is too large for a double")]
    LargeNumber,
    #[error("at most {MAX_EXTREME} numbers of a frame are above 1e21 or below 1e-21")]
    Extreme,
    #[error("a string contains half of a surrogate pair")]
    HalfPair,
}

/// Checks a text against all limits.
pub(super) fn check(text: &str) -> Result<(), Excess> {
    let names = BTreeSet::new();
    let mut scan = Scan { text, at: 0, depth: 0, values: 1, string: "", members: 0, names, extreme: 0 };
    while let Some(byte) = scan.peek() {
        scan.at += 1;
        match byte {
            b'"' => scan.string()?,
            b'{' | b'[' => scan.open()?,
            b'}' | b']' => scan.depth = scan.depth.saturating_sub(1),
            b':' => scan.member()?,
            b',' => scan.value()?,
            b'-' | b'0'..=b'9' => scan.number()?,
            _ => {}
        }
    }
    Ok(())
}

struct Scan<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    values: usize,
    /// The latest string, as written. Before a colon it is a name.
    string: &'a str,
    members: usize,
    names: BTreeSet<&'a str>,
    extreme: usize,
}

impl Scan<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// A container has one value more than it has commas. (An empty one counts as two values.)
    fn open(&mut self) -> Result<(), Excess> {
        if self.depth == MAX_DEPTH {
            return Err(Excess::Depth);
        }
        self.depth += 1;
        self.value()
    }

    fn value(&mut self) -> Result<(), Excess> {
        self.values += 1;
        if self.values > MAX_VALUES { Err(Excess::Values) } else { Ok(()) }
    }

    fn member(&mut self) -> Result<(), Excess> {
        self.members += 1;
        if self.members > MAX_MEMBERS {
            return Err(Excess::Members);
        }
        if self.string.len() > MAX_NAME {
            return Err(Excess::LongName);
        }
        self.names.insert(self.string);
        if self.names.len() > MAX_NAMES { Err(Excess::Names) } else { Ok(()) }
    }

    /// After its first character.
    fn number(&mut self) -> Result<(), Excess> {
        let begin = self.at - 1;
        while self.peek().is_some_and(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-')) {
            self.at += 1;
        }
        let number = &self.text[begin..self.at];
        let has_exponent = number.contains(['e', 'E']);
        if number.len() > MAX_NUMBER {
            return Err(Excess::LongNumber);
        }
        // Shorter numbers are within the limits.
        if !has_exponent && number.len() <= 20 {
            return Ok(());
        }
        let size = number.parse().map_or(1.0, f64::abs);
        let is_zero = size == 0.0 && !has_exponent;
        if size.is_infinite() {
            return Err(Excess::LargeNumber);
        }
        self.extreme += usize::from(!EXTREME.contains(&size) && !is_zero);
        if self.extreme > MAX_EXTREME { Err(Excess::Extreme) } else { Ok(()) }
    }

    /// After its quotation mark, to the one that ends it.
    fn string(&mut self) -> Result<(), Excess> {
        let begin = self.at;
        while let Some(byte) = self.peek() {
            self.at += 1;
            match byte {
                b'"' => {
                    self.string = &self.text[begin..self.at - 1];
                    break;
                }
                b'\\' => self.escape()?,
                _ => {}
            }
        }
        Ok(())
    }

    fn escape(&mut self) -> Result<(), Excess> {
        let Some(code) = self.unicode_escape() else {
            // One character, or no JSON.
            self.at += 1;
            return Ok(());
        };
        match code {
            0xd800..=0xdbff if self.peek() == Some(b'\\') => {
                self.at += 1;
                match self.unicode_escape() {
                    Some(0xdc00..=0xdfff) => Ok(()),
                    _ => Err(Excess::HalfPair),
                }
            }
            0xd800..=0xdfff => Err(Excess::HalfPair),
            _ => Ok(()),
        }
    }

    /// Reads `u` and four digits, if they come next.
    fn unicode_escape(&mut self) -> Option<u16> {
        let digits = self.text.as_bytes().get(self.at..self.at + 5)?.strip_prefix(b"u")?;
        let digits = std::str::from_utf8(digits).ok().filter(|digits| digits.bytes().all(|d| d.is_ascii_hexdigit()))?;
        self.at += 5;
        u16::from_str_radix(digits, 16).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bound_is_exact() {
        let list = |n: usize, one: &str| format!("[{}]", vec![one; n].join(","));
        let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        let objects = |n: usize| format!("{}1{}", r#"{"a":"#.repeat(n), "}".repeat(n));
        let names = |n: usize| (0..n).map(|n| format!(r#"{{"{n}":1}}"#)).collect::<Vec<_>>().join(",");
        let name = |n: usize| format!(r#"{{"{}":1}}"#, "x".repeat(n));
        for (excess, good, bad) in [
            (Excess::Depth, nested(64), nested(65)),
            (Excess::Depth, objects(64), objects(65)),
            (Excess::Values, list(4_095, "1"), list(4_096, "1")),
            (
                Excess::Members,
                list(256, r#"{"a":1,"b":2,"a":3,"b":4}"#),
                list(205, r#"{"a":1,"b":2,"a":3,"b":4,"c":5}"#),
            ),
            (Excess::Names, names(256), names(257)),
            (Excess::LongName, name(128), name(129)),
            (Excess::LongNumber, "1".repeat(20), "1".repeat(65)),
            (Excess::Extreme, list(32, "-1e300"), list(33, "-1e300")),
            (Excess::Extreme, list(32, "1e-999"), list(33, "0.000000000000000000000000000000000001")),
            (Excess::Extreme, list(99, "0.00000000000000000000000"), list(99, "9999999999999999999999")),
            (Excess::LargeNumber, "[1e308,-1.7e308,1e-999]".into(), "[-1e309]".into()),
            (Excess::LargeNumber, "1e0000000001".into(), "1e999".into()),
            (Excess::HalfPair, r#""\ud83d\ude00 \uD83D\uDE00""#.into(), r#""\ud83d""#.into()),
            (Excess::HalfPair, r#""\\ud83d \/ \u0000 é""#.into(), r#""\\\ud83d""#.into()),
            (Excess::HalfPair, "\"\u{1F600}\"".into(), r#""\ude00\ud83d""#.into()),
            (Excess::HalfPair, r#"{"a":1}"#.into(), r#"{"\ud83d\ud83d\ude00":1}"#.into()),
            (Excess::HalfPair, r#""\u00e9""#.into(), r#""\ud83d\n""#.into()),
        ] {
            let of = |text: &str| text.chars().take(40).collect::<String>();
            assert_eq!(check(&good), Ok(()), "{}", of(&good));
            assert_eq!(check(&bad), Err(excess), "{}", of(&bad));
        }
    }

    #[test]
    fn the_content_of_a_string_is_not_counted() {
        let text = format!(r#"{{"a":"{}","b\"[{{":1}}"#, r#"[[{:,123e999\"\\"#.repeat(200));
        assert_eq!(check(&text), Ok(()));
    }

    /// The check does not decide whether text is JSON, and never panics.
    #[test]
    fn text_that_is_no_json_is_read_to_its_end_without_a_panic() {
        let pieces = ["", "{", "}", "]", "\"", "\\", "\\u", "\\ud83d", ":", "1", "-", "e9", "é", "\u{1F600}", "\0"];
        for a in pieces {
            for b in pieces {
                for c in pieces {
                    let _ = check(&format!("{a}{b}{c}"));
                    let _ = check(&format!("\"{a}{b}{c}"));
                }
            }
        }
        let _ = check(&"]:".repeat(100_000));
        let _ = check(&"[".repeat(100_000));
    }
}

//! Places in an author's files, by the source map that the build puts into the component.
//!
//! A throw names the bundle (`script:1006:45`), which its author does not have. The text is part of a room's outputs and
//! must be the same in every replay, so it stays as it is, and is made readable where it is shown: in the log, on the
//! page of `chorus dev`, by `chorus room events`. A text without a map is shown as it is.
//!
//! Bounds: a map of [`MAX_BYTES`]; a larger or damaged map is treated as absent. A map is parsed at its first use.

use std::{
    borrow::Cow,
    fmt,
    sync::{Arc, OnceLock},
};

use serde::Deserialize;

/// The custom section; see `guests/build/component.mjs`.
const SECTION: &str = "chorus:source-map";

/// The largest map that the build puts into a component: that of 40,000 lines.
pub const MAX_BYTES: usize = 4 << 20;

/// The bundle's name in the SDK, and in the engine.
const BUNDLES: [&str; 2] = ["script:", "componentize-qjs:user.js:"];

/// The SDK's own files in a map, which are left out if there are others.
const SDK: &str = "sdk/";

/// A component's map. Cheap to clone.
#[derive(Clone, Default)]
pub struct SourceMap(Arc<Inner>);

#[derive(Default)]
struct Inner {
    json: Vec<u8>,
    parsed: OnceLock<Option<Parsed>>,
}

impl fmt::Debug for SourceMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SourceMap({} bytes)", self.0.json.len())
    }
}

impl SourceMap {
    /// The map in a component's bytes; an empty one when there is none.
    pub fn of(wasm: &[u8]) -> SourceMap {
        let json = section(wasm, SECTION).filter(|json| json.len() <= MAX_BYTES).unwrap_or_default();
        SourceMap(Arc::new(Inner { json: json.to_vec(), parsed: OnceLock::new() }))
    }

    /// For `fuzz`.
    #[cfg(any(test, fuzzing))]
    pub(super) fn of_json(json: &[u8]) -> SourceMap {
        SourceMap(Arc::new(Inner { json: json.to_vec(), parsed: OnceLock::new() }))
    }

    /// A text with the author's places in it: `tic-tac-toe/index.js:12:5` for `script:1006:45`. Frames of the SDK are
    /// left out if there are others.
    pub fn readable<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if !BUNDLES.iter().any(|name| text.contains(name)) {
            return text.into();
        }
        let Some(map) = self.parsed() else { return text.into() };
        let lines: Vec<Line> = text.lines().map(|line| Line::of(line, map)).collect();
        let has_own = lines.iter().any(|line| line.is_frame && line.is_own);
        let shown = lines.iter().filter(|line| !line.is_frame || line.is_own || !has_own).map(|line| &*line.text);
        shown.collect::<Vec<_>>().join("\n").into()
    }

    fn parsed(&self) -> Option<&Parsed> {
        let Inner { json, parsed } = &*self.0;
        let parse = || if json.is_empty() { None } else { Parsed::of(json) };
        parsed.get_or_init(parse).as_ref()
    }
}

struct Line<'a> {
    text: Cow<'a, str>,
    is_frame: bool,
    /// Whether it is in one of the author's files.
    is_own: bool,
}

impl<'a> Line<'a> {
    fn of(line: &'a str, map: &Parsed) -> Line<'a> {
        let is_frame = line.trim_start().starts_with("at ");
        let Some((before, place, after)) = BUNDLES.iter().find_map(|name| split(line, name)) else {
            // A line without a place is the engine's own, or a text that a script threw.
            return Line { text: line.into(), is_frame, is_own: false };
        };
        let Some((source, (row, column))) = map.at(place) else {
            return Line { text: line.into(), is_frame, is_own: false };
        };
        let text = format!("{before}{source}:{row}:{column}{after}");
        Line { text: text.into(), is_frame, is_own: !source.starts_with(SDK) }
    }
}

/// Lines and columns, from 1.
type Place = (u32, u32);

/// A map of version 3 (ECMA-426). Decoded here, in a screenful: the libraries for it depend on URLs, bit vectors and
/// Unicode tables, and decode more than the look-up of one place needs.
struct Parsed {
    sources: Vec<Box<str>>,
    /// By row and column of the bundle.
    segments: Vec<Segment>,
}

struct Segment {
    at: Place,
    source: u32,
    original: Place,
}

#[derive(Deserialize)]
struct Json {
    version: u32,
    sources: Vec<Box<str>>,
    mappings: String,
}

impl Parsed {
    fn of(json: &[u8]) -> Option<Parsed> {
        let Json { version: 3, sources, mappings } = serde_json::from_slice(json).ok()? else { return None };
        let mut segments = Vec::new();
        // All fields but the bundle's column are differences to the segment before, across lines.
        let (mut source, mut row, mut column) = (0, 0, 0);
        for (line, text) in mappings.split(';').enumerate() {
            let mut start = 0;
            for text in text.split(',').filter(|text| !text.is_empty()) {
                let mut numbers = Numbers(text.as_bytes());
                start += numbers.next()??;
                // A segment of one number maps to no source.
                let Some(of) = numbers.next() else { continue };
                source += of?;
                row += numbers.next()??;
                column += numbers.next()??;
                let place = |row: i64, column: i64| Some((place(row)?, place(column)?));
                let segment = Segment {
                    at: place(i64::try_from(line).ok()?, start)?,
                    source: u32::try_from(source).ok()?,
                    original: place(row, column)?,
                };
                segments.push(segment);
            }
        }
        segments.sort_by_key(|segment| segment.at);
        Some(Parsed { sources, segments })
    }

    /// The last segment of that line that begins at that column or before.
    fn at(&self, (row, column): Place) -> Option<(&str, Place)> {
        let after = self.segments.partition_point(|segment| segment.at <= (row, column));
        let segment = self.segments[..after].last().filter(|segment| segment.at.0 == row)?;
        Some((self.sources.get(segment.source as usize)?, segment.original))
    }
}

/// A map counts from 0.
fn place(number: i64) -> Option<u32> {
    u32::try_from(number.checked_add(1)?).ok().filter(|place| *place > 0)
}

/// Base64 VLQ: five bits a digit, the lowest first; the sixth bit is set if more digits follow, and the lowest of all is
/// the sign.
struct Numbers<'a>(&'a [u8]);

impl Iterator for Numbers<'_> {
    /// `None` for an invalid number.
    type Item = Option<i64>;

    fn next(&mut self) -> Option<Option<i64>> {
        const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let (mut bits, mut shift) = (0_i64, 0);
        loop {
            let Some((digit, rest)) = self.0.split_first() else { return (shift > 0).then_some(None) };
            self.0 = rest;
            let Some(digit) = DIGITS.iter().position(|it| it == digit).filter(|_| shift <= 30) else {
                return Some(None);
            };
            bits |= (digit as i64 & 31) << shift;
            shift += 5;
            if digit & 32 == 0 {
                return Some(Some(if bits & 1 == 0 { bits >> 1 } else { -(bits >> 1) }));
            }
        }
    }
}

/// A line, split at the place that it names in the bundle: the text before, line and column, the text after.
fn split<'a>(line: &'a str, bundle: &str) -> Option<(&'a str, (u32, u32), &'a str)> {
    let (before, rest) = line.split_once(bundle)?;
    let (row, rest) = number(rest)?;
    let (column, after) = number(rest.strip_prefix(':')?)?;
    Some((before, (row, column), after))
}

fn number(text: &str) -> Option<(u32, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    Some((text[..end].parse().ok()?, &text[end..]))
}

/// A custom section of a component: after the preamble of 8 bytes comes one section after another, each with its id, its
/// size and its content; id 0 is a custom one, and its content begins with its name.
fn section<'a>(wasm: &'a [u8], wanted: &str) -> Option<&'a [u8]> {
    let mut rest = wasm.get(8..)?;
    while let Some((id, after)) = rest.split_first() {
        let (size, after) = leb128(after)?;
        let (content, next) = after.split_at_checked(size)?;
        if *id == 0 {
            let (length, content) = leb128(content)?;
            let (name, content) = content.split_at_checked(length)?;
            if name == wanted.as_bytes() {
                return Some(content);
            }
        }
        rest = next;
    }
    None
}

fn leb128(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0_u64;
    for (at, byte) in bytes.iter().enumerate().take(5) {
        value |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Some((usize::try_from(value).ok()?, &bytes[at + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `script:3:5` is `room/index.js:1:1`, and `script:4:1` is `sdk/guest.js:1:1`.
    const MAP: &str = r#"{"version":3,"sources":["room/index.js","sdk/guest.js"],"names":[],"mappings":";;IAAA;ACAA"}"#;

    fn component(sections: &[(&str, &[u8])]) -> Vec<u8> {
        let mut wasm = b"\0asm\x0d\0\x01\0".to_vec();
        for (name, content) in sections {
            let mut body = vec![name.len() as u8];
            body.extend_from_slice(name.as_bytes());
            body.extend_from_slice(content);
            wasm.push(0);
            // Two bytes of size, for any size.
            wasm.extend_from_slice(&[(body.len() & 0x7f) as u8 | 0x80, (body.len() >> 7) as u8]);
            wasm.extend_from_slice(&body);
        }
        wasm
    }

    #[test]
    fn a_throw_is_shown_at_the_authors_line() {
        let map = SourceMap::of(&component(&[("producers", b"x"), (SECTION, MAP.as_bytes())]));
        let thrown = "Error: no\n    at move (script:3:5)\n    at onMessage (script:4:1)\n    at handle (script:4:1)";
        assert_eq!(map.readable(thrown), "Error: no\n    at move (room/index.js:1:1)");
        assert_eq!(
            map.readable("    at <anonymous> (componentize-qjs:user.js:3:5)"),
            "    at <anonymous> (room/index.js:1:1)"
        );
    }

    #[test]
    fn where_there_are_only_frames_of_the_sdk_they_are_shown() {
        let map = SourceMap::of(&component(&[(SECTION, MAP.as_bytes())]));
        assert_eq!(
            map.readable("Error: no\n    at handle (script:4:1)"),
            "Error: no\n    at handle (sdk/guest.js:1:1)"
        );
    }

    #[test]
    fn numbers_are_read_as_they_are_written() {
        let read = |text: &str| Numbers(text.as_bytes()).collect::<Vec<_>>();
        assert_eq!(read("AACDgB"), [Some(0), Some(0), Some(1), Some(-1), Some(16)]);
        assert_eq!(read("g"), [None]);
        assert_eq!(read("!"), [None]);
        assert_eq!(read("ggggggggggggA").first(), Some(&None));
    }

    #[test]
    fn what_names_no_place_stays_as_it_is() {
        let map = SourceMap::of(&component(&[(SECTION, MAP.as_bytes())]));
        for text in [
            "",
            "plain",
            "script:",
            "script:x:1",
            "at (script:0:0)",
            "script:99999999999:1",
            "at (script:9:9)\nx",
            "é script:1",
        ] {
            assert_eq!(map.readable(text), text);
        }
    }

    #[test]
    fn a_component_without_a_map_or_with_a_broken_one_is_no_reason_to_fail() {
        let thrown = "Error: no\n    at move (script:3:5)";
        let whole = component(&[(SECTION, MAP.as_bytes())]);
        let broken = [
            vec![],
            b"\0asm".to_vec(),
            component(&[]),
            component(&[(SECTION, b"{")]),
            whole[..whole.len() - 9].to_vec(),
        ];
        for wasm in broken {
            assert_eq!(SourceMap::of(&wasm).readable(thrown), thrown);
        }
        for end in 0..whole.len() {
            let _ = SourceMap::of(&whole[..end]).readable(thrown);
        }
    }
}

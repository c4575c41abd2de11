//! The positions of all values of a JSON text.

use std::borrow::Cow;

use super::MAX_DEPTH;

/// The type of a value, by its first byte.
pub(super) fn json_type(text: &str) -> JsonType {
    match text.as_bytes().first() {
        Some(b'{') => JsonType::Object,
        Some(b'[') => JsonType::Array,
        _ => JsonType::Scalar,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum JsonType {
    Object,
    Array,
    Scalar,
}

/// The positions of a text's values, keys included, in the text's order: a value comes before what it contains.
pub(super) struct Index<'a> {
    text: &'a str,
    pub(super) nodes: Vec<Node>,
}

#[derive(Clone, Copy)]
pub(super) struct Node {
    start: u32,
    end: u32,
    /// The first node that is not within this one.
    pub(super) next: u32,
}

impl<'a> Index<'a> {
    /// `None` where the text is recognizably not JSON, or nests too deep.
    pub(super) fn of(text: &'a str) -> Option<Index<'a>> {
        let bytes = text.as_bytes();
        // A node takes two bytes of text at least; mostly it takes more than eight.
        let mut nodes: Vec<Node> = Vec::with_capacity(bytes.len() / 8 + 1);
        let mut open: Vec<usize> = Vec::new();
        let mut at = 0;
        while let Some(byte) = bytes.get(at) {
            let start = at as u32;
            at = match byte {
                b'{' | b'[' => {
                    open.push(nodes.len());
                    nodes.push(Node { start, end: 0, next: 0 });
                    if open.len() > MAX_DEPTH {
                        return None;
                    }
                    at + 1
                }
                b'}' | b']' => {
                    let container = open.pop()?;
                    nodes[container].end = start + 1;
                    nodes[container].next = nodes.len() as u32;
                    at + 1
                }
                b',' | b':' | b' ' | b'\t' | b'\n' | b'\r' => at + 1,
                byte => {
                    let end = if *byte == b'"' { string_end(bytes, at)? } else { scalar_end(bytes, at) };
                    nodes.push(Node { start, end: end as u32, next: nodes.len() as u32 + 1 });
                    end
                }
            };
        }
        let is_one_value = open.is_empty() && nodes.first()?.next as usize == nodes.len();
        is_one_value.then_some(Index { text, nodes })
    }

    pub(super) fn text(&self, node: usize) -> &'a str {
        let Node { start, end, .. } = self.nodes[node];
        &self.text[start as usize..end as usize]
    }

    pub(super) fn json_type(&self, node: usize) -> JsonType {
        json_type(self.text(node))
    }
}

/// A key with its escapes decoded: two texts may be the same key.
pub(super) fn key(text: &str) -> Option<Cow<'_, str>> {
    if text.contains('\\') {
        return serde_json::from_str(text).ok().map(Cow::Owned);
    }
    text.strip_prefix('"')?.strip_suffix('"').map(Cow::Borrowed)
}

/// The end of the string that begins at `at`, its quotes included.
pub(super) fn string_end(bytes: &[u8], at: usize) -> Option<usize> {
    let mut at = at + 1;
    loop {
        at += bytes.get(at..)?.iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
        if bytes[at] == b'"' {
            return Some(at + 1);
        }
        at += 2;
    }
}

pub(super) fn scalar_end(bytes: &[u8], at: usize) -> usize {
    let ends =
        |byte: &u8| matches!(byte, b',' | b':' | b'}' | b']' | b'{' | b'[' | b'"' | b' ' | b'\t' | b'\n' | b'\r');
    bytes[at..].iter().position(ends).map_or(bytes.len(), |len| at + len)
}

//! The items of one container of a JSON text: the members of an object, or the elements of an array.
//!
//! A container is read only where its text differs, and nothing is read of what it contains but where that ends.

use std::borrow::Cow;

use super::index::{key as decoded_key, scalar_end, string_end};

/// A part of a text.
#[derive(Clone, Copy)]
pub(super) struct Span {
    start: u32,
    end: u32,
}

/// A member or an element.
#[derive(Clone, Copy)]
pub(super) struct Item {
    /// The key with its quotes. Empty in an array.
    key: Span,
    /// Whether the key has escapes: then two texts may be the same key.
    is_escaped: bool,
    pub(super) value: Span,
}

/// A text, and the items of those of its containers that are being compared.
pub(super) struct Text<'a> {
    text: &'a str,
    items: Vec<Item>,
}

impl<'a> Text<'a> {
    pub(super) fn of(text: &'a str) -> Text<'a> {
        // An item takes two bytes of text at least; mostly it takes more than sixteen.
        Text { text, items: Vec::with_capacity(text.len() / 16 + 1) }
    }

    /// The whole document; `None` where the text is recognizably not one value.
    pub(super) fn document(&self) -> Option<Span> {
        let text = self.text.trim_ascii();
        let start = self.text.len() - self.text.trim_ascii_start().len();
        let end = value_end(self.text.as_bytes(), start)?;
        (end == start + text.len()).then(|| Span::of(start, end))
    }

    pub(super) fn get(&self, span: Span) -> &'a str {
        self.text.get(span.range()).unwrap_or_default()
    }

    pub(super) fn item(&self, at: usize) -> Item {
        self.items[at]
    }

    pub(super) fn items(&self, range: std::ops::Range<usize>) -> &[Item] {
        &self.items[range]
    }

    /// The number of items that are held. Those that are read later are dropped by [`Text::drop_from`].
    pub(super) fn held(&self) -> usize {
        self.items.len()
    }

    pub(super) fn drop_from(&mut self, held: usize) {
        self.items.truncate(held);
    }

    /// Reads the items of a container, and returns how many there are. `None` where the text is recognizably not JSON, or has a
    /// key that no string can hold.
    pub(super) fn read_items(&mut self, container: Span) -> Option<usize> {
        let before = self.items.len();
        let bytes = self.text.as_bytes().get(..container.end as usize)?;
        let mut at = container.start as usize;
        let is_object = *bytes.get(at)? == b'{';
        at = skip_space(bytes, at + 1);
        while !matches!(bytes.get(at)?, b'}' | b']') {
            if self.items.len() > before {
                (*bytes.get(at)? == b',').then_some(())?;
                at = skip_space(bytes, at + 1);
            }
            let (mut key, mut is_escaped) = (Span { start: 0, end: 0 }, false);
            if is_object {
                (*bytes.get(at)? == b'"').then_some(())?;
                let end = string_end(bytes, at)?;
                key = Span::of(at, end);
                is_escaped = bytes[at..end].contains(&b'\\');
                if is_escaped {
                    decoded_key(self.get(key))?;
                }
                at = skip_space(bytes, end);
                (*bytes.get(at)? == b':').then_some(())?;
                at = skip_space(bytes, at + 1);
            }
            let end = value_end(bytes, at)?;
            self.items.push(Item { key, is_escaped, value: Span::of(at, end) });
            at = skip_space(bytes, end);
        }
        Some(self.items.len() - before)
    }

    /// A key with its escapes decoded.
    pub(super) fn key(&self, item: Item) -> Cow<'a, str> {
        decoded_key(self.get(item.key)).unwrap_or_default()
    }

    pub(super) fn has_key(&self, item: Item, other: &Text<'_>, of_other: Item) -> bool {
        if item.is_escaped || of_other.is_escaped {
            return self.key(item) == other.key(of_other);
        }
        self.bytes(item.key) == other.bytes(of_other.key)
    }

    fn bytes(&self, span: Span) -> &'a [u8] {
        self.text.as_bytes().get(span.range()).unwrap_or_default()
    }
}

impl Span {
    fn of(start: usize, end: usize) -> Span {
        Span { start: start as u32, end: end as u32 }
    }

    pub(super) fn range(self) -> std::ops::Range<usize> {
        self.start as usize..self.end as usize
    }

    pub(super) fn len(self) -> usize {
        self.range().len()
    }
}

fn skip_space(bytes: &[u8], at: usize) -> usize {
    let is_other = |byte: &u8| !matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
    bytes.get(at..).and_then(|rest| rest.iter().position(is_other)).map_or(bytes.len(), |len| at + len)
}

/// The end of the value that begins at `at`.
fn value_end(bytes: &[u8], at: usize) -> Option<usize> {
    match bytes.get(at)? {
        b'"' => string_end(bytes, at),
        b'{' | b'[' => container_end(bytes, at),
        _ => Some(scalar_end(bytes, at)).filter(|end| *end > at),
    }
}

fn container_end(bytes: &[u8], start: usize) -> Option<usize> {
    let (mut depth, mut at) = (1, start + 1);
    loop {
        let is_mark = |byte: &u8| matches!(byte, b'"' | b'{' | b'[' | b'}' | b']');
        at += bytes.get(at..)?.iter().position(is_mark)?;
        match bytes[at] {
            b'"' => {
                at = string_end(bytes, at)?;
                continue;
            }
            b'{' | b'[' => depth += 1,
            _ => depth -= 1,
        }
        at += 1;
        if depth == 0 {
            return Some(at);
        }
    }
}

//! The difference between two JSON texts, as RFC 6902 operations.
//!
//! Texts are compared as texts. No number is parsed and no key is sorted: the value of an operation is a piece of the new text.
//! So a client that applies the operations has, bit for bit and key for key, the result of parsing the whole text. Only `add`,
//! `remove` and `replace` are produced.
//!
//! **Order of keys.** `add` appends to an object. So an object is replaced as a whole unless its new keys are the old ones in
//! their order, without the removed ones, followed by the added ones. An object that has a key twice is replaced too.
//!
//! **Bounds.** The operations are never longer than the replacement of the whole text. The text is replaced as a whole,
//! without a comparison, above [`MAX_COMPARED`] bytes; and when the comparison has cost [`WORK`] times its length, or a
//! text nests deeper than [`MAX_DEPTH`].
//!
//! Frames with these operations are part of a room's state, which must be equal on two hosts: a changed comparison is a new
//! version of the state.

use std::{borrow::Cow, fmt::Write as _};

/// Bytes of both texts together up to which they are compared. Indexing and comparing as much takes about as long as a guest
/// runs before it yields (`YIELD` in the host's budget), and 3 MiB of memory.
pub const MAX_COMPARED: usize = 256 * 1024;

/// The limit on a comparison's cost, in bytes read or written, for each byte of the texts. A game's views cost 2 to 4; only a
/// text that is made for it costs more: deep nesting around a long array that shifts, keys of thousands of bytes.
pub const WORK: usize = 16;

/// The depth to which texts are compared, which is that of a text from a guest (`serde_json` refuses 128 levels). The
/// comparison recurses as deep.
pub const MAX_DEPTH: usize = 128;

/// Objects up to this size are searched for a repeated key by comparing all pairs, larger ones by sorting.
const PAIRS: usize = 8;

const SURE: &str = "writing to a string cannot fail";

/// The result of a comparison.
#[derive(Debug)]
pub struct Difference {
    /// The operations, as a JSON array.
    pub ops: String,
    /// The cost of the comparison: bytes read or written.
    pub work: usize,
}

/// The operations that turn `old` into `new`. Both texts are valid JSON.
pub fn compare(old: &str, new: &str) -> Difference {
    let bytes = old.len() + new.len();
    // Values of different kinds, such as an object and an earlier `null`, have nothing in common.
    let alike = kind(old.trim_ascii_start()) == kind(new.trim_ascii_start());
    if bytes > MAX_COMPARED || !alike {
        return Difference { ops: whole(new), work: 0 };
    }
    let (Some(old), Some(is)) = (Index::of(old), Index::of(new)) else {
        return Difference { ops: whole(new), work: bytes };
    };
    let mut diff = Diff { old, new: is, path: String::new(), ops: String::from("["), work: bytes, limit: WORK * bytes };
    match diff.value(0, 0) {
        Ok(()) => diff.ops.push(']'),
        Err(TooDear) => diff.ops = whole(new),
    }
    Difference { ops: diff.ops, work: diff.work }
}

/// Whether both texts are the same document: the same numbers, and the same keys in the same order, regardless of their
/// notation.
pub fn is_same(one: &str, other: &str) -> bool {
    let (Some(one), Some(other)) = (Index::of(one), Index::of(other)) else { return one == other };
    one.nodes.len() == other.nodes.len()
        && (0..one.nodes.len()).all(|node| {
            let kind = one.kind(node);
            kind == other.kind(node)
                && one.nodes[node].next == other.nodes[node].next
                && (kind != Kind::Scalar || is_same_scalar(one.text(node), other.text(node)))
        })
}

fn is_same_scalar(one: &str, other: &str) -> bool {
    if one == other {
        return true;
    }
    if one.starts_with('"') {
        return key(one).is_some_and(|text| key(other) == Some(text));
    }
    // Exactly, which `serde_json` does not guarantee.
    one.parse::<f64>().is_ok_and(|number| other.parse() == Ok(number))
}

fn whole(new: &str) -> String {
    format!(r#"[{{"op":"replace","path":"","value":{new}}}]"#)
}

/// The kind of a value, by its first byte.
fn kind(text: &str) -> Kind {
    match text.as_bytes().first() {
        Some(b'{') => Kind::Object,
        Some(b'[') => Kind::Array,
        _ => Kind::Scalar,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Object,
    Array,
    Scalar,
}

/// The positions of a text's values, keys included, in the text's order: a value comes before what it contains.
struct Index<'a> {
    text: &'a str,
    nodes: Vec<Node>,
}

#[derive(Clone, Copy)]
struct Node {
    start: u32,
    end: u32,
    /// The first node that is not within this one.
    next: u32,
}

impl<'a> Index<'a> {
    /// `None` where the text is recognizably not JSON, or nests too deep.
    fn of(text: &'a str) -> Option<Index<'a>> {
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

    fn text(&self, node: usize) -> &'a str {
        let Node { start, end, .. } = self.nodes[node];
        &self.text[start as usize..end as usize]
    }

    fn kind(&self, node: usize) -> Kind {
        kind(self.text(node))
    }

    fn elements(&self, array: usize) -> Vec<Element<'a>> {
        let end = self.nodes[array].next as usize;
        let mut elements = Vec::new();
        let mut node = array + 1;
        while node < end {
            elements.push(Element { node, text: self.text(node) });
            node = self.nodes[node].next as usize;
        }
        elements
    }

    /// `None` where keys and values do not alternate.
    fn members(&self, object: usize) -> Option<Vec<Member<'a>>> {
        let end = self.nodes[object].next as usize;
        let mut members = Vec::new();
        let mut at = object + 1;
        while at < end {
            let value = at + 1;
            if value >= end {
                return None;
            }
            members.push(Member { key: key(self.text(at))?, value });
            at = self.nodes[value].next as usize;
        }
        Some(members)
    }
}

#[derive(Clone, Copy)]
struct Element<'a> {
    node: usize,
    text: &'a str,
}

struct Member<'a> {
    key: Cow<'a, str>,
    value: usize,
}

/// A key with its escapes decoded: two texts may be the same key.
fn key(text: &str) -> Option<Cow<'_, str>> {
    if text.contains('\\') {
        return serde_json::from_str(text).ok().map(Cow::Owned);
    }
    text.strip_prefix('"')?.strip_suffix('"').map(Cow::Borrowed)
}

/// The end of the string that begins at `at`, its quotes included.
fn string_end(bytes: &[u8], at: usize) -> Option<usize> {
    let mut at = at + 1;
    loop {
        match bytes.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

fn scalar_end(bytes: &[u8], at: usize) -> usize {
    let ends =
        |byte: &u8| matches!(byte, b',' | b':' | b'}' | b']' | b'{' | b'[' | b'"' | b' ' | b'\t' | b'\n' | b'\r');
    bytes[at..].iter().position(ends).map_or(bytes.len(), |len| at + len)
}

/// The comparison has exceeded its cost limit.
struct TooDear;

/// Whether the operations contain the changes within a container; if not, the container is replaced.
type Told = Result<bool, TooDear>;

struct Diff<'a> {
    old: Index<'a>,
    new: Index<'a>,
    /// The present position in the document: a JSON pointer, within a JSON string.
    path: String,
    ops: String,
    work: usize,
    limit: usize,
}

impl<'a> Diff<'a> {
    /// Appends the operations that turn the value `old` into `new`, in at most as many bytes as one replacement.
    fn value(&mut self, old: usize, new: usize) -> Result<(), TooDear> {
        if self.is_same(self.old.text(old), self.new.text(new))? {
            return Ok(());
        }
        let begin = self.ops.len();
        let most = begin + self.replacement(new);
        let is_told = match (self.old.kind(old), self.new.kind(new)) {
            (Kind::Object, Kind::Object) => self.object(old, new, most)?,
            (Kind::Array, Kind::Array) => self.array(old, new, most)?,
            _ => false,
        };
        if !is_told || self.ops.len() > most {
            self.ops.truncate(begin);
            self.put("replace", Some(new))?;
        }
        Ok(())
    }

    fn object(&mut self, old: usize, new: usize, most: usize) -> Told {
        let (Some(was), Some(is)) = (self.old.members(old), self.new.members(new)) else { return Ok(false) };
        self.spend(was.len() + is.len())?;
        if self.repeats_a_key(&was)? || self.repeats_a_key(&is)? {
            return Ok(false);
        }
        // The new object must begin with the remaining keys, in the old order.
        let mut kept: Vec<(usize, usize)> = Vec::with_capacity(is.len());
        let mut removed: Vec<&str> = Vec::new();
        for Member { key, value } in &was {
            match is.get(kept.len()) {
                Some(next) if next.key == *key => kept.push((*value, next.value)),
                _ => removed.push(key),
            }
        }
        let added = &is[kept.len()..];
        if self.shares_a_key(&removed, added)? {
            return Ok(false);
        }
        for key in removed {
            self.at_key(key, |diff| diff.put("remove", None))?;
            if self.ops.len() > most {
                return Ok(false);
            }
        }
        for (member, (was, is)) in is.iter().zip(kept) {
            self.at_key(&member.key, |diff| diff.value(was, is))?;
            if self.ops.len() > most {
                return Ok(false);
            }
        }
        for Member { key, value } in added {
            self.at_key(key, |diff| diff.put("add", Some(*value)))?;
            if self.ops.len() > most {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn repeats_a_key(&mut self, members: &[Member<'a>]) -> Result<bool, TooDear> {
        let count = members.len();
        if count <= PAIRS {
            self.spend(count * count)?;
            return Ok((1..count).any(|at| members[..at].iter().any(|other| other.key == members[at].key)));
        }
        let bytes: usize = members.iter().map(|member| member.key.len()).sum();
        self.spend(bytes * count.ilog2() as usize)?;
        let mut keys: Vec<&str> = members.iter().map(|member| &*member.key).collect();
        keys.sort_unstable();
        Ok(keys.windows(2).any(|pair| pair[0] == pair[1]))
    }

    fn shares_a_key(&mut self, removed: &[&str], added: &[Member<'a>]) -> Result<bool, TooDear> {
        if removed.is_empty() || added.is_empty() {
            return Ok(false);
        }
        let bytes: usize = removed.iter().map(|key| key.len()).chain(added.iter().map(|member| member.key.len())).sum();
        self.spend(bytes * removed.len().ilog2() as usize)?;
        let mut removed = removed.to_vec();
        removed.sort_unstable();
        Ok(added.iter().any(|member| removed.binary_search(&&*member.key).is_ok()))
    }

    fn array(&mut self, old: usize, new: usize, most: usize) -> Told {
        let (was, is) = (self.old.elements(old), self.new.elements(new));
        self.spend(was.len() + is.len())?;
        let (mut begin, mut was_end, mut is_end) = (0, was.len(), is.len());
        while begin < was_end.min(is_end) && self.is_same(was[begin].text, is[begin].text)? {
            begin += 1;
        }
        while begin < was_end.min(is_end) && self.is_same(was[was_end - 1].text, is[is_end - 1].text)? {
            (was_end, is_end) = (was_end - 1, is_end - 1);
        }
        let (was, is) = (&was[begin..was_end], &is[begin..is_end]);
        // A window that shifts: elements are removed at one end, and others are added at the other.
        if let Some(left) = self.overlap(was, is)? {
            let stay = was.len() - left;
            return Ok(self.splice(begin, left, &[], most)? && self.splice(begin + stay, 0, &is[stay..], most)?);
        }
        if let Some(came) = self.overlap(is, was)? {
            let left = was.len() - (is.len() - came);
            return Ok(self.splice(begin, 0, &is[..came], most)? && self.splice(begin + is.len(), left, &[], most)?);
        }
        let both = was.len().min(is.len());
        for (at, (was, is)) in was.iter().zip(is).enumerate() {
            self.at_index(begin + at, |diff| diff.value(was.node, is.node))?;
            if self.ops.len() > most {
                return Ok(false);
            }
        }
        self.splice(begin + both, was.len() - both, &is[both..], most)
    }

    /// The number of elements of `one` before a part with which `other` begins, if that part reaches to the end of `one` and is
    /// at least half of both.
    fn overlap(&mut self, one: &[Element<'a>], other: &[Element<'a>]) -> Result<Option<usize>, TooDear> {
        let Some(first) = other.first() else { return Ok(None) };
        let longest = one.len().max(other.len());
        let least = one.len().saturating_sub(other.len()).max(1);
        for before in least..=one.len().saturating_sub(longest.div_ceil(2)) {
            if !self.is_same(one[before].text, first.text)? {
                continue;
            }
            for (one, other) in one[before..].iter().zip(other) {
                if !self.is_same(one.text, other.text)? {
                    return Ok(None);
                }
            }
            return Ok(Some(before));
        }
        Ok(None)
    }

    /// Removes this many elements at an index, and adds others there.
    fn splice(&mut self, at: usize, remove: usize, add: &[Element<'a>], most: usize) -> Told {
        for _ in 0..remove {
            self.at_index(at, |diff| diff.put("remove", None))?;
            if self.ops.len() > most {
                return Ok(false);
            }
        }
        for (at, element) in (at..).zip(add) {
            self.at_index(at, |diff| diff.put("add", Some(element.node)))?;
            if self.ops.len() > most {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn is_same(&mut self, one: &str, other: &str) -> Result<bool, TooDear> {
        self.spend(if one.len() == other.len() { one.len() } else { 1 })?;
        Ok(one == other)
    }

    fn at_key(&mut self, key: &str, then: impl FnOnce(&mut Self) -> Result<(), TooDear>) -> Result<(), TooDear> {
        let parent = self.path.len();
        self.spend(key.len())?;
        push_token(&mut self.path, key);
        then(self)?;
        self.path.truncate(parent);
        Ok(())
    }

    fn at_index(&mut self, index: usize, then: impl FnOnce(&mut Self) -> Result<(), TooDear>) -> Result<(), TooDear> {
        let parent = self.path.len();
        write!(self.path, "/{index}").expect(SURE);
        then(self)?;
        self.path.truncate(parent);
        Ok(())
    }

    fn put(&mut self, op: &str, value: Option<usize>) -> Result<(), TooDear> {
        let begin = self.ops.len();
        let comma = if begin > 1 { "," } else { "" };
        write!(self.ops, r#"{comma}{{"op":"{op}","path":"{}""#, self.path).expect(SURE);
        if let Some(value) = value {
            write!(self.ops, r#","value":{}"#, self.new.text(value)).expect(SURE);
        }
        self.ops.push('}');
        self.spend(self.ops.len() - begin)
    }

    /// The size in bytes of the operation that replaces the present value.
    fn replacement(&self, new: usize) -> usize {
        let comma = usize::from(self.ops.len() > 1);
        comma + r#"{"op":"replace","path":"","value":}"#.len() + self.path.len() + self.new.text(new).len()
    }

    fn spend(&mut self, work: usize) -> Result<(), TooDear> {
        self.work += work;
        if self.work > self.limit { Err(TooDear) } else { Ok(()) }
    }
}

/// A key as a part of a JSON pointer, within a JSON string.
fn push_token(path: &mut String, key: &str) {
    path.push('/');
    if !key.bytes().any(|byte| matches!(byte, b'~' | b'/' | b'"' | b'\\' | ..0x20)) {
        return path.push_str(key);
    }
    let token = key.replace('~', "~0").replace('/', "~1");
    let quoted = serde_json::to_string(&token).expect("a string is always JSON");
    path.push_str(&quoted[1..quoted.len() - 1]);
}

#[cfg(test)]
mod tests;

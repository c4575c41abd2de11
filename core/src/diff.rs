//! The difference between two JSON texts, as RFC 6902 operations.
//!
//! Texts are compared as texts, and read only where they differ. No number is parsed and no key is sorted: the value of an
//! operation is a piece of the new text. So a client that applies the operations has, bit for bit and key for key, the result
//! of parsing the whole text. Only `add`, `remove` and `replace` are produced.
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

mod index;
mod items;
#[cfg(test)]
mod tests;

use std::{borrow::Cow, fmt::Write as _, ops::Range};

use index::{Index, JsonType, json_type, key};
use items::{Item, Span, Text};

/// Bytes of both texts together up to which they are compared. Comparing as much takes about as long as a guest runs before it
/// yields (`YIELD` in the host's budget), and at most 5 MiB of memory.
pub const MAX_COMPARED: usize = 256 * 1024;

/// The limit on a comparison's cost, in bytes read or written, for each byte of the texts. A game's views cost 2 to 4; only a
/// text that is made for it costs more: deep nesting around a long array that shifts, keys of thousands of bytes.
pub const WORK: usize = 16;

/// The depth to which texts are compared, which is that of a text from a guest (`serde_json` refuses 128 levels). The
/// comparison recurses as deep.
pub const MAX_DEPTH: usize = 128;

/// Objects up to this size are searched for a repeated key by comparing all pairs, larger ones by sorting.
const PAIRS: usize = 8;

/// The length of most games' operations.
const TYPICAL_OPS: usize = 160;

const INFALLIBLE: &str = "writing to a string cannot fail";

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
    // Values of different types, such as an object and an earlier `null`, have nothing in common.
    let alike = json_type(old.trim_ascii_start()) == json_type(new.trim_ascii_start());
    if bytes > MAX_COMPARED || !alike {
        return Difference { ops: whole(new), work: 0 };
    }
    let (old, of_new) = (Text::of(old), Text::of(new));
    let (Some(before), Some(after)) = (old.document(), of_new.document()) else {
        return Difference { ops: whole(new), work: bytes };
    };
    let (path, mut ops) = (String::new(), String::with_capacity(TYPICAL_OPS));
    ops.push('[');
    let mut diff = Diff { old, new: of_new, path, ops, depth: 0, work: bytes, limit: WORK * bytes };
    match diff.value(before, after) {
        Ok(()) => diff.ops.push(']'),
        Err(OverBudget) => diff.ops = whole(new),
    }
    Difference { ops: diff.ops, work: diff.work }
}

/// Whether both texts are the same document: the same numbers, and the same keys in the same order, regardless of their
/// notation.
pub fn is_same(one: &str, other: &str) -> bool {
    let (Some(one), Some(other)) = (Index::of(one), Index::of(other)) else { return one == other };
    one.nodes.len() == other.nodes.len()
        && (0..one.nodes.len()).all(|node| {
            let json_type = one.json_type(node);
            json_type == other.json_type(node)
                && one.nodes[node].next == other.nodes[node].next
                && (json_type != JsonType::Scalar || is_same_scalar(one.text(node), other.text(node)))
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

/// The comparison has exceeded its limit of cost or of depth.
struct OverBudget;

/// Whether the operations within a container are complete; if not, the container is replaced.
type Complete = Result<bool, OverBudget>;

struct Diff<'a> {
    old: Text<'a>,
    new: Text<'a>,
    /// The present position in the document: a JSON pointer, within a JSON string.
    path: String,
    ops: String,
    depth: usize,
    work: usize,
    limit: usize,
}

/// The items of two containers of the same type.
struct Items {
    old: Range<usize>,
    new: Range<usize>,
}

impl<'a> Diff<'a> {
    /// Appends the operations that turn the value `old` into `new`, in at most as many bytes as one replacement.
    fn value(&mut self, old: Span, new: Span) -> Result<(), OverBudget> {
        if self.is_same(self.old.get(old), self.new.get(new))? {
            return Ok(());
        }
        let begin = self.ops.len();
        let max_len = begin + self.replacement(new);
        let is_complete = match (json_type(self.old.get(old)), json_type(self.new.get(new))) {
            (JsonType::Object, JsonType::Object) => {
                self.container(old, new, |diff, items| diff.object(items, max_len))?
            }
            (JsonType::Array, JsonType::Array) => self.container(old, new, |diff, items| diff.array(items, max_len))?,
            _ => false,
        };
        if !is_complete || self.ops.len() > max_len {
            self.ops.truncate(begin);
            self.put("replace", Some(new))?;
        }
        Ok(())
    }

    /// Compares the items of two containers by `compare`. They are held until it returns.
    fn container(&mut self, old: Span, new: Span, compare: impl FnOnce(&mut Self, Items) -> Complete) -> Complete {
        if self.depth == MAX_DEPTH {
            return Err(OverBudget);
        }
        self.spend(old.len() + new.len())?;
        let held = (self.old.held(), self.new.held());
        let counts = self.old.read_items(old).zip(self.new.read_items(new));
        let is_complete = match counts {
            None => false,
            Some((before, after)) => {
                self.spend(before + after)?;
                self.depth += 1;
                let is_complete = compare(self, Items { old: held.0..held.0 + before, new: held.1..held.1 + after })?;
                self.depth -= 1;
                is_complete
            }
        };
        self.old.drop_from(held.0);
        self.new.drop_from(held.1);
        Ok(is_complete)
    }

    fn object(&mut self, Items { old, new }: Items, max_len: usize) -> Complete {
        let has_repetition = repeats_a_key(&self.old, old.clone(), &mut self.work)
            || repeats_a_key(&self.new, new.clone(), &mut self.work);
        self.spend(0)?;
        if has_repetition {
            return Ok(false);
        }
        // The new object must begin with the remaining keys, in the old order.
        let mut kept = 0;
        let mut removed: Vec<Item> = Vec::new();
        for at in old.clone() {
            let (item, next) = (self.old.item(at), new.start + kept);
            if next < new.end && self.old.has_key(item, &self.new, self.new.item(next)) {
                kept += 1;
            } else {
                removed.push(item);
            }
        }
        let added = new.start + kept..new.end;
        if self.shares_a_key(&removed, added.clone())? {
            return Ok(false);
        }
        for item in &removed {
            self.at_key(self.old.key(*item), |diff| diff.put("remove", None))?;
            if self.ops.len() > max_len {
                return Ok(false);
            }
        }
        let mut removed = removed.into_iter().map(|item| item.value.range().start).peekable();
        let mut next = new.start;
        for at in old {
            let before = self.old.item(at);
            if removed.next_if_eq(&before.value.range().start).is_some() {
                continue;
            }
            let after = self.new.item(next);
            next += 1;
            self.at_key(self.new.key(after), |diff| diff.value(before.value, after.value))?;
            if self.ops.len() > max_len {
                return Ok(false);
            }
        }
        for at in added {
            let item = self.new.item(at);
            self.at_key(self.new.key(item), |diff| diff.put("add", Some(item.value)))?;
            if self.ops.len() > max_len {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn shares_a_key(&mut self, removed: &[Item], added: Range<usize>) -> Result<bool, OverBudget> {
        if removed.is_empty() || added.is_empty() {
            return Ok(false);
        }
        let mut removed: Vec<Cow<str>> = removed.iter().map(|item| self.old.key(*item)).collect();
        let added: Vec<Cow<str>> = self.new.items(added).iter().map(|item| self.new.key(*item)).collect();
        let bytes: usize = removed.iter().chain(&added).map(|key| key.len()).sum();
        self.spend(bytes * removed.len().ilog2() as usize)?;
        removed.sort_unstable();
        Ok(added.iter().any(|key| removed.binary_search(key).is_ok()))
    }

    fn array(&mut self, Items { mut old, mut new }: Items, max_len: usize) -> Complete {
        let begin_of_new = new.start;
        while !old.is_empty() && !new.is_empty() && self.is_same_item(old.start, new.start)? {
            (old.start, new.start) = (old.start + 1, new.start + 1);
        }
        while !old.is_empty() && !new.is_empty() && self.is_same_item(old.end - 1, new.end - 1)? {
            (old.end, new.end) = (old.end - 1, new.end - 1);
        }
        let begin = new.start - begin_of_new;
        // A window that shifts: elements are removed at one end, and others are added at the other.
        let forward =
            overlap(old.len(), new.len(), |one, other| self.is_same_item(old.start + one, new.start + other))?;
        if let Some(removed) = forward {
            let kept = old.len() - removed;
            return Ok(self.splice(begin, removed, 0..0, max_len)?
                && self.splice(begin + kept, 0, new.start + kept..new.end, max_len)?);
        }
        let backward =
            overlap(new.len(), old.len(), |one, other| self.is_same_item(old.start + other, new.start + one))?;
        if let Some(added) = backward {
            let removed = old.len() - (new.len() - added);
            return Ok(self.splice(begin, 0, new.start..new.start + added, max_len)?
                && self.splice(begin + new.len(), removed, 0..0, max_len)?);
        }
        let both = old.len().min(new.len());
        for at in 0..both {
            let (before, after) = (self.old.item(old.start + at).value, self.new.item(new.start + at).value);
            self.at_index(begin + at, |diff| diff.value(before, after))?;
            if self.ops.len() > max_len {
                return Ok(false);
            }
        }
        self.splice(begin + both, old.len() - both, new.start + both..new.end, max_len)
    }

    /// Removes this many elements at an index, and adds others there.
    fn splice(&mut self, at: usize, remove: usize, add: Range<usize>, max_len: usize) -> Complete {
        for _ in 0..remove {
            self.at_index(at, |diff| diff.put("remove", None))?;
            if self.ops.len() > max_len {
                return Ok(false);
            }
        }
        for (at, item) in (at..).zip(add) {
            let value = self.new.item(item).value;
            self.at_index(at, |diff| diff.put("add", Some(value)))?;
            if self.ops.len() > max_len {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn is_same_item(&mut self, old: usize, new: usize) -> Result<bool, OverBudget> {
        let (old, new) = (self.old.item(old).value, self.new.item(new).value);
        self.is_same(self.old.get(old), self.new.get(new))
    }

    fn is_same(&mut self, one: &str, other: &str) -> Result<bool, OverBudget> {
        self.spend(if one.len() == other.len() { one.len() } else { 1 })?;
        Ok(one == other)
    }

    fn at_key(
        &mut self,
        key: Cow<'a, str>,
        then: impl FnOnce(&mut Self) -> Result<(), OverBudget>,
    ) -> Result<(), OverBudget> {
        let parent = self.path.len();
        self.spend(key.len())?;
        push_token(&mut self.path, &key);
        then(self)?;
        self.path.truncate(parent);
        Ok(())
    }

    fn at_index(
        &mut self,
        index: usize,
        then: impl FnOnce(&mut Self) -> Result<(), OverBudget>,
    ) -> Result<(), OverBudget> {
        let parent = self.path.len();
        write!(self.path, "/{index}").expect(INFALLIBLE);
        then(self)?;
        self.path.truncate(parent);
        Ok(())
    }

    fn put(&mut self, op: &str, value: Option<Span>) -> Result<(), OverBudget> {
        let begin = self.ops.len();
        let comma = if begin > 1 { "," } else { "" };
        write!(self.ops, r#"{comma}{{"op":"{op}","path":"{}""#, self.path).expect(INFALLIBLE);
        if let Some(value) = value {
            write!(self.ops, r#","value":{}"#, self.new.get(value)).expect(INFALLIBLE);
        }
        self.ops.push('}');
        self.spend(self.ops.len() - begin)
    }

    /// The size in bytes of the operation that replaces the present value.
    fn replacement(&self, new: Span) -> usize {
        let comma = usize::from(self.ops.len() > 1);
        comma + r#"{"op":"replace","path":"","value":}"#.len() + self.path.len() + new.len()
    }

    fn spend(&mut self, work: usize) -> Result<(), OverBudget> {
        self.work += work;
        if self.work > self.limit { Err(OverBudget) } else { Ok(()) }
    }
}

/// Whether two of these items have one key. Adds what that costs to `work`.
fn repeats_a_key(text: &Text<'_>, items: Range<usize>, work: &mut usize) -> bool {
    let (items, count) = (text.items(items.clone()), items.len());
    if count <= PAIRS {
        *work += count * count;
        let is_earlier = |at: usize| items[..at].iter().any(|other| text.has_key(*other, text, items[at]));
        return (1..count).any(is_earlier);
    }
    let mut keys: Vec<Cow<str>> = items.iter().map(|item| text.key(*item)).collect();
    *work += keys.iter().map(|key| key.len()).sum::<usize>() * count.ilog2() as usize;
    keys.sort_unstable();
    keys.windows(2).any(|pair| pair[0] == pair[1])
}

/// The number of elements of `one` before a part with which `other` begins, if that part reaches to the end of `one` and is at
/// least half of both. `is_same` compares an element of `one` with one of `other`.
fn overlap(
    one: usize,
    other: usize,
    mut is_same: impl FnMut(usize, usize) -> Result<bool, OverBudget>,
) -> Result<Option<usize>, OverBudget> {
    if other == 0 {
        return Ok(None);
    }
    let longest = one.max(other);
    let least = one.saturating_sub(other).max(1);
    for before in least..=one.saturating_sub(longest.div_ceil(2)) {
        if !is_same(before, 0)? {
            continue;
        }
        for at in 0..(one - before).min(other) {
            if !is_same(before + at, at)? {
                return Ok(None);
            }
        }
        return Ok(Some(before));
    }
    Ok(None)
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

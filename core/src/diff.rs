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

mod index;
#[cfg(test)]
mod tests;

use std::fmt::Write as _;

use index::{Element, Index, JsonType, Member, json_type, key};

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
    let (Some(old_index), Some(new_index)) = (Index::of(old), Index::of(new)) else {
        return Difference { ops: whole(new), work: bytes };
    };
    let mut diff = Diff {
        old: old_index,
        new: new_index,
        path: String::new(),
        ops: String::from("["),
        work: bytes,
        limit: WORK * bytes,
    };
    match diff.value(0, 0) {
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

/// The comparison has exceeded its cost limit.
struct OverBudget;

/// Whether the operations within a container are complete; if not, the container is replaced.
type Complete = Result<bool, OverBudget>;

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
    fn value(&mut self, old: usize, new: usize) -> Result<(), OverBudget> {
        if self.is_same(self.old.text(old), self.new.text(new))? {
            return Ok(());
        }
        let begin = self.ops.len();
        let max_len = begin + self.replacement(new);
        let is_complete = match (self.old.json_type(old), self.new.json_type(new)) {
            (JsonType::Object, JsonType::Object) => self.object(old, new, max_len)?,
            (JsonType::Array, JsonType::Array) => self.array(old, new, max_len)?,
            _ => false,
        };
        if !is_complete || self.ops.len() > max_len {
            self.ops.truncate(begin);
            self.put("replace", Some(new))?;
        }
        Ok(())
    }

    fn object(&mut self, old: usize, new: usize, max_len: usize) -> Complete {
        let (Some(before), Some(after)) = (self.old.members(old), self.new.members(new)) else { return Ok(false) };
        self.spend(before.len() + after.len())?;
        if self.repeats_a_key(&before)? || self.repeats_a_key(&after)? {
            return Ok(false);
        }
        // The new object must begin with the remaining keys, in the old order.
        let mut kept: Vec<(usize, usize)> = Vec::with_capacity(after.len());
        let mut removed: Vec<&str> = Vec::new();
        for Member { key, value } in &before {
            match after.get(kept.len()) {
                Some(next) if next.key == *key => kept.push((*value, next.value)),
                _ => removed.push(key),
            }
        }
        let added = &after[kept.len()..];
        if self.shares_a_key(&removed, added)? {
            return Ok(false);
        }
        for key in removed {
            self.at_key(key, |diff| diff.put("remove", None))?;
            if self.ops.len() > max_len {
                return Ok(false);
            }
        }
        for (member, (before, after)) in after.iter().zip(kept) {
            self.at_key(&member.key, |diff| diff.value(before, after))?;
            if self.ops.len() > max_len {
                return Ok(false);
            }
        }
        for Member { key, value } in added {
            self.at_key(key, |diff| diff.put("add", Some(*value)))?;
            if self.ops.len() > max_len {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn repeats_a_key(&mut self, members: &[Member<'a>]) -> Result<bool, OverBudget> {
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

    fn shares_a_key(&mut self, removed: &[&str], added: &[Member<'a>]) -> Result<bool, OverBudget> {
        if removed.is_empty() || added.is_empty() {
            return Ok(false);
        }
        let bytes: usize = removed.iter().map(|key| key.len()).chain(added.iter().map(|member| member.key.len())).sum();
        self.spend(bytes * removed.len().ilog2() as usize)?;
        let mut removed = removed.to_vec();
        removed.sort_unstable();
        Ok(added.iter().any(|member| removed.binary_search(&&*member.key).is_ok()))
    }

    fn array(&mut self, old: usize, new: usize, max_len: usize) -> Complete {
        let (before, after) = (self.old.elements(old), self.new.elements(new));
        self.spend(before.len() + after.len())?;
        let (mut begin, mut before_end, mut after_end) = (0, before.len(), after.len());
        while begin < before_end.min(after_end) && self.is_same(before[begin].text, after[begin].text)? {
            begin += 1;
        }
        while begin < before_end.min(after_end)
            && self.is_same(before[before_end - 1].text, after[after_end - 1].text)?
        {
            (before_end, after_end) = (before_end - 1, after_end - 1);
        }
        let (before, after) = (&before[begin..before_end], &after[begin..after_end]);
        // A window that shifts: elements are removed at one end, and others are added at the other.
        if let Some(removed) = self.overlap(before, after)? {
            let kept = before.len() - removed;
            return Ok(
                self.splice(begin, removed, &[], max_len)? && self.splice(begin + kept, 0, &after[kept..], max_len)?
            );
        }
        if let Some(added) = self.overlap(after, before)? {
            let removed = before.len() - (after.len() - added);
            return Ok(self.splice(begin, 0, &after[..added], max_len)?
                && self.splice(begin + after.len(), removed, &[], max_len)?);
        }
        let both = before.len().min(after.len());
        for (at, (before, after)) in before.iter().zip(after).enumerate() {
            self.at_index(begin + at, |diff| diff.value(before.node, after.node))?;
            if self.ops.len() > max_len {
                return Ok(false);
            }
        }
        self.splice(begin + both, before.len() - both, &after[both..], max_len)
    }

    /// The number of elements of `one` before a part with which `other` begins, if that part reaches to the end of `one` and is
    /// at least half of both.
    fn overlap(&mut self, one: &[Element<'a>], other: &[Element<'a>]) -> Result<Option<usize>, OverBudget> {
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
    fn splice(&mut self, at: usize, remove: usize, add: &[Element<'a>], max_len: usize) -> Complete {
        for _ in 0..remove {
            self.at_index(at, |diff| diff.put("remove", None))?;
            if self.ops.len() > max_len {
                return Ok(false);
            }
        }
        for (at, element) in (at..).zip(add) {
            self.at_index(at, |diff| diff.put("add", Some(element.node)))?;
            if self.ops.len() > max_len {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn is_same(&mut self, one: &str, other: &str) -> Result<bool, OverBudget> {
        self.spend(if one.len() == other.len() { one.len() } else { 1 })?;
        Ok(one == other)
    }

    fn at_key(&mut self, key: &str, then: impl FnOnce(&mut Self) -> Result<(), OverBudget>) -> Result<(), OverBudget> {
        let parent = self.path.len();
        self.spend(key.len())?;
        push_token(&mut self.path, key);
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

    fn put(&mut self, op: &str, value: Option<usize>) -> Result<(), OverBudget> {
        let begin = self.ops.len();
        let comma = if begin > 1 { "," } else { "" };
        write!(self.ops, r#"{comma}{{"op":"{op}","path":"{}""#, self.path).expect(INFALLIBLE);
        if let Some(value) = value {
            write!(self.ops, r#","value":{}"#, self.new.text(value)).expect(INFALLIBLE);
        }
        self.ops.push('}');
        self.spend(self.ops.len() - begin)
    }

    /// The size in bytes of the operation that replaces the present value.
    fn replacement(&self, new: usize) -> usize {
        let comma = usize::from(self.ops.len() > 1);
        comma + r#"{"op":"replace","path":"","value":}"#.len() + self.path.len() + self.new.text(new).len()
    }

    fn spend(&mut self, work: usize) -> Result<(), OverBudget> {
        self.work += work;
        if self.work > self.limit { Err(OverBudget) } else { Ok(()) }
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

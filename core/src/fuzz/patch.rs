//! The difference between two texts, applied.

use serde_json::{Map, Value};

use crate::diff;

/// Two JSON texts, separated by a line feed: the operations turn the first into the second, in at most as many bytes as one that
/// replaces the whole.
pub fn patch(bytes: &[u8]) {
    let Some((old, new)) = super::text(bytes).and_then(|text| text.split_once('\n')) else { return };
    let value = |text: &str| serde_json::from_str::<Value>(text).ok();
    let (Some(before), Some(after)) = (value(old), value(new)) else { return };
    let ops = diff::compare(old, new).ops;
    assert!(ops.len() <= new.len() + r#"[{"op":"replace","path":"","value":}]"#.len());
    let ops: Vec<Map<String, Value>> = serde_json::from_str(&ops).expect("operations");
    let mut patched = before;
    ops.iter().for_each(|op| apply(&mut patched, op));
    assert_eq!(patched, after, "{ops:?}");
    assert!(diff::is_same(new, new));
}

fn apply(document: &mut Value, op: &Map<String, Value>) {
    let path = op["path"].as_str().expect("a path");
    let Some((parent, token)) = path.rsplit_once('/') else {
        *document = op["value"].clone();
        return;
    };
    let token = token.replace("~1", "/").replace("~0", "~");
    match (document.pointer_mut(parent).expect("it is there"), op["op"].as_str()) {
        (Value::Object(members), Some("remove")) => drop(members.remove(&token).expect("it is there")),
        (Value::Object(members), Some("add")) => {
            assert!(members.insert(token, op["value"].clone()).is_none());
        }
        (Value::Object(members), Some("replace")) => {
            *members.get_mut(&token).expect("it is there") = op["value"].clone()
        }
        (Value::Array(items), op_name) => {
            let at: usize = token.parse().expect("an index");
            match op_name {
                Some("remove") => drop(items.remove(at)),
                Some("add") => items.insert(at, op["value"].clone()),
                Some("replace") => items[at] = op["value"].clone(),
                other => panic!("{other:?}"),
            }
        }
        (other, op) => panic!("{op:?} in {other}"),
    }
}

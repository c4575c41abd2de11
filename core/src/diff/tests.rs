//! For any two documents the operations turn the old text into the new one, byte for byte.

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};

use super::*;

#[test]
fn only_differences_are_sent() {
    let cases = [
        (r#"{"a":1,"b":2}"#, r#"{"a":1,"b":3}"#, r#"[{"op":"replace","path":"/b","value":3}]"#),
        (r#"{"a":[1,2,3]}"#, r#"{"a":[1,0,3]}"#, r#"[{"op":"replace","path":"/a/1","value":0}]"#),
        (r#"{"a":1}"#, r#"{"a":1,"b":[{}]}"#, r#"[{"op":"add","path":"/b","value":[{}]}]"#),
        (r#"{"a":12345678901,"b":2}"#, r#"{"b":2}"#, r#"[{"op":"remove","path":"/a"}]"#),
        ("[1]", "[1,2]", r#"[{"op":"add","path":"/1","value":2}]"#),
        ("[10000000,20000000,30000000]", "[10000000,30000000]", r#"[{"op":"remove","path":"/1"}]"#),
        ("null", "[]", r#"[{"op":"replace","path":"","value":[]}]"#),
        ("1", "2", r#"[{"op":"replace","path":"","value":2}]"#),
        (r#"{"a":1}"#, r#"{"a":1}"#, "[]"),
    ];
    // Text around the documents, so that replacing the whole is never shorter.
    let more = "\"more than is worth to be sent again for so little\"";
    for (old, new, ops) in cases {
        assert_eq!(apply(old, ops), new, "the case itself");
        let around = |text: &str| format!("[{text},{more}]");
        let below = if ops.contains(r#""path":"""#) { "/0" } else { "/0/" };
        let ops = ops.replace(r#""path":"/"#, &format!(r#""path":"{below}"#)).replace(r#""path":"""#, r#""path":"/0""#);
        assert_eq!(compare(&around(old), &around(new)).ops, ops, "{old} {new}");
    }
}

#[test]
fn a_number_is_the_text_that_the_script_wrote() {
    for number in &NUMBERS {
        let (old, new) = (r#"{"x":0,"y":"something"}"#.to_owned(), format!(r#"{{"x":{number},"y":"something"}}"#));
        let ops = compare(&old, &new).ops;
        if number.len() < 18 && *number != "0" {
            assert_eq!(ops, format!(r#"[{{"op":"replace","path":"/x","value":{number}}}]"#));
        }
        assert_eq!(apply(&old, &ops), new);
    }
}

#[test]
fn an_object_whose_key_order_add_cannot_produce_is_replaced() {
    let whole = |new: &str| format!(r#"[{{"op":"replace","path":"/o","value":{new}}}]"#);
    let cases = [
        (r#"{"a":1,"b":2}"#, r#"{"b":2,"a":1}"#),
        (r#"{"b":1}"#, r#"{"a":0,"b":1}"#),
        (r#"{"b":1,"c":1}"#, r#"{"b":1,"a":0,"c":1}"#),
        // A script's integer keys come first.
        (r#"{"10":1,"b":1}"#, r#"{"2":0,"10":1,"b":1}"#),
        // The last of the repeated keys counts, and it is not in the place of the first.
        (r#"{"a":1,"a":2}"#, r#"{"a":5,"a":2}"#),
        (r#"{"a":1}"#, r#"{"a":1,"\u0061":2}"#),
    ];
    for (old, new) in cases {
        let around = |text: &str| format!(r#"{{"o":{text},"and":"something that is longer than the operations are"}}"#);
        assert_eq!(compare(&around(old), &around(new)).ops, whole(new));
    }
}

#[test]
fn a_window_that_shifts_costs_only_its_new_elements() {
    let log = |numbers: std::ops::Range<u32>| {
        let lines = numbers.map(|n| format!(r#"{{"from":"Ana","text":"this is line {n}"}}"#));
        format!("[{}]", lines.collect::<Vec<_>>().join(","))
    };
    for (old, new, most) in [(0..50, 2..51, 150), (7..57, 5..55, 250), (0..50, 0..51, 100), (1..51, 0..51, 100)] {
        let (old, new) = (log(old), log(new));
        let ops = compare(&old, &new).ops;
        assert!(ops.len() < most, "{ops}");
        assert_eq!(apply(&old, &ops), new);
    }
}

#[test]
fn keys_are_escaped_twice_as_pointers_and_as_json() {
    for key in [
        "",
        "/",
        "~",
        "~1",
        "a/b",
        "__proto__",
        "constructor",
        r#"\""#,
        r"\\",
        r"\u0001",
        r"\n/~",
        "é",
        "😀",
        r"\/",
        r"\u007e",
    ] {
        let around =
            |value: &str| format!(r#"{{"{key}":{value},"and":"something that is longer than the operations"}}"#);
        let (old, new) = (around("1"), around("2"));
        let ops = compare(&old, &new).ops;
        assert!(ops.starts_with(r#"[{"op":"replace","path":"/"#) && ops.ends_with(r#","value":2}]"#), "{ops}");
        assert_eq!(apply(&old, &ops), new, "{key}");
    }
}

#[test]
fn any_two_documents_give_operations_that_make_one_of_the_other() {
    let (mut changed, mut whole_ones) = (0, 0);
    for seed in 0..20_000 {
        let (old, new) = two_documents(seed);
        let Difference { ops, .. } = compare(&old, &new);
        assert_eq!(apply(&old, &ops), new, "seed {seed}: {old} {ops}");
        assert!(ops.len() <= whole(&new).len(), "seed {seed}");
        changed += usize::from(ops != "[]");
        whole_ones += usize::from(ops == whole(&new));
    }
    assert!(changed > 10_000 && whole_ones < changed / 2, "{whole_ones} of {changed}: it compares nothing");
}

/// The expected results for clients in other languages: see `clients/js/test/patch.test.js`. To renew the file after a change
/// of the comparison: `CHORUS_RENEW=1 cargo test --release -p chorus-core clients_apply`.
#[test]
fn clients_apply_these_operations() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../clients/js/test/patches.jsonl");
    let lines: String = (0..120)
        .map(|seed| {
            let (old, new) = two_documents(seed);
            format!("{{\"old\":{old},\"new\":{new},\"ops\":{}}}\n", compare(&old, &new).ops)
        })
        .collect();
    if std::env::var_os("CHORUS_RENEW").is_some() {
        std::fs::write(file, &lines).unwrap();
    }
    let kept = std::fs::read_to_string(file).unwrap();
    let different = lines.lines().zip(kept.lines()).find(|(line, kept)| line != kept);
    assert!(different.is_none() && lines.len() == kept.len(), "{different:?}");
}

fn two_documents(seed: u64) -> (String, String) {
    let mut dice = Dice(ChaCha8Rng::seed_from_u64(seed));
    let old = dice.document(4);
    let mut new = old.clone();
    for _ in 0..dice.below(4) {
        dice.change(&mut new);
    }
    if dice.below(20) == 0 {
        new = dice.document(4);
    }
    // Mostly with unchanged text around them.
    let more = match dice.below(4) {
        0 => return (old.text(), new.text()),
        more => "so much that nobody sends it again ".repeat(more),
    };
    let around = |document: Document| format!(r#"{{"more":"{more}","document":{}}}"#, document.text());
    (around(old), around(new))
}

#[test]
fn documents_that_other_languages_write_are_compared_too() {
    // Spaces, and one key in two notations.
    let (old, new) = (r#" { "a" : [ 1 , 2 ] , "\u0062" : "x" } "#, r#"{"a":[1, 2, 3],"b":"x"}"#);
    assert_eq!(unspaced(&apply(old, &compare(old, new).ops)), unspaced(r#"{"a":[1,2,3],"\u0062":"x"}"#));
}

#[test]
fn documents_are_the_same_however_they_are_written() {
    let same = [
        (r#"{"a":[1,"x"],"b":null}"#, r#" { "\u0061" : [1.0, "x"], "b":null}"#),
        ("1e21", "1E+21"),
        (r#""\ud83d\ude00""#, r#""😀""#),
        ("[]", "[ ]"),
    ];
    for (one, other) in same {
        assert!(is_same(one, other), "{one} {other}");
    }
    let different = [
        (r#"{"a":1,"b":2}"#, r#"{"b":2,"a":1}"#),
        ("0.30000000000000004", "0.3"),
        ("[1,[2]]", "[[1],2]"),
        ("[1,2]", "[1]"),
        ("{}", "[]"),
        ("null", "0"),
        ("true", "false"),
        (r#""1""#, "1"),
        (r#"{"a":1}"#, r#"["a",1]"#),
    ];
    for (one, other) in different {
        assert!(!is_same(one, other), "{one} {other}");
    }
    for (before, after) in NUMBERS.windows(2).map(|pair| (pair[0], pair[1])) {
        let value: f64 = before.parse().unwrap();
        assert!(is_same(before, &format!("{value:?}")), "{before}");
        assert_eq!(is_same(before, after), after.parse() == Ok(value), "{before} {after}");
    }
}

#[test]
fn the_cost_of_a_comparison_is_bounded_by_the_length_of_the_texts() {
    let list = |item: &str, count: usize| vec![item; count].join(",");
    let keys = |prefix: &str, value: u8, count: usize| {
        let members = (0..count).map(|n| format!(r#""{prefix}{n}":{value}"#));
        format!("{{{}}}", members.collect::<Vec<_>>().join(","))
    };
    let nested = |around: usize, inner: &str| format!("{}{inner}{}", "[".repeat(around), "]".repeat(around));
    let long = "k".repeat(20_000);
    let hostile = [
        // Nesting around a long array, which is compared again at each depth.
        (nested(120, &list("0", 60_000)), nested(120, &format!("{},1", list("0", 59_999)))),
        (nested(120, &format!("1,{}", list("0", 59_999))), nested(120, &list("0", 60_000))),
        // A window that seems to shift, and does not.
        (format!("[{},1]", list("0", 60_000)), format!("[{},2,0]", list("0", 59_999))),
        // A long path for each of many changes.
        (format!(r#"{{"{long}":{}}}"#, keys("a", 1, 10_000)), format!(r#"{{"{long}":{}}}"#, keys("a", 2, 10_000))),
        // Many keys with a long common prefix.
        (keys(&"p".repeat(500), 1, 200), keys(&"p".repeat(500), 2, 200)),
        (keys("a", 1, 12_000), keys("b", 1, 12_000)),
        (keys("", 1, 12_000), keys("", 2, 11_999)),
    ];
    for (old, new) in hostile {
        assert!(old.len() + new.len() <= MAX_COMPARED, "{}", old.len() + new.len());
        let Difference { ops, work } = compare(&old, &new);
        assert!(ops.len() <= whole(&new).len());
        // The step after the limit detects it; one step is at most as long as the text, sorting included.
        assert!(work <= 2 * WORK * (old.len() + new.len()), "{work} for {} bytes", old.len() + new.len());
        assert_eq!(apply(&old, &ops), new);
    }
}

#[test]
fn texts_that_are_too_long_or_too_deep_are_replaced_without_a_comparison() {
    let long = "x".repeat(MAX_COMPARED / 2);
    let (old, new) = (format!(r#"["{long}",1]"#), format!(r#"["{long}",2]"#));
    let Difference { ops, work } = compare(&old, &new);
    assert_eq!((ops, work), (whole(&new), 0));
    for depth in [MAX_DEPTH - 1, MAX_DEPTH + 1, 60_000] {
        let deep = |inner: u8| format!("{}{inner}{}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(compare(&deep(1), &deep(2)).ops, whole(&deep(2)), "the path is longer than the text");
    }
}

#[test]
fn a_view_of_a_game_costs_a_few_looks_at_it() {
    let view = |board: &str, turn: u8| {
        format!(
            r#"{{"board":[{board}],"seats":[{{"name":"Ana","connected":true}},{{"name":"Ben","connected":true}}],"turn":{turn},"you":0,"deadline":1700000030000,"winner":null,"line":null,"rematch":[false,false]}}"#
        )
    };
    let (old, new) =
        (view("null,0,null,1,null,null,null,null,null", 0), view("0,0,null,1,null,null,null,null,null", 1));
    let Difference { ops, work } = compare(&old, &new);
    let expected = r#"[{"op":"replace","path":"/board/0","value":0},{"op":"replace","path":"/turn","value":1}]"#;
    assert_eq!(ops, expected);
    assert!(work <= 4 * (old.len() + new.len()), "{work} for {} bytes", old.len() + new.len());
}

#[test]
fn text_that_is_no_json_is_replaced_without_a_panic() {
    for text in [
        "",
        "{",
        "[",
        "]",
        "{]",
        "[1",
        "\"",
        "\"\\",
        r#"{"a"}"#,
        r#"{"a":1,"b"}"#,
        r#"{1:2}"#,
        "[1]]",
        "[] []",
        r#"{"\q":1}"#,
    ] {
        for other in ["", "[1]", r#"{"a":2}"#, r#"{"a":2,"c":3}"#] {
            for (old, new) in [(text, other), (other, text)] {
                compare(old, new);
            }
        }
    }
}

/// Outputs of `JSON.stringify` for numbers that a parser may read wrongly.
const NUMBERS: [&str; 18] = [
    "0",
    "1e-7",
    "1e+21",
    "5e-324",
    "1.7976931348623157e+308",
    "0.1",
    "0.30000000000000004",
    "9007199254740993",
    "9007199254740992",
    "123456789012345680000",
    "2.2250738585072014e-308",
    "1.1234567890123457",
    "100",
    "-1.5e-9",
    "18446744073709552000",
    "-9223372036854776000",
    "0.000001",
    "333333333.3333333",
];

struct Dice(ChaCha8Rng);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0.next_u32() as usize % bound
    }

    fn document(&mut self, depth: usize) -> Document {
        match self.below(if depth == 0 { 3 } else { 7 }) {
            0 => Document::Scalar(
                ["null", "true", "false", "\"\"", r#""a\"b\\""#, r#""\ud83d\ude00""#][self.below(6)].into(),
            ),
            1 => Document::Scalar(NUMBERS[self.below(NUMBERS.len())].into()),
            2 => Document::Scalar(format!("{:?}", f64::from_bits(self.0.next_u64() & 0x7fef_ffff_ffff_ffff))),
            3 | 4 => {
                let count = self.below(7);
                Document::Array((0..count).map(|_| self.document(depth - 1)).collect())
            }
            _ => {
                let mut members = Vec::new();
                for _ in 0..self.below(7) {
                    let key = self.key();
                    if members.iter().all(|(other, _)| *other != key) {
                        members.push((key, self.document(depth - 1)));
                    }
                }
                Document::Object(members)
            }
        }
    }

    fn key(&mut self) -> String {
        const KEYS: [&str; 14] =
            ["a", "b", "c", "", "2", "10", "__proto__", "a/b", "~", "~1", r"\u0001", r#"\""#, r"\\", "é"];
        KEYS[self.below(KEYS.len())].to_owned()
    }

    /// Changes the document at a random place.
    fn change(&mut self, document: &mut Document) {
        match document {
            Document::Array(items) if !items.is_empty() && self.below(2) == 0 => {
                let at = self.below(items.len());
                self.change(&mut items[at]);
            }
            Document::Object(members) if !members.is_empty() && self.below(2) == 0 => {
                let at = self.below(members.len());
                self.change(&mut members[at].1);
            }
            Document::Array(items) => match self.below(4) {
                0 => items.push(self.document(1)),
                1 => items.insert(self.below(items.len() + 1), self.document(1)),
                2 if !items.is_empty() => drop(items.remove(self.below(items.len()))),
                _ => {
                    let by = items.len().min(1);
                    items.rotate_left(by);
                }
            },
            Document::Object(members) => match self.below(4) {
                0 | 1 => {
                    let key = self.key();
                    if members.iter().all(|(other, _)| *other != key) {
                        let at = if self.below(2) == 0 { members.len() } else { self.below(members.len() + 1) };
                        members.insert(at, (key, self.document(1)));
                    }
                }
                2 if !members.is_empty() => drop(members.remove(self.below(members.len()))),
                _ => members.reverse(),
            },
            Document::Scalar(_) => *document = self.document(1),
        }
    }
}

/// JSON whose objects are ordered, and whose scalars are texts.
#[derive(Clone, Debug, PartialEq)]
enum Document {
    Scalar(String),
    Array(Vec<Document>),
    Object(Vec<(String, Document)>),
}

impl Document {
    fn text(&self) -> String {
        match self {
            Document::Scalar(text) => text.clone(),
            Document::Array(items) => format!("[{}]", items.iter().map(Document::text).collect::<Vec<_>>().join(",")),
            Document::Object(members) => {
                let member = |(key, value): &(String, Document)| format!(r#""{key}":{}"#, value.text());
                format!("{{{}}}", members.iter().map(member).collect::<Vec<_>>().join(","))
            }
        }
    }

    fn parse(text: &str) -> Document {
        let mut rest = text;
        let document = Document::take(&mut rest);
        assert_eq!(rest.trim_ascii(), "", "one value: {text}");
        document
    }

    fn take(rest: &mut &str) -> Document {
        skip_space(rest);
        match rest.as_bytes()[0] {
            b'[' => Document::Array(parts(rest, ']', Document::take)),
            b'{' => Document::Object(parts(rest, '}', |rest| {
                let key = Document::string(rest);
                skip_space(rest);
                *rest = rest.strip_prefix(':').expect("a colon");
                (key[1..key.len() - 1].to_owned(), Document::take(rest))
            })),
            b'"' => Document::Scalar(Document::string(rest)),
            _ => {
                let end = rest.find([',', ']', '}', ' ']).unwrap_or(rest.len());
                let (scalar, after) = rest.split_at(end);
                *rest = after;
                Document::Scalar(scalar.to_owned())
            }
        }
    }

    fn string(rest: &mut &str) -> String {
        skip_space(rest);
        let mut escaped = false;
        let end = rest[1..].find(|c| {
            let is_end = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            is_end
        });
        let (string, after) = rest.split_at(end.expect("a quote") + 2);
        *rest = after;
        string.to_owned()
    }

    /// Applies an operation as a client that keeps the order of keys.
    fn apply(&mut self, op: &str, path: &[String], value: Option<Document>) {
        let [token, below @ ..] = path else {
            assert_eq!(op, "replace");
            *self = value.expect("a value");
            return;
        };
        match self {
            Document::Array(items) => {
                let at: usize = token.parse().expect("an index");
                assert_eq!(at.to_string(), *token);
                match op {
                    _ if !below.is_empty() => items[at].apply(op, below, value),
                    "add" => items.insert(at, value.expect("a value")),
                    "remove" => drop(items.remove(at)),
                    _ => items[at] = value.expect("a value"),
                }
            }
            Document::Object(members) => {
                let at = members.iter().position(|(key, _)| meaning(&format!("\"{key}\"")) == *token);
                match (op, at) {
                    (_, Some(at)) if !below.is_empty() => members[at].1.apply(op, below, value),
                    ("add", None) => {
                        let quoted = serde_json::to_string(token).unwrap();
                        members.push((quoted[1..quoted.len() - 1].to_owned(), value.expect("a value")));
                    }
                    ("remove", Some(at)) => drop(members.remove(at)),
                    ("replace", Some(at)) => members[at].1 = value.expect("a value"),
                    other => panic!("{other:?} at {token:?}"),
                }
            }
            Document::Scalar(text) => panic!("{token:?} in {text}"),
        }
    }
}

fn parts<T>(rest: &mut &str, end: char, mut part: impl FnMut(&mut &str) -> T) -> Vec<T> {
    *rest = &rest[1..];
    let mut parts = Vec::new();
    loop {
        skip_space(rest);
        if let Some(after) = rest.strip_prefix(end) {
            *rest = after;
            return parts;
        }
        if !parts.is_empty() {
            *rest = rest.strip_prefix(',').expect("a comma");
        }
        parts.push(part(rest));
    }
}

fn skip_space(rest: &mut &str) {
    *rest = rest.trim_ascii_start();
}

fn meaning(string: &str) -> String {
    serde_json::from_str(string).expect("a string")
}

fn apply(old: &str, ops: &str) -> String {
    let mut document = Document::parse(old);
    let Document::Array(ops) = Document::parse(ops) else { panic!("an array of operations") };
    for op in ops {
        let Document::Object(fields) = op else { panic!("an operation") };
        let field = |name: &str| fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
        let text = |name: &str| field(name).map(|value| meaning(&value.text())).expect(name);
        let path = text("path");
        let tokens: Vec<String> =
            path.split('/').skip(1).map(|token| token.replace("~1", "/").replace("~0", "~")).collect();
        document.apply(&text("op"), &tokens, field("value"));
    }
    document.text()
}

fn unspaced(text: &str) -> String {
    text.replace(' ', "")
}

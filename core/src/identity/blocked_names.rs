//! Names that no player may have: an operator's list of words.
//!
//! A name matches if it contains a word in their *folded* forms. Folding lowers the case, writes each look-alike as the letter
//! that it looks like, and removes everything that is no letter or digit, so `B.4-D` is found by `bad`. The look-alikes are those
//! of `LOOK_ALIKES`: digits and signs that stand for letters, and the letters of the Cyrillic and Greek scripts that look like
//! Latin ones. `i` and `l` are one letter, since `1` stands for both. What composes or decorates a letter (accents, full-width
//! forms) is the caller's to decompose before: that needs Unicode's tables, which `core` does not have.
//!
//! A short word is found within innocent names. That is for the author of the list to consider.
//!
//! Bounds: [`MAX_BLOCKED`] words, of `MAX_WORD` bytes each.

/// The words of a list. A name is compared with each, which takes a microsecond for fifty of them.
pub const MAX_BLOCKED: usize = 10_000;

/// The longest word, in bytes: as long as the longest name.
const MAX_WORD: usize = 256;

/// What looks like a letter, and that letter.
const LOOK_ALIKES: [(&str, char); 15] = [
    ("0οо", 'o'),
    ("1i|!ιі", 'l'),
    ("3εе", 'e'),
    ("4@αа", 'a'),
    ("5$ѕ", 's'),
    ("7+τт", 't'),
    ("8βв", 'b'),
    ("9", 'g'),
    ("с", 'c'),
    ("ρр", 'p'),
    ("χх", 'x'),
    ("γу", 'y'),
    ("κк", 'k'),
    ("м", 'm'),
    ("н", 'h'),
];

/// Words that no name may contain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlockedNames(Vec<Box<str>>);

/// A list that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadNameList {
    #[error("the list has more than {MAX_BLOCKED} words")]
    TooMany,
    #[error("line {line} has more than {MAX_WORD} bytes")]
    TooLong { line: usize },
    #[error("line {line} has no letter and no digit, so it would be in every name; remove it, or begin it with #")]
    Empty { line: usize },
}

impl BlockedNames {
    /// The words of a text, one a line. Lines that begin with `#`, and empty ones, are skipped.
    pub fn parse(text: &str) -> Result<BlockedNames, BadNameList> {
        let mut words = Vec::new();
        let lines = text.lines().map(str::trim).zip(1..);
        for (word, line) in lines.filter(|(word, _)| !word.is_empty() && !word.starts_with('#')) {
            if word.len() > MAX_WORD {
                return Err(BadNameList::TooLong { line });
            }
            let folded = fold(word);
            if folded.is_empty() {
                return Err(BadNameList::Empty { line });
            }
            if words.len() == MAX_BLOCKED {
                return Err(BadNameList::TooMany);
            }
            words.push(folded.into());
        }
        Ok(BlockedNames(words))
    }

    /// Whether a name contains one of the words.
    pub fn has(&self, name: &str) -> bool {
        let name = fold(name);
        self.0.iter().any(|word| name.contains(&**word))
    }

    /// The number of words.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn fold(text: &str) -> String {
    let letter = |c: char| {
        let like = LOOK_ALIKES.iter().find(|(looks, _)| looks.contains(c)).map(|(_, letter)| *letter);
        like.or(Some(c).filter(|c| c.is_alphanumeric()))
    };
    text.chars().flat_map(char::to_lowercase).filter_map(letter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> BlockedNames {
        BlockedNames::parse(text).expect("a list")
    }

    #[test]
    fn a_word_is_found_in_any_spelling() {
        let blocked = list("# a comment\n\n  Bad Idiot \nadmin\n");
        assert_eq!(blocked.len(), 2);
        for name in ["BadIdiot", "xx_b.4-d  1d10t_xx", "ВАD іdiоt", "AdmIn", "4dm1n", "аdmin"] {
            assert!(blocked.has(name), "{name}");
        }
        for name in ["Ana", "Bad", "idiot", "a d m n", "", "名前"] {
            assert!(!blocked.has(name), "{name}");
        }
        assert!(!BlockedNames::default().has("admin"));
    }

    #[test]
    fn words_of_other_scripts_are_words() {
        let blocked = list("плохо\n名前");
        assert!(blocked.has("ПЛОХО!") && blocked.has("_名_前_"));
        assert!(!blocked.has("хорошо"));
    }

    #[test]
    fn a_list_that_cannot_be_used_is_refused_by_its_line() {
        assert_eq!(BlockedNames::parse("ok\n- -"), Err(BadNameList::Empty { line: 2 }));
        assert_eq!(BlockedNames::parse(&"x".repeat(257)), Err(BadNameList::TooLong { line: 1 }));
        assert_eq!(list(&"word\n".repeat(MAX_BLOCKED)).len(), MAX_BLOCKED);
        assert_eq!(BlockedNames::parse(&"word\n".repeat(MAX_BLOCKED + 1)), Err(BadNameList::TooMany));
    }
}

//! Which names a player may have.
//!
//! The rules follow Unicode's properties, so that names of all scripts are accepted, and no name that is invisible or
//! changes the text around it. In order:
//!
//! 1. White space at the ends is removed, and the rest is composed (NFC): one name has one spelling.
//! 2. It has 1 to [`MAX_CHARACTERS`] characters as readers count them (grapheme clusters), and [`MAX_BYTES`] bytes.
//! 3. At least one of them is visible: a letter, a number, a punctuation mark or a symbol.
//! 4. Controls, directional formatting, ends of lines and paragraphs, private and unassigned code points are refused, and
//!    so is a combining mark without a base.
//! 5. An invisible character (Default_Ignorable_Code_Point) is accepted only where it shapes a visible one: a joiner
//!    between letters, after a virama or between emoji; a variation selector after a character; the tags of a flag.

use icu_normalizer::ComposingNormalizerBorrowed;
use icu_properties::{
    CodePointMapData, CodePointSetData,
    props::{
        BidiControl, CanonicalCombiningClass, DefaultIgnorableCodePoint, ExtendedPictographic, GeneralCategory,
        GeneralCategoryGroup, JoinControl, VariationSelector,
    },
};
use unicode_segmentation::UnicodeSegmentation as _;

/// Grapheme clusters: as many as fit a scoreboard.
const MAX_CHARACTERS: usize = 32;

/// A family emoji has 25 bytes, and a letter with many marks grows with each mark.
const MAX_BYTES: usize = 256;

const ZWNJ: char = '\u{200c}';
const ZWJ: char = '\u{200d}';

/// Symbols by their category that are blank: the braille pattern without dots, the notehead without ink.
const BLANK: [char; 2] = ['\u{2800}', '\u{1d159}'];

/// The normalized form of a given name. `None` when the name is not valid.
pub(crate) fn normalize(given: &str) -> Option<String> {
    let trimmed = given.trim();
    // Composition makes a text at most three times as long.
    if trimmed.len() > 4 * MAX_BYTES {
        return None;
    }
    let name = ComposingNormalizerBorrowed::new_nfc().normalize(trimmed);
    let fits = name.len() <= MAX_BYTES && (1..=MAX_CHARACTERS).contains(&name.graphemes(true).count());
    let chars: Vec<char> = name.chars().collect();
    let good = fits && chars.iter().any(|c| is_visible(*c)) && (0..chars.len()).all(|at| is_accepted(&chars, at));
    good.then(|| name.into_owned())
}

/// The name that another service has for the player: cut to what fits. `None` when that is not valid either.
pub(crate) fn fitted(given: &str) -> Option<String> {
    normalize(given).or_else(|| {
        let mut bytes = 0;
        let fits = |character: &&str| {
            bytes += character.len();
            bytes <= MAX_BYTES
        };
        normalize(&given.trim().graphemes(true).take(MAX_CHARACTERS).take_while(fits).collect::<String>())
    })
}

fn category(c: char) -> GeneralCategory {
    CodePointMapData::<GeneralCategory>::new().get(c)
}

fn is_in(group: GeneralCategoryGroup, c: char) -> bool {
    group.contains(category(c))
}

fn is_ignorable(c: char) -> bool {
    CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
}

fn is_pictograph(c: char) -> bool {
    CodePointSetData::new::<ExtendedPictographic>().contains(c)
}

fn is_variation_selector(c: char) -> bool {
    CodePointSetData::new::<VariationSelector>().contains(c)
}

fn is_visible(c: char) -> bool {
    use GeneralCategoryGroup as Group;
    let shown =
        [Group::Letter, Group::Number, Group::Punctuation, Group::Symbol].into_iter().any(|group| is_in(group, c));
    // A pictograph of a later Unicode version is in a reserved range already.
    (shown || is_pictograph(c)) && !is_ignorable(c) && !BLANK.contains(&c)
}

/// Whether the character at this place is accepted.
fn is_accepted(chars: &[char], at: usize) -> bool {
    let c = chars[at];
    let before = at.checked_sub(1).map(|at| chars[at]);
    if is_ignorable(c) {
        return shapes_a_character(chars, at);
    }
    match category(c) {
        GeneralCategory::Unassigned => is_pictograph(c),
        GeneralCategory::Control
        | GeneralCategory::PrivateUse
        | GeneralCategory::Surrogate
        | GeneralCategory::LineSeparator
        | GeneralCategory::ParagraphSeparator => false,
        // Those of the Arabic script are visible, since they are not ignorable.
        GeneralCategory::Format => !CodePointSetData::new::<BidiControl>().contains(c),
        _ if is_in(GeneralCategoryGroup::Mark, c) => before.is_some_and(|before| !is_space(before)),
        _ => true,
    }
}

fn is_space(c: char) -> bool {
    is_in(GeneralCategoryGroup::Separator, c)
}

/// Whether the invisible character at this place shapes a visible one.
fn shapes_a_character(chars: &[char], at: usize) -> bool {
    let c = chars[at];
    let Some(before) = at.checked_sub(1).map(|at| chars[at]) else { return false };
    if CodePointSetData::new::<JoinControl>().contains(c) {
        return joins(chars, at, before);
    }
    if is_variation_selector(c) {
        return is_visible(before);
    }
    is_tag(c) && is_in_flag(chars, at)
}

fn joins(chars: &[char], at: usize, before: char) -> bool {
    let is_letter =
        |c: char| (is_in(GeneralCategoryGroup::Letter, c) || is_in(GeneralCategoryGroup::Mark, c)) && !is_ignorable(c);
    let is_virama = CodePointMapData::<CanonicalCombiningClass>::new().get(before) == CanonicalCombiningClass::Virama;
    let after = chars.get(at + 1).copied();
    let between_letters = is_letter(before) && after.is_some_and(is_letter);
    let between_emoji = chars[at] == ZWJ && ends_emoji(&chars[..at]) && after.is_some_and(is_pictograph);
    debug_assert!([ZWJ, ZWNJ].contains(&chars[at]));
    is_virama || between_letters || between_emoji
}

/// A pictograph, with an optional skin colour, form or flag's tags.
fn ends_emoji(chars: &[char]) -> bool {
    let is_modifier = |c: char| ('\u{1f3fb}'..='\u{1f3ff}').contains(&c);
    let added = |c: &&char| is_variation_selector(**c) || is_modifier(**c) || is_tag(**c);
    chars.iter().rev().find(|c| !added(c)).is_some_and(|c| is_pictograph(*c))
}

/// The letters of a flag's region, and their end mark.
fn is_tag(c: char) -> bool {
    ('\u{e0020}'..='\u{e007f}').contains(&c)
}

const END_OF_TAGS: char = '\u{e007f}';

/// Whether the tags follow a pictograph, and end with the end mark.
fn is_in_flag(chars: &[char], at: usize) -> bool {
    let begins = chars[..at].iter().rev().find(|c| !is_tag(**c)).is_some_and(|c| is_pictograph(*c));
    let rest = chars[at..].iter().take_while(|c| is_tag(**c));
    begins && rest.last() == Some(&END_OF_TAGS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_all_scripts_are_accepted() {
        for name in [
            "Ana",
            "O'Brien-Smith Jr.",
            "Žofie 🎲",
            "林さん",
            "شیرین‌سخن",
            "می\u{200c}خواهم",
            "ශ්\u{200d}රී",
            "സുധീരന്\u{200d}",
            "क्\u{200d}ष",
            "नेपाली",
            "👨\u{200d}👩\u{200d}👧\u{200d}👦",
            "👩🏽\u{200d}🚀",
            "🏳\u{fe0f}\u{200d}🌈",
            "❤\u{fe0f}\u{200d}🔥",
            "1\u{fe0f}\u{20e3}",
            "🏴\u{e0067}\u{e0062}\u{e0073}\u{e0063}\u{e0074}\u{e007f}",
            "🇨🇭",
            "葛\u{e0100}飾",
            "한국",
            "שלום",
            "a\u{3000}b",
            "x",
            "7",
            "_",
            "\u{600}١",
            "\u{1fc00}",
            &"👨\u{200d}👩\u{200d}👧\u{200d}👦".repeat(10),
            &"x".repeat(32),
            &"é".repeat(32),
        ] {
            assert_eq!(normalize(name).as_deref(), Some(name), "{name:?}");
        }
    }

    #[test]
    fn an_invisible_name_or_one_that_reverses_the_text_is_refused() {
        for name in [
            "",
            " ",
            "\u{3000}",
            "a\nb",
            "a\u{0}b",
            "a\u{85}b",
            "a\u{2028}b",
            "\u{202e}evil",
            "ev\u{202a}il",
            "a\u{2066}b\u{2069}",
            "a\u{200e}b",
            "a\u{61c}b",
            "\u{200b}",
            "a\u{200b}b",
            "\u{200d}",
            "\u{200d}a",
            "a\u{200d}",
            "a\u{200d}\u{200d}b",
            "1\u{200d}2",
            "👨\u{200d}",
            "👨\u{200c}👩",
            "\u{feff}a",
            "a\u{ad}b",
            "\u{3164}",
            "\u{115f}\u{1160}",
            "\u{ffa0}",
            "\u{17b4}",
            "\u{34f}",
            "a\u{34f}b",
            "\u{180e}",
            "\u{2060}a",
            "a\u{2063}b",
            "\u{fe0f}",
            " \u{fe0f}",
            "\u{fe0f}a",
            "a\u{fe0f}\u{fe0f}",
            "\u{2800}",
            "\u{1d159}",
            "\u{301}",
            "a \u{301}b",
            "a\u{e0061}",
            "🏴\u{e0067}\u{e0062}",
            "\u{e000}",
            "\u{f0000}",
            "\u{378}",
            "\u{fdd0}",
            "\u{ffff}",
            &"x".repeat(33),
            &format!("a{}", "\u{316}".repeat(200)),
            &"👨\u{200d}👩\u{200d}👧\u{200d}👦".repeat(11),
            &" x".repeat(40_000),
        ] {
            assert_eq!(normalize(name), None, "{name:?}");
        }
    }

    #[test]
    fn one_name_has_one_spelling() {
        assert_eq!(normalize(" Ame\u{301}lie ").as_deref(), Some("Amélie"));
        assert_eq!(normalize("\u{212b}ngström").as_deref(), Some("Ångström"));
        assert_eq!(normalize("\u{1112}\u{1161}\u{11ab}").as_deref(), Some("한"));
    }

    /// Every accepted name is visible, has no character that changes the direction of a line, and is accepted again
    /// unchanged.
    #[test]
    fn an_accepted_name_is_already_normalized() {
        let mut random = 7_u64;
        let mut draw = |below: u32| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) as u32 % below
        };
        let parts: Vec<char> =
            "aé1 -\u{301}\u{94d}क്ന\u{200c}\u{200d}\u{fe0f}👨🏽🏴\u{e0067}\u{e007f}\u{202e}\u{0}\u{3164}\u{2800}ا"
                .chars()
                .collect();
        let mut accepted = 0;
        for _ in 0..50_000 {
            let any = (0..=draw(6)).map(|_| match draw(8) {
                0 => char::from_u32(draw(0x11_0000)).unwrap_or('a'),
                _ => parts[draw(parts.len() as u32) as usize],
            });
            let Some(name) = normalize(&any.collect::<String>()) else { continue };
            accepted += 1;
            assert_eq!(normalize(&name).as_deref(), Some(&*name), "{name:?}");
            assert!(name.chars().any(is_visible), "{name:?}");
            let reverses = |c| CodePointSetData::new::<BidiControl>().contains(c) || c.is_control();
            assert!(!name.chars().any(reverses), "{name:?}");
        }
        assert!(accepted > 1_000, "{accepted} names: too few to show anything");
    }
}

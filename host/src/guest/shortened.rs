//! Texts of faults and errors, cut to the length that a room keeps.

use super::budget;

/// At most [`budget::MAX_TEXT`] bytes of `text`, cut between characters.
pub(crate) fn shortened(text: &str) -> Box<str> {
    text[..text.floor_char_boundary(budget::MAX_TEXT)].into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(&*shortened("short"), "short");
        let long = "é".repeat(budget::MAX_TEXT);
        assert_eq!(shortened(&format!("x{long}")).len(), budget::MAX_TEXT - 1);
    }
}

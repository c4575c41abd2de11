//! Lengths of texts in units of UTF-16, which a script can count at no cost.

/// The length of a text.
pub(crate) fn units(text: &str) -> u64 {
    let of = |byte: u8| u64::from(byte & 0xc0 != 0x80) + u64::from(byte >= 0xf0);
    text.bytes().map(of).sum()
}

/// The longest start of the text that has at most `limit` units.
pub(crate) fn prefix(text: &str, limit: u64) -> &str {
    if text.len() as u64 <= limit {
        return text;
    }
    let mut left = limit;
    let end = text.char_indices().find(|(_, char)| match left.checked_sub(char.len_utf16() as u64) {
        Some(less) => {
            left = less;
            false
        }
        None => true,
    });
    end.map_or(text, |(at, _)| &text[..at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_as_long_as_a_script_takes_it_to_be() {
        for text in ["", "abc", "жук", "a😀b", "\u{ffff}x", "\u{800}\u{7ff}\u{80}"] {
            assert_eq!(units(text), text.encode_utf16().count() as u64, "{text}");
            for limit in 0..8 {
                let start = prefix(text, limit);
                assert!(units(start) <= limit && text.starts_with(start), "{text} {limit}");
                let next = text[start.len()..].chars().next();
                assert!(next.is_none_or(|next| units(start) + next.len_utf16() as u64 > limit), "{text} {limit}");
            }
        }
    }
}

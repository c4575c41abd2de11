//! Untrusted text on a terminal: shown, and never interpreted.

use std::borrow::Cow;

/// One line. Players write names and messages, and scripts log: a character that could move a cursor, colour a terminal, ring
/// its bell, change the direction of reading or forge a line is shown as an escape instead.
pub fn printable(text: &str) -> Cow<'_, str> {
    if !text.chars().any(acts) {
        return text.into();
    }
    text.chars()
        .map(|c| if acts(c) { c.escape_default().to_string() } else { c.to_string() })
        .collect::<String>()
        .into()
}

/// Several lines. Those after the first are indented, so that none of them can be taken for a line of chorus.
pub fn lines(text: &str) -> String {
    text.lines().map(printable).collect::<Vec<_>>().join("\n    ")
}

/// Control characters, controls of the direction of reading, and characters that some terminals take for the end of a line.
fn acts(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_players_name_does_not_colour_the_terminal() {
        assert_eq!(printable("\u{1b}[31mred\u{9b}\n"), "\\u{1b}[31mred\\u{9b}\\n");
        assert_eq!(printable("\u{7}\r\u{8}\u{7f}\u{202e}"), "\\u{7}\\r\\u{8}\\u{7f}\\u{202e}");
        assert_eq!(printable("Ünïcode 🎲"), "Ünïcode 🎲");
    }

    #[test]
    fn a_script_does_not_forge_a_line() {
        assert_eq!(
            lines("chess: one\nlobby: two\r\nchorus is at\u{1b}"),
            "chess: one\n    lobby: two\n    chorus is at\\u{1b}"
        );
        assert_eq!(lines(""), "");
    }
}

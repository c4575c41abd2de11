//! Times that people write: `90s`, `30m`, `12h`, `7d`, `2w`.

use std::{str::FromStr, time::Duration};

/// A whole number of one unit, more than 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span(pub Duration);

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Span, String> {
        let bad = || "use a number and s, m, h, d or w: 90s, 30m, 12h, 7d, 2w".to_owned();
        let at = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(bad)?;
        let (number, unit) = text.split_at(at);
        let seconds = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3_600,
            "d" => 86_400,
            "w" => 7 * 86_400,
            _ => return Err(bad()),
        };
        let number = number.parse::<u32>().ok().filter(|number| *number > 0).ok_or_else(bad)?;
        Ok(Span(Duration::from_secs(u64::from(number) * seconds)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_a_number_of_one_unit() {
        let seconds = |text: &str| text.parse::<Span>().map(|Span(span)| span.as_secs());
        assert_eq!(["90s", "30m", "12h", "7d", "2w"].map(seconds), [90, 1_800, 43_200, 604_800, 1_209_600].map(Ok));
        for bad in ["", "7", "d", "0d", "-1d", "1.5h", "7 d", "7days", "99999999999d"] {
            assert!(bad.parse::<Span>().is_err(), "{bad}");
        }
    }
}

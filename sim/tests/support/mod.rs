//! Which seeds a test runs.

use std::ops::Range;

/// `CHORUS_SEEDS` is a number of seeds, or a range of them: `16000`, `113..114`.
pub fn seeds(default: Range<u64>) -> Range<u64> {
    let Ok(given) = std::env::var("CHORUS_SEEDS") else { return default };
    let (from, to) = given.split_once("..").unwrap_or(("0", &given));
    let number =
        |text: &str| text.parse().unwrap_or_else(|_| panic!("CHORUS_SEEDS={given}: a number, or a range as 113..114"));
    number(from)..number(to)
}

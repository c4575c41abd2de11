//! Columns for people.

use crate::printable::printable;

/// A table with a heading. Control characters in cells are shown as escapes.
pub fn table<const N: usize>(heading: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let mut lines = vec![heading.map(str::to_owned)];
    lines.extend(rows.into_iter().map(|row| row.map(|cell| printable(&cell).into_owned())));
    let widths: [usize; N] =
        std::array::from_fn(|column| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0));
    let show = |line: &[String; N]| {
        let cells = line.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    lines.iter().map(show).collect::<Vec<_>>().join("\n")
}

/// A duration, in the largest unit that is precise enough.
pub fn duration(ms: u64) -> String {
    let seconds = ms / 1000;
    match seconds {
        0 => format!("{ms} ms"),
        1..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// An instant within its day, UTC.
pub fn clock(ms: u64) -> String {
    let (seconds, ms) = (ms / 1000 % 86_400, ms % 1000);
    format!("{:02}:{:02}:{:02}.{ms:03}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// The time since then, by this machine's clock.
pub fn ago(ms: u64) -> String {
    duration(chorus_store::wall_clock().0.saturating_sub(ms))
}

/// The beginning of a digest: enough to distinguish two.
pub fn brief(digest: &str) -> String {
    digest.chars().take(12).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_they_must_be() {
        let rows = [["a".into(), "10".into()], ["long".into(), "2".into()]];
        assert_eq!(table(["ID", "N"], rows), "ID    N\na     10\nlong  2");
    }

    #[test]
    fn times_are_short() {
        assert_eq!(
            [999, 1_000, 119_999, 120_000, 7_200_000, 172_800_000].map(duration),
            ["999 ms", "1 s", "119 s", "2 min", "2 h", "2 d"]
        );
        assert_eq!(clock(86_400_000 + 3_723_004), "01:02:03.004");
    }
}

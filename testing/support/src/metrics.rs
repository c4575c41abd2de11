//! The metrics of `docs/operating.md`, to be compared with those that a machine has.

use std::collections::BTreeSet;

const OPERATING: &str = include_str!("../../../docs/operating.md");

/// The names in the table below this heading, without labels and without the `_total` of counters.
///
/// # Panics
/// When there is no such table.
pub fn documented(heading: &str) -> BTreeSet<&'static str> {
    let title = format!("**{heading}**");
    let mut lines = OPERATING.lines().skip_while(|line| !line.starts_with(&title));
    lines.find(|line| line.starts_with("|---")).expect("a table of metrics");
    let first_cells = lines.take_while(|line| line.starts_with('|')).filter_map(|row| row.split('|').nth(1));
    let quoted = first_cells.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    quoted.filter_map(|name| name.split('{').next()).map(without_total).collect()
}

/// The names on a page in OpenMetrics's text format.
pub fn on_page(page: &str) -> BTreeSet<&str> {
    page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect()
}

fn without_total(name: &str) -> &str {
    name.strip_suffix("_total").unwrap_or(name)
}

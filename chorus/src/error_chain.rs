//! An error with its causes, for a terminal.

/// The error and its causes in one line. Many errors contain the text of their cause, for logs that have one line each; such
/// a cause is not repeated.
pub(crate) fn of(error: &anyhow::Error) -> String {
    let mut line = String::new();
    for cause in error.chain().map(ToString::to_string) {
        match line.is_empty() {
            true => line = cause,
            false if line.contains(&cause) => {}
            false => line = format!("{line}: {cause}"),
        }
    }
    line
}

/// The failure of a command whose result in JSON has it already: with `--json` it is not printed again.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Reported(pub String);

#[cfg(test)]
mod tests {
    use anyhow::{Context, anyhow};

    #[test]
    fn a_cause_that_its_error_contains_is_not_repeated() {
        let error = Err::<(), _>(anyhow!("in use")).context("cannot listen: in use; who does?").context("no edge");
        let error = error.expect_err("it is one");
        assert_eq!(super::of(&error), "no edge: cannot listen: in use; who does?");
    }
}

//! An error in words, for a terminal.

/// The error and its causes. Many of them say their cause themselves, for logs that have but one line; that is not said
/// again.
pub(crate) fn of(error: &anyhow::Error) -> String {
    let mut said = String::new();
    for cause in error.chain().map(ToString::to_string) {
        match said.is_empty() {
            true => said = cause,
            false if said.contains(&cause) => {}
            false => said = format!("{said}: {cause}"),
        }
    }
    said
}

#[cfg(test)]
mod tests {
    use anyhow::{Context, anyhow};

    #[test]
    fn a_cause_that_was_said_is_not_said_again() {
        let error = Err::<(), _>(anyhow!("in use")).context("cannot listen: in use; who does?").context("no edge");
        let error = error.expect_err("it is one");
        assert_eq!(super::of(&error), "no edge: cannot listen: in use; who does?");
    }
}

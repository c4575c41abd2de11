//! Conversions for the command line: an error's text, and the value of a flag.

/// The error and its causes. Many errors contain their cause's text, for logs with a single line; that text is not repeated.
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

/// `--ping`: below a tenth of a second, a pause of the network would end connections; above ten minutes a lost connection would
/// not be noticed.
pub(crate) fn ping_ms(text: &str) -> Result<u64, String> {
    let seconds: f64 = text.parse().map_err(|_| format!("{text:?} is no number of seconds"))?;
    if !(0.1..=600.0).contains(&seconds) {
        return Err("it is from 0.1 to 600 seconds".to_owned());
    }
    Ok((seconds * 1000.0).round() as u64)
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_ping_is_some_seconds() {
        assert_eq!(super::ping_ms("8"), Ok(8_000));
        assert_eq!(super::ping_ms("0.25"), Ok(250));
        for bad in ["", "x", "0", "-1", "NaN", "inf", "601"] {
            assert!(super::ping_ms(bad).is_err(), "{bad}");
        }
    }

    use anyhow::{Context, anyhow};

    #[test]
    fn a_cause_that_was_said_is_not_said_again() {
        let error = Err::<(), _>(anyhow!("in use")).context("cannot listen: in use; who does?").context("no edge");
        let error = error.expect_err("it is one");
        assert_eq!(super::of(&error), "no edge: cannot listen: in use; who does?");
    }
}

//! Flags that are a number of seconds.

use std::{fmt, str::FromStr, time::Duration};

/// A time, which a flag gives in seconds: `0.5`, `60`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seconds(pub Duration);

impl Seconds {
    pub const fn new(seconds: u64) -> Seconds {
        Seconds(Duration::from_secs(seconds))
    }
}

impl FromStr for Seconds {
    type Err = String;

    fn from_str(text: &str) -> Result<Seconds, String> {
        let seconds: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
        Duration::try_from_secs_f64(seconds).map(Seconds).map_err(|_| "not a valid number of seconds".to_owned())
    }
}

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_secs_f64().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_takes_seconds_and_their_parts() {
        assert_eq!("60".parse(), Ok(Seconds::new(60)));
        assert_eq!("0.25".parse(), Ok(Seconds(Duration::from_millis(250))));
        assert_eq!(Seconds::new(60).to_string(), "60");
        for bad in ["", "x", "-1", "NaN", "inf", "1e30"] {
            assert!(bad.parse::<Seconds>().is_err(), "{bad}");
        }
    }
}

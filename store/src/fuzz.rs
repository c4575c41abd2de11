//! What fuzzers do with the decoders of this crate. Built for fuzzers and for tests only: `fuzz/README.md` has the list of all
//! targets. A target takes any bytes, and panics when they break a promise of the decoder.

use crate::PostgresOptions;

/// Takes any bytes.
pub type Target = fn(&[u8]);

/// All targets, by the names of their corpora.
pub const TARGETS: &[(&str, Target)] = &[("postgres-url", postgres_url)];

/// No other part of an input has it.
const PASSWORD: &str = "zq7Hx2vK9";

/// The database's address, as the rest of one with a password: no text about it has the password.
fn postgres_url(bytes: &[u8]) {
    let Some(rest) = std::str::from_utf8(bytes).ok() else { return };
    let urls = [
        rest.to_owned(),
        format!("postgres://chorus:{PASSWORD}@{rest}"),
        format!("postgres://chorus:{PASSWORD}{rest}"),
        format!("postgres://db/chorus?password={PASSWORD}{rest}"),
    ];
    for url in urls {
        let shown = match url.parse::<PostgresOptions>() {
            Ok(options) => format!("{options} {options:?}"),
            Err(error) => format!("{error} {error:?}"),
        };
        assert!(!shown.contains(PASSWORD), "{shown}");
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_stored_input_is_decoded_or_refused() {
        chorus_testing::corpus::replay("store", super::TARGETS);
    }
}

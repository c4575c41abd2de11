//! When a write counts as durable: the choice between a wait for the disk and the last 100 ms before a power cut. The log and
//! the store of one data directory have the same mode.

use std::{fmt, str::FromStr};

/// When an appended record, or a write to the store, counts as durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// When it is on the disk: a power cut loses no confirmed write.
    Always,
    /// When it is in the file: no `kill -9` loses it. It is synced at most 100 ms later, so a power cut may lose those writes.
    #[default]
    Background,
}

/// A text that is not a mode of durability.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a mode of syncing: {0:?}; use always or background")]
pub struct BadDurability(String);

impl FromStr for Durability {
    type Err = BadDurability;
    fn from_str(text: &str) -> Result<Durability, BadDurability> {
        match text {
            "always" => Ok(Durability::Always),
            "background" => Ok(Durability::Background),
            _ => Err(BadDurability(text.chars().take(32).collect())),
        }
    }
}

impl fmt::Display for Durability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Durability::Always => "always",
            Durability::Background => "background",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mode_is_parsed_from_its_name() {
        for mode in [Durability::Always, Durability::Background] {
            assert_eq!(mode.to_string().parse(), Ok(mode));
        }
        assert!("never".parse::<Durability>().is_err());
    }
}

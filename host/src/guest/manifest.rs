//! A component's own description, checked.

use std::{collections::BTreeSet, sync::Arc};

use chorus_core::room::ComponentSpec;
use serde_json::{Map, Value};

use super::{budget, budget::Budget, cell::MAX_SHARE, contract};

/// A component's description of itself, checked against the caps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    pub state_version: u32,
    pub config: Config,
    /// Timers that have a handler.
    pub timers: BTreeSet<Arc<str>>,
    /// Message types that have a handler.
    pub messages: BTreeSet<Box<str>>,
}

/// `static config` of a room's class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// `maxPlayers`. 0: the kind sets no limit.
    pub max_players: u32,
    /// `sessionsPerPlayer`. 0: the kind sets no limit.
    pub sessions_per_player: u32,
    /// `reconnectSeconds`: how long a dropped player's seat is held.
    pub reconnect_seconds: u32,
    /// `keepWhenEmpty`
    pub keep_when_empty: bool,
    /// `emptySeconds`: how long an empty room waits for a member, when it is not kept.
    pub empty_seconds: u32,
    /// `budget`
    pub budget: Budget,
    /// `share`: how many rooms may share an instance. 1: none do.
    pub share: u32,
    /// `answers`: handlers of the answers of requests. The SDK adds this key, from the room's `answers`.
    pub answers: BTreeSet<Arc<str>>,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            max_players: 0,
            sessions_per_player: 0,
            reconnect_seconds: 60,
            keep_when_empty: false,
            empty_seconds: 60,
            budget: Budget::default(),
            share: 1,
            answers: BTreeSet::new(),
        }
    }
}

/// Why a manifest is not valid. For the script's author.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadManifest {
    #[error("`config` is not a JSON object: {0}")]
    NotAnObject(String),
    #[error("`config.{0}` is unknown; there are: {1}")]
    UnknownKey(String, String),
    #[error("`config.{key}` is {value}, above the cap of {cap}")]
    AboveCap { key: String, value: u64, cap: u64 },
    #[error("`config.{key}` is {value}; {want}")]
    BadValue { key: String, value: String, want: &'static str },
    #[error("{0}")]
    BadName(String),
    #[error("`config.share` is {0}, which is for components that meter themselves and import nothing else")]
    CannotShare(u32),
}

/// How many characters of a component's text an error repeats: more than a key or a number has, and the message of a parser.
const MAX_REPEATED: usize = 128;

const MAX_MEMBERS: u64 = 20_000;
const MAX_HOLD_SECONDS: u64 = 86_400;
const MAX_EMPTY_SECONDS: u64 = 7 * 86_400;
const KEYS: [&str; 8] = [
    "maxPlayers",
    "sessionsPerPlayer",
    "reconnectSeconds",
    "keepWhenEmpty",
    "emptySeconds",
    "budget",
    "share",
    "answers",
];

impl Manifest {
    pub(crate) fn check(raw: contract::Manifest) -> Result<Manifest, BadManifest> {
        check_names("timer", &raw.timers)?;
        check_names("message type", &raw.messages)?;
        Ok(Manifest {
            state_version: raw.state_version,
            config: Config::parse(&raw.config)?,
            timers: raw.timers.into_iter().map(Arc::from).collect(),
            messages: raw.messages.into_iter().map(String::into_boxed_str).collect(),
        })
    }

    /// The part of the manifest that the room machine depends on.
    pub fn spec(&self) -> ComponentSpec {
        let config = &self.config;
        ComponentSpec {
            state_version: self.state_version,
            max_players: config.max_players,
            sessions_per_player: config.sessions_per_player,
            hold_ms: u64::from(config.reconnect_seconds) * 1000,
            keep_when_empty: config.keep_when_empty,
            empty_ms: u64::from(config.empty_seconds) * 1000,
            max_faults: u32::try_from(config.budget.faults).unwrap_or(u32::MAX),
            fuel_per_message: config.budget.message_fuel.min(config.budget.fuel),
            max_rooms: u32::try_from(config.budget.living).unwrap_or(u32::MAX),
            max_timers: usize::try_from(config.budget.timers).unwrap_or(usize::MAX),
            messages: self.messages.clone(),
            shows_failures: false,
            timers: self.timers.clone(),
            answers: config.answers.clone(),
        }
    }
}

fn check_names(what: &str, names: &[String]) -> Result<(), BadManifest> {
    if names.len() > budget::MAX_NAMES {
        let text = format!("{} {what}s are too many; at most {}", names.len(), budget::MAX_NAMES);
        return Err(BadManifest::BadName(text));
    }
    match names.iter().find(|name| name.is_empty() || name.len() > budget::MAX_TYPE) {
        None => Ok(()),
        Some(name) => {
            let start: String = name.chars().take(budget::MAX_TYPE).collect();
            Err(BadManifest::BadName(format!("{what} {start:?}: a name has 1 to {} bytes", budget::MAX_TYPE)))
        }
    }
}

impl Config {
    /// Reads `static config`. Unknown keys, wrong types and numbers above a cap are errors that name the key.
    pub fn parse(text: &str) -> Result<Config, BadManifest> {
        let map: Map<String, Value> =
            serde_json::from_str(text).map_err(|cause| BadManifest::NotAnObject(brief(&cause.to_string())))?;
        let mut config = Config::default();
        for (key, value) in &map {
            match key.as_str() {
                "maxPlayers" => config.max_players = whole(key, value, 0, MAX_MEMBERS)? as u32,
                "sessionsPerPlayer" => config.sessions_per_player = whole(key, value, 0, MAX_MEMBERS)? as u32,
                "reconnectSeconds" => config.reconnect_seconds = whole(key, value, 0, MAX_HOLD_SECONDS)? as u32,
                "keepWhenEmpty" => config.keep_when_empty = boolean(key, value)?,
                "emptySeconds" => config.empty_seconds = whole(key, value, 0, MAX_EMPTY_SECONDS)? as u32,
                "budget" => config.budget = parse_budget(value)?,
                "share" => config.share = whole(key, value, 1, MAX_SHARE.into())? as u32,
                "answers" => config.answers = parse_answers(value)?,
                _ => return Err(BadManifest::UnknownKey(brief(key), KEYS.join(", "))),
            }
        }
        Ok(config)
    }
}

fn parse_answers(value: &Value) -> Result<BTreeSet<Arc<str>>, BadManifest> {
    let want = "it must be a list of names";
    let names: Result<Vec<String>, _> = serde_json::from_value(value.clone());
    let bad = |_| BadManifest::BadValue { key: "answers".into(), value: brief(&value.to_string()), want };
    let names = names.map_err(bad)?;
    check_names("handler of answers", &names)?;
    Ok(names.into_iter().map(Arc::from).collect())
}

fn parse_budget(value: &Value) -> Result<Budget, BadManifest> {
    let want = "it must be an object";
    let bad = || BadManifest::BadValue { key: "budget".into(), value: brief(&value.to_string()), want };
    let map = value.as_object().ok_or_else(bad)?;
    let mut budget = Budget::default();
    for (key, value) in map {
        let name = format!("budget.{}", brief(key));
        let Some((field, bound)) = budget.field(key) else {
            let known = budget::ALL.map(|bound| bound.key).join(", ");
            return Err(BadManifest::UnknownKey(name, known));
        };
        *field = whole(&name, value, 1, bound.cap)? * bound.unit;
    }
    Ok(budget)
}

fn whole(key: &str, value: &Value, least: u64, cap: u64) -> Result<u64, BadManifest> {
    // JavaScript has one kind of number: 2.0 is 2.
    let float = value.as_f64().filter(|n| n.fract() == 0.0 && *n >= 0.0 && *n < 9e15).map(|n| n as u64);
    match value.as_u64().or(float) {
        Some(value) if value > cap => Err(BadManifest::AboveCap { key: key.into(), value, cap }),
        Some(value) if value >= least => Ok(value),
        _ => {
            let want = if least == 0 {
                "it must be a whole number, 0 or more"
            } else {
                "it must be a whole number, 1 or more"
            };
            Err(BadManifest::BadValue { key: key.into(), value: brief(&value.to_string()), want })
        }
    }
}

fn boolean(key: &str, value: &Value) -> Result<bool, BadManifest> {
    let bad = || BadManifest::BadValue {
        key: key.into(),
        value: brief(&value.to_string()),
        want: "it must be true or false",
    };
    value.as_bool().ok_or_else(bad)
}

/// The start of a text that the component has chosen, which may be of any length.
fn brief(text: &str) -> String {
    text.chars().take(MAX_REPEATED).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_config_says_only_what_it_changes() {
        assert_eq!(Config::parse("{}"), Ok(Config::default()));
        let config = Config::parse(r#"{"sessionsPerPlayer": 1}"#).unwrap();
        assert_eq!(config, Config { sessions_per_player: 1, ..Config::default() });
        let config = Config::parse(r#"{"maxPlayers": 2, "budget": {"memoryMiB": 16.0, "timers": 3}}"#).unwrap();
        assert_eq!((config.max_players, config.budget.memory, config.budget.timers), (2, 16 << 20, 3));
        assert_eq!(config.budget.fuel, Budget::default().fuel);
    }

    #[test]
    fn a_mistake_is_named_with_its_key() {
        let error = |text| Config::parse(text).unwrap_err().to_string();
        assert_eq!(error(r#"{"budget":{"memoryMiB":512}}"#), "`config.budget.memoryMiB` is 512, above the cap of 256");
        assert!(error(r#"{"maxPlayer":2}"#).starts_with("`config.maxPlayer` is unknown; there are: maxPlayers"));
        assert!(
            error(r#"{"budget":{"memory":1}}"#).starts_with("`config.budget.memory` is unknown; there are: fuelPer")
        );
        assert!(error(r#"{"reconnectSeconds":-1}"#).ends_with("is -1; it must be a whole number, 0 or more"));
        assert!(error(r#"{"keepWhenEmpty":1}"#).ends_with("it must be true or false"));
        assert!(error("[]").starts_with("`config` is not a JSON object"));
    }

    #[test]
    fn an_error_repeats_only_the_start_of_what_it_is_about() {
        let long = "x".repeat(100_000);
        let texts = [
            format!(r#"{{"{long}":1}}"#),
            format!(r#"{{"budget":{{"{long}":1}}}}"#),
            format!(r#"{{"budget":"{long}"}}"#),
            format!(r#"{{"maxPlayers":"{long}"}}"#),
            format!(r#"{{"keepWhenEmpty":"{long}"}}"#),
            format!(r#""{long}""#),
        ];
        for text in texts {
            let error = Config::parse(&text).unwrap_err().to_string();
            assert!(error.contains("xxx") && error.len() < 1_000, "{} bytes: {}", error.len(), &error[..200]);
        }
        let raw = contract::Manifest { state_version: 1, config: "{}".into(), timers: vec![long], messages: vec![] };
        assert!(Manifest::check(raw).unwrap_err().to_string().len() < 1_000);
    }

    #[test]
    fn every_bound_has_its_own_field() {
        for bound in budget::ALL {
            assert!(bound.default <= bound.cap);
            let mut budget = Budget::default();
            let (field, _) = budget.field(bound.key).unwrap();
            assert_eq!(*field, bound.default * bound.unit, "{}", bound.key);
            *field += 1;
            assert_ne!(budget, Budget::default());
        }
    }
}

//! What fuzzers do with the decoders of the sandbox. Built for fuzzers and for tests only: `fuzz/README.md` has the list of all
//! targets. A target takes any bytes, and panics when they break a promise of the decoder.

use std::sync::LazyLock;

use chorus_core::{command::Fault, effect::Effect, json::Json};
use serde_json::Value;

use super::{
    SourceMap, budget, contract,
    decode::{Cause, Failed, decode_all, decode_effects, decode_saved, log_length},
    manifest::{Config, Manifest},
    parts,
    strict_json::strict_json,
};

/// Takes any bytes.
pub type Target = fn(&[u8]);

/// All targets, by the names of their corpora.
pub const TARGETS: &[(&str, Target)] =
    &[("answer", answer), ("component", component), ("config", config), ("json", json), ("source-map", source_map)];

/// The longest text of a fault or an error.
const MAX_TEXT: usize = 4 * 1024;

static MANIFEST: LazyLock<Manifest> = LazyLock::new(|| {
    let raw = contract::Manifest {
        state_version: 3,
        config: r#"{"budget":{"effectsPerRecord":4,"outputKiB":1,"stateKiB":1,"roomsPerRecord":1}}"#.into(),
        timers: vec!["turn".into()],
        messages: vec![],
    };
    Manifest::check(raw).expect("valid")
});

/// A guest's answer, in each of its places: what is accepted is within the budget, and JSON is what every parser reads.
fn answer(bytes: &[u8]) {
    match decode_effects(bytes, 0, &MANIFEST) {
        Ok(done) => check_effects(&done.effects),
        Err(failed) => check_failed(&failed),
    }
    for entries in [1, 3] {
        match decode_all(bytes, entries, &MANIFEST) {
            Ok(all) => {
                assert!((1..=entries).contains(&all.len()));
                for settled in all {
                    match settled.effects {
                        Ok(effects) => check_effects(&effects),
                        Err(failed) => check_failed(&failed),
                    }
                }
            }
            Err(fault) => check_fault(&fault),
        }
    }
    match decode_saved(bytes, &MANIFEST) {
        Ok(saved) => assert!(serde_json::from_str::<&serde_json::value::RawValue>(&saved.state).is_ok()),
        Err(failed) => check_failed(&failed),
    }
}

fn check_effects(effects: &[Effect]) {
    let is_log = |effect: &&Effect| matches!(effect, Effect::Log { .. });
    let own = effects.len() - effects.iter().filter(is_log).count();
    assert!(own as u64 <= MANIFEST.config.budget.effects + 1);
    check_log(effects);
    let is_json = |json: &Json| assert!(serde_json::from_str::<Value>(json).is_ok(), "{json:?}");
    for effect in effects {
        match effect {
            Effect::Reply { data } | Effect::Send { data, .. } | Effect::Broadcast { data, .. } => is_json(data),
            Effect::View { view } | Effect::ViewOf { view, .. } => is_json(view),
            Effect::MoveTo { options, .. } | Effect::CreateRoom { options, .. } => is_json(options),
            Effect::SendRoom { data, .. } | Effect::Metadata { data } => is_json(data),
            Effect::SetTimer { payload, .. } => is_json(payload),
            Effect::End { outcome } => is_json(outcome),
            Effect::Refuse { reason } | Effect::Kick { reason, .. } => assert!(reason.len() <= MAX_TEXT),
            _ => {}
        }
    }
}

/// The note about what was cut is on top of the limit.
fn check_log(log: &[Effect]) {
    assert!(log_length(log) <= budget::MAX_LOG + 100);
}

fn check_failed(failed: &Failed) {
    check_log(&failed.log);
    match &failed.cause {
        Cause::Threw(text) => assert!(text.len() <= MAX_TEXT),
        Cause::Exhausted => {}
        Cause::Fault(fault) => check_fault(fault),
    }
}

fn check_fault(fault: &Fault) {
    assert!(fault.to_string().len() <= MAX_TEXT);
}

/// `static config` of a script: what is accepted is within the caps.
fn config(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match Config::parse(text) {
        Ok(mut config) => {
            for bound in budget::ALL {
                let value = config.budget.field(bound.key).expect("each bound has a field").0;
                assert!(*value <= bound.cap * bound.unit);
            }
        }
        Err(error) => assert!(error.to_string().len() <= MAX_TEXT, "{error}"),
    }
}

/// JSON of a guest: what is accepted, repaired or not, is what every parser reads, and is accepted again as it is.
fn json(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(json) = strict_json(text) {
        assert!(serde_json::from_str::<Value>(&json).is_ok());
        assert_eq!(strict_json(&json).ok(), Some(json));
    }
}

/// A component's source map as JSON, and a text with places, after a line feed.
fn source_map(bytes: &[u8]) {
    let at = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let (json, text) = bytes.split_at(at);
    let Ok(text) = std::str::from_utf8(text) else { return };
    let readable = SourceMap::of_json(json).readable(text).len();
    assert!(readable <= text.len() + text.lines().count() * (json.len() + 32));
    SourceMap::of(bytes);
}

/// The bytes of a component, before they are compiled.
fn component(bytes: &[u8]) {
    let _ = parts::check(bytes);
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_stored_input_is_decoded_or_refused() {
        chorus_testing::corpus::replay("host", super::TARGETS);
    }
}

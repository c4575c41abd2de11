use super::*;
use crate::guest::{contract, layout::Writer};

fn manifest() -> Manifest {
    let raw = contract::Manifest {
        state_version: 3,
        config: r#"{"budget":{"effectsPerRecord":4,"outputKiB":1,"stateKiB":1,"roomsPerRecord":1}}"#.into(),
        timers: vec!["turn".into()],
        messages: vec![],
    };
    Manifest::check(raw).unwrap()
}

/// An answer with this outcome, which has these fields after what it has used.
fn answer(tag: u8, fields: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.tagged(tag, |outcome| {
        outcome.u64(0);
        fields(outcome);
    });
    writer.into_bytes()
}

fn done(effects: impl FnOnce(&mut Writer)) -> Vec<u8> {
    answer(outcome::DONE, effects)
}

fn effects_of(answer: &[u8]) -> Result<Vec<Effect>, Failed> {
    decode_effects(answer, 0, &manifest()).map(|done| done.effects)
}

/// The text of the fault that this answer is.
fn fault_of(answer: &[u8]) -> String {
    match effects_of(answer) {
        Err(Failed { cause: Cause::Fault(fault), .. }) => fault.to_string(),
        other => panic!("no fault: {other:?}"),
    }
}

/// One of each effect.
fn every_effect() -> Vec<u8> {
    done(|effects| {
        effects.tagged(effect::ADMIT, |it| it.u8(1));
        effects.tagged(effect::SEND, |it| {
            it.id(7);
            it.text("x");
            it.rest("[1]");
        });
        effects.tagged(effect::LOG, |it| {
            it.u8(2);
            it.rest("line");
        });
        effects.tagged(effect::SET_TIMER, |it| {
            it.text("turn");
            it.u64(1.5f64.to_bits());
            it.rest("null");
        });
        effects.tagged(effect::CREATE_ROOM, |it| {
            it.text("game");
            it.u32(2);
            it.rest("{}");
        });
        effects.tagged(effect::BROADCAST, |it| {
            it.text("x");
            it.ids(&[1, 2]);
            it.rest("2");
        });
    })
}

#[test]
fn effects_are_decoded_in_their_order() {
    let effects = effects_of(&every_effect()).unwrap();
    let wanted = [
        Effect::Admit { spectator: true },
        Effect::Send { session: SessionId(7), msg_type: "x".into(), data: Json::trusted("[1]") },
        Effect::Log { level: LogLevel::Warn, text: "line".into() },
        Effect::SetTimer { name: "turn".into(), after_ms: 2, payload: Json::null() },
        Effect::CreateRoom { kind: Kind::new("game").unwrap(), options: Json::trusted("{}"), allowance: 2 },
        Effect::Broadcast { msg_type: "x".into(), data: Json::trusted("2"), except: vec![SessionId(1), SessionId(2)] },
    ];
    assert_eq!(effects, wanted);
}

#[test]
fn an_answer_is_one_outcome_of_the_kind_that_its_entry_has() {
    let two = [done(|_| {}), done(|_| {})].concat();
    for (answer, wanted) in [
        (vec![], "the answer has no outcome"),
        (vec![1, 0, 0], "the answer: it ends within a field"),
        (vec![1, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], "the answer: it ends within a field"),
        (vec![1, 1, 0, 0, 0, 0], "the answer: it ends within a field"),
        (two, "more outcomes than the call has entries"),
        (answer(0x05, |_| {}), "no outcome has the tag 0x05"),
        (answer(outcome::SAVED, |it| it.rest("{}")), "the outcome `saved` for an entry that cannot have it"),
    ] {
        let fault = fault_of(&answer);
        assert!(fault.contains(wanted), "{answer:?}: {fault}");
    }
}

#[test]
fn what_an_effect_may_not_have_is_named() {
    let one = |tag: u8, fields: &[u8]| done(|it| it.tagged(tag, |it| fields.iter().for_each(|byte| it.u8(*byte))));
    for (answer, wanted) in [
        (one(0x17, b""), "no effect has the tag 0x17"),
        (one(effect::LOCK, b"x"), "lock: it has 1 bytes after its last field"),
        (one(effect::ADMIT, b"\x02"), "admit: it has a flag that is neither 0 nor 1: 2"),
        (one(effect::ADMIT, b""), "admit: it ends within a field"),
        (one(effect::REPLY, b"\xff"), "reply: it has a text that is not UTF-8"),
        (one(effect::REPLY, b"{"), "reply: not one JSON value"),
        (one(effect::SEND, &[0; 12]), "send: it ends within a field"),
        (one(effect::BROADCAST, b"\0\0\0\0"), "broadcast: a type of 0 bytes"),
        (one(effect::CANCEL_TIMER, b"tock"), "cancel-timer: no timer is called \"tock\""),
        (one(effect::LOG, b"\x04"), "log: 4 is no level"),
        (one(effect::REPORT, &[0; 19]), "report: it ends within a field"),
        (one(effect::REPORT, &[0; 20]), "report: not one JSON value"),
        (one(effect::REPLY, &[b'1'; 1100]), "more than 1024 bytes of output in one record"),
        (done(|it| it.u8(1)), "an effect: it ends within a field"),
    ] {
        let fault = fault_of(&answer);
        assert!(fault.contains(wanted), "{fault}, not {wanted}");
    }
}

#[test]
fn an_error_leaves_with_its_log() {
    let failed = effects_of(&answer(outcome::THREW, |it| {
        it.text("Error: no");
        it.tagged(effect::LOG, |it| {
            it.u8(1);
            it.rest("seen");
        });
        it.tagged(effect::LOCK, |_| {});
        it.u8(9);
    }));
    let Err(Failed { cause, log }) = failed else { panic!("{failed:?}") };
    assert_eq!(cause, Cause::Threw("Error: no".into()));
    assert_eq!(log, [Effect::Log { level: LogLevel::Info, text: "seen".into() }]);
}

#[test]
fn an_entry_that_is_exhausted_leaves_its_log_and_no_effect() {
    let exhausted = answer(outcome::EXHAUSTED, |it| {
        it.tagged(effect::LOG, |it| {
            it.u8(1);
            it.rest("seen");
        });
        it.tagged(effect::LOCK, |_| {});
    });
    let Err(Failed { cause, log }) = effects_of(&exhausted) else { panic!("it has effects") };
    assert_eq!(cause, Cause::Exhausted);
    assert_eq!(log, [Effect::Log { level: LogLevel::Info, text: "seen".into() }]);
    let Err(Failed { cause: Cause::Fault(fault), .. }) = decode_saved(&exhausted, &manifest()) else { panic!("saved") };
    assert!(fault.to_string().contains("the outcome `exhausted` for an entry that cannot have it"), "{fault}");
}

#[test]
fn each_entry_of_a_batch_has_what_it_has_used() {
    let mut writer = Writer::default();
    writer.tagged(outcome::DONE, |outcome| outcome.u64(3));
    writer.tagged(outcome::EXHAUSTED, |outcome| outcome.u64(u64::MAX));
    let all = decode_all(&writer.into_bytes(), 3, &manifest()).unwrap();
    assert_eq!(all.iter().map(|settled| settled.used).collect::<Vec<_>>(), [3, u64::MAX]);
}

#[test]
fn what_an_entry_has_used_is_any_number() {
    for used in [0, 1, u64::MAX] {
        let mut writer = Writer::default();
        writer.tagged(outcome::DONE, |outcome| outcome.u64(used));
        assert_eq!(decode_effects(&writer.into_bytes(), 0, &manifest()).unwrap().used, used);
    }
}

#[test]
fn a_saved_state_is_one_json_value_within_its_limit() {
    let saved = |text: &str| decode_saved(&answer(outcome::SAVED, |it| it.rest(text)), &manifest());
    assert_eq!(saved(" {} ").unwrap(), SavedState { version: 3, state: Json::trusted("{}") });
    for (text, wanted) in
        [("{", "not one JSON value"), ("", "not one JSON value"), (&"1".repeat(1025), "1025 characters")]
    {
        let Err(Failed { cause: Cause::Fault(fault), .. }) = saved(text) else { panic!("{text}") };
        assert!(fault.to_string().contains(wanted), "{fault}");
    }
    assert!(saved(&format!("\"{}\"", "é".repeat(1000))).is_ok(), "its length is counted in units of UTF-16");
}

#[test]
fn a_delay_is_rounded_up_and_within_reason() {
    assert_eq!(delay(0.0), Ok(0));
    assert_eq!(delay(1.2), Ok(2));
    for bad in [-1.0, f64::NAN, f64::INFINITY, 1e300] {
        assert!(delay(bad).is_err(), "{bad}");
    }
}

#[test]
fn a_batch_has_an_outcome_for_each_entry_up_to_the_first_that_failed() {
    let reply = done(|effects| effects.tagged(effect::REPLY, |it| it.rest("1")));
    let threw = answer(outcome::THREW, |it| it.text("Error: no"));
    let exhausted = answer(outcome::EXHAUSTED, |_| {});
    let bad = done(|effects| effects.tagged(effect::REPLY, |it| it.rest("{")));
    let shape = |answers: &[&Vec<u8>]| {
        let answer = answers.iter().flat_map(|answer| answer.iter().copied()).collect::<Vec<_>>();
        let results = decode_all(&answer, 3, &manifest());
        let is_done = |settled: &Settled| settled.effects.is_ok();
        results.map(|results| results.iter().map(is_done).collect::<Vec<_>>()).map_err(|fault| fault.to_string())
    };
    assert_eq!(shape(&[&reply, &reply, &reply]), Ok(vec![true; 3]));
    assert_eq!(shape(&[&reply, &threw]), Ok(vec![true, false]));
    assert_eq!(shape(&[&reply, &exhausted]), Ok(vec![true, false]));
    assert_eq!(shape(&[&reply, &bad, &reply]), Ok(vec![true, false]), "the second is at fault, not those after it");
    for (answers, text) in [
        (vec![&reply, &reply], "no outcome"),
        (vec![&threw, &reply], "more outcomes than"),
        (vec![&exhausted, &reply], "more outcomes than"),
        (vec![&reply, &reply, &reply, &reply], "more outcomes than"),
        (vec![], "no outcome"),
    ] {
        let found = shape(&answers).expect_err("it has no results");
        assert!(found.contains(text), "{found}");
    }
}

/// Every answer of a guest is effects or a fault: nothing panics, and nothing that is malformed passes its limits.
#[test]
fn mutated_answers_are_effects_or_a_fault() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let good = [
        every_effect(),
        answer(outcome::THREW, |it| {
            it.text("Error: no");
            it.tagged(effect::LOG, |it| {
                it.u8(1);
                it.rest("séen");
            });
        }),
        answer(outcome::SAVED, |it| it.rest("{\"state\":{}}")),
        answer(outcome::EXHAUSTED, |it| {
            it.tagged(effect::LOG, |it| {
                it.u8(1);
                it.rest("seen");
            });
        }),
    ];
    let manifest = manifest();
    let (mut taken, mut refused) = (0, 0);
    for round in 0..200_000 {
        let bytes = random.mutated(&good[round % good.len()]);
        match decode_effects(&bytes, 0, &manifest) {
            Ok(Done { effects, .. }) => {
                taken += 1;
                assert!(effects.len() <= 4 + 1 + bytes.len() / HEAD, "{effects:?}");
            }
            Err(_) => refused += 1,
        }
        if let Ok(results) = decode_all(&bytes, 3, &manifest) {
            assert!((1..=3).contains(&results.len()));
        }
        if let Ok(saved) = decode_saved(&bytes, &manifest) {
            assert!(serde_json::from_str::<serde_json::Value>(&saved.state).is_ok());
        }
    }
    assert!(taken > 1_000 && refused > 100_000, "{taken} {refused}");
}

/// A generator for tests (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }

    /// One to four changes: a byte, a number, a cut, a repeated part.
    fn mutated(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        for _ in 0..=self.below(4) {
            if bytes.is_empty() {
                break;
            }
            let at = self.below(bytes.len());
            match self.below(5) {
                0 => bytes[at] ^= 1 << self.below(8),
                1 => bytes[at] = [0, 1, 0x12, 0x7f, 0x80, 0xff][self.below(6)],
                2 => bytes.truncate(at),
                3 => {
                    let end = at + self.below(bytes.len() - at + 1);
                    let part = bytes[at..end].to_vec();
                    let to = self.below(bytes.len() + 1);
                    bytes.splice(to..to, part);
                }
                _ => {
                    let end = (at + 4).min(bytes.len());
                    let number = (self.below(64) as u32).to_le_bytes();
                    bytes[at..end].copy_from_slice(&number[..end - at]);
                }
            }
        }
        bytes
    }
}

#[test]
fn a_report_has_a_reason_that_is_cut_and_data_that_is_bounded() {
    let limits = r#"{"budget":{"outputKiB":64}}"#;
    let raw = contract::Manifest { state_version: 1, config: limits.into(), timers: vec![], messages: vec![] };
    let manifest = Manifest::check(raw).unwrap();
    let report = |reason: &str, data: &str| {
        let answer = done(|it| {
            it.tagged(effect::REPORT, |it| {
                it.id(7);
                it.text(reason);
                it.rest(data);
            });
        });
        decode_effects(&answer, 0, &manifest).map(|done| done.effects)
    };
    let effects = report(&"x".repeat(1_000), r#"{"said":"…"}"#).unwrap();
    let [Effect::Report { session: SessionId(7), reason, data }] = &effects[..] else { panic!("{effects:?}") };
    assert!(reason.len() <= budget::MAX_TEXT, "{} bytes", reason.len());
    assert_eq!(data.as_str(), r#"{"said":"…"}"#);
    let text = |bytes: usize| format!("\"{}\"", "x".repeat(bytes - 2));
    assert!(report("spam", &text(budget::MAX_REPORT)).is_ok());
    let Err(Failed { cause: Cause::Fault(Fault::TooMuch(cause)), .. }) = report("spam", &text(budget::MAX_REPORT + 1))
    else {
        panic!("it is too long")
    };
    assert!(cause.starts_with("report: 4097 bytes of data"), "{cause}");
}

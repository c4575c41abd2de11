//! Stories of reports.

use super::*;

/// A script that reports Ana, on each message, as it leaves, and before it joins.
fn reports() -> impl FnMut(&Event) -> Result<Vec<Effect>, Fault> {
    |event| match event {
        Event::Join { member, .. } if member.session == ANA => {
            Ok(vec![report(ANA, "joins"), Effect::Admit { spectator: false }, report(ANA, "joined")])
        }
        Event::Message { .. } => Ok(vec![report(ANA, "spam")]),
        Event::Leave { session: ANA, .. } => Ok(vec![report(ANA, "left")]),
        event => seats_who_may_play()(event),
    }
}

fn report(session: SessionId, reason: &str) -> Effect {
    Effect::Report { session, reason: reason.into(), data: Json::trusted(r#"{"said":"…"}"#) }
}

fn reported(out: &Out) -> Vec<&Report> {
    let reports = out.outputs.iter().filter_map(|output| match output {
        Output::Report(report) => Some(&**report),
        _ => None,
    });
    reports.collect()
}

fn reasons(out: &Out) -> Vec<&str> {
    reported(out).into_iter().map(|report| &*report.reason).collect()
}

#[test]
fn a_report_has_its_number_and_the_player() {
    let mut story = Story::of(reports()).with_members(&[BEA]);
    assert_eq!(reasons(&story.record(join(ANA, 0))), ["joins", "joined"]);
    let at = story.next;
    let out = story.record(message(BEA, 1));
    let [Report { number, at: time, session, player, reason, data }] = reported(&out)[..] else { panic!("{out:?}") };
    assert_eq!((number.offset, *time, *session), (at, story.now, ANA));
    assert_eq!((&*player.id, &**reason, data.as_str()), ("ana", "spam", r#"{"said":"…"}"#));
    assert_eq!(reasons(&story.record(leave(ANA))), ["left"]);
    assert_eq!(reasons(&story.record(message(BEA, 2))), [""; 0], "the session is no member");
}

/// A host that restores the room repeats the report under its number.
#[test]
fn a_report_is_repeated_under_its_number() {
    let mut story = Story::of(reports()).with_members(&[ANA, BEA]);
    let snapshot = story.saved();
    let from = story.log.len();
    let out = story.record(message(BEA, 1));
    let mut again = Story::of(reports());
    again.room = Room::restore(ROOM, &snapshot, RestoreReason::Recovered).unwrap();
    let mut repeated = vec![];
    for (offset, record) in &story.log[from..] {
        again.room.handle(Input::Record(*offset, record.clone()));
        repeated.extend(again.turn().outputs);
    }
    assert_eq!(reported(&Out { outputs: repeated }), reported(&out));
}

#[test]
fn a_room_makes_so_many_reports_at_once_and_one_more_in_each_interval() {
    let mut story = Story::of(reports()).with_members(&[ANA, BEA]);
    let mut id = 0;
    let mut made = |story: &mut Story, messages: u64| {
        let mut made = 0;
        for _ in 0..messages {
            id += 1;
            made += reported(&story.record(message(BEA, id))).len() as u64;
        }
        made
    };
    // Two were made as Ana joined.
    assert_eq!(made(&mut story, 2 * REPORT_BURST), REPORT_BURST - 2);
    let out = story.record(message(BEA, 1_000));
    let log = out.outputs.iter().find_map(|output| match output {
        Output::Log { level: LogLevel::Warn, text } => Some(text.to_string()),
        _ => None,
    });
    assert!(log.is_some_and(|text| text.starts_with("a report was dropped")), "{out:?}");
    story.now = story.now.plus(3 * REPORT_INTERVAL_MS);
    story.hibernate();
    let mut id = 2_000;
    let reports = (0..9).map(|_| {
        id += 1;
        reported(&story.record(message(BEA, id))).len()
    });
    assert_eq!(reports.sum::<usize>(), 3, "the snapshot has the count");
}

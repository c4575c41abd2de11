//! The latency of honest players while others send the most expensive messages that a server accepts.
//!
//! Calm and attack alternate, with the same players in the same rooms, and each pair is compared separately: a disturbance of
//! the machine mostly affects both halves of a pair. Honest players send at a steady pace, as people do, far below a session's
//! rate limit; attackers send at that limit. A disconnected attacker resumes at once.

use std::{
    fmt::Write as _,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use clap::ValueEnum;
use tokio::{
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};

use super::{
    Bench,
    echo::WORDS,
    measure::Latencies,
    player::{Party, Player, Server},
    report::{Figure, Report},
};

/// What attackers send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Attack {
    /// As many members as a frame may have, with names that collide in the table of QuickJS
    Names,
    /// As many objects as a frame may have
    Objects,
    /// As many numbers as a frame may have, of all their digits
    Numbers,
    /// Messages to rooms of the kind `host-calls`, which call the host as often as they may
    HostCalls,
}

/// The number of honest players who share the attacked room, and of those with a room each.
const IN_THE_ROOM: usize = 4;
const ELSEWHERE: usize = 4;

/// An honest player's average interval. Each player has its own sequence of pauses: players in step with each other would wait
/// for each other, and players in step with an attacker would always meet it, or never.
const PACE: Duration = Duration::from_millis(50);

/// An attacker's interval: the default of `--rate`.
const RATE: Duration = Duration::from_millis(20);

/// The part of each phase that does not count: the server is still working on the previous phase's messages.
const UNCOUNTED: f64 = 0.25;

/// Calm phases and attacks in turn.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub from: Instant,
    pub phase: Duration,
    pub rounds: u32,
}

/// The latencies of the honest players of one place, by phase.
#[derive(Clone, Debug)]
pub struct Place(Arc<[Latencies]>);

#[derive(Clone, Debug, Default)]
struct Attacked {
    sent: Arc<AtomicU64>,
    cut_off: Arc<AtomicU64>,
}

/// Attackers: `rooms` of them in the honest players' room or, with host calls, in a room each.
pub async fn hostile(bench: &Bench, attack: Attack, rooms: usize, rounds: u32) -> anyhow::Result<Report> {
    let plan_of = |size| Party { kind: "bench-room", key: "hostile".into(), size, options: "{}" };
    let in_room = attack != Attack::HostCalls;
    let (mut same, mut attackers) = (Vec::new(), Vec::new());
    if in_room {
        let mut party = bench.server.parties(1, &plan_of(IN_THE_ROOM + rooms)).await?.pop().unwrap_or_default();
        attackers = party.split_off(IN_THE_ROOM);
        same = party;
    } else {
        let party = Party { kind: "host-calls", key: "hostile".into(), size: 1, options: "{}" };
        attackers.extend(bench.server.parties(rooms, &party).await?.into_iter().flatten());
    }
    let others = bench.server.parties(ELSEWHERE, &Party { key: "elsewhere".into(), ..plan_of(1) }).await?;

    let plan = Plan { from: Instant::now() + bench.warm_up, phase: bench.seconds, rounds };
    let (here, elsewhere, attacked) = (Place::new(plan), Place::new(plan), Attacked::default());
    let mut players = JoinSet::new();
    let honest_players = same
        .into_iter()
        .map(|player| (player, &here))
        .chain(others.into_iter().flatten().map(|player| (player, &elsewhere)));
    for (n, (player, place)) in honest_players.enumerate() {
        players.spawn(honest(player, n, plan, place.clone()));
    }
    let message: Arc<str> = attack.data().into();
    for player in attackers {
        let msg_type = if in_room { "echo" } else { "go" };
        players.spawn(attacker(bench.server.clone(), player, plan, msg_type, message.clone(), attacked.clone()));
    }
    while let Some(ended) = players.join_next().await {
        ended??;
    }

    let mut figures = elsewhere.figures("in other rooms");
    if in_room {
        figures.extend(here.figures("in the same room"));
    }
    let count = |name, counter: &AtomicU64| Figure::new(name, counter.load(Ordering::Relaxed) as f64, "");
    figures.push(count("messages of the attackers", &attacked.sent));
    figures.push(count("times that attackers were cut off", &attacked.cut_off));
    Ok(Report::new("hostile", format!("{attack:?}, {rooms} attackers, {rounds} rounds"), figures))
}

impl Plan {
    pub fn until(&self) -> Instant {
        self.from + self.phase * (2 * self.rounds)
    }

    /// The phase for which this instant counts.
    fn phase_at(&self, at: Instant) -> Option<usize> {
        let phases = at.checked_duration_since(self.from)?.as_secs_f64() / self.phase.as_secs_f64();
        (phases.fract() >= UNCOUNTED && phases < f64::from(2 * self.rounds)).then_some(phases as usize)
    }

    pub fn is_attack(&self, at: Instant) -> bool {
        let since = at.checked_duration_since(self.from);
        since.is_some_and(|since| (since.as_secs_f64() / self.phase.as_secs_f64()) as u64 % 2 == 1)
    }

    pub fn next_phase(&self, at: Instant) -> Instant {
        let Some(since) = at.checked_duration_since(self.from) else { return self.from };
        self.from + self.phase * ((since.as_secs_f64() / self.phase.as_secs_f64()) as u32 + 1)
    }
}

impl Place {
    pub fn new(plan: Plan) -> Place {
        Place((0..2 * plan.rounds).map(|_| Latencies::new()).collect())
    }

    /// The median of all rounds, and the increase during attacks: least, median, most.
    pub fn figures(&self, place: &str) -> Vec<Figure> {
        let p50 = self.0.iter().map(Latencies::p50).collect::<Vec<_>>();
        let (calm, attacked): (Vec<_>, Vec<_>) = p50.chunks_exact(2).map(|pair| (pair[0], pair[1])).unzip();
        let times = calm.iter().zip(&attacked).map(|(calm, attacked)| attacked / calm).collect::<Vec<_>>();
        let [least, median, most] = spread(times);
        vec![
            Figure::new(format!("p50 {place}, calm"), spread(calm)[1], "µs"),
            Figure::new(format!("p50 {place}, attacked"), spread(attacked)[1], "µs"),
            Figure::new(format!("times {place}, least"), least, "×"),
            Figure::new(format!("times {place}"), median, "×"),
            Figure::new(format!("times {place}, most"), most, "×"),
        ]
    }

    /// The p99 of all rounds, as medians.
    pub fn tails(&self, place: &str) -> Vec<Figure> {
        let p99 = self.0.iter().map(Latencies::p99).collect::<Vec<_>>();
        let (calm, attacked): (Vec<_>, Vec<_>) = p99.chunks_exact(2).map(|pair| (pair[0], pair[1])).unzip();
        vec![
            Figure::new(format!("p99 {place}, calm"), spread(calm)[1], "µs"),
            Figure::new(format!("p99 {place}, attacked"), spread(attacked)[1], "µs"),
        ]
    }
}

/// The least, the median and the most.
pub fn spread(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    match values.as_slice() {
        [] => [f64::NAN; 3],
        all => [all[0], all[all.len() / 2], all[all.len() - 1]],
    }
}

/// Asks its room, at its pace, until the plan ends.
pub async fn honest(mut player: Player, n: usize, plan: Plan, place: Place) -> anyhow::Result<()> {
    for turn in 0.. {
        tokio::time::sleep(pause(n, turn)).await;
        let began = Instant::now();
        if began >= plan.until() {
            break;
        }
        player.ask("echo", WORDS).await?;
        if let Some(phase) = plan.phase_at(began) {
            place.0[phase].count_one(began.elapsed());
        }
    }
    Ok(())
}

/// Between half of [`PACE`] and one and a half, the same in every run: multiples of the golden ratio are spread evenly.
fn pause(player: usize, turn: usize) -> Duration {
    const GOLDEN: f64 = 0.618_033_988_749_895;
    PACE.mul_f64(0.5 + ((player * 1_000 + turn * (2 * player + 1)) as f64 * GOLDEN).fract())
}

/// Sends without waiting for answers; a closed connection is resumed.
async fn attacker(
    server: Server,
    mut player: Player,
    plan: Plan,
    msg_type: &'static str,
    data: Arc<str>,
    attacked: Attacked,
) -> anyhow::Result<()> {
    let mut rate = interval(RATE);
    rate.set_missed_tick_behavior(MissedTickBehavior::Skip);
    while Instant::now() < plan.until() {
        let now = Instant::now();
        if !plan.is_attack(now) {
            // Until the attack begins, frames are read and dropped.
            let over = tokio::time::timeout_at(plan.next_phase(now), player.drain()).await.is_ok();
            if over && !back(&server, &mut player, &attacked).await {
                sleep_until(plan.next_phase(now)).await;
            }
            continue;
        }
        let sent = tokio::select! {
            _ = rate.tick() => {
                attacked.sent.fetch_add(1, Ordering::Relaxed);
                player.send(msg_type, &data).await
            }
            came = player.next() => came.map(drop),
        };
        if sent.is_err() && !back(&server, &mut player, &attacked).await {
            tokio::time::sleep(RATE).await;
        }
    }
    Ok(())
}

/// Resumes the session, and returns whether that succeeded: a server that refuses it has ended the attack.
async fn back(server: &Server, player: &mut Player, attacked: &Attacked) -> bool {
    attacked.cut_off.fetch_add(1, Ordering::Relaxed);
    player.resume(server).await.is_ok()
}

impl Attack {
    /// Just within the bounds of `core/src/frame/bounds.rs`.
    fn data(self) -> String {
        let list = |items: Vec<String>| format!("[{}]", items.join(","));
        match self {
            Attack::Names => {
                // The five members of the frame itself have names, too.
                let object = (0..251).map(|n| format!(r#""{}{}":0"#, "x".repeat(36), colliding(n))).collect::<Vec<_>>();
                list((0..4).map(|_| format!("{{{}}}", object.join(","))).collect())
            }
            // An empty object counts as two values.
            Attack::Objects => list((0..2_000).map(|_| "{}".to_owned()).collect()),
            Attack::Numbers => list((0..3_000).map(|n| format!("0.1234567890{:06}", 100_003 + 7 * n)).collect()),
            Attack::HostCalls => "null".to_owned(),
        }
    }
}

/// One of 256 names with one hash: QuickJS folds characters by `h * 263 + c`, so a pair `(a, b)` has the same effect as
/// `(a - 1, b + 263)`.
fn colliding(n: u32) -> String {
    let mut name = String::new();
    for by in [n & 15, n >> 4] {
        let pair = [0x140 - by, 0x40 + 263 * by].map(|point| char::from_u32(point).expect("below the surrogates"));
        let _ = write!(name, "{}{}", pair[0], pair[1]); // A string accepts every write.
    }
    name.replace('\\', "_")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use chorus_core::frame::ClientFrame;

    use super::*;

    #[test]
    fn what_attackers_send_is_legal() {
        for attack in [Attack::Names, Attack::Objects, Attack::Numbers] {
            let frame = format!(r#"{{"t":"msg","id":1,"type":"echo","data":{}}}"#, attack.data());
            assert!(frame.len() < chorus_core::frame::MAX_FRAME, "{attack:?}: {}", frame.len());
            assert!(ClientFrame::parse(&frame).is_ok(), "{attack:?}: {:?}", ClientFrame::parse(&frame).err());
        }
    }

    #[test]
    fn the_names_collide() {
        let names: BTreeSet<String> = (0..256).map(colliding).collect();
        let hash = |name: &String| name.chars().fold(1_u32, |h, c| h.wrapping_mul(263).wrapping_add(c as u32));
        assert_eq!(names.len(), 256);
        assert_eq!(names.iter().map(hash).collect::<BTreeSet<_>>().len(), 1);
    }

    #[test]
    fn honest_players_are_in_step_with_nobody() {
        let pauses = |player| (0..1_000).map(move |turn| pause(player, turn)).collect::<Vec<_>>();
        for player in 0..8 {
            let all = pauses(player);
            let mean = all.iter().sum::<Duration>() / 1_000;
            assert!(mean.abs_diff(PACE) < Duration::from_millis(1), "{mean:?}");
            assert!(all.iter().collect::<BTreeSet<_>>().len() > 900);
            assert_ne!(all, pauses(player + 1));
        }
    }

    #[test]
    fn calm_and_attack_alternate() {
        let from = Instant::now();
        let plan = Plan { from, phase: Duration::from_secs(4), rounds: 2 };
        let at = |seconds: f64| from + Duration::from_secs_f64(seconds);
        assert_eq!(
            [0.5, 2.0, 4.5, 6.0, 15.9, 16.1].map(|s| plan.phase_at(at(s))),
            [None, Some(0), None, Some(1), Some(3), None]
        );
        assert_eq!([1.0, 5.0, 9.0, 13.0].map(|s| plan.is_attack(at(s))), [false, true, false, true]);
        assert_eq!((plan.next_phase(at(1.0)), plan.until()), (at(4.0), at(16.0)));
        assert_eq!(spread(vec![3.0, 1.0, 2.0]), [1.0, 2.0, 3.0]);
    }
}

//! `chorus audit`: compares the effects of a system with the rooms' channels, which are the truth.
//!
//! ```text
//! channels ─▶ replay, room by room (core::room and real guests) ─▶ the reference ─┐
//!                              histories of players ─▶ history_check ◀────────────┤─▶ violations
//!                                  snapshots, rows, checkpoints ─▶ stored ◀───────┤
//!                          other rooms' channels ─▶ room_messages ◀───────────────┘
//! ```
//! Where to start: this file opens, reads and distributes the rooms; `replay` makes the `reference` of one room, in one
//! `pass` or several; `history_check` compares its players' histories with it, `stored` its data in the store, and
//! `room_messages` other rooms' channels; `guest` runs the scripts; `report` names the rules.
//!
//! The reference is made by the same machine that the hosts run, from records alone, in one pass, in one process. So a
//! difference is an effect that did not come from the log, or a loss: a fault of the machines around it. The machine's own
//! guarantees (a message is applied once, a number is used once) are counted here rather than assumed.
//!
//! Bounds: all records are held in memory, and the frames of the rooms that are being replayed, one per core.

mod channels;
mod guest;
mod history;
mod history_check;
mod pass;
mod reference;
mod replay;
mod report;
mod room_messages;
mod start;
mod stored;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeSet, HashMap},
    num::NonZero,
    path::{Path, PathBuf},
    sync::Arc,
};

use chorus_bus::{Bus, Durability};
use chorus_core::{
    ids::{Offset, RoomId},
    room::{Call, Outcome},
};
use chorus_host::{
    Components,
    guest::{Engine, Options as EngineOptions},
};
use chorus_store::{KeptHash, RoomFilter, Store};
use clap::Args;
use futures_util::{StreamExt as _, stream};

use self::{
    channels::{Channel, Channels},
    guest::RoomGuest,
    history::{History, RoomHistory},
    report::{Figures, Report, Unchecked, Violation},
    room_messages::RoomMessages,
    start::Start,
    stored::Stored,
};
use crate::{cache, cluster::ConnectOptions, error_chain::Reported};

/// Holds what was played against the log
///
/// Replays every room from its channel and compares: the frames that players got, message by message what was
/// acknowledged, the stored snapshots, what rooms had for each other. Ends with 1 when anything differs. Nothing may be
/// played meanwhile, and hosts should have run with --keep-log: of rooms whose log was cut, less can be checked.
#[derive(Debug, Args)]
pub struct Options {
    /// The data directory of a `chorus dev` that does not run; without it, the cluster of --brokers and --postgres
    #[arg(long, env = "CHORUS_DATA", value_name = "DIR")]
    data: Option<PathBuf>,
    /// What players saw and sent, as `chorus/tests/torture` writes it
    #[arg(long, value_name = "FILE")]
    history: Option<PathBuf>,
    #[command(flatten)]
    cache: cache::Options,
    /// Prints one JSON object, for programs
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    shared: ConnectOptions,
}

/// Replays, compares, prints. An error when there are violations.
pub async fn run(options: Options) -> anyhow::Result<()> {
    let history = options.history.as_deref().map(History::read).transpose()?.unwrap_or_default();
    let jobs = std::thread::available_parallelism().map_or(2, NonZero::get);
    let (bus, store) = match &options.data {
        Some(data) => open(data).await?,
        None => options.shared.open().await?,
    };
    let engine = Engine::new(EngineOptions {
        // One for each room, and one more while it swaps its component.
        max_instances: 2 * jobs as u32,
        // The setting of `chorus dev`, which affects the frames.
        show_failures: options.data.is_some(),
        ..EngineOptions::new(options.cache.dir()?)
    })?;
    let report = audit(&bus, &store, engine, history, jobs).await?;
    bus.close().await?;
    store.close().await?;
    report.print(options.json);
    let found = report.violations.len();
    anyhow::ensure!(found == 0, Reported(format!("what was played is not what the log says: {found} violations")));
    Ok(())
}

async fn open(data: &Path) -> anyhow::Result<(Bus, Store)> {
    // Opening creates missing files: a mistyped path would be audited, and found valid.
    let database = data.join("store.sqlite");
    anyhow::ensure!(database.exists(), "{} is no data directory of chorus: it has no store.sqlite", data.display());
    let opened = crate::data::open(data, Durability::default(), false).await?;
    Ok((opened.bus, opened.store))
}

/// Why a room cannot be replayed, as a text for people.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Unplayable(String);

/// Answers a room's calls.
trait Guest: Send {
    /// `None`: the instance was lost through no fault of the record's.
    fn answer(&mut self, call: Call) -> impl Future<Output = Result<Option<Outcome>, Unplayable>> + Send;

    /// Called after a snapshot. Whether the instance was dropped, so that another one has to replace it.
    fn retires(&mut self) -> bool;
}

/// The shared state of the rooms' tasks.
#[derive(Debug)]
struct Audit {
    store: Store,
    components: Components,
    /// Of each partition.
    checkpoints: Vec<Offset>,
    /// The partitions whose records are complete.
    whole: Vec<bool>,
}

/// One room, with the data to compare.
#[derive(Debug)]
struct Case {
    room: RoomId,
    channel: Channel,
    history: RoomHistory,
    hashes: Vec<KeptHash>,
}

/// The results.
#[derive(Debug, Default)]
struct Verdict {
    violations: Vec<Violation>,
    unchecked: Option<Unchecked>,
    figures: Figures,
    room_messages: RoomMessages,
}

async fn audit(bus: &Bus, store: &Store, engine: Engine, history: History, jobs: usize) -> anyhow::Result<Report> {
    let channels = Channels::read(bus).await?;
    let mut checkpoints = Vec::new();
    for partition in 0..bus.partitions() {
        checkpoints.push(store.checkpoint(partition).await?);
    }
    let mut whole = Vec::new();
    for partition in 0..bus.partitions() {
        whole.push(bus.start(partition).await? == 0);
    }
    let components = Components::new(engine, store.clone());
    let audit = Arc::new(Audit { store: store.clone(), components, checkpoints, whole });

    let mut figures = Figures { records: channels.records, sessions: history.sessions, ..Figures::default() };
    let cases = cases(store, channels, history).await?;
    let mut verdicts =
        stream::iter(cases).map(|case| tokio::spawn(check_room(audit.clone(), case))).buffer_unordered(jobs);
    let (mut violations, mut unchecked, mut room_messages) = (Vec::new(), Vec::new(), RoomMessages::default());
    while let Some(verdict) = verdicts.next().await {
        let verdict = verdict??;
        violations.extend(verdict.violations);
        unchecked.extend(verdict.unchecked);
        figures.add(&verdict.figures);
        room_messages.extend(verdict.room_messages);
    }
    let is_whole = |room: RoomId| audit.whole[room.partition(bus.partitions()) as usize];
    violations.extend(room_messages.check(is_whole, &mut figures));
    Ok(Report::new(figures, violations, unchecked))
}

/// Every room that appears anywhere; those with the longest channels first, so that none of these is the last to finish.
async fn cases(store: &Store, channels: Channels, history: History) -> anyhow::Result<Vec<Case>> {
    let Channels { mut rooms, partitions, .. } = channels;
    let mut histories = history.rooms;
    let stored = store.rooms(&RoomFilter::default(), None, u32::MAX).await?;
    let mut all: BTreeSet<RoomId> = rooms.keys().chain(histories.keys()).copied().collect();
    all.extend(stored.into_iter().map(|row| row.id));
    let mut hashes: HashMap<RoomId, Vec<KeptHash>> = HashMap::new();
    for kept in store.kept_hashes().await? {
        hashes.entry(kept.room).or_default().push(kept);
    }
    all.extend(hashes.keys());
    let mut cases: Vec<Case> = Vec::with_capacity(all.len());
    for room in all {
        let empty = || Channel { partition: room.partition(partitions), records: Vec::new() };
        let channel = rooms.remove(&room).unwrap_or_else(empty);
        let history = histories.remove(&room).unwrap_or_default();
        cases.push(Case { room, channel, history, hashes: hashes.remove(&room).unwrap_or_default() });
    }
    cases.sort_by_key(|case| std::cmp::Reverse(case.channel.records.len()));
    Ok(cases)
}

async fn check_room(audit: Arc<Audit>, case: Case) -> anyhow::Result<Verdict> {
    let Case { room, channel, history, hashes } = case;
    let stored = Stored::read(&audit.store, room, hashes, audit.checkpoints[channel.partition as usize]).await?;
    let whole = audit.whole[channel.partition as usize];
    let mut verdict = Verdict { figures: Figures { rooms: 1, ..Figures::default() }, ..Verdict::default() };
    let Some(start) = Start::of(&channel, whole, stored.has_ended(), stored.snapshot.as_ref()) else {
        let why = "its log was cut, and it has no snapshot".to_owned();
        return Ok(Verdict { unchecked: Some(Unchecked { room, why }), ..verdict });
    };
    let mut guest = RoomGuest::new(&audit.components, room);
    let replay = match replay::replay(room, &start, &channel.records, &stored.offsets(), &mut guest).await {
        Ok(replay) => replay,
        Err(Unplayable(why)) => return Ok(Verdict { unchecked: Some(Unchecked { room, why }), ..verdict }),
    };
    verdict.unchecked = replay.stuck_at.map(|offset| Unchecked {
        room,
        why: format!("from offset {offset} on: its script failed there, and the log does not say what came of it"),
    });
    verdict.violations.extend(replay.violations.iter().cloned());
    history_check::check_history(room, &replay, &history, &mut verdict.figures, &mut verdict.violations);
    stored.check(&replay, &channel, &mut verdict.figures, &mut verdict.violations);
    verdict.room_messages = RoomMessages::of(&replay, &channel, &stored);
    Ok(verdict)
}

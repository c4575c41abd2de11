//! The JSON of the operators' API: what [`crate::admin`] answers, and what `chorus status`, `machine`, `room`, `player`,
//! `publish`, `swap` and `backup` read. Times are milliseconds since 1970, ids and digests are hexadecimal.
//!
//! A newer monitor may add fields, so readers ignore fields that they do not have; a missing field is an error for them.
//! Requests are strict: an unknown field is refused.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// Any request that was refused or failed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Refusal {
    pub error: String,
    /// The remedy.
    #[serde(rename = "do")]
    pub what_to_do: String,
}

/// `GET /v1/status`.
#[derive(Debug, Serialize, Deserialize)]
pub struct Status {
    /// `null` in `chorus dev`.
    pub monitor: Option<MonitorStatus>,
    /// By role.
    pub machines: BTreeMap<String, MachineCounts>,
    pub partitions: PartitionCounts,
    pub kinds: Vec<KindStatus>,
    /// Conditions that need an operator's attention. Empty when there are none.
    pub problems: Vec<String>,
}

/// The monitor that answers.
#[derive(Debug, Serialize, Deserialize)]
pub struct MonitorStatus {
    pub id: String,
    pub in_charge: bool,
    /// The active monitor.
    pub active: Option<String>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub struct MachineCounts {
    pub alive: u64,
    pub draining: u64,
    pub dead: u64,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct PartitionCounts {
    pub count: u64,
    /// Partitions whose host is alive.
    pub hosted: u64,
}

/// `GET /v1/kinds`.
#[derive(Debug, Serialize, Deserialize)]
pub struct Kinds {
    pub kinds: Vec<KindStatus>,
}

/// A kind: its active version, and the number of its rooms.
#[derive(Debug, Serialize, Deserialize)]
pub struct KindStatus {
    pub kind: String,
    pub version: u32,
    pub digest: String,
    pub rooms: RoomCounts,
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct RoomCounts {
    pub live: u64,
    pub ended: u64,
    pub failed: u64,
}

/// `GET /v1/machines`.
#[derive(Debug, Serialize, Deserialize)]
pub struct Machines {
    pub machines: Vec<Machine>,
}

/// An edge, a host or a monitor.
#[derive(Debug, Serialize, Deserialize)]
pub struct Machine {
    pub id: String,
    pub role: String,
    pub name: Option<String>,
    pub address: Option<String>,
    pub state: String,
    /// The time since its latest heartbeat.
    pub silent_ms: u64,
    pub registered_ms: u64,
    pub partitions: Vec<u32>,
}

/// `POST /v1/machines/{id}/drain`.
#[derive(Debug, Serialize, Deserialize)]
pub struct MachineDrain {
    pub id: String,
    pub state: String,
}

/// `GET /v1/rooms`: one page, with [`Room`]s or what stands for them.
#[derive(Debug, Serialize, Deserialize)]
pub struct Rooms<R = Room> {
    pub rooms: Vec<R>,
    /// The `after` of the next page. `null`: this is the last one.
    pub next: Option<String>,
}

/// A room, as its host has written it last.
#[derive(Debug, Serialize, Deserialize)]
pub struct Room {
    pub id: String,
    pub kind: String,
    pub status: String,
    pub component: String,
    pub members: u32,
    pub offset: u64,
    pub creator: Option<String>,
    pub created_at: u64,
    pub ended_at: Option<u64>,
    pub next_timer_at: Option<u64>,
    pub metadata: Option<Box<RawValue>>,
    pub outcome: Option<Box<RawValue>>,
}

/// `GET /v1/rooms/{id}`. It is only written: serde cannot read raw JSON through `flatten`.
#[derive(Debug, Serialize)]
pub struct PlacedRoom {
    #[serde(flatten)]
    pub room: Room,
    pub partition: u32,
    pub host: Option<String>,
}

/// `GET /v1/rooms/{id}/state`: the room's newest snapshot.
#[derive(Debug, Serialize, Deserialize)]
pub struct RoomState {
    pub room: String,
    pub kind: String,
    pub component: String,
    /// The last record that the state includes.
    pub offset: u64,
    pub hash: String,
    pub clock: u64,
    pub locked: bool,
    pub faults: u32,
    /// Whether a fault would roll back the latest swap.
    pub probation: bool,
    pub members: Vec<Member>,
    pub timers: Vec<Timer>,
    pub state_version: Option<u32>,
    /// The script's own state.
    pub state: Option<Box<RawValue>>,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Member {
    pub session: String,
    pub player: String,
    pub name: String,
    pub edge: String,
    pub connected: bool,
    pub spectator: bool,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Timer {
    pub name: String,
    pub due: u64,
}

/// `GET /v1/players`: one page of the sessions that are connected or held, with [`PlayerSession`]s or what stands for them.
#[derive(Debug, Serialize, Deserialize)]
pub struct Players<S = PlayerSession> {
    /// By player.
    pub sessions: Vec<S>,
    /// The `after` of the next page. `null`: this is the last one.
    pub next: Option<String>,
}

/// A session that has not expired.
#[derive(Debug, Serialize, Deserialize)]
pub struct PlayerSession {
    pub player: String,
    pub name: String,
    pub session: String,
    /// The guest that the player was before it signed in.
    pub guest: Option<String>,
    /// The network of its address: one address of IPv4, or the /64 of an IPv6 address.
    pub address: Option<String>,
    /// The edge that has the session, or had it last.
    pub edge: String,
    pub connected: bool,
    /// Why it was kicked. It cannot be resumed.
    pub kicked: Option<String>,
    pub created_at: u64,
    /// In the order of joining.
    pub rooms: Vec<String>,
}

/// `GET /v1/players/{id}`.
#[derive(Debug, Serialize, Deserialize)]
pub struct PlayerStatus {
    pub player: String,
    pub ban: Option<Ban>,
    /// At most 500, also those in which the player has been this guest.
    pub sessions: Vec<PlayerSession>,
}

/// The body of `POST /v1/players/{id}/kick`.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KickOrder {
    /// For the player, at most 120 bytes.
    pub reason: Option<String>,
}

/// `POST /v1/players/{id}/kick`.
#[derive(Debug, Serialize, Deserialize)]
pub struct Kicked {
    pub player: String,
    /// The sessions that were ended.
    pub sessions: u64,
}

/// The body of `POST /v1/players/{id}/logout` and of `POST /v1/tokens/{id}/logout`.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogoutOrder {
    /// How long the tokens are refused. `null`: 30 days.
    pub for_ms: Option<u64>,
}

/// The answer to both.
#[derive(Debug, Serialize, Deserialize)]
pub struct Logout {
    pub player: Option<String>,
    pub token_id: Option<String>,
    /// The sessions that were ended.
    pub sessions: u64,
    /// How long tokens are refused. `null` for a guest, whose token stays valid.
    pub refused_ms: Option<u64>,
}

/// `GET /v1/bans`: one page, with [`Ban`]s or what stands for them.
#[derive(Debug, Serialize, Deserialize)]
pub struct Bans<B = Ban> {
    pub bans: Vec<B>,
    /// The `after` of the next page. `null`: this is the last one.
    pub next: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Ban {
    /// A player's id, or a network.
    pub target: String,
    /// For the player.
    pub reason: String,
    /// For operators.
    pub note: Option<String>,
    pub created_at: u64,
    /// `null`: until it is lifted.
    pub ends_at: Option<u64>,
}

/// The body of `POST /v1/bans`: `player` or `address`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BanOrder {
    pub player: Option<String>,
    /// An address, or a network as `192.0.2.0/24`. An IPv6 address stands for its /64.
    pub address: Option<String>,
    /// For the player, at most 120 bytes.
    pub reason: String,
    /// For operators, at most 1,000 bytes.
    pub note: Option<String>,
    /// `null`: until it is lifted.
    pub for_ms: Option<u64>,
}

/// `POST /v1/bans`.
#[derive(Debug, Serialize, Deserialize)]
pub struct Banned {
    /// One, or more where a guest and its account are the same player.
    pub bans: Vec<Ban>,
    /// The sessions that were ended; those of a network are ended by the edges, and not counted.
    pub sessions: u64,
}

/// The body of `POST /v1/bans/lift`: `player` or `address`.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LiftOrder {
    pub player: Option<String>,
    pub address: Option<String>,
}

/// `POST /v1/bans/lift`.
#[derive(Debug, Serialize, Deserialize)]
pub struct Lifted {
    pub target: String,
}

/// `GET /v1/reports`: one page, with [`Report`]s or what stands for them.
#[derive(Debug, Serialize, Deserialize)]
pub struct Reports<R = Report> {
    /// The latest first.
    pub reports: Vec<R>,
    /// The `after` of the next page. `null`: this is the last one.
    pub next: Option<String>,
}

/// What a room's script has reported of a player.
#[derive(Debug, Serialize, Deserialize)]
pub struct Report {
    /// By the room's clock.
    pub at: u64,
    pub player: String,
    /// As it was then.
    pub name: String,
    pub reason: String,
    pub data: Option<Box<RawValue>>,
    pub session: String,
    pub room: String,
    pub kind: String,
    /// The number of the room's output: its record, and its place among the outputs of that.
    pub number: String,
}

/// `GET /v1/players/{id}/export`: what the store and the snapshots of live rooms hold of one player.
#[derive(Debug, Serialize)]
pub struct PlayerExport {
    pub player: String,
    /// When it was made.
    pub at: u64,
    /// Sessions that are connected or held, and those that were kicked and have not expired.
    pub sessions: Vec<SessionExport>,
    pub ban: Option<Ban>,
    pub reports: Vec<Report>,
    pub rooms: Vec<RoomExport>,
    /// Whether it is all of that. `false`: it stops at 500 sessions, 500 reports or 500 rooms.
    pub complete: bool,
}

/// A session of the player.
#[derive(Debug, Serialize)]
pub struct SessionExport {
    pub session: String,
    pub name: String,
    /// The guest that the player was before it signed in.
    pub guest: Option<String>,
    /// The network of its address.
    pub address: Option<String>,
    /// What rooms see of its token's claims.
    pub claims: Option<Box<RawValue>>,
    /// The edge that has the session, or had it last.
    pub edge: String,
    pub connected: bool,
    /// Why it was kicked.
    pub kicked: Option<String>,
    /// In the order of joining.
    pub rooms: Vec<String>,
}

/// A live room whose newest snapshot names the player.
#[derive(Debug, Serialize)]
pub struct RoomExport {
    pub room: String,
    pub kind: String,
    /// The record that the snapshot is after.
    pub offset: u64,
    /// Empty where only other data names the player: the script's state, or frames for other members.
    pub members: Vec<MemberExport>,
}

/// A session of the player that is a member.
#[derive(Debug, Serialize)]
pub struct MemberExport {
    pub session: String,
    pub name: String,
    pub connected: bool,
    pub spectator: bool,
    /// `player.data` of a room that is made with the SDK; `null` if it is empty.
    pub data: Option<Box<RawValue>>,
    /// What the member sees of the state.
    pub view: Option<Box<RawValue>>,
    /// The latest frames that the room keeps for the member, in case it reconnects.
    pub frames: Vec<Box<RawValue>>,
}

/// `POST /v1/players/{id}/erase`: what was removed. All numbers are 0 if nothing is kept of the player.
#[derive(Debug, Serialize, Deserialize)]
pub struct Erased {
    pub player: String,
    /// Sessions that were ended, and whose rows are deleted.
    pub sessions: u64,
    /// Live rooms that got the order to erase the player.
    pub rooms: u64,
    /// Reports about the player that were deleted.
    pub reports: u64,
}

/// `GET /v1/kinds/{kind}/components`.
#[derive(Debug, Serialize, Deserialize)]
pub struct Versions {
    pub kind: String,
    pub versions: Vec<Version>,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Version {
    pub version: u32,
    pub digest: String,
    pub published_at: u64,
    pub active: bool,
}

/// `POST /v1/kinds/{kind}/components`: the new version.
#[derive(Debug, Serialize, Deserialize)]
pub struct Published {
    pub kind: String,
    pub version: u32,
    pub digest: String,
    pub bytes: u64,
    pub state_version: u32,
    /// Whether new rooms run it.
    pub active: bool,
}

/// The body of `POST /v1/kinds/{kind}/swap`.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SwapOrder {
    /// `null`: the newest.
    pub version: Option<u32>,
    /// Swap this room alone; the active version stays.
    pub room: Option<String>,
}

/// `POST /v1/kinds/{kind}/swap`: the number of rooms that got a `Swap`, by the component in their rows.
#[derive(Debug, Serialize, Deserialize)]
pub struct Swapped {
    pub kind: String,
    pub version: u32,
    pub digest: String,
    /// Whether new rooms run this version.
    pub active: bool,
    /// Rooms that ran another version.
    pub rooms: u64,
    /// Rooms that already ran this one.
    pub already: u64,
}

/// The body of `POST /v1/backup`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackupOrder {
    /// A directory on the server's machine, from its root on. It is created, or is empty.
    pub dir: String,
}

/// An event of `POST /v1/backup`.
#[derive(Clone, Debug)]
pub enum BackupEvent {
    Progress(BackupProgress),
    /// The last one.
    Done(BackupDone),
    /// The last one. What was copied is removed.
    Failed(Refusal),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BackupProgress {
    /// Bytes that are copied.
    pub copied: u64,
    /// All bytes, as of the beginning: the copy may have more.
    pub of: u64,
}

/// A complete backup.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BackupDone {
    pub dir: String,
    pub files: u64,
    pub bytes: u64,
    /// One past the last offset of each partition.
    pub ends: Vec<u64>,
    /// How long it took.
    pub ms: u64,
}

//! The state of a room at an offset: everything that a snapshot contains.
//!
//! All of it is a function of the room's records alone, so that two hosts at one offset have the same bytes.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use crate::{
    command::{Fault, LeaveReason, OutputRef, Player, Record, RequestId},
    effect::{MemberInfo, SavedState},
    ids::{Digest, Kind, MachineId, Offset, OutputId, RoomId, RoomSecret, SessionId, Time},
    json::Json,
    room::{ComponentSpec, LobbyRestart, LobbyRooms, Request, resend_buffer::ResendBuffer},
    wire::{self, DecodeError},
};

/// A room that has ended is kept as a source until this many others have ended after it, in case a zombie host repeats its
/// outputs.
pub(super) const ENDED_SOURCES: usize = 1024;

/// The largest encoding of a session's id.
const ENCODED_SESSION: usize = 17;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    pub kind: Kind,
    pub component: Digest,
    /// The component's own description. `None` until it was first opened.
    pub spec: Option<Arc<ComponentSpec>>,
    pub creator: Option<OutputRef>,
    pub secret: RoomSecret,
    pub created: Time,
    /// The time of the latest record; never decreases.
    pub clock: Time,
    /// The latest record that this state contains.
    pub offset: Offset,
    /// Boxed: a map has a leaf for eleven.
    pub members: BTreeMap<SessionId, Box<Member>>,
    /// The number of seats that were ever taken.
    pub joins: u64,
    /// The highest sequence number of any seat that was given up: the numbers of a new seat begin above it.
    pub high_seq: u64,
    /// No frame may have this number or a lower one: the component of an undone swap has used them.
    pub seq_floor: u64,
    /// The script's timers, by name.
    pub timers: BTreeMap<Arc<str>, Timer>,
    /// When the held seats of dropped members are given up.
    pub held_seats: BTreeSet<(Time, OutputId, SessionId)>,
    /// The room has no members, and ends at this time unless one joins.
    pub closes_at: Option<(Time, OutputId)>,
    /// The highest output number received from each room that has sent one.
    pub sources: BTreeMap<RoomId, OutputId>,
    pub ended_sources: VecDeque<RoomId>,
    /// How many living rooms this room may have created, including the rooms that those have created in turn.
    pub allowance: u32,
    /// Rooms that this one created and that have not ended, with what each takes of the allowance: see [`super::allowance`].
    pub children: BTreeMap<RoomId, u32>,
    /// The lobby's bounds in place of an allowance.
    pub lobby_rooms: LobbyRooms,
    /// Frames that can be sent again to members that resume.
    pub resend_buffer: ResendBuffer,
    /// The view of every member that has none of its own.
    pub view: Option<Json>,
    pub locked: bool,
    pub metadata: Option<Json>,
    /// Faults since the last successful call.
    pub faults: u32,
    /// After a swap: what is needed to undo it.
    pub probation: Option<Box<Probation>>,
    /// The guest's saved state. `None` before the first save. An instance in memory may be ahead of it.
    pub saved: Option<SavedState>,
    /// Set in a lobby that has ended and restarts.
    pub restart: Option<LobbyRestart>,
    /// Sessions that this room kicks, with its reason, until the log has their `Leave`: see [`super::kicks`].
    pub kicks: BTreeMap<SessionId, Box<str>>,
    /// Members that were removed while they may have been away, and why, oldest first: they get the reason when they reconnect.
    /// At most [`super::MAX_DEPARTURES`].
    pub departures: VecDeque<(SessionId, Departure)>,
    /// The end of the intervals that the reports so far have taken, each [`super::REPORT_INTERVAL_MS`] long.
    pub reports_until: Time,
    /// Requests that have no answer yet, by their numbers: see [`super::requests`].
    pub requests: BTreeMap<OutputId, Request>,
}

/// Why a session is no longer a member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Departure {
    pub reason: LeaveReason,
    /// The script's reason, if the session was kicked.
    pub text: Option<Box<str>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    pub player: Player,
    pub edge: MachineId,
    /// The latest request of its edge.
    pub request: RequestId,
    pub connected: bool,
    pub spectator: bool,
    /// Its place in the order of joining, in which the guest holds its members.
    pub joined: u64,
    /// The highest message id that was applied. A message with this id or a lower one is a duplicate.
    pub last_message_id: u64,
    /// The sequence number of the latest frame for it.
    pub out_seq: u64,
    /// The sequence number of its first frame.
    pub first_seq: u64,
    /// The member's own view, when it has one instead of the shared view.
    pub view: Option<Json>,
    /// Its entry in `held_seats`, while its seat is held.
    pub hold: Option<(Time, OutputId)>,
    /// A move that has no answer yet. The request is repeated on every reconnect of the session.
    pub moving: Option<Moving>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moving {
    pub number: OutputId,
    pub room: RoomId,
    pub options: Json,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timer {
    pub id: OutputId,
    pub due: Time,
    /// The delay that it was set with.
    pub delay_ms: u64,
    pub payload: Json,
}

/// The receivers of a frame.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Audience {
    One(SessionId),
    /// Everyone who was a member then, except these.
    Except(Vec<SessionId>),
}

impl Audience {
    pub fn includes(&self, session: SessionId) -> bool {
        match self {
            Audience::One(one) => *one == session,
            Audience::Except(except) => !except.contains(&session),
        }
    }

    /// At least the bytes of its encoding.
    pub fn size(&self) -> usize {
        match self {
            Audience::One(_) => 1 + ENCODED_SESSION,
            Audience::Except(except) => 10 + ENCODED_SESSION * except.len(),
        }
    }
}

/// What is needed to undo a swap.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probation {
    /// The encoded state before the swap, which is the record at `swap`.
    pub before: Vec<u8>,
    pub swap: Offset,
    /// The records since.
    pub records: Vec<(Offset, Record)>,
    /// The records among them that were skipped by a fault, and answered with an error.
    pub skips: BTreeMap<Offset, Fault>,
    /// The first record at or after this time ends the probation.
    pub until: Time,
    /// The first session whose records have exhausted a budget since. Only a second session's exhaustion undoes the swap.
    pub exhausted: Option<SessionId>,
}

impl State {
    pub fn new(
        kind: Kind,
        component: Digest,
        creator: Option<OutputRef>,
        secret: RoomSecret,
        allowance: u32,
        created: Time,
        offset: Offset,
    ) -> State {
        State {
            kind,
            component,
            spec: None,
            creator,
            secret,
            created,
            clock: created,
            offset,
            members: BTreeMap::new(),
            joins: 0,
            high_seq: 0,
            seq_floor: 0,
            timers: BTreeMap::new(),
            held_seats: BTreeSet::new(),
            closes_at: None,
            sources: BTreeMap::new(),
            ended_sources: VecDeque::new(),
            allowance,
            children: BTreeMap::new(),
            lobby_rooms: LobbyRooms::default(),
            resend_buffer: ResendBuffer::default(),
            view: None,
            locked: false,
            metadata: None,
            faults: 0,
            probation: None,
            saved: None,
            restart: None,
            kicks: BTreeMap::new(),
            departures: VecDeque::new(),
            reports_until: Time(0),
            requests: BTreeMap::new(),
        }
    }

    /// What a snapshot holds.
    pub fn encode(&self) -> Vec<u8> {
        wire::encode(self)
    }

    /// Decodes bytes that [`State::encode`] has returned, in this process or in another whose snapshot was decoded here.
    pub(super) fn decode_own(bytes: &[u8]) -> State {
        State::decode(bytes).expect("these bytes were encoded by this format, and nothing damages a part of a snapshot")
    }

    /// Decodes a state from all of these bytes.
    pub fn decode(bytes: &[u8]) -> Result<State, DecodeError> {
        wire::decode(bytes)
    }

    /// The members in the order of joining, as every instance iterates over them. Includes `departed`, a member that has just
    /// left, in its old place.
    pub fn member_infos(&self, departed: Option<&(SessionId, Member)>) -> Vec<MemberInfo> {
        let departed = departed.map(|(session, member)| (session, member));
        let present = self.members.iter().map(|(session, member)| (session, &**member));
        let mut members: Vec<_> = present.chain(departed).collect();
        members.sort_unstable_by_key(|(_, member)| member.joined);
        members.into_iter().map(|(session, member)| member.info(*session)).collect()
    }

    /// When the next timer of any sort is due, and its id.
    pub fn next_timer(&self) -> Option<(Time, OutputId)> {
        let named = self.timers.values().map(|timer| (timer.due, timer.id)).min();
        let hold = self.held_seats.first().map(|(due, id, _)| (*due, *id));
        let deadline = self.requests.iter().map(|(number, request)| (request.due, *number)).min();
        [named, hold, deadline, self.closes_at, self.next_restart()].into_iter().flatten().min()
    }

    /// The script's name of the timer that is set under this id.
    pub fn timer_name(&self, id: OutputId) -> Option<Arc<str>> {
        self.timers.iter().find(|(_, timer)| timer.id == id).map(|(name, _)| name.clone())
    }

    /// Whether this output of another room is new. Records it, so that a repetition is not.
    pub fn register_output(&mut self, from: RoomId, number: OutputId) -> bool {
        let seen = self.sources.get(&from);
        if seen.is_some_and(|seen| number <= *seen) {
            return false;
        }
        self.sources.insert(from, number);
        true
    }

    /// Drops a source that has ended, once enough others have ended after it.
    pub fn retire_source(&mut self, room: RoomId) {
        self.ended_sources.push_back(room);
        if self.ended_sources.len() > ENDED_SOURCES
            && let Some(oldest) = self.ended_sources.pop_front()
        {
            self.sources.remove(&oldest);
        }
    }

    /// The frames that are kept for this member, as it gets them when it resumes.
    pub fn frames_of(&self, room: RoomId, session: SessionId) -> Vec<String> {
        let Some(member) = self.members.get(&session) else { return Vec::new() };
        let mut frames = self.resend_buffer.all_for(room, session);
        // Earlier ones are of an earlier stay.
        let count = usize::try_from(member.out_seq + 1 - member.first_seq).unwrap_or(usize::MAX);
        frames.drain(..frames.len().saturating_sub(count));
        let first = member.out_seq + 1 - frames.len() as u64;
        (first..).zip(frames).map(|(seq, frame)| frame.with_seq(seq)).collect()
    }

    pub fn view_of(&self, session: SessionId) -> Json {
        let own = self.members.get(&session).and_then(|member| member.view.clone());
        own.or_else(|| self.view.clone()).unwrap_or_else(Json::null)
    }
}

impl Member {
    pub fn info(&self, session: SessionId) -> MemberInfo {
        let Member { player, connected, spectator, .. } = self;
        MemberInfo { session, player: player.clone(), connected: *connected, spectator: *spectator }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        frame::RoomFrame,
        ids::ConnectionId,
        room::{CreatedByClients, RequestKind},
    };

    /// The bytes of a state that has one of everything, as this format encodes them. If the bytes change, stored snapshots can
    /// no longer be read.
    #[test]
    fn the_bytes_of_a_state_are_pinned() {
        let bytes = hex::encode(example().encode());
        assert_eq!(bytes, include_str!("state.golden").trim_end());
    }

    #[test]
    fn a_state_that_is_written_is_read_back() {
        assert_eq!(State::decode(&example().encode()), Ok(example()));
    }

    /// Format 4 was written for a lobby that had restarted.
    #[test]
    fn a_state_of_another_format_is_refused_by_name() {
        for found in [3, 4, 5, 6, 7, 8, 10] {
            let mut bytes = example().encode();
            bytes[0] = found;
            assert_eq!(State::decode(&bytes), Err(DecodeError::Version { name: "snapshot", found, reads: 9 }));
        }
    }

    fn example() -> State {
        let (session, number) = (SessionId(9), |index| OutputId { offset: 5, index });
        let json = || Json::trusted("{\"a\":1}");
        let request = RequestId { connection: ConnectionId(1), number: 2 };
        let player = Player { id: "p1".into(), name: "Ana".into() };
        let spec = ComponentSpec {
            state_version: 1,
            max_players: 2,
            sessions_per_player: 1,
            hold_ms: 60_000,
            keep_when_empty: false,
            empty_ms: 60_000,
            max_faults: 5,
            fuel_per_message: 20_000_000,
            max_rooms: 16,
            max_timers: 64,
            messages: ["move".into()].into(),
            shows_failures: false,
            timers: ["turn".into()].into(),
            answers: ["tables".into()].into(),
        };
        let member = Member {
            player: player.clone(),
            edge: MachineId("edge-1".into()),
            request,
            connected: false,
            spectator: true,
            joined: 3,
            last_message_id: 4,
            out_seq: 6,
            first_seq: 1,
            view: Some(json()),
            hold: Some((Time(60), number(0))),
            moving: Some(Moving { number: number(1), room: RoomId(8), options: json() }),
        };
        let record = Record {
            room: RoomId(3),
            time: Time(50),
            command: crate::command::RoomCommand::Timer { id: number(2), name: None },
        };
        let probation = Probation {
            before: vec![1, 2, 3],
            swap: 4,
            records: vec![(5, record)],
            skips: [(5, Fault::OutOfFuel(20_000_000))].into(),
            until: Time(70),
            exhausted: Some(session),
        };
        let pending = Request {
            kind: RequestKind::Find,
            handler: "tables".into(),
            due: Time(90),
            delay_ms: 40,
            payload: json(),
            data: json(),
        };
        let creator = Some(OutputRef { room: RoomId(2), number: number(7) });
        let mut resend_buffer = ResendBuffer::default();
        resend_buffer.push(&RoomFrame::left(RoomId(3), "left"), &Audience::Except(vec![session]));
        let mut by_clients = CreatedByClients::default();
        by_clients.insert(RoomId(8), session);
        State {
            spec: Some(Arc::new(spec)),
            members: [(session, Box::new(member))].into(),
            joins: 4,
            high_seq: 6,
            seq_floor: 5,
            timers: [("turn".into(), Timer { id: number(2), due: Time(90), delay_ms: 40, payload: json() })].into(),
            held_seats: [(Time(60), number(0), session)].into(),
            closes_at: Some((Time(80), number(3))),
            sources: [(RoomId(2), number(7))].into(),
            ended_sources: [RoomId(2)].into(),
            children: [(RoomId(8), 3)].into(),
            lobby_rooms: LobbyRooms { rate_used: 11, by_clients },
            resend_buffer,
            view: Some(json()),
            locked: true,
            metadata: Some(json()),
            faults: 1,
            probation: Some(Box::new(probation)),
            saved: Some(SavedState { version: 1, state: json() }),
            restart: Some(LobbyRestart { consecutive_failures: 1, since: Time(10), timer: Some(number(4)) }),
            kicks: [(session, "no".into())].into(),
            departures: [(session, Departure { reason: LeaveReason::Kicked, text: Some("no".into()) })].into(),
            reports_until: Time(95),
            requests: [(number(5), pending)].into(),
            ..State::new(Kind::lobby(), Digest([7; 32]), creator, RoomSecret(10), 16, Time(10), 5)
        }
    }
}

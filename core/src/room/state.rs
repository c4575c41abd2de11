//! What a room is at an offset: everything that a snapshot holds.
//!
//! All of it is a function of the room's records alone, so that two hosts at one offset have the same bytes.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use crate::{
    command::{Fault, Player, Question, Record, Source},
    effect::{MemberInfo, Saved},
    frame::RoomFrame,
    ids::{Digest, Kind, MachineId, Number, Offset, RoomId, Secret, SessionId, Time},
    json::Json,
    room::{Lives, Spec},
    wire::{self, DecodeError},
};

/// Rooms that have ended are remembered as sources for this many further ends, in case a zombie repeats their words.
pub(super) const ENDED_SOURCES: usize = 1024;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    pub kind: Kind,
    pub component: Digest,
    /// What the component said of itself. `None` until it was first opened.
    pub spec: Option<Arc<Spec>>,
    pub creator: Option<Source>,
    pub secret: Secret,
    pub created: Time,
    /// The time of the latest record; never goes back.
    pub clock: Time,
    /// The latest record that is in here.
    pub offset: Offset,
    pub members: BTreeMap<SessionId, Member>,
    /// Seats that were ever taken.
    pub joins: u64,
    /// The highest sequence number of any seat that was given up: a new seat's begin above it.
    pub high_seq: u64,
    /// No frame under a number at or below this may be sent any more: a swap that was undone has used them.
    pub seq_floor: u64,
    /// The script's timers, by name.
    pub timers: BTreeMap<Arc<str>, Timer>,
    /// Dropped members' seats are held until then.
    pub holds: BTreeSet<(Time, Number, SessionId)>,
    /// Nobody is here, and nobody has come by then: the room ends.
    pub empty: Option<(Time, Number)>,
    /// The highest number seen of each room that has sent something.
    pub sources: BTreeMap<RoomId, Number>,
    pub ended_sources: VecDeque<RoomId>,
    /// Rooms that this one created and that have not ended.
    pub children: BTreeSet<RoomId>,
    /// Frames that members may ask for again.
    pub ring: VecDeque<RingEntry>,
    /// Bytes of the frames in `ring`.
    pub ring_bytes: usize,
    /// What every member without a view of its own sees.
    pub view: Option<Json>,
    pub locked: bool,
    pub metadata: Option<Json>,
    /// Faults since the last call that went well.
    pub faults: u32,
    /// After a swap: how to go back.
    pub probation: Option<Box<Probation>>,
    /// The guest's own. `None` until it was asked for: a state in memory may be ahead of it.
    pub saved: Option<Saved>,
    /// Of a lobby that has ended and begins anew. Encoded beside the rest, and only if it is there.
    #[serde(skip)]
    pub lives: Option<Lives>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    pub player: Player,
    pub edge: MachineId,
    /// The latest that its edge has asked of it.
    pub question: Question,
    pub connected: bool,
    pub spectator: bool,
    /// Its place in the order of joining, in which the guest holds its members.
    pub joined: u64,
    /// The highest message id that was applied. Not above it is a duplicate.
    pub last_client_seq: u64,
    /// The sequence number of the latest frame for it.
    pub out_seq: u64,
    /// The sequence number of its first frame.
    pub first_seq: u64,
    /// What it sees, when that is not the shared view.
    pub view: Option<Json>,
    /// A hold that is running: its place in `holds`.
    pub hold: Option<(Time, Number)>,
    /// A move that has no answer yet. It is asked again wherever the session comes back.
    pub moving: Option<Moving>,
    pub kicked: Option<Box<str>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moving {
    pub number: Number,
    pub room: RoomId,
    pub options: Json,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timer {
    pub id: Number,
    pub due: Time,
    pub payload: Json,
}

/// A frame, and whom it was for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RingEntry {
    pub frame: RoomFrame,
    pub to: To,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum To {
    One(SessionId),
    /// Everyone who was a member then, but these.
    Except(Vec<SessionId>),
}

impl To {
    pub fn includes(&self, session: SessionId) -> bool {
        match self {
            To::One(one) => *one == session,
            To::Except(except) => !except.contains(&session),
        }
    }
}

/// What it takes to undo a swap.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probation {
    /// The encoded state before the swap, which was at `swap`.
    pub before: Vec<u8>,
    pub swap: Offset,
    /// The records since.
    pub records: Vec<(Offset, Record)>,
    /// Those of them that the log has taken out, and were answered so.
    pub skips: BTreeMap<Offset, Fault>,
    /// It ends with the first record from here on.
    pub until: Time,
}

impl State {
    pub fn new(
        kind: Kind,
        component: Digest,
        creator: Option<Source>,
        secret: Secret,
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
            holds: BTreeSet::new(),
            empty: None,
            sources: BTreeMap::new(),
            ended_sources: VecDeque::new(),
            children: BTreeSet::new(),
            ring: VecDeque::new(),
            ring_bytes: 0,
            view: None,
            locked: false,
            metadata: None,
            faults: 0,
            probation: None,
            saved: None,
            lives: None,
        }
    }

    /// What a snapshot holds.
    pub fn encode(&self) -> Vec<u8> {
        match &self.lives {
            None => wire::encode(self),
            Some(lives) => wire::encode_as(wire::VERSION_OF_LIVES, &(self, lives)),
        }
    }

    /// The state of these bytes, all of them.
    pub fn decode(bytes: &[u8]) -> Result<State, DecodeError> {
        if bytes.first() != Some(&wire::VERSION_OF_LIVES) {
            return wire::decode(bytes);
        }
        let (state, lives): (State, Lives) = wire::decode_as(wire::VERSION_OF_LIVES, bytes)?;
        Ok(State { lives: Some(lives), ..state })
    }

    /// In the order of joining: a guest that was opened anew must go through its members as the one before did.
    /// With `leaver`, who has just left, in its place.
    pub fn member_infos(&self, leaver: Option<&(SessionId, Member)>) -> Vec<MemberInfo> {
        let leaver = leaver.map(|(session, member)| (session, member));
        let mut members: Vec<_> = self.members.iter().chain(leaver).collect();
        members.sort_unstable_by_key(|(_, member)| member.joined);
        members.into_iter().map(|(session, member)| member.info(*session)).collect()
    }

    /// When the next timer of any sort is due, and its id.
    pub fn next_timer(&self) -> Option<(Time, Number)> {
        let named = self.timers.values().map(|timer| (timer.due, timer.id)).min();
        let hold = self.holds.first().map(|(due, id, _)| (*due, *id));
        let next_life = self.lives.as_ref().and_then(Lives::next);
        [named, hold, self.empty, next_life].into_iter().flatten().min()
    }

    /// Whether this output of another room is new; from then on it is not.
    pub fn is_new(&mut self, from: RoomId, number: Number) -> bool {
        let seen = self.sources.get(&from);
        if seen.is_some_and(|seen| number <= *seen) {
            return false;
        }
        self.sources.insert(from, number);
        true
    }

    /// Lets go of a source that has ended, once enough others have ended after it.
    pub fn forget_source_later(&mut self, room: RoomId) {
        self.ended_sources.push_back(room);
        if self.ended_sources.len() > ENDED_SOURCES {
            let oldest = self.ended_sources.pop_front().expect("there are more than none");
            self.sources.remove(&oldest);
        }
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

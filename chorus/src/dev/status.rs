//! What the author is told: of builds and swaps, on the page and in the terminal; of scripts, in the terminal.
//!
//! The terminal of `chorus dev` is the author's own, so a script's log is printed there whole. It is not the log.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};

use chorus_core::{effect::LogLevel, ids::RoomId, room::Notice};
use chorus_host::{Host, HostEvent, What};
use serde::Serialize;
use tokio::sync::broadcast;

/// Changes that a page may be behind before it misses some; it then sees the next.
const BEHIND: usize = 64;

/// How each kind stands. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Board(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    latest: Mutex<BTreeMap<String, Status>>,
    changes: broadcast::Sender<Status>,
}

/// How one kind stands: the data of the page's `status` event.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    pub kind: String,
    #[serde(flatten)]
    pub state: State,
}

/// What is happening to a kind.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum State {
    Building,
    Built { bytes: u64, ms: u64 },
    BuildFailed { message: String },
    Swapped { rooms: usize },
    SwapRefused { message: String },
}

impl Default for Board {
    fn default() -> Board {
        let (changes, _) = broadcast::channel(BEHIND);
        Board(Arc::new(Inner { latest: Mutex::default(), changes }))
    }
}

impl Board {
    pub fn tell(&self, kind: &str, state: State) {
        print(kind, &state);
        let status = Status { kind: kind.to_owned(), state };
        self.latest().insert(kind.to_owned(), status.clone());
        // Nobody has the page open: then nobody is told.
        let _ = self.0.changes.send(status);
    }

    pub fn is_building(&self, kind: &str) -> bool {
        self.latest().get(kind).is_some_and(|status| matches!(status.state, State::Building))
    }

    /// What is wrong now, and what changes from now on.
    pub fn follow(&self) -> (Vec<Status>, broadcast::Receiver<Status>) {
        let latest = self.latest();
        let wrong = |status: &&Status| matches!(status.state, State::BuildFailed { .. } | State::SwapRefused { .. });
        (latest.values().filter(wrong).cloned().collect(), self.0.changes.subscribe())
    }

    fn latest(&self) -> MutexGuard<'_, BTreeMap<String, Status>> {
        self.0.latest.lock().expect("nobody panics while holding it")
    }
}

fn print(kind: &str, state: &State) {
    match state {
        State::Building => println!("{kind}: building …"),
        State::Built { bytes, ms } => {
            println!("{kind}: built, {:.1} MB in {:.1} s", *bytes as f64 / 1e6, *ms as f64 / 1e3)
        }
        State::BuildFailed { message } => println!("{kind}: does not build; its rooms go on as they were\n{message}"),
        State::Swapped { rooms } => println!("{kind}: swapped in {rooms} room{}", if *rooms == 1 { "" } else { "s" }),
        State::SwapRefused { message } => {
            println!("{kind}: could not take over; its rooms go on as they were\n{message}");
        }
    }
}

/// Prints what scripts say and how they fail, for as long as the host runs.
pub fn follow(host: &Host, board: &Board) {
    let mut events = host.events();
    let board = board.clone();
    tokio::spawn(async move {
        loop {
            match events.recv().await {
                Ok(event) => tell(&event, &board),
                Err(broadcast::error::RecvError::Lagged(missed)) => {
                    println!("({missed} events of rooms were not shown)")
                }
                Err(broadcast::error::RecvError::Closed) => return,
            }
        }
    });
}

fn tell(event: &HostEvent, board: &Board) {
    let HostEvent { room, kind, what } = event;
    let kind = kind.as_ref().map_or("?", |kind| kind.as_str());
    let say = |text: &str| println!("{kind} {}: {text}", short(*room));
    match what {
        What::Log(level, text) => say(&format!("{}{text}", prefix(*level))),
        What::Ended { failed: Some(reason) } => say(&format!("ended: {reason}")),
        What::Ended { failed: None } => {}
        What::Notice(Notice::Threw { text, .. }) => say(&format!("threw: {text}")),
        What::Notice(Notice::Faulted { fault, .. }) => say(&format!("failed: {fault}")),
        What::Notice(Notice::BeginsAnew { failed, .. }) => {
            let why = failed.as_deref().map_or(String::new(), |reason| format!(": {reason}"));
            say(&format!("ended{why}; it begins anew"));
        }
        What::Notice(Notice::SwapUndone { fault, .. }) => {
            board.tell(kind, State::SwapRefused { message: format!("the swap was taken back: it {fault}") });
        }
        What::Notice(Notice::Created { .. } | Notice::Swapped { .. } | Notice::SwapRefused { .. }) => {}
    }
}

fn prefix(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Debug => "debug: ",
        LogLevel::Info => "",
        LogLevel::Warn => "warning: ",
        LogLevel::Error => "error: ",
    }
}

/// Enough of a room's id to tell it from the others on one screen.
fn short(room: RoomId) -> String {
    if room == RoomId::LOBBY {
        return String::new();
    }
    format!("{:08x}", room.0 >> 96)
}

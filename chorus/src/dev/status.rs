//! The author's information: builds, swaps, and what scripts log and throw; in the terminal and on the author's page.
//!
//! The terminal of `chorus dev` is the author's own, so a script's log is printed there whole, by [`crate::printable`]. It is
//! not the process's log.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard},
};

use chorus_core::{effect::LogLevel, ids::RoomId, room::Notice};
use chorus_host::{Host, HostEvent, HostEventKind, MODULE_STATE};
use serde::Serialize;
use tokio::sync::broadcast;

use crate::printable::lines;

/// The number of events that a page may lag behind before it misses some; it then continues with the next. A power of two, as the channel
/// would make it one.
pub const BEHIND: usize = 256;

/// The warnings about module state that are known to have been shown; further ones are not shown.
const CHANGES: usize = 1000;

/// The state of each kind. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Board(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    latest: Mutex<BTreeMap<String, Status>>,
    /// The warnings about module state since the kind's latest build.
    changes: Mutex<BTreeSet<(String, String)>>,
    events: broadcast::Sender<BoardEvent>,
}

/// The events of all pages.
#[derive(Clone, Debug)]
pub enum BoardEvent {
    Status(Status),
    Log(LogLine),
}

/// The state of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Status {
    pub kind: String,
    #[serde(flatten)]
    pub state: State,
    /// Problems for its author, although it is built.
    pub warnings: Vec<String>,
}

/// The latest event of a kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum State {
    Building,
    Built {
        bytes: u64,
        ms: u64,
    },
    BuildFailed {
        message: String,
    },
    /// New rooms run it, and there are no other rooms.
    Published,
    Swapped {
        rooms: usize,
    },
    SwapRefused {
        message: String,
    },
    /// Its folder was deleted.
    Gone,
}

/// A line of a room's script, or of its failure.
#[derive(Clone, Debug, Serialize)]
pub struct LogLine {
    pub kind: String,
    pub room: String,
    pub level: &'static str,
    pub text: String,
}

impl Default for Board {
    fn default() -> Board {
        let (events, _) = broadcast::channel(BEHIND);
        Board(Arc::new(Inner { latest: Mutex::default(), changes: Mutex::default(), events }))
    }
}

impl Board {
    pub fn set(&self, kind: &str, state: State) {
        let mut latest = self.latest();
        let before = latest.get(kind);
        // A repeated failure is not reported again: every change builds every guest.
        if before.is_some_and(|before| before.state == state) {
            return;
        }
        if let State::Built { .. } = state {
            self.changes().retain(|(of, _)| of != kind);
        }
        print(kind, &state);
        let warnings = before.map_or_else(Vec::new, |before| before.warnings.clone());
        let status = Status { kind: kind.to_owned(), state, warnings };
        match status.state {
            State::Gone => drop(latest.remove(kind)),
            _ => drop(latest.insert(kind.to_owned(), status.clone())),
        }
        self.send(BoardEvent::Status(status));
    }

    /// Replaces a kind's warnings.
    pub fn warn(&self, kind: &str, warnings: Vec<String>) {
        let mut latest = self.latest();
        let Some(status) = latest.get_mut(kind) else {
            let state = State::Built { bytes: 0, ms: 0 };
            warnings.iter().for_each(|warning| print_line(kind, &format!("warning: {warning}")));
            latest.insert(kind.to_owned(), Status { kind: kind.to_owned(), state, warnings });
            return;
        };
        if status.warnings == warnings {
            return;
        }
        warnings.iter().for_each(|warning| print_line(kind, &format!("warning: {warning}")));
        status.warnings = warnings;
        let status = status.clone();
        self.send(BoardEvent::Status(status));
    }

    /// Removes all kinds but these.
    pub fn only(&self, kinds: &BTreeSet<String>) {
        let gone: Vec<String> = self.latest().keys().filter(|kind| !kinds.contains(*kind)).cloned().collect();
        gone.iter().for_each(|kind| self.set(kind, State::Gone));
    }

    /// Whether a build must be reported even if its result is the same as before.
    pub fn waits_for_a_build(&self, kind: &str) -> bool {
        let latest = self.latest();
        latest.get(kind).is_some_and(|status| matches!(status.state, State::Building | State::BuildFailed { .. }))
    }

    /// The present state of all kinds, and the events from now on.
    pub fn follow(&self) -> (Vec<BoardEvent>, broadcast::Receiver<BoardEvent>) {
        let latest = self.latest();
        (events_of(&latest), self.0.events.subscribe())
    }

    /// The present state of all kinds.
    pub fn now(&self) -> Vec<BoardEvent> {
        events_of(&self.latest())
    }

    fn log(&self, line: LogLine) {
        print_line(&format!("{} {}", line.kind, line.room), &format!("{}{}", prefix(line.level), line.text));
        self.send(BoardEvent::Log(line));
    }

    fn send(&self, event: BoardEvent) {
        // Without an open page there is no receiver.
        let _ = self.0.events.send(event);
    }

    /// Whether a log line is to be shown. A warning about module state is, once for each place, since every room repeats it; but
    /// not about a package, whose caches are no mistake of the author.
    fn shows(&self, kind: &str, text: &str) -> bool {
        if !text.starts_with(MODULE_STATE) {
            return true;
        }
        let in_package = text.lines().nth(1).is_some_and(|place| place.contains("(node_modules/"));
        let mut changes = self.changes();
        !in_package && changes.len() < CHANGES && changes.insert((kind.to_owned(), text.to_owned()))
    }

    fn changes(&self) -> MutexGuard<'_, BTreeSet<(String, String)>> {
        self.0.changes.lock().expect("nobody panics while holding it")
    }

    fn latest(&self) -> MutexGuard<'_, BTreeMap<String, Status>> {
        self.0.latest.lock().expect("nobody panics while holding it")
    }
}

fn events_of(latest: &BTreeMap<String, Status>) -> Vec<BoardEvent> {
    latest.values().cloned().map(BoardEvent::Status).collect()
}

fn print(kind: &str, state: &State) {
    match state {
        State::Building => print_line(kind, "building …"),
        State::Built { bytes, ms } => {
            print_line(kind, &format!("built, {:.1} MB in {:.1} s", *bytes as f64 / 1e6, *ms as f64 / 1e3))
        }
        State::BuildFailed { message } => {
            print_line(kind, &format!("does not build; its rooms keep the previous version\n{message}"))
        }
        State::Published => print_line(kind, "new rooms run it"),
        State::Swapped { rooms } => {
            print_line(kind, &format!("swapped in {rooms} room{}", if *rooms == 1 { "" } else { "s" }))
        }
        State::SwapRefused { message } => {
            print_line(kind, &format!("the swap was refused; its rooms keep the previous version\n{message}"));
        }
        State::Gone => {
            print_line(kind, "its folder was deleted; its rooms continue as last built, and new ones are not created")
        }
    }
}

/// A line of the terminal, with the text's further lines below it.
fn print_line(who: &str, text: &str) {
    println!("{}", lines(&format!("{}: {text}", who.trim_end())));
}

/// Reports the log lines and failures of scripts, for as long as the host runs.
pub fn follow(host: &Host, board: &Board) {
    let mut events = host.events();
    let board = board.clone();
    tokio::spawn(async move {
        loop {
            match events.recv().await {
                Ok(event) => report(&event, &board),
                Err(broadcast::error::RecvError::Lagged(missed)) => {
                    println!("({missed} events of rooms were not shown)")
                }
                Err(broadcast::error::RecvError::Closed) => return,
            }
        }
    });
}

fn report(event: &HostEvent, board: &Board) {
    let HostEvent { room, kind, what } = event;
    let kind = kind.as_ref().map_or("?", |kind| kind.as_str());
    let log = |level: &'static str, text: String| {
        board.log(LogLine { kind: kind.to_owned(), room: short(*room), level, text });
    };
    match what {
        HostEventKind::Log(level, text) if board.shows(kind, text) => log(level_name(*level), text.to_string()),
        HostEventKind::Log(..) => {}
        HostEventKind::Failed { handler, text, .. } => log("failed", format!("{handler} {text}")),
        HostEventKind::Ended { failed: Some(reason) } => log("failed", format!("ended: {reason}")),
        HostEventKind::Ended { failed: None } => {}
        HostEventKind::Notice(Notice::RestartScheduled { failed, .. }) => {
            let why = failed.as_deref().map_or(String::new(), |reason| format!(": {reason}"));
            log("failed", format!("ended{why}; it restarts"));
        }
        HostEventKind::Notice(Notice::SwapUndone { fault, .. }) => {
            board.set(kind, State::SwapRefused { message: format!("the swap was rolled back: it {fault}") });
        }
        HostEventKind::Notice(_) => {}
    }
}

fn level_name(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Debug => "debug",
        LogLevel::Info => "info",
        LogLevel::Warn => "warning",
        LogLevel::Error => "error",
    }
}

fn prefix(level: &str) -> String {
    match level {
        "info" | "failed" => String::new(),
        level => format!("{level}: "),
    }
}

/// The beginning of a room's id, enough to distinguish the rooms on one screen.
fn short(room: RoomId) -> String {
    if room == RoomId::LOBBY {
        return String::new();
    }
    format!("{:08x}", room.0 >> 96)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(message: &str) -> State {
        State::BuildFailed { message: message.into() }
    }

    #[test]
    fn a_repeated_failure_is_reported_once() {
        let board = Board::default();
        let (_, mut events) = board.follow();
        board.set("chess", failed("no"));
        board.set("chess", failed("no"));
        board.set("chess", failed("neither"));
        let next = |events: &mut broadcast::Receiver<BoardEvent>| match events.try_recv() {
            Ok(BoardEvent::Status(status)) => Some(status.state),
            _ => None,
        };
        assert_eq!(next(&mut events), Some(failed("no")));
        assert_eq!(next(&mut events), Some(failed("neither")));
        assert_eq!(next(&mut events), None);
    }

    #[test]
    fn a_change_of_module_state_is_shown_once_for_each_build_and_not_in_a_package() {
        let board = Board::default();
        let built = || board.set("chess", State::Built { bytes: 1, ms: 1 });
        let change =
            |name: &str, file: &str| format!("{MODULE_STATE}`{name}` is changed by this call\n    at go ({file}:3:5)");
        let (own, package) = (change("count", "chess/index.js"), change("cache", "node_modules/moves/index.js"));
        built();
        assert!(
            board.shows("chess", &own)
                && board.shows("go", &own)
                && board.shows("chess", &change("other", "chess/index.js"))
        );
        assert!(!board.shows("chess", &own) && !board.shows("chess", &package));
        assert!(board.shows("chess", "a line") && board.shows("chess", "a line"), "what scripts log themselves");
        board.set("chess", State::Building);
        built();
        assert!(board.shows("chess", &own) && !board.shows("go", &own));
    }

    #[test]
    fn a_kind_is_removed_with_its_folder() {
        let board = Board::default();
        board.set("chess", failed("no"));
        board.set("go", failed("no"));
        board.only(&["go".to_owned()].into());
        let (latest, _) = board.follow();
        assert!(matches!(&latest[..], [BoardEvent::Status(status)] if status.kind == "go"));
        assert!(!board.waits_for_a_build("chess"));
    }
}

//! Every bound on a guest, with its reason.
//!
//! A kind may change the bounds in [`Budget`] by `static config = { budget: { … } }`, each up to its cap. The others hold for
//! all kinds.

use std::time::Duration;

/// A bound that a kind may set: its name in `config.budget`, its default, and its cap.
#[derive(Clone, Copy, Debug)]
pub struct Bound {
    pub key: &'static str,
    pub default: u64,
    pub cap: u64,
    /// How many units of [`Budget`] one unit of the config is.
    pub unit: u64,
}

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

const fn bound(key: &'static str, default: u64, cap: u64, unit: u64) -> Bound {
    Bound { key, default, cap, unit }
}

/// A tic-tac-toe move burns 0.01 M, `fib(20)` 4.4 M; 300 M is 4 ms (an empty loop) to 270 ms of one core.
pub const FUEL: Bound = bound("fuelPerRecord", 300_000_000, 3_000_000_000, 1);
/// For one record that a client has caused: 1,600 times the most expensive of the example games, a tic-tac-toe move of 0.012 M;
/// 0.3 to 18 ms of one core. Beyond it the client gets the error, and nothing is charged to the room.
pub const MESSAGE_FUEL: Bound = bound("fuelPerMessage", 20_000_000, 3_000_000_000, 1);
/// QuickJS starts at 1.3 MiB; the example games stay under 2.
pub const MEMORY: Bound = bound("memoryMiB", 64, 256, MIB);
/// The bytes of one call's effects as they are encoded, a broadcast counted once. Sixteen of the largest client frames.
pub const OUTPUT: Bound = bound("outputKiB", 1024, 8 * 1024, KIB);
/// Ten rounds of cards for a hundred players.
pub const EFFECTS: Bound = bound("effectsPerRecord", 1_000, 10_000, 1);
/// Pending at a time, in one room. They are part of its snapshot.
pub const TIMERS: Bound = bound("timers", 64, 1_024, 1);
/// A lobby creates one or two; each is a record, an instance and a snapshot.
pub const ROOMS: Bound = bound("roomsPerRecord", 16, 64, 1);
/// Living rooms that a room may have created, including the rooms that those have created in turn. A tournament of 32 players
/// has 16 matches. Beyond this bound `rooms.create` throws; each replay repeats the throw, so the default never changes.
pub const LIVING: Bound = bound("rooms", 16, 1_024, 1);
/// In units of UTF-16, as JSON. A snapshot is written every few seconds and read at each restore.
pub const STATE: Bound = bound("stateKiB", 1024, 8 * 1024, KIB);
/// In a row. One is a bad message; five is a broken script.
pub const FAULTS: Bound = bound("faults", 5, 100, 1);

/// All of them: the keys that `config.budget` may have.
pub const ALL: [Bound; 10] = [FUEL, MESSAGE_FUEL, MEMORY, OUTPUT, EFFECTS, TIMERS, ROOMS, LIVING, STATE, FAULTS];

/// The limits of one room of a kind. Plain numbers, in bytes and units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Fuel for one `handle`.
    pub fuel: u64,
    /// Fuel for one `handle` of a record that a client has caused.
    pub message_fuel: u64,
    /// Bytes of linear memory.
    pub memory: u64,
    /// Bytes of the effects of one call.
    pub output: u64,
    /// Effects of one call.
    pub effects: u64,
    /// Timers pending at a time.
    pub timers: u64,
    /// Rooms created by one call.
    pub rooms: u64,
    /// Living rooms that a room may have created, including the rooms that those have created in turn.
    pub living: u64,
    /// Units of UTF-16 of saved state.
    pub state: u64,
    /// Faults in a row that end the room.
    pub faults: u64,
}

impl Default for Budget {
    fn default() -> Budget {
        let of = |bound: Bound| bound.default * bound.unit;
        Budget {
            fuel: of(FUEL),
            message_fuel: of(MESSAGE_FUEL),
            memory: of(MEMORY),
            output: of(OUTPUT),
            effects: of(EFFECTS),
            timers: of(TIMERS),
            rooms: of(ROOMS),
            living: of(LIVING),
            state: of(STATE),
            faults: of(FAULTS),
        }
    }
}

impl Budget {
    /// The field that `key` of `config.budget` sets.
    pub(crate) fn field(&mut self, key: &str) -> Option<(&mut u64, Bound)> {
        let bound = *ALL.iter().find(|bound| bound.key == key)?;
        let field = match key {
            "fuelPerRecord" => &mut self.fuel,
            "fuelPerMessage" => &mut self.message_fuel,
            "memoryMiB" => &mut self.memory,
            "outputKiB" => &mut self.output,
            "effectsPerRecord" => &mut self.effects,
            "timers" => &mut self.timers,
            "roomsPerRecord" => &mut self.rooms,
            "rooms" => &mut self.living,
            "stateKiB" => &mut self.state,
            "faults" => &mut self.faults,
            _ => return None,
        };
        Some((field, bound))
    }

    /// Fuel for `open` and `save`: they parse and print the whole state, at up to 300 units a byte, and `migrate` may do
    /// more. Never less than a record has.
    pub fn fuel_for_state(&self) -> u64 {
        self.fuel.max(1_000_000_000)
    }

    /// How many bytes a guest may pass to the host in one call: the largest output, or state, of which a unit of UTF-16 is three
    /// bytes at most, the longest log, and a megabyte for text that is cut.
    pub(crate) fn max_hostcall_bytes(&self) -> usize {
        (self.output.max(3 * self.state) + 3 * MAX_LOG + MIB) as usize
    }
}

/// Bytes of a guest's answer that are checked in place: some 0.3 ms. More are checked on a thread of their own.
pub const MAX_IN_PLACE: usize = 256 * KIB as usize;

/// The fuel that a poll of our engine stands for: at each jump and call of a script, and each step of a regular expression.
/// Fewer instructions lie between two polls only in an empty loop, so a script that stayed within a limit in instructions stays
/// within it in polls. 200,000 polls, a message's 20 M, took 0.25 ms of one core in an empty loop, 1.5 ms in a regular expression, 4 ms
/// in calls of a small function, 15 ms in `map`, `filter` and `join`, 18 ms in numbers that become text.
pub const POLL_FUEL: u64 = 100;

/// The time for which a guest of our engine runs before others have their turn. A call that does not end within it costs some 2 µs
/// for each.
pub const SLICE: Duration = Duration::from_micros(25);

/// What a slice counts at most by the time that has passed: a thread that others have kept from running counts no more.
pub const MOST_OF_SLICE: Duration = FIRST_EPOCH;

/// The length of an epoch, whose end interrupts a guest between its safepoints: it copies a long text, or is not ours.
pub const EPOCH: Duration = Duration::from_micros(250);

/// Likewise, while none ends for such a guest: each costs the process some 3 µs.
pub const FIRST_EPOCH: Duration = Duration::from_millis(2);

/// The processor time of a call with this limit in fuel, at 2.5 ns for each unit: 50 ms for a message, 0.75 s for a record of the
/// room's own. Polls end a script's loops after 0.25 to 18 ms of it; what is left for the clock is the engine's own code between
/// two polls (sorting, JSON, copies of texts).
pub const fn time(fuel: u64) -> Duration {
    let nanos = fuel / 2 * 5;
    Duration::from_nanos(if nanos < 50_000_000 { 50_000_000 } else { nanos })
}

/// The fuel that a guest burns in this time at the usual rate, of 10 units for each nanosecond.
pub fn fuel_of(busy: Duration) -> u64 {
    u64::try_from(busy.as_nanos()).unwrap_or(u64::MAX).saturating_mul(10)
}

/// A call that may have been made before has so many times the time. The record was answered within its time then, on a machine
/// that may have been faster.
pub const REPEATED: u32 = 10;

/// Fuel for `describe`, which depends on nothing and returns constants.
pub const DESCRIBE_FUEL: u64 = 300_000_000;

/// Fuel between two chances for other tasks to run, in a component that does not meter itself: 0.08 to 0.35 ms. An echo burns 0.05 M and never yields, a tic-tac-toe
/// move 0.68 M and yields once.
pub const YIELD_INTERVAL: u64 = 500_000;

/// The length of the log that one call may leave, in units of UTF-16. The rest is cut, and a note marks the cut.
pub const MAX_LOG: u64 = 16 * KIB;

/// Bytes of a fault's text, or of a reason.
pub const MAX_TEXT: usize = 512;

/// Bytes of a text that goes to another room, with a session to another room, or to the creator at the end: it is one
/// record of a channel, and a broker's limit for one is often 1 MiB.
pub const MAX_RECORD_JSON: usize = 512 * KIB as usize;

/// Bytes of the data of a report: some messages of a chat. An operator reads it, and the store keeps it.
pub const MAX_REPORT: usize = 4 * KIB as usize;

/// Bytes of what a request looks for, and of what its handler gets with the answer: the room keeps both until then.
pub const MAX_REQUEST: usize = 4 * KIB as usize;

/// The longest deadline of a request, in milliseconds.
pub const MAX_DEADLINE_MS: f64 = 60_000.0;

/// Bytes of the type of a message to a client: as much as a client's own may have.
pub const MAX_TYPE: usize = chorus_core::frame::MAX_TYPE;

/// The furthest timer: ten years. Anything beyond is a mistake in units.
pub const MAX_DELAY_MS: f64 = 10.0 * 366.0 * 86_400_000.0;

/// Names of timers and of message types that a manifest may list, and the bytes of one.
pub const MAX_NAMES: usize = 256;

/// Bytes of randomness for one call of `get-random-bytes`: a key or two. The host allocates them.
pub const MAX_RANDOM_BYTES: u64 = 64 * KIB;

/// Calls of host functions (clocks, randomness, streams) in one call of a guest. Fuel does not meter them, so other rooms
/// wait meanwhile. Scripts stay below a hundredth of this, which a test checks. The most expensive call hashes two blocks
/// or makes a handle.
pub const MAX_HOST_CALLS: u64 = 10_000;

/// Bytes that host functions may take and give in one call of a guest. The most expensive are random bytes: 64 KiB take
/// 116 µs, so all of them 2 ms.
pub const MAX_HOST_BYTES: u64 = MIB;

/// Fuel for an instruction that grows a memory or a table, or fills a table. Those that call into the runtime cost as much as a
/// computation burns in that time; all others cost one unit, and those that move memory or elements one for each.
pub const GROWTH_FUEL: u8 = 255;

/// Fuel for an instruction that makes or drops a reference.
pub const REFERENCE_FUEL: u8 = 64;

/// Streams and similar resources that a guest may hold: three standard streams, each taken a few times.
pub const MAX_RESOURCES: usize = 64;

/// Linear memories, core instances and tables of one component. One of the componentizer has two memories: its
/// engine's, and the few pages of the adapter that gives it WASI; their sum is held to the room's bound.
pub const MAX_MEMORIES: u32 = 2;
/// Our engine has no adapter.
pub const MAX_MEMORIES_OF_ENGINE: u32 = 1;
pub const MAX_CORE_INSTANCES: u32 = 16;
pub const MAX_TABLES: u32 = 4;
/// QuickJS has 2,100 functions in its table; StarlingMonkey 14,000.
pub const MAX_TABLE_ELEMENTS: usize = 20_000;

/// Native stack for wasm. A script that recurses without end exhausts QuickJS's own stack, in linear memory, first; the
/// engine's recursion (over a JSON text that nests deeply) ends here. Both are traps.
pub const WASM_STACK: usize = 4 * MIB as usize;
/// The fiber's stack: wasm's, and what the host functions need when a guest calls them at its deepest.
pub const ASYNC_STACK: usize = WASM_STACK + MIB as usize;

#[cfg(test)]
mod tests {
    use chorus_core::room::{ComponentSpec, MAX_REQUESTS};

    use super::*;

    /// The limits at which the SDK throws. It is bundled into components, so these numbers are the contract's.
    const SDK: &str = include_str!("../../../guests/sdk/limits.js");

    /// The number after `field`, in the first line that begins with `key`.
    fn number(key: &str, field: &str) -> u64 {
        let line = SDK.lines().find(|line| line.trim_start().starts_with(&format!("{key}: ")));
        let line = line.unwrap_or_else(|| panic!("guests/sdk/limits.js has no {key}"));
        let (_, value) = line.split_once(field).unwrap_or_else(|| panic!("{line}: no {field}"));
        let digits = value.trim_start().chars().take_while(|c| c.is_ascii_digit() || *c == '_').filter(|c| *c != '_');
        digits.collect::<String>().parse().unwrap_or_else(|error| panic!("{line}: {error}"))
    }

    #[test]
    fn the_sdk_throws_where_this_host_would_punish() {
        for bound in ALL {
            let in_sdk = (number(bound.key, "normal: "), number(bound.key, "cap: "));
            assert_eq!(in_sdk, (bound.default, bound.cap), "{}", bound.key);
        }
        let budgets = SDK.lines().filter(|line| line.contains("normal: ") && line.contains("cap: ")).count();
        assert_eq!(budgets, ALL.len(), "the SDK has a budget that the host has not");
        let others = [
            ("typeBytes", MAX_TYPE as u64),
            ("names", MAX_NAMES as u64),
            ("kindChars", 48),
            ("nesting", 127),
            ("parcelBytes", MAX_RECORD_JSON as u64),
            ("reportBytes", MAX_REPORT as u64),
            ("requestBytes", MAX_REQUEST as u64),
            ("requests", MAX_REQUESTS as u64),
            ("deadlineMs", MAX_DEADLINE_MS as u64),
            ("delayMs", MAX_DELAY_MS as u64),
            ("logUnits", MAX_LOG),
            ("maxPlayers", ComponentSpec::MAX_MEMBERS as u64),
        ];
        for (key, here) in others {
            assert_eq!(number(key, ": "), here, "{key}");
        }
    }
}

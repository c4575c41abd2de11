//! Every dial of this scenario, and what can happen in it.

/// Every dial of this scenario. Times are in milliseconds.
pub(super) struct Dials {
    /// Steps with faults.
    pub steps: usize,
    /// Steps without faults, after which all is in order again.
    pub settling: usize,
    pub step_ms: u64,
    /// A machine sends a heartbeat in one step of this many.
    pub heartbeat: u64,
    /// A machine that cannot reach the broker for longer than this sends no heartbeats.
    pub broker_patience_ms: u64,
    /// The greatest number of partitions.
    pub partitions: u64,
    /// The database's clock is set forward by this.
    pub leap_ms: u64,
    /// In the `leaps_ms` after that, it is set forward again in one step of `leap_again`.
    pub leaps_ms: u64,
    pub leap_again: u64,
    /// A night: all clocks advance by this between two steps.
    pub night_ms: u64,
    /// A monitor is paused after one output of this many.
    pub pause: u64,
    /// Work on a dead machine takes less than this many steps, and fails once in `failed_work` attempts.
    pub work: u64,
    pub failed_work: u64,
    /// What happens before a step, with the weight of each event.
    pub events: [(u64, Event); 16],
}

#[derive(Clone, Copy)]
pub(super) enum Event {
    Nothing,
    StartHost,
    StartEdge,
    FallSilent,
    Recover,
    Drain,
    Leave,
    LoseStore,
    RecoverStore,
    LoseBroker,
    RecoverBroker,
    Pause,
    Resume,
    Leap,
    Night,
    /// All hosts and edges fall silent.
    LoseSite,
}

pub(super) const DIALS: Dials = Dials {
    steps: 300,
    settling: 120,
    step_ms: 1_000,
    heartbeat: 3,
    broker_patience_ms: 4_000,
    partitions: 20,
    leap_ms: 3_600_000,
    leaps_ms: 15_000,
    leap_again: 8,
    night_ms: 6 * 3_600_000,
    pause: 40,
    work: 5,
    failed_work: 3,
    events: [
        (43, Event::Nothing),
        (4, Event::StartHost),
        (2, Event::StartEdge),
        (2, Event::FallSilent),
        (2, Event::Recover),
        (2, Event::Drain),
        (2, Event::Leave),
        (2, Event::LoseStore),
        (6, Event::RecoverStore),
        (2, Event::LoseBroker),
        (4, Event::RecoverBroker),
        (1, Event::Pause),
        (6, Event::Resume),
        (1, Event::Leap),
        (1, Event::Night),
        (1, Event::LoseSite),
    ],
};

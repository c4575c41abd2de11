//! The log lines of the placement machine's notices.

use chorus_core::placement::{Interruption, Notice};

pub(crate) fn log(notice: Notice) {
    match notice {
        Notice::Active => tracing::info!("this monitor is in charge"),
        Notice::Standby => tracing::info!("this monitor is on standby"),
        Notice::BrokerLost { silent_ms } => {
            tracing::warn!(silent_ms, "the broker does not answer; no machine is declared dead meanwhile");
        }
        Notice::GracePeriod { after, for_ms } => {
            tracing::info!(for_ms, "{}; no machine is declared dead until all had time for a heartbeat", end_of(after))
        }
        Notice::NoHosts { partitions } => {
            tracing::error!(partitions, "no host is alive: the rooms of these partitions stall; start a host");
        }
        Notice::HostsAgain => tracing::info!("there are hosts again"),
    }
}

fn end_of(interruption: Interruption) -> &'static str {
    match interruption {
        Interruption::Started => "started",
        Interruption::StoreLost => "the store is reachable again",
        Interruption::BrokerLost => "the broker is reachable again",
        Interruption::Paused => "this monitor's loop was paused",
        Interruption::ClockLeap => "the database's clock was set forward",
    }
}

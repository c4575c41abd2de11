//! The metrics for Prometheus. Each scrape queries the store: three small queries.

use std::{
    collections::BTreeMap,
    fmt::{Display, Write},
    sync::Arc,
};

use chorus_store::{MachineRow, MachineState, Role, StoreError};
use warp::{
    Reply,
    http::{HeaderValue, header},
};

use super::{Shared, answer::Answer, events::MAX_FOLLOWERS, rooms::status_name, status::hosted};

pub(super) async fn metrics(state: &Arc<Shared>) -> Answer {
    let mut page = Page::default();
    if let Some(monitor) = &state.monitor {
        let (in_charge, counters) = {
            let standing = monitor.borrow();
            (standing.in_charge, standing.counters.clone())
        };
        page.gauge("chorus_monitor_in_charge", "1 on the one monitor that acts.", u8::from(in_charge));
        page.counter("chorus_monitor_deaths_total", "Machines declared dead.", counters.deaths.get());
        page.counter("chorus_monitor_moves_total", "Partitions given to a host.", counters.moves.get());
        let dropped = counters.dropped.get();
        page.counter("chorus_monitor_dropped_sessions_total", "Sessions of dead edges whose rooms were told.", dropped);
        let expired = counters.expired.get();
        page.counter("chorus_monitor_expired_sessions_total", "Sessions that did not come back.", expired);
        page.counter("chorus_monitor_cleaned_machines_total", "Dead machines cleaned up.", counters.cleaned.get());
        page.counter("chorus_monitor_store_lost_total", "Failures to reach the store.", counters.store_lost.get());
        let help = "Turns of the loop in which the broker was out of reach.";
        page.counter("chorus_monitor_broker_lost_total", help, counters.broker_lost.get());
    }
    let followers = MAX_FOLLOWERS - state.followers.available_permits();
    page.gauge("chorus_admin_followers", "Operators that follow a room's events.", followers);
    // If the store does not answer, its metrics are omitted, and `chorus_store_up` is 0.
    let asked = of_the_store(state, &mut page).await;
    page.gauge("chorus_store_up", "Whether the store answered this scrape.", u8::from(asked.is_ok()));
    page.0.push_str(&(state.hooks.metrics)());
    let mut response = page.0.into_response();
    let text = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, text);
    Ok(response)
}

async fn of_the_store(state: &Shared, page: &mut Page) -> Result<(), StoreError> {
    let machines = state.store.machines().await?;
    let assignments = state.store.assignments().await?;
    let rooms = state.store.count_rooms().await?;
    page.head("chorus_machines", "gauge", "Machines by role and state.");
    for ((role, state), count) in count(&machines) {
        page.line("chorus_machines", &[("role", &role), ("state", &state)], count);
    }
    page.head("chorus_machine_silent_seconds", "gauge", "Since a machine was heard, by the database's clock.");
    for machine in machines.iter().filter(|machine| machine.state != MachineState::Dead) {
        let labels: [(&str, &dyn Display); 2] = [("id", &machine.id), ("role", &machine.role)];
        page.line("chorus_machine_silent_seconds", &labels, machine.silent_for.as_secs_f64());
    }
    page.gauge("chorus_partitions", "Partitions.", assignments.len());
    page.gauge("chorus_partitions_hosted", "Partitions whose host lives.", hosted(&assignments, &machines));
    page.head("chorus_host_partitions", "gauge", "Partitions of each host.");
    let mut of_host: BTreeMap<String, usize> = BTreeMap::new();
    for host in assignments.iter().filter_map(|row| row.host.as_ref()) {
        *of_host.entry(host.to_string()).or_default() += 1;
    }
    for (host, partitions) in of_host {
        page.line("chorus_host_partitions", &[("host", &host)], partitions);
    }
    page.head("chorus_rooms", "gauge", "Rooms by kind and status, as stored.");
    for (kind, status, count) in rooms {
        page.line("chorus_rooms", &[("kind", &kind), ("status", &status_name(status))], count);
    }
    Ok(())
}

/// Includes zero counts: a missing series cannot be watched.
fn count(machines: &[MachineRow]) -> BTreeMap<(Role, &'static str), usize> {
    let states = [MachineState::Alive, MachineState::Draining, MachineState::Dead];
    let all =
        [Role::Edge, Role::Host, Role::Monitor].into_iter().flat_map(|role| states.map(|state| (role, state.as_str())));
    let mut counts: BTreeMap<(Role, &'static str), usize> = all.map(|key| (key, 0)).collect();
    for machine in machines {
        *counts.entry((machine.role, machine.state.as_str())).or_default() += 1;
    }
    counts
}

/// Prometheus's text format, version 0.0.4.
#[derive(Default)]
struct Page(String);

impl Page {
    fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.head(name, "gauge", help);
        self.line(name, &[], value);
    }

    fn counter(&mut self, name: &str, help: &str, value: impl Display) {
        self.head(name, "counter", help);
        self.line(name, &[], value);
    }

    fn head(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}"); // A string accepts every write.
    }

    /// No label of ours needs escaping: ids, kinds and fixed words.
    fn line(&mut self, name: &str, labels: &[(&str, &dyn Display)], value: impl Display) {
        let labels: Vec<String> = labels.iter().map(|(label, value)| format!("{label}=\"{value}\"")).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let _ = writeln!(self.0, "{name}{labels} {value}"); // A string accepts every write.
    }
}

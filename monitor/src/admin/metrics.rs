//! What Prometheus scrapes, in OpenMetrics's text format. The store is read at each scrape: three small queries.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::AtomicU64},
};

use chorus_store::{MachineRow, MachineState, Role, StoreError};
use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{family::Family, gauge::Gauge},
    registry::Registry,
};
use warp::{
    Reply,
    http::{HeaderValue, header},
};

use super::{Api, answer::Answer, events::MAX_FOLLOWERS, status::hosted};

/// The content type of metrics, on all machines.
pub const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub(super) async fn metrics(api: &Arc<Api>) -> Answer {
    let mut registry = Registry::default();
    if let Some(monitor) = &api.monitor {
        let (in_charge, metrics) = {
            let status = monitor.borrow();
            (status.active, status.metrics.clone())
        };
        gauge(&mut registry, "chorus_monitor_in_charge", "1 on the one monitor that acts", i64::from(in_charge));
        metrics.register(&mut registry);
    }
    let followers = MAX_FOLLOWERS - api.followers.available_permits();
    gauge(&mut registry, "chorus_admin_followers", "Operators that follow a room's events", count_of(followers));
    // What cannot be read from the store is left out, and `chorus_store_up` is 0.
    let stored = register_stored(api, &mut registry).await;
    gauge(&mut registry, "chorus_store_up", "Whether the store answered this scrape", i64::from(stored.is_ok()));
    let mut page = String::new();
    text::encode_registry(&mut page, &registry).expect("a string takes everything");
    (api.hooks.metrics)(&mut page);
    text::encode_eof(&mut page).expect("a string takes everything");
    let mut response = page.into_response();
    let kind = HeaderValue::from_static(OPEN_METRICS);
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    Ok(response)
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MachinesLabels {
    role: String,
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MachineLabels {
    id: String,
    role: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct HostLabels {
    host: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RoomsLabels {
    kind: String,
    status: &'static str,
}

async fn register_stored(api: &Api, registry: &mut Registry) -> Result<(), StoreError> {
    let machines = api.store.machines().await?;
    let assignments = api.store.assignments().await?;
    let rooms = api.store.count_rooms().await?;

    let by_state = Family::<MachinesLabels, Gauge>::default();
    for ((role, state), count) in count(&machines) {
        by_state.get_or_create(&MachinesLabels { role: role.to_string(), state }).set(count_of(count));
    }
    registry.register("chorus_machines", "Machines by role and state", by_state);

    let silent = Family::<MachineLabels, Gauge<f64, AtomicU64>>::default();
    for machine in machines.iter().filter(|machine| machine.state != MachineState::Dead) {
        let labels = MachineLabels { id: machine.id.to_string(), role: machine.role.to_string() };
        silent.get_or_create(&labels).set(machine.silent_for.as_secs_f64());
    }
    let help = "Time since a machine's last heartbeat, by the database's clock";
    registry.register("chorus_machine_silent_seconds", help, silent);

    gauge(registry, "chorus_partitions", "Partitions", count_of(assignments.len()));
    let hosted = count_of(hosted(&assignments, &machines));
    gauge(registry, "chorus_partitions_hosted", "Partitions whose host is alive", hosted);

    let of_host = Family::<HostLabels, Gauge>::default();
    for host in assignments.iter().filter_map(|row| row.host.as_ref()) {
        of_host.get_or_create(&HostLabels { host: host.to_string() }).inc();
    }
    registry.register("chorus_host_partitions", "Partitions of each host", of_host);

    let of_kind = Family::<RoomsLabels, Gauge>::default();
    for (kind, status, count) in rooms {
        let labels = RoomsLabels { kind: kind.to_string(), status: status.as_str() };
        of_kind.get_or_create(&labels).set(count_of(count));
    }
    registry.register("chorus_rooms", "Rooms by kind and status, as stored", of_kind);
    Ok(())
}

fn gauge(registry: &mut Registry, name: &str, help: &str, value: i64) {
    let gauge = Gauge::<i64>::default();
    gauge.set(value);
    registry.register(name, help, gauge);
}

fn count_of(number: impl TryInto<i64>) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}

/// Also those that there are none of: a series that is not there cannot be watched.
fn count(machines: &[MachineRow]) -> BTreeMap<(Role, &'static str), usize> {
    let all = Role::ALL.into_iter().flat_map(|role| MachineState::ALL.map(|state| (role, state.as_str())));
    let mut counts: BTreeMap<(Role, &'static str), usize> = all.map(|key| (key, 0)).collect();
    for machine in machines {
        *counts.entry((machine.role, machine.state.as_str())).or_default() += 1;
    }
    counts
}

//! The broker dies and returns.

use std::time::Duration;

use chorus_bus::{AppendError, Bus, EdgeReadError};
use chorus_core::ids::RoomId;
use chorus_services::Services;
use chorus_testing::{cast::machine, soon};

use crate::{broker::Broker, suite::*};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_killed_in_mid_flow_loses_nothing_and_doubles_nothing() {
    let Some(mut services) = Services::brokers(1) else { return };
    let bus = Broker::at(services.kafka()).open().await;
    let mut edge = open(&bus, "edge-1").await;
    let flow = tokio::spawn(flow(bus.clone()));
    for _ in 0..2 {
        services = on_the_side(services, |services| {
            services.command("kill kafka 0");
            services.command("start kafka 0");
        })
        .await;
        let before = soon(bus.end(of(&bus, ROOM))).await.unwrap();
        // Records flow again before the broker is killed again.
        soon(bus.read(of(&bus, ROOM), before + 1000).next(&mut Vec::new())).await.unwrap();
    }
    flow.abort();
    let _ = flow.await;
    soon(bus.flush()).await.unwrap();
    check_flow(&bus, &mut edge).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_broker_of_three_may_die_and_nothing_waits_for_it() {
    let Some(mut services) = Services::brokers(3) else { return };
    let mut place = Broker::at(services.kafka());
    place.0.replication = 3;
    let bus = place.open().await;
    let mut edge = open(&bus, "edge-1").await;
    let flow = tokio::spawn(flow(bus.clone()));
    for victim in 0..2 {
        services = on_the_side(services, move |services| services.command(&format!("kill kafka {victim}"))).await;
        // The two others continue: new records are confirmed and read while it is dead.
        append_all(&bus, OUTSIDE + 10 * victim..OUTSIDE + 10 * victim + 10).await;
        let end = soon(bus.end(of(&bus, ROOM))).await.unwrap();
        assert!(soon(bus.read(of(&bus, ROOM), end - 1).next(&mut Vec::new())).await.is_ok());
        services = on_the_side(services, move |services| services.command(&format!("start kafka {victim}"))).await;
        soon(bus.append(&message(ROOM, OUTSIDE + 100 + victim))).await.unwrap();
    }
    flow.abort();
    let _ = flow.await;
    soon(bus.flush()).await.unwrap();
    check_flow(&bus, &mut edge).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_broker_is_gone_appends_wait_to_a_bound_and_are_there_in_order_when_it_is_back() {
    let Some(services) = Services::brokers(1) else { return };
    let mut place = Broker::at(services.kafka());
    place.0.append_timeout = Duration::from_secs(1);
    place.0.queue_bytes = 1 << 20;
    let bus = place.open().await;
    append_all(&bus, 0..1).await;
    let services = on_the_side(services, |services| services.command("kill kafka 0")).await;

    let mut waiting = Vec::new();
    let full = loop {
        let append = bus.append(&large(1 + waiting.len() as u64));
        match append.refused() {
            None => waiting.push(append),
            Some(error) => break error.clone(),
        }
        assert!(waiting.len() < 1000, "the queue is bounded");
    };
    assert!(matches!(full, AppendError::Full { .. }), "{full}");
    let patient = waiting.pop().unwrap().without_deadline();
    let error = soon(waiting.pop().unwrap()).await.unwrap_err();
    assert!(matches!(error, AppendError::Unconfirmed { .. }), "{error}");
    assert!(error.to_string().contains("may or may not be in the log"), "{error}");
    assert!(soon(bus.check_ready()).await.is_err());

    let _services = on_the_side(services, |services| services.command("start kafka 0")).await;
    let last = soon(patient).await.unwrap().unwrap();
    assert_eq!(last, waiting.len() as u64 + 2, "also what nobody waited for any more");
    let read = read(&mut bus.read(of(&bus, ROOM), 0), last as usize + 1).await;
    assert_eq!(numbers(&read), (0..=last).collect::<Vec<_>>());
    soon(bus.check_ready()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edge_gets_a_gap_marker_where_commands_were_dropped() {
    let Some(services) = Services::brokers(1) else { return };
    let mut place = Broker::at(services.kafka());
    place.0.queue_bytes = 64 << 10;
    let bus = place.open().await;
    let mut edge = open(&bus, "edge-1").await;
    soon(bus.send_edge(&machine("edge-1"), left(0))).await.unwrap();
    let services = on_the_side(services, |services| services.command("kill kafka 0")).await;

    let sent: Vec<_> = (1..20_000).map(|n| bus.send_edge(&machine("edge-1"), left(n))).collect();
    let dropped = tokio::spawn(async move {
        for sent in sent {
            sent.await.unwrap(); // Each is received, or reported as missing.
        }
    });
    assert!(!dropped.is_finished());
    let _services = on_the_side(services, |services| services.command("start kafka 0")).await;

    let mut into = Vec::new();
    let overflow = loop {
        if let Err(overflow) = soon(edge.recv_many(&mut into)).await {
            break overflow;
        }
    };
    let (came, all) = (into.len() as u64, 20_000);
    assert_eq!(overflow, EdgeReadError::Overflow { dropped: all - came });
    assert_eq!(into, (0..came).map(left).collect::<Vec<_>>());
    soon(dropped).await.unwrap();
    soon(bus.send_edge(&machine("edge-1"), left(1))).await.unwrap();
    assert_eq!(receive(&mut edge, 1).await, [left(1)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bus_that_is_dropped_while_the_broker_is_gone_leaves_nobody_waiting() {
    let Some(services) = Services::brokers(1) else { return };
    let bus = Broker::at(services.kafka()).open().await;
    let mut edge = open(&bus, "edge-1").await;
    let mut reader = bus.read(0, 0);
    let _services = on_the_side(services, |services| services.command("kill kafka 0")).await;
    let append = bus.append(&message(ROOM, 0)).without_deadline();
    let sent = bus.send_edge(&machine("edge-1"), left(0));
    drop(bus);
    assert!(soon(append).await.is_err());
    assert!(soon(sent).await.is_err());
    assert!(soon(reader.next(&mut Vec::new())).await.is_err());
    assert_eq!(soon(edge.recv_many(&mut Vec::new())).await, Err(EdgeReadError::Closed));
}

// Helpers.

/// Numbers of records outside the flow.
const OUTSIDE: u64 = 1 << 40;

/// Appends and sends without an end, as fast as the bus accepts.
async fn flow(bus: Bus) {
    for n in 0.. {
        let append = bus.append(&message(ROOM, n));
        drop(bus.append(&message(RoomId(1 << 90), n)));
        drop(bus.send_edge(&machine("edge-1"), left(n)));
        assert!(append.refused().is_none(), "{append:?}");
        if n % 100 == 0 {
            append.without_deadline().await.unwrap();
        }
    }
}

/// Every appended record is in the log once, in order, by offsets without a gap; and so is every command at the edge.
async fn check_flow(bus: &Bus, edge: &mut chorus_bus::EdgeReceiver) {
    let end = soon(bus.end(of(bus, ROOM))).await.unwrap();
    let read = read(&mut bus.read(of(bus, ROOM), 0), end as usize).await;
    assert!(read.iter().map(|(offset, _)| *offset).eq(0..end));
    let own = read.iter().filter(|(_, record)| record.room == ROOM && number(record) < OUTSIDE);
    let own: Vec<u64> = own.map(|(_, record)| number(record)).collect();
    assert!(own.len() > 1000, "{}", own.len());
    assert!(own.iter().copied().eq(0..own.len() as u64), "none is lost, none is there twice, none is out of order");

    soon(bus.send_edge(&machine("edge-1"), left(OUTSIDE))).await.unwrap();
    let mut received = Vec::new();
    while received.last() != Some(&left(OUTSIDE)) {
        soon(edge.recv_many(&mut received)).await.unwrap();
    }
    received.pop();
    assert!(received.len() >= own.len() - 1);
    assert!(received.iter().cloned().eq((0..received.len() as u64).map(left)));
}

/// Runs blocking work, and returns the services.
async fn on_the_side(mut services: Services, work: impl FnOnce(&mut Services) + Send + 'static) -> Services {
    let done = tokio::task::spawn_blocking(move || {
        work(&mut services);
        services
    });
    done.await.unwrap()
}

//! Machines. Silence and death, which only a cluster's database detects, are in `postgres.rs`.

use std::collections::HashSet;

use chorus_core::ids::MachineId;
use chorus_store::{MachineState, Registration, Role, Store, StoreError};

use super::cast::*;

pub async fn no_two_machines_ever_have_one_id(store: Store) {
    let mut ids = HashSet::new();
    for _ in 0..3 {
        let edge = store.register_machine(&Registration::new(Role::Edge)).await.expect("registered").id;
        assert!(edge.0.starts_with("edge-"), "{edge}");
        store.close_machine(&edge).await.expect("closed");
        assert!(ids.insert(edge), "it had been another's");
    }
    let named = Registration { role: Role::Host, name: Some("left".into()), address: Some("10.0.0.1:80".into()) };
    let left = store.register_machine(&named).await.expect("registered").id;
    assert!(left.0.starts_with("host-left-"), "{left}");
    let again = store.register_machine(&named).await.expect("registered").id;
    assert_ne!(left, again, "a name is not an id");

    let all = store.machines().await.expect("listed");
    assert_eq!(all.iter().map(|row| &row.id).collect::<Vec<_>>(), [&left, &again]);
    assert_eq!((all[0].role, all[0].name.as_deref()), (Role::Host, Some("left")));
    assert_eq!((all[0].address.as_deref(), all[0].state), (Some("10.0.0.1:80"), MachineState::Alive));

    for bad in ["", "Left", "a b", "é", &"x".repeat(33)] {
        let bad = Registration { name: Some(bad.into()), ..Registration::new(Role::Edge) };
        let error = store.register_machine(&bad).await.expect_err("not a name");
        assert!(matches!(error, StoreError::BadName { .. }), "{error}");
    }
}

pub async fn a_machine_learns_that_it_is_to_drain(store: Store) {
    let host = store.register_machine(&Registration::new(Role::Host)).await.expect("registered").id;
    assert_eq!(store.heartbeat(&host).await.expect("recorded"), MachineState::Alive);
    assert!(store.drain_machine(&host).await.expect("answered"));
    assert_eq!(store.heartbeat(&host).await.expect("recorded"), MachineState::Draining);
    assert_eq!(store.machines().await.expect("listed")[0].state, MachineState::Draining);
    store.close_machine(&host).await.expect("closed");
    assert_eq!(store.heartbeat(&host).await.expect("recorded"), MachineState::Dead);
    assert!(!store.drain_machine(&host).await.expect("answered"), "it is gone");
    let nobody = MachineId("host-999".into());
    assert_eq!(store.heartbeat(&nobody).await.expect("recorded"), MachineState::Dead);
}

pub async fn closing_a_machine_disconnects_its_sessions(store: Store) {
    let one = store.register_machine(&Registration::new(Role::Edge)).await.expect("registered").id;
    store.open_session(session(ANA, &one, token(1)), LOBBY).await.expect("opened");
    store.open_session(session(BEN, &edge(999), token(2)), LOBBY).await.expect("opened");
    store.close_machine(&one).await.expect("closed");
    store.close_machine(&one).await.expect("closed again");
    assert_eq!(store.session_edge(ANA).await.expect("read"), Some((one, false)));
    assert_eq!(store.session_edge(BEN).await.expect("read"), Some((edge(999), true)));
}

pub async fn a_closed_store_says_so(store: Store) {
    store.ping().await.expect("open");
    store.clone().close().await.expect("closed");
    let written = store.end_session(ANA).await.expect_err("closed");
    assert!(matches!(written, StoreError::Closed), "{written}");
    let read = store.machines().await.expect_err("closed");
    assert!(matches!(read, StoreError::Closed), "{read}");
    assert!(matches!(store.ping().await, Err(StoreError::Closed)));
}

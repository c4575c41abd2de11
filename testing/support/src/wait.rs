//! Waits. A test does not sleep until something has happened: it waits for the event itself, and fails at the deadline.

use std::{future::Future, time::Duration};

/// The limit of every wait. Tests, their services and the builds of guests share a small machine, so it is long: only a defect
/// reaches it.
pub const DEADLINE: Duration = Duration::from_secs(120);

/// The interval at which a state without a notification is read.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// The result of a future that must resolve.
///
/// # Panics
/// At the deadline, with the name of what it has waited for.
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(DEADLINE, future).await {
        Ok(done) => done,
        Err(_) => panic!("waited in vain for {what}"),
    }
}

/// The same, where the call itself shows what it waits for.
///
/// # Panics
/// At the deadline.
pub async fn soon<T>(future: impl Future<Output = T>) -> T {
    within("this step", future).await
}

/// Waits until a condition holds.
///
/// # Panics
/// At the deadline, as [`within`].
pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    within(what, async {
        while !holds().await {
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    })
    .await;
}

/// Waits until there is a value.
///
/// # Panics
/// At the deadline, as [`within`].
pub async fn until_some<T>(what: &str, mut find: impl FnMut() -> Option<T>) -> T {
    within(what, async {
        loop {
            if let Some(found) = find() {
                return found;
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    })
    .await
}

/// A port of loopback that was free a moment ago: nothing answers there.
///
/// # Panics
/// When the system has no free port.
pub fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("it is bound").port()
}

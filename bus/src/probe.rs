//! Periodic queries to the broker, by which a machine sees whether it can work.

use std::time::Duration;

use tokio::{sync::watch, time::Instant};

use crate::Bus;

impl Bus {
    /// Queries the broker in each period, until the receiver is dropped. The value is the time at which the latest query that
    /// was answered was sent; at first it is the present.
    pub fn probe(&self, period: Duration) -> watch::Receiver<Instant> {
        let (answered, receiver) = watch::channel(Instant::now());
        let bus = self.clone();
        tokio::spawn(async move {
            while !answered.is_closed() {
                let sent_at = Instant::now();
                match bus.check_connectivity().await {
                    Ok(()) => drop(answered.send_replace(sent_at)),
                    Err(reason) => tracing::debug!(reason, "the broker does not answer"),
                }
                tokio::time::sleep(period).await;
            }
        });
        receiver
    }
}

//! The store's part of a report about a player: one row.
//!
//! Each report has a task of its own, so that the room continues while the store is down. No snapshot of the room is stored
//! before the reports of its records are, so a host that restores the room repeats those that may be missing; a row that is
//! there already stays as it is.

use std::{sync::Arc, time::Duration};

use chorus_core::{
    ids::{Kind, RoomId},
    room::Report,
};
use chorus_store::{ReportRow, StoreError};

use crate::Shared;

/// How soon to try again.
const RETRY: Duration = Duration::from_secs(1);

/// Retries until the store has the report, or is closed.
pub async fn run(host: Arc<Shared>, room: RoomId, kind: Kind, report: Report) {
    let row = ReportRow { room, kind, report };
    loop {
        match host.store.add_report(row.clone()).await {
            Ok(()) => {
                tracing::info!(%room, player = %row.report.player.id, "a script reported a player");
                return;
            }
            Err(StoreError::Closed) => return,
            Err(error) => tracing::warn!(%room, %error, "a report is not stored; trying again"),
        }
        tokio::time::sleep(RETRY).await;
    }
}

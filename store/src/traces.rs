//! What the store has of one player beside sessions: texts in snapshots of live rooms, and reports.

use chorus_core::ids::RoomId;

use crate::{Store, StoreError, row::Table};

impl Store {
    /// Searches the snapshots of these many rooms, by id, the first ones or those after `after`, for any of these texts. Returns
    /// each room with whether its snapshot has one; fewer than `limit` are the last ones. Reads all of these snapshots.
    pub async fn search_snapshots(
        &self,
        texts: &[String],
        after: Option<RoomId>,
        limit: u32,
    ) -> Result<Vec<(RoomId, bool)>, StoreError> {
        self.read(Search { texts: texts.to_vec(), after, limit }).await
    }

    /// Deletes the reports about these players. Returns their number.
    pub async fn delete_reports(&self, players: &[String]) -> Result<u64, StoreError> {
        self.write(DeleteReports { players: players.to_vec() }).await
    }
}

pub(crate) struct Search {
    pub texts: Vec<String>,
    pub after: Option<RoomId>,
    pub limit: u32,
}

pub(crate) struct DeleteReports {
    pub players: Vec<String>,
}

pub(crate) fn found(rows: Vec<(Vec<u8>, bool)>) -> Result<Vec<(RoomId, bool)>, StoreError> {
    rows.into_iter().map(|(room, has)| Ok((RoomId(Table("snapshots").id(room)?), has))).collect()
}

//! What rooms' scripts have reported of players, for operators.
//!
//! A report's key is its room and the number of the room's output, so a host may write it again: the first one counts.

use std::time::Duration;

use chorus_core::{
    command::Player,
    ids::{Kind, OutputId, RoomId, SessionId, Time},
    json::Json,
    room::Report,
};

use crate::{
    Store, StoreError,
    row::{Table, number},
};

/// How many reports the store keeps. Older ones are deleted.
pub const MAX_REPORTS: u64 = 100_000;

/// The reports that [`Store::trim_reports`] deletes at a time.
pub(crate) const TRIM_AT_ONCE: u32 = 1_000;

/// A report, and the room that made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportRow {
    pub room: RoomId,
    pub kind: Kind,
    pub report: Report,
}

/// A report's place in lists: its time, then its room and number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReportPlace {
    pub at: Time,
    pub room: RoomId,
    pub number: OutputId,
}

impl ReportRow {
    pub fn place(&self) -> ReportPlace {
        ReportPlace { at: self.report.at, room: self.room, number: self.report.number }
    }
}

impl Store {
    /// Adds a report. One that is there under its room and number stays as it is.
    pub async fn add_report(&self, row: ReportRow) -> Result<(), StoreError> {
        self.write(Add { row }).await
    }

    /// The latest reports first: of this player, or of all. The first `limit`, or those after the last one of an earlier call.
    pub async fn reports(
        &self,
        player: Option<&str>,
        after: Option<ReportPlace>,
        limit: u32,
    ) -> Result<Vec<ReportRow>, StoreError> {
        self.read(List { player: player.map(str::to_owned), after, limit }).await
    }

    /// Deletes reports that are older than this, and those beyond the latest `most`: at most 1,000. Returns their number; call
    /// again while that is 1,000.
    pub async fn trim_reports(&self, older_than: Duration, most: u64) -> Result<u64, StoreError> {
        self.write(Trim { older_than, most }).await
    }
}

/// room, offset, index, kind, session, player, name, reason, data, the time.
pub(crate) type Columns = (Vec<u8>, i64, i64, String, Vec<u8>, String, String, String, String, i64);

pub(crate) fn row(columns: Columns) -> Result<ReportRow, StoreError> {
    let (room, offset, index, kind, session, id, name, reason, data, at) = columns;
    let table = Table("reports");
    let report = Report {
        number: OutputId { offset: table.number(offset)?, index: table.number(index)? },
        at: Time(table.number(at)?),
        session: SessionId(table.id(session)?),
        player: Player { id: id.into(), name: name.into() },
        reason: reason.into(),
        data: Json::trusted(data),
    };
    Ok(ReportRow { room: RoomId(table.id(room)?), kind: table.kind(&kind)?, report })
}

/// The place in columns; before all reports where there is none.
pub(crate) fn place(after: Option<ReportPlace>) -> (i64, Vec<u8>, i64, i64) {
    after.map_or((i64::MAX, Vec::new(), 0, 0), |place| {
        let OutputId { offset, index } = place.number;
        (number(place.at.0), crate::row::id(place.room.0), number(offset), i64::from(index))
    })
}

pub(crate) struct Add {
    pub row: ReportRow,
}

pub(crate) struct List {
    pub player: Option<String>,
    pub after: Option<ReportPlace>,
    pub limit: u32,
}

pub(crate) struct Trim {
    pub older_than: Duration,
    pub most: u64,
}

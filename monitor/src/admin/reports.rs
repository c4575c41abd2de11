//! Reports of players by rooms' scripts, as their hosts have written them.

use std::{str::FromStr, sync::Arc};

use chorus_core::ids::{OutputId, RoomId, Time};
use chorus_store::{ReportPlace, ReportRow};
use serde::Deserialize;

use super::{
    Api,
    answer::{Answer, json},
    query::{NoPlace, Page},
    rooms,
};
use crate::api::{Report, Reports};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    player: Option<String>,
    limit: Option<u32>,
    after: Option<String>,
}

pub(super) async fn list(api: &Arc<Api>, query: ListQuery) -> Answer {
    let mut page = Page::<Cursor>::of(query.limit, query.after.as_deref())?;
    let after = page.after.take().map(|Cursor(place)| place);
    let rows = api.store.reports(query.player.as_deref(), after, page.limit).await?;
    let next = page.next(&rows, |row| Cursor(row.place()));
    json(&Reports { reports: rows.iter().map(show).collect(), next })
}

pub(super) fn show(ReportRow { room, kind, report }: &ReportRow) -> Report {
    Report {
        at: report.at.0,
        player: report.player.id.to_string(),
        name: report.player.name.to_string(),
        reason: report.reason.to_string(),
        data: rooms::raw(&report.data),
        session: report.session.to_string(),
        room: room.to_string(),
        kind: kind.to_string(),
        number: format!("{}.{}", report.number.offset, report.number.index),
    }
}

/// The last report of a page.
pub(super) struct Cursor(ReportPlace);

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ReportPlace { at, room, number } = self.0;
        write!(f, "{}-{room}-{}-{}", at.0, number.offset, number.index)
    }
}

impl FromStr for Cursor {
    type Err = NoPlace;

    fn from_str(text: &str) -> Result<Cursor, NoPlace> {
        let place = || {
            let mut parts = text.splitn(4, '-');
            let at = Time(parts.next()?.parse().ok()?);
            let room: RoomId = parts.next()?.parse().ok()?;
            let number = OutputId { offset: parts.next()?.parse().ok()?, index: parts.next()?.parse().ok()? };
            Some(Cursor(ReportPlace { at, room, number }))
        };
        place().ok_or(NoPlace)
    }
}

//! Reports of players by rooms' scripts, as their hosts have written them.

use std::{str::FromStr, sync::Arc};

use chorus_core::ids::{OutputId, RoomId, Time};
use chorus_store::{ReportPlace, ReportRow};
use serde::Deserialize;

use super::{
    Api,
    answer::{Answer, ApiError, json},
    query, rooms,
};
use crate::api::{Report, Reports};

const DEFAULT_PAGE: u32 = 50;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    player: Option<String>,
    limit: Option<u32>,
    after: Option<String>,
}

pub(super) async fn list(api: &Arc<Api>, query: ListQuery) -> Answer {
    let limit = query::limit(query.limit, DEFAULT_PAGE)?;
    let after = query.after.as_deref().map(str::parse).transpose()?;
    let rows = api.store.reports(query.player.as_deref(), after.map(|Cursor(place)| place), limit).await?;
    let next = rows.last().filter(|_| rows.len() == limit as usize);
    let next = next.map(|row| Cursor(row.place()).to_string());
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
struct Cursor(ReportPlace);

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ReportPlace { at, room, number } = self.0;
        write!(f, "{}-{room}-{}-{}", at.0, number.offset, number.index)
    }
}

impl FromStr for Cursor {
    type Err = ApiError;

    fn from_str(text: &str) -> Result<Cursor, ApiError> {
        let place = || {
            let mut parts = text.splitn(4, '-');
            let at = Time(parts.next()?.parse().ok()?);
            let room: RoomId = parts.next()?.parse().ok()?;
            let number = OutputId { offset: parts.next()?.parse().ok()?, index: parts.next()?.parse().ok()? };
            Some(Cursor(ReportPlace { at, room, number }))
        };
        place().ok_or_else(|| {
            ApiError::bad("`after` is no place in the list", "use what came as `next` with the page before")
        })
    }
}

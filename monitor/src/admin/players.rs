//! Players, by their sessions.

use std::{str::FromStr, sync::Arc};

use chorus_core::{identity::BanTarget, ids::SessionId};
use chorus_store::SessionFilter;

use super::{
    Api, MAX_PAGE,
    answer::{Answer, ApiError, json},
    bans,
    query::{self, NoPlace, PageQuery},
};
use crate::api::{PlayerSession, PlayerStatus, Players};

pub(super) async fn list(api: &Arc<Api>, query: PageQuery) -> Answer {
    let mut page = query.page::<Cursor>()?;
    let after = page.after.take().map(|Cursor(session, player)| (player, session));
    let rows = api.store.player_sessions(&SessionFilter::default(), after, page.limit).await?;
    let next = page.next(&rows, |row| Cursor(row.session, row.player.clone()));
    json(&Players { sessions: rows.into_iter().map(show).collect(), next })
}

pub(super) async fn get(api: &Arc<Api>, player: String) -> Answer {
    let of_player = SessionFilter::Player(player.clone());
    let rows = api.store.player_sessions(&of_player, None, MAX_PAGE).await?;
    let ban = match BanTarget::player(&player) {
        Ok(target) => api.store.ban_of(&target).await?,
        Err(_) => None,
    };
    if rows.is_empty() && ban.is_none() {
        return Err(unknown(&player));
    }
    let ban = ban.map(bans::show);
    json(&PlayerStatus { player, ban, sessions: rows.into_iter().map(show).collect() })
}

fn show(row: chorus_store::PlayerSession) -> PlayerSession {
    PlayerSession {
        player: row.player,
        name: row.name,
        session: row.session.to_string(),
        guest: row.guest,
        address: row.address,
        edge: row.edge.to_string(),
        connected: row.connected,
        kicked: row.kicked,
        created_at: row.created_at.0,
        rooms: row.rooms.iter().map(ToString::to_string).collect(),
    }
}

fn unknown(player: &str) -> ApiError {
    ApiError::not_found(
        format!("player {:?} has no session and no ban", query::short(player)),
        "see /v1/players; the id of an account begins with u:, that of a guest with g:",
    )
}

/// The last session of a page.
pub(super) struct Cursor(SessionId, String);

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.0, self.1)
    }
}

impl FromStr for Cursor {
    type Err = NoPlace;

    fn from_str(text: &str) -> Result<Cursor, NoPlace> {
        let (session, player) = text.split_once('-').ok_or(NoPlace)?;
        Ok(Cursor(session.parse().map_err(|_| NoPlace)?, player.to_owned()))
    }
}

//! What operators do with players: kicks, bans and logouts.
//!
//! Each is a line of the log at INFO, with ids as fields and without the operator's texts.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use chorus_core::{
    frame::CloseCode,
    identity::{BanTarget, Ending, GuestId, MAX_TOKEN_ID, SessionsOf},
    ids::millis,
};
use chorus_store::{LoggedOut, NewBan, SessionFilter};
use warp::http::StatusCode;

use super::{
    Api, MAX_PAGE,
    answer::{Answer, ApiError, json, json_of},
    query::{self, PageQuery},
};
use crate::{
    api::{Ban, BanOrder, Banned, Bans, KickOrder, Kicked, LiftOrder, Lifted, Logout, LogoutOrder},
    ending::end_sessions,
};

/// The longest reason: a close frame has no room for more.
const MAX_REASON: usize = 120;

/// The longest note, in bytes.
const MAX_NOTE: usize = 1_000;

/// For how long the tokens of a logout are refused, unless the operator gives another time. Tokens that last longer are rare, and
/// are accepted again afterwards.
const LOGOUT_LASTS: Duration = Duration::from_secs(30 * 24 * 3_600);

/// What a player reads, unless the operator gives a reason.
const KICK_REASON: &str = "an operator has removed you";

/// What a player reads after a logout.
const LOGOUT_REASON: &str = "logged out: sign in again";

pub(super) async fn list(api: &Arc<Api>, query: PageQuery) -> Answer {
    let page = query.page::<BanTarget>()?;
    let bans = api.store.bans(page.after.as_ref(), page.limit).await?;
    let next = page.next(&bans, |ban| ban.target.clone());
    json(&Bans { bans: bans.into_iter().map(show).collect(), next })
}

/// Bans a player, with the guests and the account that are the same one by its sessions, or a network.
pub(super) async fn ban(api: &Arc<Api>, order: BanOrder) -> Answer {
    let BanOrder { player, address, reason, note, for_ms } = order;
    let reason = text("reason", &reason, MAX_REASON)?;
    let note = note.map(|note| text("note", &note, MAX_NOTE)).transpose()?;
    let lasts = for_ms.map(lasting).transpose()?;
    let target = one_of(player, address)?;
    let (mut bans, mut sessions) = (Vec::new(), 0);
    // All rows before any session is ended: none of these players comes back as another of them.
    let targets = with_others(api, target).await?;
    for target in &targets {
        let ban = NewBan { target: target.clone(), reason: reason.clone(), note: note.clone(), lasts };
        bans.push(show(api.store.ban(&ban).await?));
    }
    for target in targets {
        let of = match &target {
            BanTarget::Player(id) => SessionsOf::Player(id.clone()),
            BanTarget::Network(network) => SessionsOf::Network(*network),
        };
        let ending = Ending { of, code: CloseCode::Kicked, reason: reason.as_str().into() };
        let ended = end_sessions(&ending, &api.bus, &api.store).await?;
        tracing::info!(%target, sessions = ended, lasts_ms = lasts.map(millis), "an operator banned");
        sessions += ended as u64;
    }
    Ok(json_of(StatusCode::CREATED, &Banned { bans, sessions }))
}

/// The target, and who is the same player by the sessions that there are: a guest that has signed in, and its account.
async fn with_others(api: &Api, target: BanTarget) -> Result<BTreeSet<BanTarget>, ApiError> {
    let mut targets = BTreeSet::from([target.clone()]);
    if let BanTarget::Player(id) = target {
        let rows = api.store.player_sessions(&SessionFilter::Player(id.to_string()), None, MAX_PAGE).await?;
        let ids = rows.iter().flat_map(|row| [Some(&row.player), row.guest.as_ref()]).flatten();
        targets.extend(ids.map(|id| BanTarget::Player(id.as_str().into())));
    }
    Ok(targets)
}

pub(super) async fn lift(api: &Arc<Api>, order: LiftOrder) -> Answer {
    let target = one_of(order.player, order.address)?;
    if !api.store.unban(&target).await? {
        return Err(ApiError::not_found(format!("{target} is not banned"), "see /v1/bans for the bans that there are"));
    }
    tracing::info!(%target, "an operator lifted a ban");
    json(&Lifted { target: target.to_string() })
}

/// Ends a player's sessions. The player may come back with a new one.
pub(super) async fn kick(api: &Arc<Api>, player: String, order: KickOrder) -> Answer {
    let reason = order.reason.as_deref().unwrap_or(KICK_REASON);
    let reason = text("reason", reason, MAX_REASON)?.into();
    let of = SessionsOf::Player(player.as_str().into());
    let ending = Ending { of, code: CloseCode::Kicked, reason };
    let sessions = end_sessions(&ending, &api.bus, &api.store).await? as u64;
    tracing::info!(%player, sessions, "an operator kicked a player");
    json(&Kicked { player, sessions })
}

/// Ends a player's sessions, and refuses its tokens of until now.
pub(super) async fn log_out(api: &Arc<Api>, player: String, order: LogoutOrder) -> Answer {
    let id: Arc<str> = player.as_str().into();
    // The token of a guest has no time of its issue, and is all that the guest has: it stays valid.
    let is_guest = GuestId::of_player(&id).is_some();
    let lasts = order.lasts()?;
    if !is_guest {
        api.store.log_out(&LoggedOut::Player(id.clone()), lasts).await?;
    }
    let sessions = end_logged_out(api, SessionsOf::Player(id)).await?;
    tracing::info!(%player, sessions, "an operator logged out a player");
    json(&Logout { player: Some(player), token_id: None, sessions, refused_ms: (!is_guest).then(|| millis(lasts)) })
}

/// Ends the sessions of a token, and refuses it.
pub(super) async fn log_out_token(api: &Arc<Api>, token_id: String, order: LogoutOrder) -> Answer {
    let id: Arc<str> = token_id.as_str().into();
    let lasts = order.lasts()?;
    api.store.log_out(&LoggedOut::Token(id.clone()), lasts).await?;
    let sessions = end_logged_out(api, SessionsOf::Token(id)).await?;
    tracing::info!(%token_id, sessions, "an operator logged out a token");
    json(&Logout { player: None, token_id: Some(token_id), sessions, refused_ms: Some(millis(lasts)) })
}

async fn end_logged_out(api: &Api, of: SessionsOf) -> Result<u64, ApiError> {
    let ending = Ending { of, code: CloseCode::Unauthorized, reason: LOGOUT_REASON.into() };
    Ok(end_sessions(&ending, &api.bus, &api.store).await? as u64)
}

impl LogoutOrder {
    fn lasts(&self) -> Result<Duration, ApiError> {
        self.for_ms.map_or(Ok(LOGOUT_LASTS), lasting)
    }
}

pub(super) fn show(ban: chorus_store::Ban) -> Ban {
    Ban {
        target: ban.target.to_string(),
        reason: ban.reason,
        note: ban.note,
        created_at: ban.created_at.0,
        ends_at: ban.ends_at.map(|at| at.0),
    }
}

// ---- input ----

fn one_of(player: Option<String>, address: Option<String>) -> Result<BanTarget, ApiError> {
    let bad = |text: &str, error: String| ApiError::bad(format!("{:?}: {error}", query::short(text)), "correct it");
    match (player, address) {
        (Some(player), None) => BanTarget::player(&player).map_err(|error| bad(&player, error.to_string())),
        (None, Some(address)) => address
            .parse()
            .map(BanTarget::Network)
            .map_err(|error: chorus_core::identity::BadNetwork| bad(&address, error.to_string())),
        _ => Err(ApiError::bad("a ban is of `player` or of `address`", "give one of them")),
    }
}

/// An operator's text, without white space at its ends.
fn text(name: &str, given: &str, max: usize) -> Result<String, ApiError> {
    let text = given.trim();
    match (1..=max).contains(&text.len()) && !text.chars().any(char::is_control) {
        true => Ok(text.to_owned()),
        false => Err(ApiError::bad(
            format!("`{name}` has 1 to {max} bytes of text, on one line"),
            "shorten it; it is for people",
        )),
    }
}

fn lasting(ms: u64) -> Result<Duration, ApiError> {
    match ms {
        0 => Err(ApiError::bad("`for_ms` is 0", "give a time of 1 ms or more, or leave it out")),
        ms => Ok(Duration::from_millis(ms)),
    }
}

/// The id of a token, as one segment of a path.
pub(super) fn token_id(segment: &str) -> Result<String, ApiError> {
    query::segment(segment, MAX_TOKEN_ID).ok_or_else(|| {
        let error =
            format!("{:?} is no token's id: that has 1 to {MAX_TOKEN_ID} bytes of UTF-8", query::short(segment));
        ApiError::bad(error, "use the `jti` of the token")
    })
}

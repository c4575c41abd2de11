//! What becomes of a `hello`, by its credentials and by the session that its resume token names.

use std::{borrow::Cow, sync::Arc};

use super::{Account, GuestId, Identity, Standing};
use crate::{frame::CloseCode, ids::Time, session::close_reason};

/// What a `hello` proves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Credentials {
    /// By a valid token.
    pub account: Option<Account>,
    /// By a valid guest token. One that is not valid is as none: its client becomes a new guest.
    pub guest: Option<GuestId>,
}

/// The session that a resume token names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    pub identity: Identity,
    /// Why it was kicked, by a room or by an operator.
    pub kicked: Option<String>,
}

/// What to do with a `hello`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admission {
    /// The session goes on. `account`: its player, by a token that is newer than the session's. `was`: its rooms have it as this
    /// guest.
    Resume {
        account: Option<Account>,
        was: Option<Arc<str>>,
    },
    /// A new session of this account, who was this guest before.
    OpenAccount {
        account: Account,
        was: Option<Arc<str>>,
    },
    /// A new session of this guest, or of a new one.
    OpenGuest(Option<GuestId>),
    Refuse {
        code: CloseCode,
        reason: Cow<'static, str>,
    },
}

/// Decides about a `hello`. `standing`: of the players of its credentials and of `known`, of its token and of its address.
/// `anonymous`: whether players without a token are taken in.
pub fn admit(
    credentials: Credentials,
    known: Option<&Known>,
    standing: &Standing,
    anonymous: bool,
    now: Time,
) -> Admission {
    if let Some(reason) = &standing.banned {
        return Admission::Refuse { code: CloseCode::Kicked, reason: close_reason(reason).into() };
    }
    if credentials.account.as_ref().is_some_and(|account| standing.refuses(account)) {
        return unauthorized(LOGGED_OUT);
    }
    let Some(Known { identity, kicked }) = known else { return open(credentials, anonymous) };
    if let Some(reason) = kicked {
        return Admission::Refuse { code: CloseCode::Kicked, reason: close_reason(reason).into() };
    }
    let guest = GuestId::of_player(&identity.player.id).or(credentials.guest);
    match credentials.account {
        // The welcome may have been lost, and with it perhaps what the rooms were to get, so they get it again.
        Some(account) if account.id == identity.player.id || guest_of(identity) => {
            Admission::Resume { account: Some(account), was: guest.map(GuestId::player_id) }
        }
        // The session is another player's, who used this client before.
        Some(account) => open(Credentials { account: Some(account), guest: credentials.guest }, anonymous),
        None if identity.has_expired(now) => {
            unauthorized("the token of this session has expired, and its player must sign in again")
        }
        None => Admission::Resume { account: None, was: None },
    }
}

/// For a token of before a logout.
pub const LOGGED_OUT: &str = "the token is of before a logout, and its player must sign in again";

fn guest_of(identity: &Identity) -> bool {
    GuestId::of_player(&identity.player.id).is_some()
}

fn open(Credentials { account, guest }: Credentials, anonymous: bool) -> Admission {
    match account {
        Some(account) => Admission::OpenAccount { account, was: guest.map(GuestId::player_id) },
        None if anonymous => Admission::OpenGuest(guest),
        None => unauthorized("players need a token here"),
    }
}

fn unauthorized(reason: &'static str) -> Admission {
    Admission::Refuse { code: CloseCode::Unauthorized, reason: reason.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Player;

    const NOW: Time = Time(1_000_000);
    const GUEST: GuestId = GuestId(7);

    fn account(id: &str) -> Account {
        Account { id: id.into(), name: None, claims: None, expires: NOW.plus(1), issued: Some(NOW), token_id: None }
    }

    fn by_token(id: &str) -> Credentials {
        Credentials { account: Some(account(id)), guest: None }
    }

    fn session_of(id: &str, expires: Option<Time>) -> Known {
        let player = Player { id: id.into(), name: "Ana".into() };
        Known { identity: Identity { expires, ..Identity::guest(player) }, kicked: None }
    }

    /// Nothing is known against the players.
    fn admit(credentials: Credentials, known: Option<&Known>, anonymous: bool, now: Time) -> Admission {
        super::admit(credentials, known, &Standing::default(), anonymous, now)
    }

    fn code(admission: Admission) -> Option<CloseCode> {
        match admission {
            Admission::Refuse { code, .. } => Some(code),
            _ => None,
        }
    }

    #[test]
    fn a_client_without_a_session_is_its_account_or_a_guest() {
        let open = Admission::OpenAccount { account: account("u:1"), was: None };
        assert_eq!(admit(by_token("u:1"), None, false, NOW), open);
        let as_guest = Credentials { guest: Some(GUEST), ..Credentials::default() };
        assert_eq!(admit(as_guest.clone(), None, true, NOW), Admission::OpenGuest(Some(GUEST)));
        assert_eq!(admit(Credentials::default(), None, true, NOW), Admission::OpenGuest(None));
        assert_eq!(code(admit(as_guest, None, false, NOW)), Some(CloseCode::Unauthorized));
    }

    #[test]
    fn a_session_resumes_until_its_token_ends() {
        let resume = Admission::Resume { account: None, was: None };
        let until = |expires| admit(Credentials::default(), Some(&session_of("u:1", Some(expires))), false, NOW);
        assert_eq!(until(NOW.plus(1)), resume);
        assert_eq!(code(until(NOW)), Some(CloseCode::Unauthorized));
        let guest = session_of(&GUEST.player_id(), None);
        assert_eq!(admit(Credentials::default(), Some(&guest), true, NOW), resume);
        let ended = session_of("u:1", Some(NOW));
        let renewed = Admission::Resume { account: Some(account("u:1")), was: None };
        assert_eq!(admit(by_token("u:1"), Some(&ended), false, NOW), renewed, "its new token counts");
    }

    #[test]
    fn a_guest_that_signs_in_keeps_its_session_and_another_account_does_not() {
        let guest = session_of(&GUEST.player_id(), None);
        let was = Some(GUEST.player_id());
        let upgraded = Admission::Resume { account: Some(account("u:1")), was: was.clone() };
        assert_eq!(admit(by_token("u:1"), Some(&guest), true, NOW), upgraded);

        let both = Credentials { guest: Some(GUEST), ..by_token("u:1") };
        let again = admit(both.clone(), Some(&session_of("u:1", None)), true, NOW);
        assert_eq!(again, upgraded, "the welcome was lost");
        let opened = Admission::OpenAccount { account: account("u:1"), was };
        assert_eq!(admit(both, None, true, NOW), opened, "the guest's last session has expired");

        let other = Admission::OpenAccount { account: account("u:2"), was: None };
        assert_eq!(admit(by_token("u:2"), Some(&session_of("u:1", None)), true, NOW), other);
    }

    #[test]
    fn a_session_that_was_kicked_does_not_resume_with_any_token() {
        let kicked = Known { kicked: Some("cheating".into()), ..session_of("u:1", None) };
        assert_eq!(code(admit(by_token("u:1"), Some(&kicked), true, NOW)), Some(CloseCode::Kicked));
        assert_eq!(code(admit(Credentials::default(), Some(&kicked), true, NOW)), Some(CloseCode::Kicked));
    }

    #[test]
    fn a_ban_refuses_any_hello_with_its_reason() {
        let banned = Standing { banned: Some("cheating".into()), ..Standing::default() };
        let refused = Admission::Refuse { code: CloseCode::Kicked, reason: "cheating".into() };
        let known = session_of(&GUEST.player_id(), None);
        for credentials in [Credentials::default(), by_token("u:1")] {
            for known in [None, Some(&known)] {
                assert_eq!(super::admit(credentials.clone(), known, &banned, true, NOW), refused);
            }
        }
    }

    #[test]
    fn a_token_of_before_a_logout_is_refused_and_a_later_one_is_not() {
        let refuses = |standing: &Standing, credentials: Credentials, known: Option<&Known>| {
            code(super::admit(credentials, known, standing, true, NOW)) == Some(CloseCode::Unauthorized)
        };
        let logged_out = |at| Standing { logged_out: Some(at), ..Standing::default() };
        let known = session_of(&GUEST.player_id(), None);
        for known in [None, Some(&known)] {
            assert!(refuses(&logged_out(NOW), by_token("u:1"), known));
            assert!(!refuses(&logged_out(Time(NOW.0 - 1)), by_token("u:1"), known));
            assert!(!refuses(&logged_out(NOW), Credentials::default(), known), "it has no token");
        }
    }
}

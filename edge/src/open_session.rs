//! A client's player and its session: a new session, or the one that the client's token names.

use std::{borrow::Cow, fmt::Write, sync::Arc};

use chorus_core::{
    command::{EdgeCommand, Player},
    frame::{CloseCode, Hello},
    ids::{Digest, RoomId, SessionId},
    session::{Input, Opened, close_reason},
};
use chorus_store::{SessionRow, StoreError};

use crate::{address::Address, hub::Hub, line::Line, name};

/// A close frame holds 123 bytes.
const NO_NAME: &str = "a name has 1 to 32 characters (256 bytes), one of which can be seen, and no control characters";

/// The player of a `hello`. The one place where identities come from; anonymous for now, with an id of their own that
/// stays with the session.
pub(crate) fn identify(hello: &Hello) -> Result<Player, (CloseCode, &'static str)> {
    if hello.token.is_some() {
        return Err((CloseCode::Unauthorized, "tokens are not accepted here"));
    }
    let [number] = random::<1>();
    let name = match hello.name.as_deref().map(name::of) {
        Some(Some(name)) => name,
        Some(None) => return Err((CloseCode::Unauthorized, NO_NAME)),
        None => format!("Player {}", 100 + u16::from(number)),
    };
    Ok(Player { id: hex(&random::<16>()).into(), name: name.into() })
}

/// Finds or opens the session of this `hello`, and notifies the line.
pub(crate) fn open(hub: Arc<Hub>, line: Arc<Line>, hello: Hello) {
    let work = hub.work();
    tokio::spawn(async move {
        match find_or_open(&hub, line.address, &hello).await {
            Ok(Ok(opened)) => take_over(&hub, &line, opened),
            Ok(Err((code, reason))) => line.input(&hub, Input::NotOpened { code, reason }),
            Err(error) => {
                tracing::warn!(%error, "no session could be opened");
                let reason = "this server cannot reach its store now".into();
                line.input(&hub, Input::NotOpened { code: CloseCode::Unavailable, reason });
            }
        }
        drop(work);
    });
}

/// Assigns the session to this line, and notifies the line that had it.
fn take_over(hub: &Arc<Hub>, line: &Arc<Line>, opened: Opened) {
    let session = opened.session;
    if let Some(earlier) = hub.register(session, line) {
        earlier.input(hub, Input::Replaced);
    }
    line.input(hub, Input::Opened(opened));
    if line.session().is_none() {
        hub.unregister(session, line);
    }
}

type Refused = (CloseCode, Cow<'static, str>);

async fn find_or_open(hub: &Hub, address: Address, hello: &Hello) -> Result<Result<Opened, Refused>, StoreError> {
    let resume = hex(&random::<32>());
    let edge = hub.options.id.clone();
    if let Some(token) = &hello.resume {
        let found = hub.store.resume_session(hash(token), hash(&resume), &edge).await?;
        if let Some(found) = found {
            if let Some(edge) = found.replaced {
                // Its confirmation is not awaited: if the command is lost, that edge detects the loss of the session at
                // its next write.
                drop(hub.bus.send_edge(&edge, EdgeCommand::Replaced { session: found.session }));
            }
            let (owed, recovered) = (hub.debt(found.session), Some(found.rooms));
            return Ok(Ok(Opened { session: found.session, player: found.player, resume, owed, recovered }));
        }
        if let Some(reason) = hub.store.kicked_session(hash(token)).await? {
            return Ok(Err((CloseCode::Kicked, close_reason(&reason).into())));
        }
    }
    let player = match identify(hello) {
        Ok(player) => player,
        Err((code, reason)) => return Ok(Err((code, reason.into()))),
    };
    if !hub.admits(address) {
        return Ok(Err((CloseCode::TooMany, "too many new sessions from your address: come again later".into())));
    }
    let session = SessionId(u128::from_be_bytes(random()));
    let row = SessionRow { id: session, player: player.clone(), edge, resume_hash: hash(&resume) };
    hub.store.open_session(row, RoomId::LOBBY).await?;
    Ok(Ok(Opened { session, player, resume, owed: 0, recovered: None }))
}

/// The only part of a token that is kept.
fn hash(token: &str) -> [u8; 32] {
    Digest::of(token.as_bytes()).0
}

/// # Panics
/// When the system has no randomness: no secret could be made.
fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the system gives random bytes");
    bytes
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string cannot fail");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn anyone() -> Hello {
        Hello::default()
    }

    #[test]
    fn a_name_is_seen_and_short() {
        let hello = |name: &str| {
            let mut hello = anyone();
            hello.name = Some(name.into());
            hello
        };
        for good in ["Ana", " Ana ", "Žofie 🎲", &"x".repeat(32)] {
            let player = identify(&hello(good)).expect(good);
            assert_eq!(&*player.name, good.trim());
        }
        for bad in ["", "   ", "a\nb", "\u{202e}evil", "\u{200b}", &"x".repeat(33)] {
            assert!(identify(&hello(bad)).is_err(), "{bad:?}");
        }
        assert!(identify(&anyone()).is_ok());
    }

    #[test]
    fn tokens_wait_for_their_issue() {
        let mut hello = anyone();
        hello.token = Some("secret".into());
        assert_eq!(identify(&hello).unwrap_err().0, CloseCode::Unauthorized);
    }
}

//! What operators have decided about a client: the shell of [`chorus_core::identity::Standing`].

use chorus_core::{
    frame::CloseCode,
    identity::{Account, Credentials, GuestId, Known, LOGGED_OUT, Standing},
    session::close_reason,
};
use chorus_store::{Arrival, StoreError};

use crate::{address::Address, links::Links, tokens::Refused};

/// Of a `hello`: of every player that its credentials and its session name.
pub(crate) async fn of_hello(
    links: &Links,
    credentials: &Credentials,
    known: Option<&Known>,
    address: Address,
) -> Result<Standing, StoreError> {
    let account = credentials.account.as_ref();
    let identity = known.map(|known| &known.identity);
    let players = [
        account.map(|account| account.id.clone()),
        credentials.guest.map(GuestId::player_id),
        identity.map(|identity| identity.player.id.clone()),
        identity.and_then(|identity| identity.guest.clone()),
    ];
    let arrival = Arrival {
        players: players.into_iter().flatten().collect(),
        account: account.map(|account| account.id.clone()),
        token_id: account.and_then(|account| account.token_id.clone()),
        address: address.ip(),
    };
    links.store.standing(&arrival).await
}

/// Whether a session goes on with its player's next token. While the store cannot be reached, it goes on with the present one.
pub(crate) async fn check_renewal(links: &Links, account: Account, address: Address) -> Result<Account, Refused> {
    let credentials = Credentials { account: Some(account.clone()), guest: None };
    match of_hello(links, &credentials, None, address).await {
        Ok(Standing { banned: Some(reason), .. }) => Err((CloseCode::Kicked, close_reason(&reason).into())),
        Ok(standing) if standing.refuses(&account) => Err((CloseCode::Unauthorized, LOGGED_OUT.into())),
        Ok(_) => Ok(account),
        Err(error) => {
            tracing::warn!(%error, "a token cannot be checked against the logouts");
            Err((CloseCode::Unavailable, "this server cannot reach its store now".into()))
        }
    }
}

//! The operators' API, the same as a monitor's, beside the page.

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context as _;
use chorus_bus::Bus;
use chorus_edge::Peer;
use chorus_host::{Host, guest::Engine};
use chorus_monitor::{AdminState, Hooks, Token, admin, api::Refusal};
use chorus_store::Store;
use warp::{
    Filter as _, Reply as _,
    filters::BoxedFilter,
    http::{HeaderMap, StatusCode},
    reply::{self, Response},
};

use super::{access, metrics::Metrics};
use crate::{backup, cluster, operate::local::TOKEN, secrets};

pub async fn routes(
    token_file: Option<&PathBuf>,
    data: &Path,
    bus: &Bus,
    store: &Store,
    host: &Host,
    engine: &Engine,
    metrics: &Metrics,
) -> anyhow::Result<BoxedFilter<(Response,)>> {
    let token = match secrets::operators_token(token_file)? {
        Some(token) => token.expose().parse().context("the operators' token")?,
        None => kept(&data.join(TOKEN))?,
    };
    let host = host.clone();
    let activated: chorus_monitor::Activated = Arc::new(move |_, _| {
        let host = host.clone();
        Box::pin(async move { host.refresh_kinds().await.map_err(|error| error.to_string()) })
    });
    let metrics = metrics.exposition();
    let hooks = Hooks {
        activated,
        metrics,
        locator: cluster::monitor::locator(),
        backup: Some(backup::take::hook(data.to_owned(), bus.clone(), store.clone())),
        ..Hooks::new(cluster::monitor::check(engine.clone()))
    };
    let routes = admin::routes(AdminState::new(bus.clone(), store.clone(), token, hooks));
    Ok(backups_from_elsewhere().or(routes).unify().boxed())
}

/// A backup is written to this machine's directories, with the rights of this process. So it is requested from this machine only,
/// beside the token.
fn backups_from_elsewhere() -> BoxedFilter<(Response,)> {
    let is_from_elsewhere = warp::ext::optional::<Peer>().and(warp::header::headers_cloned()).and_then(
        async |peer: Option<Peer>, headers: HeaderMap| {
            if access::is_author(peer, &headers) { Err(warp::reject::not_found()) } else { Ok(()) }
        },
    );
    let refusal = || {
        let refusal = Refusal {
            error: "a backup is requested from the server's own machine only".to_owned(),
            what_to_do: "run `chorus backup DIR` there".to_owned(),
        };
        reply::with_status(reply::json(&refusal), StatusCode::FORBIDDEN).into_response()
    };
    warp::path!("v1" / "backup").and(is_from_elsewhere).untuple_one().map(refusal).boxed()
}

/// The token of this directory, or a new one.
fn kept(path: &Path) -> anyhow::Result<Token> {
    let unreadable = || format!("{} cannot be used", path.display());
    if chorus_private::check(path)? {
        return fs::read_to_string(path).with_context(unreadable)?.trim().parse().with_context(unreadable);
    }
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("the system gives no random bytes: {error}"))?;
    let text = hex::encode(bytes);
    let mut file = chorus_private::open(OpenOptions::new().write(true).create_new(true), path)?;
    writeln!(file, "{text}").with_context(unreadable)?;
    text.parse().with_context(unreadable)
}

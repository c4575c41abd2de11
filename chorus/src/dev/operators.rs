//! The operators' API, the same as a monitor's, beside the page.

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    path::Path,
    sync::Arc,
};

use anyhow::Context as _;
use chorus_bus::Bus;
use chorus_host::{Host, guest::Engine};
use chorus_monitor::{AdminState, Hooks, Token, admin};
use chorus_store::Store;
use warp::{filters::BoxedFilter, reply::Response};

use super::{Options, metrics::Metrics};
use crate::{cluster, secrets};

/// The token of a data directory, for its owner alone.
const TOKEN: &str = "token";

pub async fn routes(
    options: &Options,
    data: &Path,
    bus: &Bus,
    store: &Store,
    host: &Host,
    engine: &Engine,
    metrics: &Metrics,
) -> anyhow::Result<BoxedFilter<(Response,)>> {
    let token = match secrets::operators_token(options.token_file.as_ref())? {
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
        ..Hooks::new(cluster::monitor::check(engine.clone()))
    };
    Ok(admin::routes(AdminState::new(bus.clone(), store.clone(), token, hooks)))
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

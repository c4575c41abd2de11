//! The operators' HTTP API.
//!
//! | route | what |
//! |---|---|
//! | `GET /healthz` | the process answers (no token) |
//! | `GET /readyz` | it can do its work: the store and the log answer, the loop turns (no token) |
//! | `GET /metrics` | metrics, as Prometheus reads them |
//! | `GET /v1/status` | all on one page: monitor, machines, partitions, kinds, problems |
//! | `GET /v1/machines` | every machine, its state and its partitions |
//! | `POST /v1/machines/{id}/drain` | it hands over and leaves |
//! | `GET /v1/rooms?kind=&status=&limit=&after=` | rooms, the latest first |
//! | `GET /v1/rooms/{id}` | one room, its partition and host |
//! | `GET /v1/rooms/{id}/state` | what its newest snapshot holds |
//! | `GET /v1/rooms/{id}/events?from=&follow=&content=` | the records of its channel, as server-sent events |
//! | `GET /v1/players?limit=&after=` | sessions that are connected or held, by player |
//! | `GET /v1/players/{id}` | one player: its ban, its sessions and their rooms |
//! | `POST /v1/players/{id}/kick` | `{reason?}`: ends its sessions; it may come again |
//! | `POST /v1/players/{id}/logout` | `{for_ms?}`: ends its sessions, and refuses its tokens of until now |
//! | `POST /v1/tokens/{id}/logout` | `{for_ms?}`: the same for the token with this `jti` |
//! | `GET /v1/bans?limit=&after=` | bans that have not ended |
//! | `POST /v1/bans` | `{player or address, reason, note?, for_ms?}`: bans a player or a network, and ends its sessions |
//! | `POST /v1/bans/lift` | `{player or address}`: lifts a ban |
//! | `GET /v1/reports?player=&limit=&after=` | what scripts have reported of players, the latest first |
//! | `GET /v1/players/{id}/export` | what the store and the snapshots of rooms hold of a player |
//! | `POST /v1/players/{id}/erase` | ends its sessions, and removes it from rooms and from the store |
//! | `GET /v1/kinds` | what each kind runs |
//! | `GET /v1/kinds/{kind}/components` | its versions |
//! | `POST /v1/kinds/{kind}/components` | publish: the body is a component; it is checked, and is not active yet |
//! | `POST /v1/kinds/{kind}/swap` | `{version?, room?}`: all of a kind's rooms run that version from now on, or one |
//! | `POST /v1/backup` | `{dir}`: copies the data directory while it is used, with server-sent events about it; one process, from its machine |
//!
//! Every answer is JSON (except metrics and events), an error is `{"error": …, "do": …}`. Requests carry the token as
//! `Authorization: Bearer …`. Players' texts are in a room's state, in its outcome, and in its events only with `content=true`;
//! they are never in a log.
//!
//! All routes need only the store and the bus, so any monitor can serve them, active or not, and `chorus dev` serves the same
//! routes ([`routes`]) beside its own.

mod answer;
mod auth;
mod backups;
mod bans;
mod body;
mod erasures;
mod events;
mod failures;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod health;
mod kinds;
mod machines;
mod metrics;
mod players;
mod query;
mod records;
mod reports;
mod rooms;
mod status;

use std::{fmt, path::PathBuf, sync::Arc};

use bytes::{Buf, Bytes};
use chorus_bus::Bus;
use chorus_core::ids::{Digest, Kind};
use chorus_store::Store;
use futures_util::{Stream, future::BoxFuture};
use tokio::sync::{Mutex, Semaphore, mpsc, watch};
use warp::{
    Filter,
    filters::BoxedFilter,
    http::{HeaderMap, Method},
    reply::Response,
};

use crate::{Status, api::BackupEvent};
use answer::{Answer, ApiError};
pub use auth::{BadToken, Token};
pub use body::MAX_BODY;
pub use events::MAX_FOLLOWERS;
pub use metrics::OPEN_METRICS;
pub use query::MAX_PAGE;
pub use records::described;

/// The resources of the API. Cheap to clone.
#[derive(Clone, Debug)]
pub struct AdminState(Arc<Api>);

/// What every route uses.
#[derive(Debug)]
struct Api {
    bus: Bus,
    store: Store,
    token: Token,
    hooks: Hooks,
    /// `None` where there is no loop: in `chorus dev`.
    monitor: Option<watch::Receiver<Status>>,
    /// A follower of a room reads its whole partition.
    followers: Arc<Semaphore>,
    /// Components are checked one at a time: compiling takes a core and hundreds of megabytes.
    checking: Semaphore,
    /// Two swaps at once would leave some rooms on one version and some on the other.
    swapping: Mutex<()>,
    /// An export or an erasure of a player reads all snapshots.
    searching: Mutex<()>,
}

/// A component that was loaded and tried successfully.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// The version of the state that it saves.
    pub state_version: u32,
}

/// Loads a component in the sandbox and tries it. The error is for its author.
pub type Check = Arc<dyn Fn(Bytes) -> BoxFuture<'static, Result<Checked, String>> + Send + Sync>;

/// Inserts the places in an author's files into a text from a component.
pub type Locate = Arc<dyn Fn(&str) -> String + Send + Sync>;

/// Reads the places of its author's files from a component.
pub type Locator = Arc<dyn Fn(&[u8]) -> Locate + Send + Sync>;

/// Is called when another component of a kind becomes active.
pub type Activated = Arc<dyn Fn(Kind, Digest) -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// Appends more metrics to those of `/metrics`, in OpenMetrics's text format without its end.
pub type Exposition = Arc<dyn Fn(&mut String) + Send + Sync>;

/// Makes a backup in a directory, and reports on it. Dropping the receiver ends it.
pub type Backup = Arc<dyn Fn(PathBuf) -> mpsc::Receiver<BackupEvent> + Send + Sync>;

/// The parts of the API that depend on the process it runs in.
#[derive(Clone)]
pub struct Hooks {
    /// Only a host can load wasm.
    pub check: Check,
    /// Called when another component of a kind becomes active, before the `Swap`s are appended: where host and monitor are one
    /// process, the host is notified at once. In a cluster hosts read the store.
    pub activated: Activated,
    /// Where edge, host and this API are one process, `/metrics` has the numbers of all of them. In a cluster each machine
    /// serves its own.
    pub metrics: Exposition,
    /// For texts of failed scripts. By default they are shown unchanged.
    pub locator: Locator,
    /// Where the log and the store are in one directory. `None`: in a cluster.
    pub backup: Option<Backup>,
}

impl Hooks {
    /// For deployments whose hosts are other processes.
    pub fn new(check: Check) -> Hooks {
        let activated: Activated = Arc::new(|_, _| Box::pin(async { Ok(()) }));
        let locator: Locator = Arc::new(|_| Arc::new(str::to_owned));
        Hooks { check, activated, metrics: Arc::new(|_| ()), locator, backup: None }
    }
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hooks").finish_non_exhaustive()
    }
}

impl AdminState {
    /// Without a monitor's loop, as in `chorus dev`.
    pub fn new(bus: Bus, store: Store, token: Token, hooks: Hooks) -> AdminState {
        AdminState(Arc::new(Api {
            bus,
            store,
            token,
            hooks,
            monitor: None,
            followers: Arc::new(Semaphore::new(MAX_FOLLOWERS)),
            checking: Semaphore::new(1),
            swapping: Mutex::new(()),
            searching: Mutex::new(()),
        }))
    }

    /// With the status of this monitor.
    pub(crate) fn with_monitor(self, status: watch::Receiver<Status>) -> AdminState {
        let api = Arc::into_inner(self.0).expect("nobody else has it yet");
        AdminState(Arc::new(Api { monitor: Some(status), ..api }))
    }
}

/// The API. Other paths are rejected as not found, so that other routes can be served beside it.
pub fn routes(state: AdminState) -> BoxedFilter<(Response,)> {
    let query = warp::query::raw().or(warp::any().map(String::new)).unify();
    warp::path::full()
        .and_then(async |path: warp::path::FullPath| match is_ours(path.as_str()) {
            true => Ok(path.as_str().to_owned()),
            false => Err(warp::reject::not_found()),
        })
        .and(warp::method())
        .and(query)
        .and(warp::header::headers_cloned())
        .and(warp::body::stream())
        .then(move |path: String, method, query, headers, body| {
            let state = state.clone();
            async move { answer(&state.0, &path, Request { method, query, headers }, body).await }
        })
        .boxed()
}

/// The API alone: answers other paths with an error.
pub(crate) fn routes_only(state: AdminState) -> BoxedFilter<(Response,)> {
    let rest = warp::path::full().map(|path: warp::path::FullPath| nothing_at(path.as_str()).into_response());
    routes(state).or(rest).unify().boxed()
}

fn is_ours(path: &str) -> bool {
    matches!(path, "/healthz" | "/readyz" | "/metrics") || path.starts_with("/v1/")
}

struct Request {
    method: Method,
    query: String,
    headers: HeaderMap,
}

async fn answer<B: Buf>(
    api: &Arc<Api>,
    path: &str,
    request: Request,
    body: impl Stream<Item = Result<B, warp::Error>> + Send,
) -> Response {
    match route(api, path, &request, body).await {
        Ok(response) => response,
        Err(error) => error.into_response(),
    }
}

/// The API on one screen.
async fn route<B: Buf>(
    api: &Arc<Api>,
    path: &str,
    Request { method, query, headers }: &Request,
    body: impl Stream<Item = Result<B, warp::Error>> + Send,
) -> Answer {
    let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let get = method == Method::GET || method == Method::HEAD;
    let post = method == Method::POST;
    // Probes have no token.
    match segments[..] {
        ["healthz"] if get => return health::healthz(),
        ["readyz"] if get => return health::readyz(api).await,
        _ => api.token.check(headers)?,
    }
    match segments[..] {
        ["metrics"] if get => metrics::metrics(api).await,
        ["v1", "status"] if get => status::status(api).await,
        ["v1", "machines"] if get => machines::list(api).await,
        ["v1", "machines", id, "drain"] if post => machines::drain(api, id).await,
        ["v1", "rooms"] if get => rooms::list(api, query::parse(query)?).await,
        ["v1", "rooms", id] if get => rooms::get(api, query::room(id)?).await,
        ["v1", "rooms", id, "state"] if get => rooms::state(api, query::room(id)?).await,
        ["v1", "rooms", id, "events"] if get => {
            events::events(api, query::room(id)?, query::parse(query)?, headers).await
        }
        ["v1", "players"] if get => players::list(api, query::parse(query)?).await,
        ["v1", "players", id] if get => players::get(api, query::player(id)?).await,
        ["v1", "players", id, "kick"] if post => {
            let order = query::json(&body::read(headers, body).await?)?;
            bans::kick(api, query::player(id)?, order).await
        }
        ["v1", "players", id, "logout"] if post => {
            let order = query::json(&body::read(headers, body).await?)?;
            bans::log_out(api, query::player(id)?, order).await
        }
        ["v1", "tokens", id, "logout"] if post => {
            let order = query::json(&body::read(headers, body).await?)?;
            bans::log_out_token(api, bans::token_id(id)?, order).await
        }
        ["v1", "bans"] if get => bans::list(api, query::parse(query)?).await,
        ["v1", "bans"] if post => bans::ban(api, query::json(&body::read(headers, body).await?)?).await,
        ["v1", "bans", "lift"] if post => bans::lift(api, query::json(&body::read(headers, body).await?)?).await,
        ["v1", "reports"] if get => reports::list(api, query::parse(query)?).await,
        ["v1", "players", id, "export"] if get => erasures::export(api, query::player(id)?).await,
        ["v1", "players", id, "erase"] if post => erasures::erase(api, query::player(id)?).await,
        ["v1", "kinds"] if get => kinds::list(api).await,
        ["v1", "kinds", kind, "components"] if get => kinds::versions(api, query::kind(kind)?).await,
        ["v1", "kinds", kind, "components"] if post => {
            kinds::publish(api, query::kind(kind)?, body::read(headers, body).await?).await
        }
        ["v1", "kinds", kind, "swap"] if post => {
            let order = query::json(&body::read(headers, body).await?)?;
            kinds::swap(api, query::kind(kind)?, order).await
        }
        ["v1", "backup"] if post => backups::backup(api, query::json(&body::read(headers, body).await?)?),
        ["healthz" | "readyz" | "metrics"]
        | ["v1", "status" | "machines" | "rooms" | "players" | "reports" | "kinds"]
        | ["v1", "rooms" | "players", _]
        | ["v1", "players", _, "export"]
        | ["v1", "rooms", _, "state" | "events"] => Err(only("GET")),
        ["v1", "bans"] | ["v1", "kinds", _, "components"] => Err(only("GET, POST")),
        ["v1", "players", _, "kick" | "logout" | "erase"]
        | ["v1", "tokens", _, "logout"]
        | ["v1", "bans", "lift"]
        | ["v1", "machines", _, "drain"]
        | ["v1", "kinds", _, "swap"]
        | ["v1", "backup"] => Err(only("POST")),
        _ => Err(nothing_at(path)),
    }
}

fn only(methods: &'static str) -> ApiError {
    ApiError::method(methods)
}

fn nothing_at(path: &str) -> ApiError {
    let path: String = path.chars().take(100).collect();
    ApiError::not_found(
        format!("there is nothing at {path}"),
        "see \"The HTTP API\" in docs/operating.md; it is at /v1/status, /v1/machines, /v1/rooms, /v1/players, /v1/bans, /v1/reports and /v1/kinds",
    )
}

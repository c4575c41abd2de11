//! `chorus dev`: edge, host and store in one process, on one data directory. For authors; `chorus serve` runs the same process in
//! production, with components that are complete ([`Rooms::Ready`]).
//!
//! ```text
//! rooms/  ─▶ builds (node) ─▶ store ─▶ host ⇄ bus ⇄ edge ⇄ players
//!              └──────────── status ──────────▶ the page, the terminal
//! ```
//! Where to start: this file starts and stops everything; `place` finds the author's rooms; `builds` makes components of them;
//! `publish` swaps them into the running rooms; `watch` detects changed sources; `status` is the state for the page and the
//! terminal; `events` streams it; `inspector` shows rooms, `again` replaces the process, both for the author alone (`access`);
//! `metrics` has the numbers of edge and host; `lan` has the addresses for phones.
//!
//! The data directory is sufficient to continue after a `kill -9`: it has the log and the store, and nothing else.

mod access;
mod again;
pub mod builds;
mod events;
mod inspector;
mod lan;
mod metrics;
mod operators;
mod place;
mod publish;
mod status;
mod watch;

use std::{
    io::IsTerminal as _,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    pin::Pin,
    time::Duration,
};

use anyhow::{Context as _, bail};
use chorus_bus::{Bus, Durability};
use chorus_core::{
    ids::{Kind, MachineId, RoomId},
    placement,
};
use chorus_edge::Edge;
use chorus_host::{Host, HostError, guest};
use chorus_store::{Registration, Role, Store};
use clap::Args;
use tokio::task::JoinHandle;
use warp::{Filter as _, filters::BoxedFilter, reply::Response};

use self::{
    again::Life,
    builds::{Builds, Built},
    inspector::Inspector,
    metrics::Metrics,
    place::{Given, Place},
    publish::Publisher,
    status::Board,
    watch::GuestWatcher,
};
use crate::{
    admission::Admission,
    data::{self, AcceptLoss, Data},
    groups::{RoomOptions, SessionOptions},
    identity::IdentityOptions,
    operate::local::{self, Announced},
    page,
    stop::{CLOSING, Stop},
    tls::{self, Tls},
    web::{self, Web, WebOptions},
};

/// Serves rooms from one process, with nothing else to install
///
/// Builds the rooms of a project, serves its page, and swaps a room's new version into its running rooms when its source changes.
/// What was acknowledged to players survives `kill -9`; see --fsync for what survives a power cut.
#[derive(Debug, Args)]
pub struct Options {
    /// The project: a folder with `rooms/` and a package.json [default: the nearest one, from here upwards]
    #[arg(long, env = "CHORUS_PROJECT", value_name = "DIR", conflicts_with = "guests")]
    project: Option<PathBuf>,
    /// The directory of the log and the store, which is created if it is missing [default: `data` in the project]
    #[arg(long, env = "CHORUS_DATA", value_name = "DIR")]
    data: Option<PathBuf>,
    #[command(flatten)]
    server: ServerOptions,
    /// Serves the game to the network too, for phones: on all addresses, which are printed with a QR code. The operators' API and
    /// the author's page are served to this machine only
    #[arg(long, env = "CHORUS_LAN", conflicts_with = "listen")]
    lan: bool,
    /// A folder of guests with a build tool of its own, build.mjs, in place of a project [default: the nearest `guests/` with one,
    /// if that is nearer than a project]
    #[arg(long, env = "CHORUS_GUESTS", value_name = "DIR")]
    guests: Option<PathBuf>,
    /// The script of the command that has started this process
    #[arg(long, env = "CHORUS_ROOMS_COMMAND", value_name = "FILE", hide = true)]
    rooms_command: Option<PathBuf>,
    /// Uses the rooms as they were last built: builds only missing ones, and does not watch for changes
    #[arg(long, env = "CHORUS_NO_WATCH")]
    no_watch: bool,
    /// Serves the guests of guests/fixtures too
    #[arg(long, env = "CHORUS_FIXTURES")]
    fixtures: bool,
    /// Players connect by TLS, with a certificate that signs itself, which browsers warn of once. For phones in the same network
    #[arg(long, env = "CHORUS_TLS_SELF_SIGNED", help_heading = "TLS", conflicts_with = "certificate")]
    tls_self_signed: bool,
}

/// The flags of a server of one process, in development and in production.
#[derive(Debug, Args)]
pub struct ServerOptions {
    #[command(flatten)]
    pub web: WebOptions,
    /// The port to serve on; 0 takes a free one
    #[arg(long, env = "CHORUS_PORT", default_value_t = 4000)]
    port: u16,
    /// The address to serve on
    #[arg(long, env = "CHORUS_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1")]
    listen: IpAddr,
    /// When a record counts as durable
    ///
    /// background: when it is in the file, synced to disk at most 100 ms later: a `kill -9` loses nothing that was
    /// acknowledged, a power cut may lose the last 100 ms. always: when it is on the disk: a power cut loses nothing
    /// that was acknowledged, and every message waits for the disk.
    #[arg(long, env = "CHORUS_FSYNC", value_name = "always|background", default_value_t)]
    fsync: Durability,
    /// The kind of the room that every session joins first. Another kind than the data directory has is refused [default:
    /// that of the data directory, or `lobby`]
    #[arg(long, env = "CHORUS_LOBBY", value_name = "KIND", value_parser = Kind::new)]
    lobby: Option<Kind>,
    #[command(flatten)]
    loss: AcceptLoss,
    /// The file with the operators' token, of 16 characters or more. The environment variable CHORUS_TOKEN has the same text in
    /// place of a file [default: `token` in the data directory, which is created]
    #[arg(long, env = "CHORUS_TOKEN_FILE", value_name = "FILE")]
    token_file: Option<PathBuf>,
    #[command(flatten)]
    admission: Admission,
    #[command(flatten)]
    identity: IdentityOptions,
    #[command(flatten)]
    tls: Tls,
    #[command(flatten)]
    rooms: RoomOptions,
    #[command(flatten)]
    sessions: SessionOptions,
}

/// The limit for sending the players away, and for storing the rooms.
const DRAIN: Duration = Duration::from_secs(5);

/// The interval at which old sessions expire and old rooms are deleted.
const HOUSEKEEPING: Duration = Duration::from_secs(60);

/// How long to wait before a store or a log that has failed is tried again.
const CLEANUP_RETRY: Duration = Duration::from_secs(1);

/// What one process serves.
#[derive(Debug)]
pub struct Plan {
    pub data: PathBuf,
    pub options: ServerOptions,
    /// `None`: the page of this binary, or in production none.
    pub web: Option<Web>,
    pub rooms: Rooms,
}

/// Where the components come from.
#[derive(Debug)]
pub enum Rooms {
    /// An author's sources.
    Author(Author),
    /// Components that are complete. Nothing is watched, and there is no page for an author.
    Ready(Vec<Built>),
}

#[derive(Debug)]
pub struct Author {
    builds: Builds,
    no_watch: bool,
    is_in_lan: bool,
    self_signed: bool,
}

pub async fn run(options: Options) -> anyhow::Result<()> {
    serve(options.plan()?).await
}

/// Serves until Ctrl-C or SIGTERM.
pub async fn serve(plan: Plan) -> anyhow::Result<()> {
    let mut stop = Stop::new(DRAIN + DRAIN + CLOSING)?;
    let mut dev = tokio::select! {
        started = Dev::start(plan) => started?,
        () = stop.requested() => return Ok(()),
    };
    let (url, data, id) = (dev.url(), dev.data.display(), std::process::id());
    println!("chorus is at {url}   (process {id}, which Ctrl-C stops; what was played is in {data})");
    if dev.watch.is_some() {
        println!("builds and logs are at {}dev", dev.url());
    }
    if dev.is_in_lan {
        let url = |address| dev.url_at(address);
        print!("{}", lan::words(&lan::addresses(), url, std::io::stdout().is_terminal()));
    }
    let served = dev.serve(&mut stop).await;
    dev.stop().await?;
    served
}

/// The lobby's kind is the one in the directory, or the requested one, or `lobby`.
async fn ensure_lobby(wanted: Option<Kind>, data: &Path, store: &Store, host: &Host) -> anyhow::Result<()> {
    let has = store.room(RoomId::LOBBY).await?.map(|row| row.kind);
    let kind = wanted.or(has).unwrap_or_else(Kind::lobby);
    match host.ensure(RoomId::LOBBY, &kind).await {
        Err(HostError::OtherKind { has, wanted, .. }) => bail!(
            "the lobby of {} is of kind {has}, and stays so: start with `--lobby {has}` or without, or give {wanted} \
             another directory by `--data`",
            data.display()
        ),
        Err(HostError::NoComponent { kind }) => bail!(
            "every session joins a room of the kind {kind} first, and there is none that builds: correct {kind}, or name another \
             kind by `--lobby KIND`, and start again"
        ),
        result => Ok(result?),
    }
}

/// Before the rooms are built, which may take a while.
fn check_port(listen: SocketAddr) -> anyhow::Result<()> {
    match std::net::TcpListener::bind(listen) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => bail!(
            "port {} is in use, maybe by another chorus: stop that one, or serve on another port by `--port N` (0 takes a free \
             one)",
            listen.port()
        ),
        Err(error) => Err(error).with_context(|| format!("{listen} cannot be served on")),
    }
}

impl Options {
    fn plan(self) -> anyhow::Result<Plan> {
        let place = self.place()?;
        let web = self.server.web.page(place.web())?;
        let data = self.data.clone().unwrap_or_else(|| place.data());
        let Options { server: mut options, lan: is_in_lan, no_watch, tls_self_signed: self_signed, .. } = self;
        if is_in_lan {
            options.listen = Ipv4Addr::UNSPECIFIED.into();
        }
        let author = Author { builds: Builds::new(place, self.fixtures), no_watch, is_in_lan, self_signed };
        Ok(Plan { data, options, web, rooms: Rooms::Author(author) })
    }

    fn place(&self) -> anyhow::Result<Place> {
        let here = std::env::current_dir().context("there is no current directory")?;
        let given = Given {
            project: self.project.as_deref(),
            guests: self.guests.as_deref(),
            command: self.rooms_command.as_deref(),
        };
        Place::find(given, &here)
    }
}

impl ServerOptions {
    fn listen(&self) -> SocketAddr {
        SocketAddr::new(self.listen, self.port)
    }
}

struct Dev {
    data: PathBuf,
    is_in_lan: bool,
    bus: Bus,
    store: Store,
    host: Host,
    failed: Pin<Box<dyn Future<Output = HostError> + Send>>,
    edge: Edge,
    /// Ends when the members of earlier processes are dropped.
    cleanup: JoinHandle<()>,
    /// Ends when all components are loaded.
    loading: JoinHandle<()>,
    /// `None`: the components are complete.
    author: Option<Author>,
    publisher: Publisher,
    watch: Option<GuestWatcher>,
    session_expiry: Duration,
    life: Life,
    /// For the operators' commands on this machine.
    announced: Announced,
}

impl Dev {
    async fn start(plan: Plan) -> anyhow::Result<Dev> {
        let Plan { data, mut options, web, rooms } = plan;
        let (life, port) = Life::begin();
        options.port = if options.port == 0 { port.unwrap_or(0) } else { options.port };
        // First, since its lock ensures that no other process uses the directory.
        let Data { dir, bus, store } = data::open(&data, options.fsync, options.loss.accept_loss).await?;
        check_port(options.listen())?;
        let board = Board::default();
        let (built, author) = match rooms {
            Rooms::Ready(built) => (built, None),
            Rooms::Author(author) => {
                (author.builds.at_start(author.no_watch || life.is_again(), &board).await?, Some(author))
            }
        };
        let is_in_lan = author.as_ref().is_some_and(|author| author.is_in_lan);
        let watched = author.as_ref().filter(|author| !author.no_watch);

        let engine = guest::Engine::new(guest::Options {
            // Always: a replay of the directory's records makes the same frames.
            show_failures: true,
            check_scripts: true,
            ..options.rooms.engine()?
        })?;
        if options.rooms.keep_log {
            store.keep_hashes().await?;
        }
        let host_options = options.rooms.host(options.loss);
        let (host, failed) = chorus_host::start(host_options, bus.clone(), store.clone(), engine.clone()).await?;
        status::follow(&host, &board);
        let mut publisher = Publisher::new(engine, store.clone(), host.clone(), board.clone());
        let mut unchanged = Vec::new();
        for component in built {
            match publisher.is_published(&component).await? {
                true => unchanged.push(component),
                false => publisher.publish(component).await?,
            }
        }
        ensure_lobby(options.lobby.clone(), &dir, &store, &host).await?;

        let metrics = Metrics::default();
        metrics.add("chorus_host", |registry| host.register(registry));
        let admin =
            operators::routes(options.token_file.as_ref(), &dir, &bus, &store, &host, publisher.engine(), &metrics)
                .await?;
        let admin = if is_in_lan { events::author_only().and(admin).boxed() } else { admin };
        // The binary's own page is one to develop with.
        let page = match (web, &author) {
            (Some(web), _) => web::routes(web),
            (None, Some(_)) => page::files(),
            (None, None) => page::client(),
        };
        let routes = admin.or(page::client()).unify().or(page).unify().boxed();
        // Without builds there is no author to inform.
        let inspector = Inspector::new(&bus, &store, &host, publisher.engine(), &life);
        let routes = match watched {
            None => routes,
            Some(_) => inspector::routes(inspector).or(events::routes(board)).unify().or(routes).unify().boxed(),
        };
        let self_signed = author.as_ref().is_some_and(|author| author.self_signed).then_some(dir.as_path());
        let (edge, dead) = open_edge(&options, self_signed, (&bus, &store), routes).await?;
        life.listens_at(edge.local_addr().port());
        let loading = tokio::spawn(publish::load(unchanged, host.clone(), publisher.board().clone()));
        let cleanup = tokio::spawn(clean_up(dead, bus.clone(), store.clone()));
        metrics.add("chorus_edge", |registry| edge.register(registry));
        let watch = watched.map(|author| GuestWatcher::start(author.builds.sources(&dir))).transpose()?;
        let session_expiry = options.sessions.expiry();
        let failed = Box::pin(failed);
        let announced = local::announce(&dir, edge.local_addr())?;
        Ok(Dev {
            data: dir,
            is_in_lan,
            bus,
            store,
            host,
            failed,
            edge,
            cleanup,
            loading,
            author,
            publisher,
            watch,
            session_expiry,
            life,
            announced,
        })
    }

    /// For this machine: a browser cannot open the address of all addresses.
    fn url(&self) -> String {
        if self.is_in_lan { self.url_at(Ipv4Addr::LOCALHOST.into()) } else { self.edge.url() }
    }

    /// For other machines, by one of this machine's addresses.
    fn url_at(&self, address: IpAddr) -> String {
        self.edge.url().replace(&Ipv4Addr::UNSPECIFIED.to_string(), &address.to_string())
    }

    /// Serves until it is stopped, or cannot continue.
    async fn serve(&mut self, stop: &mut Stop) -> anyhow::Result<()> {
        let mut housekeeping = tokio::time::interval(HOUSEKEEPING);
        if self.life.is_again() && self.watch.is_some() {
            // What was changed while no process watched.
            self.rebuild(watch::Changed::everything()).await;
        }
        loop {
            tokio::select! {
                () = stop.requested() => return Ok(()),
                error = &mut self.failed => return Err(error).context("the rooms had to stop"),
                changed = GuestWatcher::changed(&mut self.watch) => self.rebuild(changed).await,
                _ = housekeeping.tick() => self.keep_house().await,
            }
        }
    }

    /// Builds the changed guests, and swaps them into the running rooms. After a failure, the rooms continue unchanged.
    async fn rebuild(&mut self, changed: watch::Changed) {
        let Dev { author: Some(Author { builds, .. }), publisher, .. } = self else { return };
        let board = publisher.board().clone();
        let publish = async |component| {
            if let Err(error) = publisher.publish(component).await {
                tracing::error!("{}", crate::error_chain::of(&error));
            }
        };
        builds.after(&changed, &board, publish).await;
    }

    async fn keep_house(&self) {
        if let Err(error) = chorus_monitor::expire(self.session_expiry, &self.bus, &self.store).await {
            tracing::warn!(%error, "old sessions stay; trying again");
        }
        if let Err(error) = self.store.delete_ended_bans().await {
            tracing::warn!(%error, "ended bans stay in the store; trying again");
        }
        if let Err(error) = self.store.delete_ended_rooms(chorus_monitor::FORGET_AFTER).await {
            tracing::warn!(%error, "ended rooms stay listed; trying again");
        }
        if let Err(error) = chorus_monitor::trim_reports(&self.store).await {
            tracing::warn!(%error, "old reports stay; trying again");
        }
    }

    /// Sends the players away, stores the rooms, and closes the directory in good order.
    async fn stop(self) -> anyhow::Result<()> {
        drop(self.announced);
        // The next process drops the members that are left.
        self.cleanup.abort();
        let _ = self.cleanup.await;
        self.loading.abort();
        let _ = self.loading.await;
        let edge = self.edge.id().clone();
        self.edge.drain(Duration::ZERO, DRAIN).await;
        drop(self.edge);
        self.host.drain(DRAIN).await;
        self.store.close_machine(&edge).await.context("the store was not closed in good order")?;
        self.bus.close().await.context("the log was not closed in good order")?;
        self.store.close().await.context("the store was not closed in good order")
    }
}

/// `self_signed`: the data directory, which keeps the certificate.
async fn open_edge(
    options: &ServerOptions,
    self_signed: Option<&Path>,
    (bus, store): (&Bus, &Store),
    routes: BoxedFilter<(Response,)>,
) -> anyhow::Result<(Edge, Vec<MachineId>)> {
    let registered = store.register_machine(&Registration::new(Role::Edge)).await?;
    let listen = options.listen();
    let tls = match self_signed {
        Some(data) => Some(tls::self_signed(data, listen.ip())?),
        None => options.tls.files(),
    };
    let edge = options.admission.apply(chorus_edge::Options::new(registered.id, listen));
    let edge = options.identity.apply(edge, true)?;
    let edge = chorus_edge::Options { tls, ..edge };
    Ok((chorus_edge::serve(edge, bus.clone(), store.clone(), routes).await?, registered.dead))
}

/// After a `kill -9`, rooms still have the members of the dead edge. Those that reconnect meanwhile are not dropped.
async fn clean_up(dead: Vec<MachineId>, bus: Bus, store: Store) {
    for edge in dead {
        while let Err(error) = chorus_monitor::clean_up(&edge, placement::Role::Edge, &bus, &store).await {
            tracing::warn!(%edge, %error, "members of an earlier process are not dropped yet; trying again");
            tokio::time::sleep(CLEANUP_RETRY).await;
        }
    }
}

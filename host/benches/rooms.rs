//! What a room costs without sockets: `cargo bench -p chorus-host`, after `node guests/build.mjs`.
//!
//! A plain harness: each figure is the median of many single ones, so that one that was disturbed counts for one. The
//! figures of one run are to be compared with those of another on the same machine, nothing else.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use chorus_bus::{Bus, EdgeReceiver, embedded};
use chorus_core::{
    command::{EdgeCommand, Record, RoomCommand},
    effect::{CallContext, Effect, Event, MemberInfo, RoomInfo},
    frame::FrameTag,
    ids::{Digest, HashSeed, Kind, MachineId, RoomId, RoomSecret, Seed, SessionId, Time},
    json::Json,
    room::{Input, Output, Room},
};
use chorus_host::{
    Host,
    guest::{CannotLoad, Component, Engine, Instance, Options, Resources, Runner, Unavailable},
};
use chorus_store::{Durability, Store};
use chorus_testing::{
    cast::{self, ANA, BEN, kind, machine, player},
    guests::{Built, built},
};

const NOW: Time = Time(1_700_000_000_000);

fn main() {
    // One thread, as a server with one core has.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(run());
}

async fn run() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let engine = Engine::new(Options::new(dir.path().join("cache"))).expect("an engine");
    let others: Vec<String> = std::env::args().skip(1).filter(|arg| arg.ends_with(".wasm")).collect();
    if !others.is_empty() {
        return compare(&engine, &others).await;
    }
    let (echo, game) = (Published::built("bench-room"), Published::built("tic-tac-toe"));

    title("one call of a guest");
    guest_echo(&echo.load(&engine).await).await;
    let component = game.load(&engine).await;
    guest_move(&component).await;
    guest_start(&component).await;

    title("a room rebuilt: a new instance, and its records since the snapshot");
    let echoes = (0..64).map(|_| (SessionId(1), "echo", r#"{"text":"a word or two of a game"}"#.to_owned()));
    room_rebuilt(&echo, &engine, "64 echoes", &[SessionId(1)], echoes.collect()).await;
    let echoes = (0..120).map(|_| (SessionId(1), "echo", r#"{"text":"a word or two of a game"}"#.to_owned()));
    room_rebuilt(&echo, &engine, "120 echoes", &[SessionId(1)], echoes.collect()).await;
    room_rebuilt(&game, &engine, "64 messages of tic-tac-toe", &[ANA, BEN], moves(64)).await;
    room_rebuilt(&game, &engine, "120 messages of tic-tac-toe", &[ANA, BEN], moves(120)).await;

    title("one message through a room: the log, the room, the frame for the edge");
    let mut world = World::start(dir.path(), engine).await;
    world.publish(&echo).await;
    world.publish(&game).await;
    message_through_a_room(&mut world, &echo).await;
    create_to_first_frame(&mut world, &echo).await;
}

/// The same message to each of these components: what a change of the SDK or of the tools does.
async fn compare(engine: &Engine, files: &[String]) {
    for file in files {
        let wasm = std::fs::read(file).expect("a component");
        let component = engine.load(Digest::of(&wasm), &wasm).await.expect("it loads");
        title(file);
        match component.manifest().messages.contains("move") {
            true => guest_move(&component).await,
            false => guest_echo(&component).await,
        }
        guest_start(&component).await;
    }
}

// ---- figures ----

fn title(text: &str) {
    println!("{text}");
}

fn print_figure(what: &str, mut times: Vec<Duration>, more: &str) {
    times.sort();
    let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize].as_nanos() as f64 / 1e3;
    println!("  {what:<44} p50 {:>8.1} µs   p99 {:>8.1} µs   {more}", at(0.5), at(0.99));
}

// ---- the guest alone ----

async fn guest_echo(component: &Component) {
    let mut room = GuestRoom::open(component, r#"{}"#, &[SessionId(1)]).await;
    let echo = message(SessionId(1), "echo", r#"{"text":"a word or two of a game"}"#);
    let (times, fuel) = room.repeat(&echo, 20_000).await;
    print_figure("echo", times, &format!("{fuel} fuel"));
    let data = format!(r#"{{"text":"{}"}}"#, "x".repeat(4000));
    let (times, fuel) = room.repeat(&message(SessionId(1), "echo", &data), 2_000).await;
    print_figure("echo of 4 kB", times, &format!("{fuel} fuel"));
    echo_in_turn(component, &echo).await;
}

/// What a message costs in a room that is in none of the processor's caches: what counts there is how much of its memory a
/// call touches, more than how many instructions it has.
async fn echo_in_turn(component: &Component, echo: &Event) {
    let mut rooms = Vec::new();
    for _ in 0..400 {
        rooms.push(GuestRoom::open(component, r#"{}"#, &[SessionId(1)]).await);
    }
    let mut times = Vec::new();
    for _ in 0..50 {
        for room in &mut rooms {
            let began = Instant::now();
            room.handle(echo).await;
            times.push(began.elapsed());
        }
    }
    print_figure("echo, 400 rooms in turn", times, "");
}

async fn guest_move(component: &Component) {
    let seats = [ANA, BEN];
    let mut room = GuestRoom::open(component, r#"{"seats":["ana","ben"]}"#, &seats).await;
    let (mut times, mut fuels) = (Vec::new(), Vec::new());
    for _ in 0..500 {
        for cell in [0, 1, 2, 4, 3, 5, 7, 6, 8] {
            let data = format!(r#"{{"cell":{cell}}}"#);
            // The move of the player whose turn it is not is refused, which changes no state.
            for seat in seats {
                let began = Instant::now();
                let called = room.handle(&message(seat, "move", &data)).await;
                if called.0.iter().any(|effect| matches!(effect, Effect::Reply { .. })) {
                    times.push(began.elapsed());
                    fuels.push(called.1);
                    break;
                }
            }
        }
        for seat in seats {
            room.handle(&message(seat, "rematch", "null")).await;
        }
    }
    fuels.sort_unstable();
    print_figure("move in tic-tac-toe", times, &format!("{} fuel", fuels[fuels.len() / 2]));
}

async fn guest_start(component: &Component) {
    let mut times = Vec::new();
    for _ in 0..300 {
        let began = Instant::now();
        let room = GuestRoom::open(component, r#"{"seats":["ana","ben"]}"#, &[]).await;
        times.push(began.elapsed());
        drop(room);
    }
    print_figure("a new instance, opened and created", times, "");
}

/// Moves of whole games, each by the player whose turn it is.
fn moves(count: usize) -> Vec<(SessionId, &'static str, String)> {
    let turns = [ANA, BEN].into_iter().cycle().zip([0, 1, 2, 4, 3, 5, 7, 6, 8]);
    let game = turns.map(|(seat, cell)| (seat, "move", format!(r#"{{"cell":{cell}}}"#)));
    let over = [ANA, BEN].map(|seat| (seat, "rematch", "null".to_owned()));
    game.chain(over).cycle().take(count).collect()
}

/// The machine and its guest alone, without a host.
async fn room_rebuilt(
    guest: &Published,
    engine: &Engine,
    what: &str,
    members: &[SessionId],
    messages: Vec<(SessionId, &'static str, String)>,
) {
    let mut room = Room::new(RoomId(1));
    let mut runner = Runner::new(Loaded(guest.load(engine).await), RoomId(1));
    let options = serde_json::json!({ "seats": ["ana", "ben"] });
    let mut commands = vec![cast::create(guest.kind.clone(), guest.built.digest, &options)];
    commands.extend(members.iter().map(|session| cast::join(*session, &machine("edge-1"), 0)));
    for (message_id, (session, msg_type, data)) in (1..).zip(messages) {
        let (msg_type, data) = (msg_type.into(), Json::trusted(data));
        commands.push(RoomCommand::Message { session, message_id, msg_type, data });
    }
    for (offset, command) in (1..).zip(commands) {
        room.handle(Input::Record(offset, Record { room: RoomId(1), time: NOW, command }));
        carry_out(&mut room, &mut runner).await;
    }
    let mut times = Vec::new();
    for _ in 0..300 {
        let began = Instant::now();
        room.handle(Input::InstanceLost);
        carry_out(&mut room, &mut runner).await;
        times.push(began.elapsed());
    }
    print_figure(what, times, "");
}

async fn carry_out(room: &mut Room, runner: &mut Runner<Loaded>) {
    while let Some(output) = room.poll_output() {
        if let Output::Guest(call) = output {
            let outcome = runner.run(call).await.expect("an outcome");
            let fuel = runner.take_report().fuel.unwrap_or(0);
            room.handle(Input::Guest { outcome, fuel });
        }
    }
}

/// One component, for a room without a host.
struct Loaded(Component);

impl Resources for Loaded {
    async fn load(&self, _: Digest) -> Result<Component, CannotLoad> {
        Ok(self.0.clone())
    }

    async fn retry(&self, _: RoomId, _: &Unavailable) -> bool {
        false
    }
}

/// A guest, and the offset of its latest record.
struct GuestRoom {
    instance: Instance,
    offset: u64,
}

impl GuestRoom {
    async fn open(component: &Component, options: &str, sessions: &[SessionId]) -> GuestRoom {
        let context = call_context(1);
        let instance = component.instantiate(RoomId(1), &context).await.expect("an instance");
        let info = RoomInfo {
            id: RoomId(1),
            kind: Kind::lobby(),
            creator: None,
            context,
            hash_seed: HashSeed(1),
            members: Vec::new(),
            timers: Vec::new(),
            requests: Vec::new(),
            locked: false,
            rooms: None,
            restored: None,
        };
        let mut guest = GuestRoom { instance, offset: 1 };
        guest.instance.open(&info, None, false).await.expect("it opens");
        guest.handle(&Event::Create { options: Json::trusted(options) }).await;
        for session in sessions {
            let member = MemberInfo { session: *session, player: player(*session), connected: true, spectator: false };
            guest.handle(&Event::Join { member, options: Json::trusted("{}"), claims: None, from: None }).await;
        }
        guest
    }

    async fn handle(&mut self, event: &Event) -> (Vec<Effect>, u64) {
        self.offset += 1;
        let context = call_context(self.offset);
        match self.instance.handle(&context, event, None, false).await {
            Ok(called) => (called.effects, called.fuel),
            Err(error) => panic!("{event:?}: {error}"),
        }
    }

    async fn repeat(&mut self, event: &Event, times: usize) -> (Vec<Duration>, u64) {
        let mut all = Vec::with_capacity(times);
        let mut fuel = 0;
        for _ in 0..times {
            let began = Instant::now();
            fuel = self.handle(event).await.1;
            all.push(began.elapsed());
        }
        (all, fuel)
    }
}

fn call_context(offset: u64) -> CallContext {
    CallContext { now: NOW, seed: Seed::of(RoomId(1), RoomSecret(7), offset) }
}

fn message(session: SessionId, msg_type: &str, data: &str) -> Event {
    Event::Message { session, msg_type: msg_type.into(), data: Json::trusted(data) }
}

// ---- the whole host ----

/// A host on a log and a store, and the edge that its rooms send to.
struct World {
    bus: Bus,
    store: Store,
    host: Host,
    edge: MachineId,
    frames: EdgeReceiver,
}

impl World {
    async fn start(dir: &Path, engine: Engine) -> World {
        let bus = embedded::open(embedded::Options::new(dir.join("data"))).await.expect("a log");
        let store = Store::open_embedded(&dir.join("data/store.sqlite"), Durability::default()).await.expect("a store");
        let edge = machine("edge-1");
        let frames = bus.edge_channel(&edge).await.expect("a channel");
        let started = chorus_host::start(chorus_host::Options::default(), bus.clone(), store.clone(), engine).await;
        let (host, failed) = started.expect("a host");
        tokio::spawn(async move { panic!("the host failed: {}", failed.await) });
        World { bus, store, host, edge, frames }
    }

    async fn publish(&self, guest: &Published) {
        let Built { digest, wasm } = &guest.built;
        self.store.publish(&guest.kind, *digest, wasm).await.expect("it is stored");
        self.host.activate(&guest.kind, *digest).await.expect("it is activated");
    }

    fn append(&self, room: RoomId, command: RoomCommand) {
        drop(self.bus.append(&Record { room, time: NOW, command }));
    }

    fn create(&self, room: RoomId, guest: &Published) {
        self.append(room, cast::create(guest.kind.clone(), guest.built.digest, &serde_json::json!({})));
    }

    fn join(&self, room: RoomId, session: SessionId) {
        self.append(room, cast::join(session, &self.edge, 0));
    }

    /// Waits until the edge has that many frames with this tag.
    async fn frames(&mut self, tag: FrameTag, mut count: usize) {
        let mut commands = Vec::new();
        while count > 0 {
            self.frames.recv_many(&mut commands).await.expect("the edge keeps up");
            for command in commands.drain(..) {
                if let EdgeCommand::Deliver(deliveries) = &command {
                    count = count.saturating_sub(deliveries.iter().filter(|(_, frame)| frame.tag() == tag).count());
                }
            }
        }
    }
}

async fn message_through_a_room(world: &mut World, echo: &Published) {
    let rooms: Vec<RoomId> = (100..200).map(RoomId).collect();
    for room in &rooms {
        world.create(*room, echo);
        world.join(*room, SessionId(room.0));
    }
    world.frames(FrameTag::Room, rooms.len()).await;
    let mut seq = 0;
    let mut send_to = |world: &World, room: RoomId| {
        seq += 1;
        let data = Json::trusted(r#"{"text":"a word or two of a game"}"#);
        let session = SessionId(room.0);
        world.append(room, RoomCommand::Message { session, message_id: seq, msg_type: "echo".into(), data });
    };
    let mut times = Vec::new();
    for _ in 0..20_000 {
        let began = Instant::now();
        send_to(world, rooms[0]);
        world.frames(FrameTag::Reply, 1).await;
        times.push(began.elapsed());
    }
    print_figure("one at a time", times, "");
    let (began, rounds) = (Instant::now(), 200);
    for _ in 0..rounds {
        for room in &rooms {
            send_to(world, *room);
        }
        world.frames(FrameTag::Reply, rooms.len()).await;
    }
    let each = began.elapsed() / (rounds * rooms.len() as u32);
    println!("  {:<44} {:>12.1} µs each", "one to each of 100 rooms at a time", each.as_nanos() as f64 / 1e3);
}

async fn create_to_first_frame(world: &mut World, echo: &Published) {
    let mut times = Vec::new();
    for number in 0..500 {
        let room = RoomId(1_000_000 + number);
        let began = Instant::now();
        world.create(room, echo);
        world.join(room, SessionId(1));
        world.frames(FrameTag::Room, 1).await;
        times.push(began.elapsed());
    }
    print_figure("a room created, to its first frame", times, "");
}

// ---- components ----

/// A built guest, and the kind that it is published under.
struct Published {
    kind: Kind,
    built: Built,
}

impl Published {
    fn built(name: &str) -> Published {
        Published { kind: kind(name), built: built(name) }
    }

    async fn load(&self, engine: &Engine) -> Component {
        engine.load(self.built.digest, &self.built.wasm).await.expect("it loads")
    }
}

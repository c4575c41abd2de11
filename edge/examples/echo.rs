//! The edge with an echo in place of sessions, for `just conformance`.

use chorus_bus::embedded;
use chorus_edge::{Options, echo, no_routes, serve};
use chorus_store::{Durability, Registration, Role, Store};

#[tokio::main]
async fn main() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let bus = embedded::open(embedded::Options::new(dir.path())).await.expect("a bus");
    let store = Store::open_embedded(&dir.path().join("store.sqlite"), Durability::default()).await.expect("a store");
    let id = store.register_machine(&Registration::new(Role::Edge)).await.expect("registered").id;
    let listen = "127.0.0.1:0".parse().expect("an address");
    let options = Options { echo: true, ..Options::new(id, listen) };
    let edge = serve(options, bus, store, no_routes()).await.expect("an edge");
    println!("ws://{}/ws: {}", edge.local_addr(), echo::MARK);
    tokio::signal::ctrl_c().await.expect("signals");
}

//! `chorus swap`: rooms run another version from now on, with their state.

use anyhow::Context as _;
use chorus_core::ids::{Kind, RoomId};
use clap::Args;
use serde::Deserialize;
use serde_json::json;

use super::{
    client::{Asking, print, print_json},
    machine::segment,
    table::brief,
};

/// Has the rooms of a kind run another version, with their state
///
/// Each room saves its state and goes on with it; a room whose migration or first call fails stays on what it ran, and
/// its events say why. No connection closes, no message is lost.
#[derive(Debug, Args)]
pub struct Options {
    /// Whose rooms
    #[arg(value_parser = Kind::new)]
    kind: Kind,
    /// To this version [default: the newest]
    #[arg(long, value_name = "VERSION")]
    to: Option<u32>,
    /// This room alone; what new rooms run stays as it is
    #[arg(long, value_name = "ID")]
    room: Option<RoomId>,
    #[command(flatten)]
    asking: Asking,
}

#[derive(Deserialize)]
struct Swapped {
    version: u32,
    digest: String,
    rooms: u64,
}

pub async fn run(options: Options) -> anyhow::Result<()> {
    let Options { kind, to, room, asking } = options;
    let order = json!({ "version": to, "room": room.map(|room| room.to_string()) });
    let path = format!("/v1/kinds/{}/swap", segment(kind.as_str()));
    let said = asking.client()?.post(&path, order.to_string().into()).await?;
    if asking.json {
        print_json(&said);
        return Ok(());
    }
    let Swapped { version, digest, rooms } =
        serde_json::from_value(said).context("this monitor speaks of other things than this chorus")?;
    let who = match rooms {
        1 => "1 room goes".to_owned(),
        rooms => format!("{rooms} rooms go"),
    };
    print(format!("{who} over to {kind} version {version} ({})", brief(&digest)));
    Ok(())
}

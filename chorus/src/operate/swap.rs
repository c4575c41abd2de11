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
    /// Rooms that still run another version.
    rooms: u64,
    /// Rooms that already run this one.
    already: u64,
}

pub async fn run(options: Options) -> anyhow::Result<()> {
    let Options { kind, to, room, asking } = options;
    let order = json!({ "version": to, "room": room.map(|room| room.to_string()) });
    let path = format!("/v1/kinds/{}/swap", segment(kind.as_str()));
    let response = asking.client()?.post(&path, order.to_string().into()).await?;
    if asking.json {
        print_json(&response);
        return Ok(());
    }
    let swapped: Swapped = serde_json::from_value(response).context(super::UNEXPECTED)?;
    print(swapped.sentence(&kind));
    Ok(())
}

impl Swapped {
    fn sentence(&self, kind: &Kind) -> String {
        let Swapped { version, digest, rooms, already } = self;
        let target = format!("{kind} version {version} ({})", brief(digest));
        match (rooms, already) {
            (0, 0) => format!("no room is live; new ones run {target}"),
            (0, 1) => format!("nothing to swap: the room runs {target} already"),
            (0, already) => format!("nothing to swap: all {already} rooms run {target} already"),
            (rooms, 0) => format!("{} to {target}", swap_over(*rooms)),
            (rooms, 1) => format!("{} to {target}; 1 runs it already", swap_over(*rooms)),
            (rooms, already) => format!("{} to {target}; {already} run it already", swap_over(*rooms)),
        }
    }
}

fn swap_over(rooms: u64) -> String {
    match rooms {
        1 => "1 room swaps".to_owned(),
        rooms => format!("{rooms} rooms swap"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rooms_that_run_the_version_already_are_not_counted_as_swapped() {
        let chess = Kind::new("chess").expect("a kind");
        let sentence = |rooms, already| {
            let digest = "0123456789abcdef".to_owned();
            Swapped { version: 2, digest, rooms, already }.sentence(&chess)
        };
        let target = "chess version 2 (0123456789ab)";
        assert_eq!(sentence(0, 0), format!("no room is live; new ones run {target}"));
        assert_eq!(sentence(0, 1), format!("nothing to swap: the room runs {target} already"));
        assert_eq!(sentence(0, 3), format!("nothing to swap: all 3 rooms run {target} already"));
        assert_eq!(sentence(1, 0), format!("1 room swaps to {target}"));
        assert_eq!(sentence(3, 2), format!("3 rooms swap to {target}; 2 run it already"));
    }
}

//! `chorus swap`: rooms run another version from now on, with their state.

use anyhow::Context as _;
use chorus_core::ids::{Kind, RoomId};
use chorus_monitor::api::{SwapOrder, Swapped};
use clap::Args;

use super::{
    client::{MonitorArgs, parse, print, print_json, segment},
    table::brief,
};

/// Swaps the rooms of a kind to another version, with their state
///
/// Each room saves its state and continues with it; a room whose migration or first call fails keeps its version, and
/// its events have the reason. No connection closes, no message is lost.
#[derive(Debug, Args)]
pub struct Options {
    /// The kind of the rooms
    #[arg(value_parser = Kind::new)]
    kind: Kind,
    /// To this version [default: the newest]
    #[arg(long, value_name = "VERSION")]
    to: Option<u32>,
    /// This room alone; the version that new rooms run stays
    #[arg(long, value_name = "ID")]
    room: Option<RoomId>,
    #[command(flatten)]
    monitor: MonitorArgs,
}

pub async fn run(options: Options) -> anyhow::Result<()> {
    let Options { kind, to, room, monitor } = options;
    let order = SwapOrder { version: to, room: room.map(|room| room.to_string()) };
    let order = serde_json::to_vec(&order).context("an order has no text")?;
    let path = format!("/v1/kinds/{}/swap", segment(kind.as_str()));
    let response = monitor.client()?.post(&path, order.into()).await?;
    if monitor.json {
        print_json(&response);
        return Ok(());
    }
    print(sentence(&parse(response)?));
    Ok(())
}

fn sentence(Swapped { kind, version, digest, rooms, already, .. }: &Swapped) -> String {
    let target = format!("{kind} version {version} ({})", brief(digest));
    match (rooms, already) {
        (0, 0) => format!("no room is live; new ones run {target}"),
        (0, 1) => format!("nothing to swap: the room runs {target} already"),
        (0, already) => format!("nothing to swap: all {already} rooms run {target} already"),
        (rooms, 0) => format!("{} to {target}", rooms_swap(*rooms)),
        (rooms, 1) => format!("{} to {target}; 1 runs it already", rooms_swap(*rooms)),
        (rooms, already) => format!("{} to {target}; {already} run it already", rooms_swap(*rooms)),
    }
}

fn rooms_swap(rooms: u64) -> String {
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
        let sentence = |rooms, already| {
            let (kind, digest) = ("chess".to_owned(), "0123456789abcdef".to_owned());
            sentence(&Swapped { kind, version: 2, digest, active: true, rooms, already })
        };
        let target = "chess version 2 (0123456789ab)";
        assert_eq!(sentence(0, 0), format!("no room is live; new ones run {target}"));
        assert_eq!(sentence(0, 1), format!("nothing to swap: the room runs {target} already"));
        assert_eq!(sentence(0, 3), format!("nothing to swap: all 3 rooms run {target} already"));
        assert_eq!(sentence(1, 0), format!("1 room swaps to {target}"));
        assert_eq!(sentence(3, 2), format!("3 rooms swap to {target}; 2 run it already"));
    }
}

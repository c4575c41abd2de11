//! The effect of a room that loops for ever on its neighbours.

use tokio::task::JoinSet;

use super::{
    Bench, echo,
    measure::{Latencies, Window},
    player::{Party, Player},
    report::{Figure, Report},
};

/// Latencies of `rooms` rooms, first alone, then beside one that loops for ever.
pub async fn neighbour(bench: &Bench, rooms: usize) -> anyhow::Result<Report> {
    let mut figures = latencies(bench, rooms).await?.into_iter().map(|one| one.of("alone")).collect::<Vec<_>>();
    let mut looping = JoinSet::new();
    looping.spawn(loop_for_ever(Player::arrive(&bench.server).await?));
    let beside = latencies(bench, rooms).await?;
    if let Some(ended) = looping.try_join_next() {
        ended??;
    }
    figures.extend(beside.into_iter().map(|one| one.of("beside a loop")));
    Ok(Report::new("neighbour", format!("{rooms} rooms, one player in each"), figures))
}

async fn latencies(bench: &Bench, rooms: usize) -> anyhow::Result<Vec<Figure>> {
    let party = Party { kind: "bench-room", key: "neighbour".into(), size: 1, options: "{}" };
    let parties = bench.server.parties(rooms, &party).await?;
    let (window, latencies) = (Window::open(bench), Latencies::new());
    let mut players = JoinSet::new();
    for player in parties.into_iter().flatten() {
        players.spawn(echo::echo(player, window, latencies.clone()));
    }
    window.watch(bench, players, || {}).await?;
    Ok(latencies.figures())
}

/// A `later` message makes the room loop, which exhausts the fuel of a record. Then every member gets a whole view, and the
/// player sends `later` again; when the room is ended, the player is in the lobby, and enters another one.
async fn loop_for_ever(mut player: Player) -> anyhow::Result<()> {
    let party = Party { kind: "spin-forever", key: "spin".into(), size: 1, options: "{}" };
    player.wish(&party).await?;
    loop {
        let text = player.next().await?;
        if !text.starts_with(r#"{"t":"room""#) {
            continue;
        }
        if text.contains(r#""kind":"spin-forever""#) {
            player.send("later", "null").await?;
        } else {
            player.wish(&party).await?;
        }
    }
}

//! The overview, machines and metrics.

use chorus_store::Role;
use chorus_testing::metrics;
use hyper::StatusCode;

use crate::support::*;

#[tokio::test]
async fn the_status_has_all_on_one_page() {
    let world = World::start().await;
    let host = world.register(Role::Host).await;
    world.post("/v1/kinds/chess/components", GOOD).await;
    world.live_room(GAME, "chess", 1).await;
    until("the host has all partitions", async || world.good("/v1/status").await["partitions"]["hosted"] == 4).await;
    let status = world.good("/v1/status").await;
    assert_eq!(status["monitor"]["id"], world.monitor.id.to_string());
    assert_eq!((&status["monitor"]["in_charge"], &status["machines"]["host"]["alive"]), (&true.into(), &1.into()));
    assert_eq!(status["kinds"][0]["kind"], "chess");
    assert_eq!(status["kinds"][0]["rooms"]["live"], 1);
    assert_eq!(status["problems"][0], "no edge is alive: nobody can connect; start an edge");
    let machines = world.good("/v1/machines").await;
    let shown = machines["machines"].as_array().expect("a list");
    let shown = shown.iter().find(|machine| machine["id"] == host.to_string()).expect("the host");
    assert_eq!(shown["partitions"], serde_json::json!([0, 1, 2, 3]));
}

#[tokio::test]
async fn metrics_are_for_prometheus() {
    let world = World::start().await;
    world.register(Role::Edge).await;
    world.live_room(GAME, "chess", 1).await;
    let (_, page) = world.get("/metrics").await;
    let page = page.as_str().expect("text");
    for line in [
        r#"chorus_machines{role="edge",state="alive"} 1"#,
        r#"chorus_machines{role="host",state="dead"} 0"#,
        r#"chorus_rooms{kind="chess",status="live"} 1"#,
        "chorus_partitions 4",
        "chorus_store_up 1",
        "# EOF",
    ] {
        assert!(page.lines().any(|other| other == line), "{line} is not in\n{page}");
    }
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        let name = line.split(['{', ' ']).next().expect("a name");
        // A counter's sample has one word more than its name.
        let name = name.strip_suffix("_total").unwrap_or(name);
        assert!(page.contains(&format!("# TYPE {name} ")), "{line}");
    }
}

#[tokio::test]
async fn the_documentation_lists_exactly_the_metrics_that_a_monitor_has() {
    let world = World::start().await;
    let host = world.register(Role::Host).await;
    until("it has all partitions", async || world.hosts().await == vec![host.clone(); 4]).await;
    world.live_room(GAME, "chess", 1).await;
    let (_, page) = world.get("/metrics").await;
    let page = page.as_str().expect("text");
    assert_eq!(metrics::on_page(page), metrics::documented("Monitors"));
}

#[tokio::test]
async fn a_machine_is_drained_by_its_state_in_the_table() {
    let world = World::start().await;
    let host = world.register(Role::Host).await;
    let (status, body) = world.post(&format!("/v1/machines/{host}/drain"), "").await;
    assert_eq!((status, body["state"].as_str()), (StatusCode::ACCEPTED, Some("draining")));
    let machines = world.good("/v1/machines").await;
    assert!(machines.to_string().contains(r#""state":"draining""#), "{machines}");
    for nobody in ["host-99", "nobody", "%00"] {
        let (status, body) = world.post(&format!("/v1/machines/{nobody}/drain"), "").await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{body}");
    }
}

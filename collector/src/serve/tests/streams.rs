//! What is acknowledged is there once.

use std::sync::Arc;

use bellwether_logic::time::Timestamp;
use bellwether_proto::v1::{Goodbye, GoodbyeReason, Hello, Receipt, agent_message};
use tonic::Code;

use super::site::{Site, disk};

const YEAR_MS: i64 = 365 * 86_400_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_acknowledged_batch_is_visible_once_also_after_a_restart() {
    let site = Site::start().await;
    let machine = site.machine().await;
    let mut stream = site.stream(&machine, 7).await.unwrap();
    let now = site.now();
    stream.batch(3, &[disk(now, 41.25)]).await;
    assert!(stream.acknowledged().await.unwrap()[0].sequences().contains(3));
    let count = r#"SELECT count("used_percent") FROM "disk" WHERE time > now() - 1h GROUP BY "host""#;
    let once = site.query(count).await;
    assert!(once.contains(r#""host":"LHS-214""#) && once.contains(",1]"), "{once}");
    drop(stream);

    let site = site.restart().await;
    let held = vec![Receipt { generation: 7, ranges: Vec::new() }];
    let hello = Hello { generation: 8, now_unix_ms: site.now().0, held, ..Hello::default() };
    let mut stream = site.stream_with(&machine, hello).await.unwrap();
    assert!(stream.welcome.received[0].sequences().contains(3), "{:?}", stream.welcome);
    let end = site.running().app.state.cursor(crate::readers::ENGINE).unwrap();
    stream.generation = 7;
    stream.batch(3, &[disk(now, 41.25)]).await;
    assert!(stream.acknowledged().await.unwrap()[0].sequences().contains(3));
    assert!(site.query(count).await.contains(",1]"));
    assert!(site.running().app.state.cursor(crate::readers::ENGINE).unwrap() >= end);
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_a_year_behind_is_corrected_on_the_stream() {
    let site = Site::start().await;
    let machine = site.machine().await;
    let theirs = Timestamp(site.now().0 - YEAR_MS);
    let hello = Hello { generation: 1, now_unix_ms: theirs.0, interval_s: 60, ..Hello::default() };
    let mut stream = site.stream_with(&machine, hello).await.unwrap();
    assert!((stream.welcome.clock_offset_ms - YEAR_MS).abs() < 60_000, "{}", stream.welcome.clock_offset_ms);
    stream.batch(0, &[disk(theirs, 12.5)]).await;
    stream.acknowledged().await.unwrap();
    let recent = site.query(r#"SELECT "used_percent" FROM "disk" WHERE time > now() - 5m"#).await;
    assert!(recent.contains("12.5"), "{recent}");
    let state = Arc::clone(&site.running().app.state);
    // An acknowledgement does not wait for the engine; a clean stop does.
    site.stop().await;
    let device = state.device(&machine.device).unwrap().unwrap();
    assert_eq!(device.clock_offset_ms, stream.welcome.clock_offset_ms);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_stream_of_the_same_device_takes_the_place_of_the_older() {
    let site = Site::start().await;
    let machine = site.machine().await;
    let mut older = site.stream(&machine, 1).await.unwrap();
    older.batch(0, &[disk(site.now(), 10.0)]).await;
    let mut newer = site.stream(&machine, 2).await.unwrap();
    assert_eq!(older.refusal().await.code(), Code::Aborted);
    newer.batch(0, &[disk(site.now(), 11.0)]).await;
    newer.acknowledged().await.unwrap();
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_goodbye_ends_the_stream_after_the_last_acknowledgement() {
    let site = Site::start().await;
    let machine = site.machine().await;
    let mut stream = site.stream(&machine, 1).await.unwrap();
    stream.batch(0, &[disk(site.now(), 10.0)]).await;
    let goodbye = Goodbye { reason: GoodbyeReason::GoodbyeShutdown.into() };
    stream.send(agent_message::Body::Goodbye(goodbye)).await;
    assert!(stream.acknowledged().await.unwrap()[0].sequences().contains(0));
    stream.ended().await;
    site.stop().await;
}

//! The collector as a whole, over real TLS on the loopback.

mod backtest;
mod closets;
mod enrolment;
mod influx;
mod refusals;
mod replay;
mod site;
mod streams;
mod trust;
mod writers;

use site::Site;

use super::*;

fn options(data: &std::path::Path) -> Options {
    let any = Some(([127, 0, 0, 1], 0).into());
    Options { data: data.into(), http: any, grpc: any, config: None }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_collector_on_the_same_folder_is_refused_and_harms_nothing() {
    let site = Site::start().await;
    let refused = start(&options(site.data())).await.map(|_| ()).unwrap_err();
    assert!(refused.to_string().contains("another collector is running"), "{refused}");
    assert_eq!(site.get("/healthz", None).await, (200, "ok\n".into()));
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_taken_port_is_named_with_the_way_to_choose_another() {
    let folder = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let options = Options { grpc: Some(address), ..options(folder.path()) };
    let refused = start(&options).await.map(|_| ()).unwrap_err().to_string();
    assert!(refused.contains(&address.to_string()) && refused.contains("--grpc"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_folder_and_a_broken_configuration_are_refused_untouched() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("format.json"), r#"{"format":999}"#).unwrap();
    assert!(matches!(start(&options(folder.path())).await, Err(StartError::Folder(_))));
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("collector.toml"), "[network]\nhtp = 1\n").unwrap();
    assert!(matches!(start(&options(folder.path())).await, Err(StartError::Config(_))));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_admin_gets_one_link_and_one_token_at_the_first_start() {
    let site = Site::start().await;
    let welcome = site.running().welcome.clone();
    let link = welcome.first_login.clone().unwrap();
    assert_eq!(std::fs::read_to_string(&welcome.first_login_file).unwrap().trim(), link);
    let token = std::fs::read_to_string(&welcome.grafana_file).unwrap();
    let site = site.restart().await;
    assert_eq!(std::fs::read_to_string(&welcome.grafana_file).unwrap(), token);
    assert!(site.running().welcome.first_login.is_some(), "nobody has logged in yet");
    let (status, figures) = site.get("/metrics", None).await;
    assert_eq!(status, 200);
    assert!(figures.contains("bellwether_reader_position_bytes"), "{figures}");
    site.stop().await;
}

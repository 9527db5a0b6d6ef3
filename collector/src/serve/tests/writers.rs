//! What others write by InfluxDB's protocol.

use super::site::Site;
use crate::state::people::Role;

/// An API token for one who has this role.
fn token(site: &Site, name: &str, role: Role) -> String {
    let state = &site.running().app.state;
    state.add_api_token(name, role, site.now(), None).unwrap().reveal().to_owned()
}

const ALL: &str = "/query?db=telegraf&epoch=s&q=SELECT+usage_idle+FROM+cpu";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn telegraf_makes_its_database_and_what_it_writes_is_there_after_a_restart() {
    let site = Site::start().await;
    let secret = token(&site, "telegraf", Role::Admin);
    let ask = async |site: &Site, method: &str, path: &str, body: &str| {
        site.request_with(method, path, Some(&secret), body).await
    };
    let unknown = ask(&site, "POST", "/write?db=telegraf", "cpu usage_idle=1 1").await;
    assert_eq!(unknown, (404, "{\"error\":\"database not found: \\\"telegraf\\\"\"}\n".into()));
    assert_eq!(ask(&site, "POST", "/query?q=CREATE+DATABASE+telegraf", "").await.0, 200);
    let lines = "cpu,host=web usage_idle=97.5 1700000000\ncpu,host=web usage_idle=98 1700000060";
    assert_eq!(ask(&site, "POST", "/write?db=telegraf&precision=s", lines).await, (204, String::new()));
    let (_, before) = ask(&site, "GET", ALL, "").await;
    assert!(before.contains("[[1700000000,97.5],[1700000060,98]]"), "{before}");
    let site = site.restart().await;
    assert_eq!(ask(&site, "GET", ALL, "").await.1, before);
    assert_eq!(ask(&site, "POST", "/query?db=telegraf&q=DROP+MEASUREMENT+cpu", "").await.0, 200);
    let site = site.restart().await;
    assert_eq!(ask(&site, "GET", ALL, "").await.1, "{\"results\":[{\"statement_id\":0}]}\n");
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_writes_as_a_device_and_who_may_only_look_writes_nothing() {
    let site = Site::start().await;
    let (admin, viewer) = (token(&site, "admin", Role::Admin), token(&site, "viewer", Role::Viewer));
    let write = async |secret: &str, path: &str| site.request_with("POST", path, Some(secret), "cpu v=1 1").await.0;
    assert_eq!(write(&admin, "/write?db=bellwether").await, 403);
    assert_eq!(write(&admin, "/api/v2/write?bucket=bellwether").await, 403);
    assert_eq!(write(&viewer, "/write?db=telegraf").await, 403);
    for statement in ["DROP+DATABASE+bellwether", "DROP+RETENTION+POLICY+autogen+ON+bellwether", "DELETE+FROM+cpu"] {
        let path = format!("/query?db=bellwether&q={statement}");
        let (status, body) = site.request_with("POST", &path, Some(&admin), "").await;
        assert!(status == 200 && body.contains("written by its owner alone"), "{body}");
    }
    let (_, body) = site.request_with("POST", "/query?q=CREATE+DATABASE+x", Some(&viewer), "").await;
    assert!(body.contains("not allowed to write"), "{body}");
    site.stop().await;
}

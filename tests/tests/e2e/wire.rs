//! What a broken or hostile agent sends: refused with a sentence, the collector goes on.

use bellwether_logic::batch::{BatchId, Lane};
use bellwether_logic::sample::{Sample, Value};
use bellwether_proto::MAX_MESSAGE_BYTES;
use bellwether_proto::batch::encode_alone;
use bellwether_proto::v1::{AgentMessage, Batch, Hello, agent_message, collector_message};
use bellwether_tests::collector::Collector;
use bellwether_tests::firehose::{Sender, numbered};

use super::{NO_OWN_AGENT, SOON};

async fn sender(collector: &Collector) -> Sender {
    let token = collector.enrol_token("Lincoln High", 1);
    let folder = collector.room().join("sender");
    Sender::enrol(&folder, &collector.grpc.to_string(), &token, "PC-1").await.unwrap()
}

fn batch(batch: Batch) -> AgentMessage {
    AgentMessage { body: Some(agent_message::Body::Batch(batch)) }
}

/// Sends one message and answers with the sentence by which the collector ends the stream.
fn refusal(collector: &Collector, message: AgentMessage) -> String {
    runtime().block_on(async {
        let mut sender = sender(collector).await;
        let mut line = sender.connect().await.unwrap();
        line.send(message).await.unwrap();
        line.receive().await.unwrap_err()
    })
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

#[test]
fn an_oversized_message_is_refused_by_its_size() {
    let mut collector = Collector::start(NO_OWN_AGENT);
    let huge = Batch { strings: vec!["x".repeat(MAX_MESSAGE_BYTES)], ..Batch::default() };
    let said = refusal(&collector, batch(huge));
    assert!(said.contains("refused") && said.contains(&MAX_MESSAGE_BYTES.to_string()), "{said}");
    let _ = collector.program().wait_for_line("refused", SOON);
    assert_eq!(collector.client().get("/healthz", None).unwrap().status, 200);
}

#[test]
fn a_batch_that_uses_a_series_which_it_never_defined_is_refused() {
    let mut collector = Collector::start(NO_OWN_AGENT);
    let unknown = Batch { rows: vec![77], times: vec![0], values: vec![1], ..Batch::default() };
    let said = refusal(&collector, batch(unknown));
    assert!(said.contains("refused"), "{said}");
    let _ = collector.program().wait_for_line("refused", SOON);
}

#[test]
fn a_message_of_a_kind_that_only_a_newer_agent_knows_is_passed_over() {
    let collector = Collector::start(NO_OWN_AGENT);
    runtime().block_on(async {
        let mut sender = sender(&collector).await;
        let mut line = sender.connect().await.unwrap();
        line.send(AgentMessage { body: None }).await.unwrap();
        sender.pour(&mut line, 1, numbered).await.unwrap();
    });
}

#[test]
fn a_second_hello_is_refused() {
    let collector = Collector::start(NO_OWN_AGENT);
    let said = refusal(&collector, AgentMessage { body: Some(agent_message::Body::Hello(Hello::default())) });
    assert!(said.contains("a second Hello"), "{said}");
}

#[test]
fn what_no_agent_may_say_is_left_out_and_the_rest_of_the_batch_is_kept() {
    let collector = Collector::start(NO_OWN_AGENT);
    let device = runtime().block_on(async {
        let mut sender = sender(&collector).await;
        let mut line = sender.connect().await.unwrap();
        let foreign = |measurement: &'static str, field: &'static str| Sample {
            measurement: measurement.into(),
            fields: vec![(field.into(), Value::Text("a person's name".to_owned()))],
            ..numbered(0).remove(0)
        };
        let mut samples = vec![foreign("people", "name"), foreign("system", "user"), foreign("system", "uptime")];
        samples.extend(numbered(7));
        let id = BatchId { generation: sender.generation(), sequence: 0 };
        line.send(batch(encode_alone(id, Lane::Live, &samples))).await.unwrap();
        let answer = line.receive().await.unwrap();
        assert!(matches!(answer, collector_message::Body::Ack(_)), "{answer:?}");
        sender.device_id
    });
    let token = collector.grafana_token();
    let points = collector.client().points(&token, r#"SELECT last("uptime") FROM "system""#).unwrap();
    assert_eq!(points.len(), 1, "acknowledged is visible: {points:?}");
    assert_eq!(points[0].value, 7, "{device}");
    let names = collector.client().query(&token, "SHOW MEASUREMENTS").unwrap().to_string();
    assert!(!names.contains("people"), "{names}");
    let fields = collector.client().query(&token, r#"SHOW FIELD KEYS FROM "system""#).unwrap().to_string();
    assert!(!fields.contains("user"), "{fields}");
}

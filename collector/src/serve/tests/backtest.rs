//! A back-test of what a running collector has stored comes to the tickets that it opened.

use bellwether_logic::sample::{Sample, Value};
use bellwether_logic::tickets::Ticket;
use bellwether_logic::time::Timestamp;
use bellwether_proto::record::v1::{Comment, Record, TicketActed, record, ticket_acted};

use super::site::Site;
use crate::backtest::{self, Question, School};
use crate::rules;
use crate::state::tickets::TicketFilter;

const MINUTE: i64 = 60_000;

fn reading(
    at: Timestamp,
    measurement: &'static str,
    tag: (&'static str, &str),
    field: (&'static str, Value),
) -> Sample {
    Sample {
        measurement: measurement.into(),
        tags: vec![(tag.0.into(), tag.1.into())],
        target: String::new(),
        time: at,
        fields: vec![(field.0.into(), field.1)],
    }
}

/// What a machine says in one minute: one disk fills and is emptied, another stays full, a fan stops, a RAID loses a member.
fn minute(at: Timestamp, minute: i64) -> Vec<Sample> {
    let used = |path, percent| reading(at, "disk", ("path", path), ("used_percent", Value::Float(percent)));
    let mut said = vec![
        used("/", if minute < 20 { 99.0 } else { 40.0 }),
        used("/data", if minute < 5 { 40.0 } else { 96.0 }),
        reading(at, "fan", ("fan", "cpu"), ("alarm", Value::Boolean(minute >= 10))),
    ];
    if minute % 10 == 0 {
        let missing = Value::Integer(i64::from(minute >= 20));
        let mut raid = reading(at, "raid", ("array", "md0"), ("degraded", missing));
        raid.tags.push(("level".into(), "raid1".into()));
        said.push(raid);
    }
    said
}

/// What a line says, apart from when the collector came to it.
fn lines<'tickets>(tickets: impl Iterator<Item = &'tickets Ticket>) -> Vec<String> {
    let lines = tickets.flat_map(|ticket| ticket.lines.iter().map(move |line| (ticket, line)));
    let mut told: Vec<String> = lines
        .map(|(ticket, line)| {
            let (fault, over) = (&line.fault, line.ended_at.is_some());
            format!("{} {fault:?} {} {:?} {:?} {over}", ticket.device, line.title, line.since, line.opening)
        })
        .collect();
    told.sort();
    told
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_back_test_of_what_arrived_in_time_opens_the_tickets_that_were_opened_live() {
    let site = Site::start_with("[engine]\nfirst_sight = \"0s\"\n").await;
    let machine = site.machine().await;
    let mut stream = site.stream(&machine, 1).await.unwrap();
    let begin = site.now().0 - 60 * MINUTE;
    for (sequence, at) in (0..45_i64).enumerate() {
        stream.batch(sequence as u64, &minute(Timestamp(begin + at * MINUTE), at)).await;
        stream.acknowledged().await.unwrap();
    }
    let app = &site.running().app;
    // Once this is applied, everything before it is.
    let comment = ticket_acted::Action::Comment(Comment { text: "Seen.".into() });
    let acted = TicketActed { ticket: 1, actor: "rivera".into(), action: Some(comment) };
    app.clicks.submit(Record { body: Some(record::Body::Ticket(acted)) }).await.unwrap();
    let rows = app.state.tickets(&TicketFilter::default(), 100, 0).unwrap();
    let live: Vec<Ticket> = rows.iter().map(|row| app.state.ticket(row.number).unwrap().unwrap()).collect();
    let live = lines(live.iter());
    assert!(live.len() >= 4, "{live:#?}");

    let since = Timestamp(begin - 60 * MINUTE);
    let question = Question {
        rules: rules::load(&site.rules()).unwrap().rules,
        settings: app.config.engine,
        since,
        until: Timestamp(begin + 50 * MINUTE),
        single_from: since,
    };
    let school = School::read(&app.state, since).unwrap();
    let mut slices = 0;
    let played = backtest::play(&site.running().series, school, question, |_| slices += 1).unwrap();
    assert_eq!(lines(played.tickets()), live);
    assert_eq!(slices, 2, "an hour each");
    let report = played.finish();
    let said = backtest::tell(&report, false);
    assert!(said.contains("disk.full.server") && said.contains("Lincoln High"), "{said}");
}

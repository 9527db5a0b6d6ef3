//! Stories of requests and answers on a clock that only moves when it is told to.

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn address(number: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, number])
}

fn ask(number: u8, count: u32) -> Ask {
    let to = SocketAddr::new(address(number), 0);
    Ask { to, count, apart: Duration::from_millis(200), timeout: SECOND, hops: None }
}

fn asks() -> Asks {
    let mut asks = Asks::new(7);
    asks.set_room(Family::V4, 64);
    asks
}

fn sent(asks: &mut Asks, now: Instant) -> Vec<Departure> {
    asks.handle_time(now);
    std::iter::from_fn(|| asks.poll_send(now)).collect()
}

fn answer(asks: &mut Asks, departure: &Departure, at: Instant) {
    asks.handle_reply(departure.to.ip(), departure.sequence, departure.token, at);
}

#[test]
fn a_target_is_asked_one_step_after_the_other_and_done_with_the_last_answer() {
    let start = Instant::now();
    let mut asks = asks();
    asks.begin(5, ask(1, 2), start);
    let first = sent(&mut asks, start);
    assert_eq!(first.len(), 1);
    answer(&mut asks, &first[0], start + Duration::from_millis(3));
    assert_eq!(asks.poll_done(), None);
    let later = start + Duration::from_millis(200);
    assert_eq!(asks.poll_wake(), Some(later));
    let second = sent(&mut asks, later);
    assert_ne!(second[0].token, first[0].token);
    answer(&mut asks, &second[0], later + Duration::from_millis(5));
    let (key, outcome) = asks.poll_done().unwrap();
    assert_eq!((key, outcome.trips_ms.len(), outcome.not_sent), (5, 2, 0));
    assert!((outcome.trips_ms[0] - 3.0).abs() < 0.01 && (outcome.trips_ms[1] - 5.0).abs() < 0.01);
    assert!(asks.is_idle());
}

#[test]
fn silence_is_lost_when_its_time_is_over() {
    let start = Instant::now();
    let mut asks = asks();
    asks.begin(1, ask(1, 1), start);
    let departure = sent(&mut asks, start)[0];
    assert_eq!(asks.poll_wake(), Some(start + SECOND));
    asks.handle_time(start + SECOND);
    let (_, outcome) = asks.poll_done().unwrap();
    assert!(outcome.trips_ms.len() == 1 && outcome.trips_ms[0].is_nan());
    answer(&mut asks, &departure, start + SECOND * 2);
    assert_eq!((asks.strays(), asks.is_idle()), (1, true), "a late answer is nobody's");
}

#[test]
fn an_answer_that_arrived_in_time_counts_even_if_it_is_looked_at_late() {
    let start = Instant::now();
    let mut asks = asks();
    asks.begin(1, ask(1, 1), start);
    let departure = sent(&mut asks, start)[0];
    // The engine hands over what is there before it lets the time pass.
    answer(&mut asks, &departure, start + Duration::from_millis(20));
    asks.handle_time(start + SECOND * 9);
    assert!((asks.poll_done().unwrap().1.trips_ms[0] - 20.0).abs() < 0.01);
}

#[test]
fn foreign_forged_and_second_answers_count_for_nobody() {
    let start = Instant::now();
    let mut asks = asks();
    asks.begin(1, ask(1, 1), start);
    let departure = sent(&mut asks, start)[0];
    let Departure { sequence, token, .. } = departure;
    asks.handle_reply(address(2), sequence, token, start);
    asks.handle_reply(address(1), sequence, token ^ 1, start);
    asks.handle_reply(address(1), sequence.wrapping_add(1), token, start);
    asks.handle_refused(Refusal::Unreachable, address(9), address(2), sequence);
    assert_eq!((asks.strays(), asks.poll_done()), (4, None));
    answer(&mut asks, &departure, start);
    answer(&mut asks, &departure, start);
    assert_eq!(asks.strays(), 5);
    assert!(asks.poll_done().is_some() && asks.poll_done().is_none());
}

#[test]
fn a_routers_refusal_ends_the_wait() {
    let start = Instant::now();
    let mut asks = asks();
    asks.begin(1, ask(1, 1), start);
    let departure = sent(&mut asks, start)[0];
    asks.handle_refused(Refusal::Expired, address(9), address(1), departure.sequence);
    let (_, outcome) = asks.poll_done().unwrap();
    assert_eq!(outcome.refused, Some((Refusal::Expired, address(9))));
    assert!(outcome.trips_ms[0].is_nan());
}

#[test]
fn two_names_of_one_address_do_not_take_each_others_answers() {
    let start = Instant::now();
    let mut asks = asks();
    asks.begin(1, ask(1, 1), start);
    asks.begin(2, ask(1, 1), start);
    let departures = sent(&mut asks, start);
    answer(&mut asks, &departures[1], start + Duration::from_millis(1));
    assert_eq!(asks.poll_done().map(|(key, _)| key), Some(2));
    answer(&mut asks, &departures[0], start + Duration::from_millis(9));
    assert_eq!(asks.poll_done().map(|(key, _)| key), Some(1));
}

#[test]
fn what_the_system_does_not_take_is_not_lost_but_not_sent() {
    let start = Instant::now();
    let mut asks = asks();
    asks.begin(1, ask(1, 2), start);
    let first = sent(&mut asks, start)[0];
    asks.handle_not_sent(&first);
    let second = sent(&mut asks, start + Duration::from_millis(200))[0];
    answer(&mut asks, &second, start + Duration::from_millis(201));
    let (_, outcome) = asks.poll_done().unwrap();
    assert_eq!((outcome.trips_ms.len(), outcome.not_sent), (1, 1));
}

#[test]
fn a_closet_is_paced_and_never_more_under_way_than_fit() {
    let start = Instant::now();
    let mut asks = asks();
    for number in 0..200 {
        asks.begin(u64::from(number), ask(number, 1), start);
    }
    assert_eq!(sent(&mut asks, start).len(), BURST as usize, "one burst");
    assert_eq!(sent(&mut asks, start).len(), 0, "and no other at once");
    let second = sent(&mut asks, start + BURST_APART);
    assert_eq!(second.len(), BURST as usize);
    let full = start + BURST_APART * 2;
    assert_eq!(sent(&mut asks, full).len(), 0, "64 are under way");
    assert_eq!(asks.poll_wake(), Some(start + SECOND), "so the next thing is an answer or its absence");
    answer(&mut asks, &second[0], full);
    assert_eq!(sent(&mut asks, full).len(), 1);
}

#[test]
fn sequences_go_round_and_pass_over_what_is_under_way() {
    let start = Instant::now();
    let mut asks = Asks::new(0xffff << 48);
    asks.set_room(Family::V4, 1_024);
    let slow = Ask { timeout: SECOND * 30, ..ask(1, 1) };
    asks.begin(1_000_000, slow, start);
    let kept = sent(&mut asks, start)[0];
    assert_eq!(kept.sequence, 0xffff);
    let mut now = start;
    for key in 0..70_000 {
        asks.begin(key, ask(2, 1), now);
        let mut departures = sent(&mut asks, now);
        if departures.is_empty() {
            now += BURST_APART;
            departures = sent(&mut asks, now);
        }
        assert_ne!(departures[0].sequence, kept.sequence);
        answer(&mut asks, &departures[0], now);
        assert!(asks.poll_done().is_some());
    }
    answer(&mut asks, &kept, now);
    assert_eq!(asks.poll_done().map(|(key, _)| key), Some(1_000_000));
}

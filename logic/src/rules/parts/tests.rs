//! Several readings make one fault: together or any of them, each with its own beginning and end, and none that is old.

use super::*;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use proptest::prelude::*;

const MINUTE: i64 = 60_000;
const INTERVAL: Duration = Duration::from_secs(60);

fn parts(text: &str) -> Parts {
    toml::from_str(text).unwrap()
}

/// A fan that stands, of a thing that is warm.
fn standing_and_warm() -> Parts {
    parts(
        r#"
by = ["fan"]
evidence = ["{rpm:whole} turns", "{temp:celsius}"]
[[part]]
measurement = "fan"
open = [{ field = "rpm", below = 1 }]
clear = [{ field = "rpm", above = 100 }]
[[part]]
measurement = "temp"
open = [{ field = "temp", above = 80 }]
clear = [{ field = "temp", below = 70 }]
for = "2m"
"#,
    )
}

fn sample(minute: i64, measurement: &'static str, field: &'static str, value: f64) -> Sample {
    Sample {
        measurement: measurement.into(),
        tags: vec![("fan".into(), "1".to_string())],
        target: String::new(),
        time: Timestamp((minute + 1) * MINUTE),
        fields: vec![(field.into(), Value::Float(value))],
    }
}

/// Feeds samples one after the other; says what the whole said after each.
struct Played {
    parts: Parts,
    join: Join,
    track: Option<Track>,
}

impl Played {
    fn new(parts: Parts, join: Join) -> Self {
        Self { parts, join, track: None }
    }

    fn say(&mut self, sample: &Sample) -> Option<f64> {
        let track = &mut self.track;
        let measured = self.parts.measure(self.join, sample, INTERVAL, |make| {
            if make { Some(track.get_or_insert_default()) } else { track.as_mut() }
        })?;
        super::super::compare::number(field(&measured, HOLDS)?)
    }

    fn fan(&mut self, minute: i64, rpm: f64) -> Option<f64> {
        self.say(&sample(minute, "fan", "rpm", rpm))
    }

    fn temp(&mut self, minute: i64, temp: f64) -> Option<f64> {
        self.say(&sample(minute, "temp", "temp", temp))
    }
}

#[test]
fn all_of_holds_once_every_part_has_for_its_own_time() {
    let mut played = Played::new(standing_and_warm(), Join::All);
    assert_eq!(played.fan(0, 2_000.0), None, "what is good is not remembered");
    assert!(played.track.is_none());
    assert_eq!(played.fan(1, 0.0), None, "the other is not known");
    assert_eq!(played.temp(1, 85.0), Some(0.5), "it has to be warm for two minutes");
    assert_eq!(played.fan(2, 0.0), Some(0.5));
    assert_eq!(played.temp(3, 85.0), Some(1.0));
    assert_eq!(played.temp(4, 75.0), Some(1.0), "between its two limits it goes on");
    assert_eq!(played.temp(5, 60.0), Some(0.0));
}

#[test]
fn what_was_last_read_long_ago_neither_opens_nor_ends_anything() {
    let mut played = Played::new(standing_and_warm(), Join::All);
    assert_eq!(played.temp(0, 85.0), None);
    assert_eq!(played.temp(2, 85.0), None);
    assert_eq!(played.fan(6, 0.0), None, "it was warm four intervals ago");
    assert_eq!(played.temp(7, 85.0), Some(1.0));
    assert_eq!(played.fan(30, 0.0), None);

    let mut played = Played::new(standing_and_warm(), Join::Any);
    assert_eq!(played.fan(0, 0.0), Some(1.0));
    assert_eq!(played.fan(1, 2_000.0), Some(0.0), "nobody ever said how warm it is");
    assert_eq!(played.temp(2, 40.0), Some(0.0));
    assert_eq!(played.temp(9, 40.0), None, "that it turns was known eight minutes ago");
}

#[test]
fn any_of_holds_with_one_part_and_ends_with_all() {
    let mut played = Played::new(standing_and_warm(), Join::Any);
    assert_eq!(played.temp(0, 85.0), None);
    assert_eq!(played.temp(2, 85.0), Some(1.0));
    assert_eq!(played.fan(2, 0.0), Some(1.0));
    assert_eq!(played.temp(3, 50.0), Some(1.0), "it still stands");
    assert_eq!(played.fan(4, 500.0), Some(0.0));
}

#[test]
fn only_parts_that_hold_are_told() {
    let parts = standing_and_warm();
    let mut track = Track::default();
    let fan = sample(0, "fan", "rpm", 0.0);
    let measured = parts.measure(Join::Any, &fan, INTERVAL, |_| Some(&mut track)).unwrap();
    assert_eq!(parts.threshold.readings_of(&measured), ["0 turns"]);
    assert_eq!(parts.threshold.verdict(&measured), Verdict::Open);
    assert_eq!(parts.threshold.subject(&measured), [("fan".to_string(), "1".to_string())]);
}

#[test]
fn old_samples_move_nothing() {
    let mut played = Played::new(standing_and_warm(), Join::Any);
    assert_eq!(played.fan(5, 0.0), Some(1.0));
    assert_eq!(played.fan(4, 2_000.0), Some(1.0));
}

#[test]
fn it_is_written_as_it_is_read() {
    let parts = standing_and_warm();
    let check = super::super::Check::AllOf(Box::new(parts));
    let text = serde_json::to_string(&check).unwrap();
    assert_eq!(serde_json::from_str::<super::super::Check>(&text).unwrap(), check);
    let mut played = Played::new(standing_and_warm(), Join::Any);
    played.fan(0, 0.0);
    let text = serde_json::to_string(&played.track).unwrap();
    assert_eq!(serde_json::from_str::<Option<Track>>(&text).unwrap(), played.track);
}

#[test]
fn parts_that_make_no_sense_are_refused() {
    let flaw = |old: &str, new: &str| {
        let text = r#"
evidence = []
for = "1m"
[[part]]
measurement = "fan"
open = [{ field = "rpm", below = 1 }]
clear = [{ field = "rpm", above = 100 }]
[[part]]
measurement = "temp"
open = [{ field = "temp", above = 80 }]
clear = [{ field = "temp", below = 70 }]
"#;
        assert!(text.contains(old));
        parts(&text.replace(old, new)).find_flaw().map(|flaw| (flaw.key, flaw.expected))
    };
    assert_eq!(flaw("1m", "1m"), None);
    assert_eq!(flaw("below = 70", "below = 90").unwrap().0, "clear");
    assert_eq!(flaw("measurement = \"temp\"", "measurement = \"\"").unwrap().0, "measurement");
    assert_eq!(flaw("\"1m\"", "\"0s school\"").unwrap().0, "for");
    let one = parts(
        "evidence = []\n[[part]]\nmeasurement = \"a\"\nopen = [{ field = \"x\", is = 1 }]\nclear = [{ field = \"x\", is = 0 }]",
    );
    assert_eq!(one.find_flaw().unwrap().expected, "2 to 8 parts; one alone is a threshold");
    let unknown = toml::from_str::<Parts>("evidence = []\npart = []\nparts = 1").unwrap_err();
    assert!(unknown.message().contains("unknown field `parts`"), "{unknown}");
}

/// What a part said last, and when; far simpler than the thing itself.
fn expected(join: Join, last: &BTreeMap<&str, (i64, bool)>, now: i64) -> Option<f64> {
    let said: Vec<Option<bool>> = ["fan", "temp"]
        .iter()
        .map(|name| last.get(name).filter(|(at, _)| now - at <= 3).map(|(_, bad)| *bad))
        .collect();
    let settles = join == Join::Any;
    let never = ["fan", "temp"].iter().filter(|name| !last.contains_key(**name)).count();
    let unknown = said.iter().filter(|said| said.is_none()).count() - if settles { never } else { 0 };
    if said.contains(&Some(settles)) {
        Some(f64::from(u8::from(settles)))
    } else if unknown > 0 {
        None
    } else {
        Some(f64::from(u8::from(!settles)))
    }
}

proptest! {
    #[test]
    fn agrees_with_what_was_said_last(
        any in any::<bool>(),
        steps in prop::collection::vec((1i64..6, any::<bool>(), any::<bool>()), 1..60),
    ) {
        let join = if any { Join::Any } else { Join::All };
        let mut parts = standing_and_warm();
        parts.part[1].r#for = Span::default();
        let mut played = Played::new(parts, join);
        let (mut now, mut last, mut begun) = (0, BTreeMap::new(), false);
        for (pause, is_fan, bad) in steps {
            now += pause;
            let found = match (is_fan, bad) {
                (true, true) => played.fan(now, 0.0),
                (true, false) => played.fan(now, 1_000.0),
                (false, true) => played.temp(now, 90.0),
                (false, false) => played.temp(now, 20.0),
            };
            begun |= bad;
            if begun {
                last.insert(if is_fan { "fan" } else { "temp" }, (now, bad));
            }
            let wanted = if begun { expected(join, &last, now) } else { None };
            prop_assert_eq!(found, wanted);
        }
    }
}

//! Samples as points of the series store: the identity tags are put on here, and nowhere else.

use std::borrow::Cow;
use std::collections::HashMap;

use bellwether_logic::sample::{Sample, Value};
use bellwether_proto::record::v1::{Identity, Target};
use bellwether_series::{FieldValue, Point};

/// The database that all of Bellwether's own series are in.
pub const DATABASE: &str = "bellwether";

/// The tag that names what a probe looked at.
const TARGET: &str = "target_id";

const NANOS_PER_MILLI: i64 = 1_000_000;

/// The tag that says where a watched device was asked.
const AGENT_HOST: &str = "agent_host";

/// The samples of one batch as points: of the agent's own device, and of the devices among its targets.
#[must_use]
pub fn of<'a>(identity: &'a Identity, targets: &'a [Target], samples: &'a [Sample]) -> Vec<Point<'a>> {
    let by_id: HashMap<&str, &Target> = targets.iter().filter_map(|target| Some((id(target)?, target))).collect();
    let point = |sample: &'a Sample| {
        let target = if sample.target.is_empty() { None } else { by_id.get(sample.target.as_str()).copied() };
        match target.and_then(|target| Some((target.identity.as_ref()?, target))) {
            Some((watched, target)) => point(watched, (AGENT_HOST, &target.address), sample),
            None => point(identity, (TARGET, &sample.target), sample),
        }
    };
    samples.iter().map(point).collect()
}

/// The id of a target.
#[must_use]
pub fn id(target: &Target) -> Option<&str> {
    target.identity.as_ref().map(|identity| identity.device_id.as_str())
}

fn point<'a>(identity: &'a Identity, also: (&'static str, &'a String), sample: &'a Sample) -> Point<'a> {
    Point {
        measurement: Cow::Borrowed(&sample.measurement),
        tags: tags(identity, also, sample),
        time: sample.time.0.saturating_mul(NANOS_PER_MILLI),
        fields: sample.fields.iter().map(|(name, value)| (Cow::Borrowed(name.as_ref()), field(value))).collect(),
    }
}

/// The sample's own tags and the identity, sorted. Where both have a key, the identity stands: a device can't speak for
/// another.
fn tags<'a>(
    identity: &'a Identity,
    also: (&'static str, &'a String),
    sample: &'a Sample,
) -> Vec<(Cow<'a, str>, Cow<'a, str>)> {
    let stamped = [
        ("class", &identity.class),
        ("device_id", &identity.device_id),
        ("host", &identity.host),
        ("room", &identity.room),
        ("site", &identity.site),
        also,
    ];
    let own = sample.tags.iter().filter(|(key, _)| stamped.iter().all(|(name, _)| name != key));
    let mut tags: Vec<_> = stamped
        .iter()
        .map(|(key, value)| (*key, value.as_str()))
        .chain(own.map(|(key, value)| (key.as_ref(), value.as_str())))
        .filter(|(_, value)| !value.is_empty())
        .map(|(key, value)| (Cow::Borrowed(key), Cow::Borrowed(value)))
        .collect();
    tags.sort();
    tags
}

fn field(value: &Value) -> FieldValue {
    match value {
        Value::Float(value) => FieldValue::Float(*value),
        Value::Integer(value) => FieldValue::Integer(*value),
        Value::Boolean(value) => FieldValue::Boolean(*value),
        Value::Text(value) => FieldValue::Text(value.as_str().into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bellwether_logic::time::Timestamp;

    #[test]
    fn a_device_cannot_speak_for_another() {
        let identity = Identity {
            device_id: "d1".into(),
            host: "LHS-214".into(),
            site: "Lincoln High".into(),
            room: String::new(),
            class: "server".into(),
        };
        let sample = Sample {
            measurement: "cpu".into(),
            tags: vec![("cpu".into(), "cpu-total".into()), ("host".into(), "the-boss".into())],
            target: String::new(),
            time: Timestamp(1_500),
            fields: vec![("usage_idle".into(), Value::Float(99.5))],
        };
        let points = of(&identity, &[], std::slice::from_ref(&sample));
        let tags: Vec<_> = points[0].tags.iter().map(|(key, value)| format!("{key}={value}")).collect();
        assert_eq!(tags, ["class=server", "cpu=cpu-total", "device_id=d1", "host=LHS-214", "site=Lincoln High"]);
        assert_eq!(points[0].time, 1_500_000_000);
    }

    #[test]
    fn a_watched_device_speaks_under_its_own_name_and_a_probes_target_under_the_probers() {
        let identity = |id: &str| Identity { device_id: id.into(), host: id.to_uppercase(), ..Identity::default() };
        let targets = [Target { identity: Some(identity("sw")), address: "10.0.0.2".into() }];
        let sample = |measurement: &'static str, target: &str| Sample {
            measurement: measurement.into(),
            tags: Vec::new(),
            target: target.into(),
            time: Timestamp(0),
            fields: Vec::new(),
        };
        let closet = identity("d1");
        let samples = [sample("snmp", "sw"), sample("ping", "gateway"), sample("mem", "")];
        let tagged: Vec<Vec<String>> = of(&closet, &targets, &samples)
            .iter()
            .map(|point| point.tags.iter().map(|(key, value)| format!("{key}={value}")).collect())
            .collect();
        assert_eq!(
            tagged,
            [
                vec!["agent_host=10.0.0.2", "device_id=sw", "host=SW"],
                vec!["device_id=d1", "host=D1", "target_id=gateway"],
                vec!["device_id=d1", "host=D1"]
            ]
        );
    }
}

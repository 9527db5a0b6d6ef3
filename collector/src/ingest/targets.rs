//! Samples of other devices than the agent's own: which of them are a watched device's word on itself.
//!
//! What watching by SNMP can say is taken of devices that the agent asks, or asked when it read them; of others it is
//! refused. What probes say stays the agent's own, whatever they looked at.

use std::collections::HashMap;

use bellwether_agent::snmp::measurements::MEASUREMENTS;
use bellwether_logic::sample::{Sample, Value};
use bellwether_proto::record::v1::Target;

use crate::inventory::Inventory;
use crate::points;

/// Drops the samples of devices that are none of the agent's business; says who the others are of, and how many were
/// dropped. A batch without targets costs a look at each row.
pub(super) fn admit(inventory: &Inventory, agent: &str, samples: &mut Vec<Sample>) -> (Vec<Target>, usize) {
    if samples.iter().all(|sample| sample.target.is_empty()) {
        return (Vec::new(), 0);
    }
    // By whether it is a witness's word, and device.
    let mut known: HashMap<(bool, String), Option<Target>> = HashMap::new();
    let before = samples.len();
    samples.retain(|sample| {
        if sample.target.is_empty() || !is_watching(sample) {
            return true;
        }
        let key = (sample.measurement == "snmp_witness", sample.target.clone());
        if let Some(target) = known.get(&key) {
            return target.is_some();
        }
        let target = inventory.target(agent, &sample.target, sample.time);
        let target = target.or_else(|| key.0.then(|| inventory.witnessed(agent, &sample.target)).flatten());
        let is_some = target.is_some();
        known.insert(key, target);
        is_some
    });
    for sample in samples.iter().filter(|sample| !sample.target.is_empty()) {
        if let Some(answers) = answered(sample) {
            inventory.note_answer(&sample.target, answers, sample.time);
        }
    }
    let mut targets: Vec<Target> = known.into_values().flatten().collect();
    // The same batch makes the same record, twice.
    targets.sort_by(|one, other| points::id(one).cmp(&points::id(other)));
    targets.dedup_by(|one, other| points::id(one) == points::id(other));
    (targets, before - samples.len())
}

/// Whether it is what watching says, and not a probe.
fn is_watching(sample: &Sample) -> bool {
    MEASUREMENTS.iter().any(|measurement| measurement.name == sample.measurement)
}

/// Whether the device answered whoever asks it. Where another one has its address it did not, whatever that one says.
fn answered(sample: &Sample) -> Option<bool> {
    let word = match &*sample.measurement {
        "ping_only" => "pings",
        "snmp" => "answered",
        _ => return None,
    };
    let is_another = |name: &str, value: &Value| name == "trouble" && *value == Value::Text("other_device".into());
    let another = sample.fields.iter().any(|(name, value)| is_another(name, value)).then_some(false);
    another.or_else(|| {
        sample.fields.iter().find_map(|(name, value)| match value {
            Value::Boolean(answered) if name == word => Some(*answered),
            _ => None,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use bellwether_logic::time::Timestamp;
    use bellwether_proto::record::v1::{DeviceChanged, Watch};

    use crate::state::proposals::Reach;

    fn watched(id: &str, agent: &str) -> DeviceChanged {
        DeviceChanged {
            device_id: id.into(),
            name: id.to_uppercase(),
            class: "switch".into(),
            state: "in_use".into(),
            watch: Some(Watch { agent: agent.into(), address: "10.0.0.2".into(), ..Watch::default() }),
            ..DeviceChanged::default()
        }
    }

    fn sample(measurement: &'static str, target: &str, answered: bool) -> Sample {
        Sample {
            measurement: measurement.into(),
            tags: Vec::new(),
            target: target.into(),
            time: Timestamp(5),
            fields: vec![("answered".into(), Value::Boolean(answered))],
        }
    }

    #[test]
    fn an_agent_speaks_for_what_it_asks_and_for_nothing_else() {
        let inventory = Inventory::default();
        inventory.put(Timestamp(0), &watched("sw1", "d1"));
        inventory.put(Timestamp(0), &watched("sw2", "d2"));
        let mut samples = vec![
            sample("snmp", "sw1", true),
            sample("interface", "sw1", true),
            sample("interface", "sw2", true),
            sample("snmp", "nobody", true),
            sample("ping", "sw2", true),
            sample("mem", "", true),
        ];
        let reach = Reach { agent: "d1".into(), address: "10.9.0.3".into(), ..Reach::default() };
        inventory.put_reaches("sw3", vec![reach]);
        inventory.put(Timestamp(0), &watched("sw3", "d2"));
        let (targets, refused) = admit(&inventory, "d1", &mut samples);
        assert_eq!((targets.len(), targets[0].address.as_str(), refused), (1, "10.0.0.2", 2));
        let kept: Vec<_> = samples.iter().map(|sample| (&*sample.measurement, sample.target.as_str())).collect();
        assert_eq!(kept, [("snmp", "sw1"), ("interface", "sw1"), ("ping", "sw2"), ("mem", "")]);
        let mut seen =
            vec![sample("snmp_witness", "sw3", true), sample("snmp", "sw3", true), sample("snmp_witness", "sw2", true)];
        let (targets, refused) = admit(&inventory, "d1", &mut seen);
        assert_eq!(
            (targets.len(), targets[0].address.as_str(), refused),
            (1, "10.9.0.3", 2),
            "a witness says that it pings"
        );
    }

    #[test]
    fn silence_is_noted_and_over_with_the_first_answer() {
        let inventory = Inventory::default();
        inventory.put(Timestamp(0), &watched("sw1", "d1"));
        admit(&inventory, "d1", &mut vec![sample("snmp", "sw1", false)]);
        assert_eq!(inventory.silent().len(), 1);
        admit(&inventory, "d1", &mut vec![sample("snmp", "sw1", true)]);
        assert!(inventory.silent().is_empty());
    }
}

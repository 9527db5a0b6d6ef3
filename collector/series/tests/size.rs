//! How much room health data takes.

use bellwether_series::{FieldValue, Options, Point, Store};

/// The same numbers every time, without a crate for them.
struct Noise(u64);

impl Noise {
    fn below(&mut self, most: u64) -> i64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % most) as i64
    }
}

#[test]
fn a_value_of_rounded_health_data_takes_less_than_a_byte() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), Options::default()).unwrap();
    let mut noise = Noise(7);
    let mut values = 0;
    for minute in 0..1440i64 {
        let mut points = Vec::new();
        for device in 0..40 {
            let (busy, used, octets) = (noise.below(3000), noise.below(4000), noise.below(9000));
            let fields: [(&'static str, FieldValue); 8] = [
                ("usage_idle", FieldValue::Float((10_000 - busy) as f64 / 100.0)),
                ("usage_user", FieldValue::Float((busy / 2) as f64 / 100.0)),
                ("used", FieldValue::Integer((1_000_000 + used) * 4096)),
                ("total", FieldValue::Integer(8_589_934_592)),
                ("bytes_recv", FieldValue::Integer(minute * 4500 + octets)),
                ("err_in", FieldValue::Integer(0)),
                ("load1", FieldValue::Float((20 + busy / 500) as f64 / 100.0)),
                ("up", FieldValue::Boolean(true)),
            ];
            values += fields.len() as u64;
            points.push(Point {
                measurement: "m".into(),
                tags: vec![("device_id".into(), format!("d{device}").into())],
                time: minute * 60_000_000_000,
                fields: fields.into_iter().map(|(name, value)| (name.into(), value)).collect(),
            });
        }
        store.apply(minute as u64 + 1, "bellwether", &points).unwrap();
    }
    store.seal_all().unwrap();
    store.compact().unwrap();
    store.vacuum().unwrap();
    let stats = store.stats().unwrap();
    let bytes = stats.disk_bytes as f64 / values as f64;
    assert!(bytes < 1.0, "{bytes} bytes a value, {stats:?}");
}

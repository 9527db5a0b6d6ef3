//! Random data: a few measurements with tags that may be absent, fields that may be missing, and times that often coincide.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// A Tuesday, on a bucket's edge of no use.
pub const START: i64 = 1_699_956_303;
pub const SECONDS: i64 = 1_800;

pub struct Data {
    lines: String,
}

impl Data {
    pub fn new(seed: u64) -> Self {
        let mut dice = StdRng::seed_from_u64(seed);
        let mut lines = String::new();
        for measurement in ["cpu", "mem"] {
            for host in 0..dice.random_range(1..4) {
                let region = ["", ",region=east", ",region=west"][dice.random_range(0..3)];
                let every = [10, 10, 30, 60][dice.random_range(0..4)];
                let mut counter = dice.random_range(0..1000);
                let mut at = START + dice.random_range(0..3) * 5;
                while at < START + SECONDS {
                    counter += dice.random_range(0..50);
                    if dice.random_range(0..400) == 0 {
                        counter = 0;
                    }
                    let fields = fields(&mut dice, counter);
                    if !fields.is_empty() {
                        let fields = fields.join(",");
                        lines.push_str(&format!("{measurement},host=h{host}{region} {fields} {at}\n"));
                    }
                    at += if dice.random_range(0..30) == 0 { every * 7 } else { every };
                }
            }
        }
        Self { lines }
    }

    /// Line protocol in seconds.
    pub fn lines(&self) -> String {
        self.lines.clone()
    }
}

fn fields(dice: &mut StdRng, counter: i64) -> Vec<String> {
    let mut fields = Vec::new();
    let mut maybe = |dice: &mut StdRng, often: u32, text: String| {
        if dice.random_range(0..100) < often {
            fields.push(text);
        }
    };
    let float = f64::from(dice.random_range(-500..5000)) / 10.0;
    maybe(dice, 90, format!("f={float:?}"));
    maybe(dice, 80, format!("i={counter}i"));
    let small = dice.random_range(-3..4);
    maybe(dice, 60, format!("n={small}i"));
    let word = ["up", "down", "up/down"][dice.random_range(0..3)];
    maybe(dice, 40, format!("s=\"{word}\""));
    let truth = dice.random_range(0..2) == 0;
    maybe(dice, 40, format!("b={truth}"));
    fields
}

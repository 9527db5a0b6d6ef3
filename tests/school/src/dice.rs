//! Chance that is the same for the same seed, on every machine and with every version of every crate.

/// A die: splitmix64 (Steele, Lea, Flood 2014), which needs no other state than a number.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// One that throws the same each time for the same seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// From 0 to 1, without 1.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Whether something of this probability happens.
    pub fn happens(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// A number below another that is not 0.
    pub fn below(&mut self, end: usize) -> usize {
        (self.unit() * end as f64) as usize
    }

    /// A whole number from the first to the last.
    pub fn whole(&mut self, first: i64, last: i64) -> i64 {
        first + (self.unit() * (last - first + 1) as f64) as i64
    }

    /// A number from the first to the second.
    pub fn between(&mut self, from: f64, to: f64) -> f64 {
        from + self.unit() * (to - from)
    }

    /// Around 0, with a spread of about 1: the sum of twelve throws.
    pub fn around(&mut self) -> f64 {
        (0..12).map(|_| self.unit()).sum::<f64>() - 6.0
    }

    /// How long until something happens that happens every `mean` on average.
    pub fn wait(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.unit()).ln()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_throws_the_same_and_keeps_its_bounds() {
        let (mut one, mut two) = (Dice::new(7), Dice::new(7));
        for _ in 0..1_000 {
            assert_eq!(one.bits(), two.bits());
            assert!(one.below(6) < 6 && (3..=5).contains(&two.whole(3, 5)));
        }
    }
}

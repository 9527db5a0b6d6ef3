//! The search for the smallest value of a function of several numbers, by a simplex that is reflected, stretched and shrunk (Nelder
//! and Mead 1965), in the variant that InfluxDB uses.

use crate::query::Answer;

/// Steps at most.
const STEPS: usize = 1000;

/// Looks for the smallest value from `start` on, until the values of all corners deviate less than `close`. The function may change what
/// it is asked about: the corner stays changed.
pub(super) fn minimum(
    start: &[f64],
    close: f64,
    mut function: impl FnMut(&mut [f64]) -> Answer<f64>,
) -> Answer<(f64, Vec<f64>)> {
    let size = start.len();
    let mut corners = corners(start);
    let mut values = Vec::with_capacity(corners.len());
    for corner in &mut corners {
        values.push(function(corner)?);
    }
    for _ in 0..STEPS {
        let Ranks { worst, second, best } = Ranks::of(&values);
        let middle = middle(&corners, worst);
        let mut reflected: Vec<f64> = between(&middle, &corners[worst], |middle, worst| middle + (middle - worst));
        let at_reflected = function(&mut reflected)?;
        if at_reflected < values[second] && at_reflected >= values[best] {
            corners[worst].clone_from(&reflected);
            values[worst] = at_reflected;
        }
        if at_reflected < values[best] {
            let mut far = between(&middle, &reflected, |middle, reflected| middle + 2.0 * (reflected - middle));
            let at_far = function(&mut far)?;
            let better = at_far < at_reflected;
            corners[worst] = if better { far } else { reflected.clone() };
            values[worst] = if better { at_far } else { at_reflected };
        }
        // Also asked after the corner was replaced: its value is then the new one.
        if at_reflected >= values[second] {
            let outside = at_reflected < values[worst];
            let mut near = match outside {
                true => between(&middle, &reflected, |middle, reflected| middle + 0.5 * (reflected - middle)),
                false => between(&middle, &corners[worst], |middle, worst| middle - 0.5 * (middle - worst)),
            };
            let at_near = function(&mut near)?;
            if at_near < values[worst] {
                corners[worst] = near;
                values[worst] = at_near;
            } else {
                shrink(&mut corners, best);
                values[worst] = function(&mut corners[worst])?;
                values[second] = function(&mut corners[second])?;
            }
        }
        if deviation(&values, size) < close {
            break;
        }
    }
    let best = Ranks::of(&values).best;
    let found = corners[best].clone();
    Ok((function(&mut corners[best])?, found))
}

fn corners(start: &[f64]) -> Vec<Vec<f64>> {
    let size = start.len();
    let dimensions = size as f64;
    let far = (f64::sqrt(dimensions + 1.0) - 1.0 + dimensions) / (dimensions * f64::sqrt(2.0));
    let near = (f64::sqrt(dimensions + 1.0) - 1.0) / (dimensions * f64::sqrt(2.0));
    let corner = |number: usize| {
        let moved = |(at, value): (usize, &f64)| if at == number { far + value } else { near + value };
        start.iter().enumerate().map(moved).collect()
    };
    std::iter::once(start.to_vec()).chain((0..size).map(corner)).collect()
}

struct Ranks {
    worst: usize,
    second: usize,
    best: usize,
}

impl Ranks {
    fn of(values: &[f64]) -> Self {
        let (mut worst, mut best) = (0, 0);
        for (at, value) in values.iter().enumerate() {
            if *value > values[worst] {
                worst = at;
            }
            if *value < values[best] {
                best = at;
            }
        }
        let mut second = best;
        for (at, value) in values.iter().enumerate() {
            if *value > values[second] && *value < values[worst] {
                second = at;
            }
        }
        Self { worst, second, best }
    }
}

/// Of all corners but one.
fn middle(corners: &[Vec<f64>], without: usize) -> Vec<f64> {
    let size = corners.len() - 1;
    let one = |at: usize| {
        let others = corners.iter().enumerate().filter(|(number, _)| *number != without);
        others.fold(0.0, |sum, (_, corner)| sum + corner[at]) / size as f64
    };
    (0..size).map(one).collect()
}

fn between(a: &[f64], b: &[f64], of: impl Fn(f64, f64) -> f64) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| of(*a, *b)).collect()
}

/// All corners move half the way to the best.
fn shrink(corners: &mut [Vec<f64>], best: usize) {
    let goal = corners[best].clone();
    for (at, corner) in corners.iter_mut().enumerate() {
        if at != best {
            for (value, goal) in corner.iter_mut().zip(&goal) {
                *value = goal + (*value - goal) / 2.0;
            }
        }
    }
}

fn deviation(values: &[f64], size: usize) -> f64 {
    let mean = values.iter().fold(0.0, |sum, value| sum + value) / (size + 1) as f64;
    let squares = values.iter().fold(0.0, |sum, value| sum + (value - mean) * (value - mean) / size as f64);
    squares.sqrt()
}

/// A power as Go computes it, by squaring the fraction and the exponent apart: other libraries differ in the last digit.
pub(super) fn power(base: f64, exponent: u64) -> f64 {
    match (base, exponent) {
        (_, 0) => return 1.0,
        (_, 1) => return base,
        (base, _) if base == 1.0 || base == 0.0 || !base.is_finite() => return base,
        _ => {}
    }
    let (mut factor, mut factor_exponent) = parts(base);
    let (mut fraction, mut whole) = (1.0, 0_i64);
    let mut left = exponent;
    while left != 0 {
        if factor_exponent.abs() > 1 << 12 {
            // It has left the range of floats for good.
            whole += factor_exponent;
            break;
        }
        if left & 1 == 1 {
            fraction *= factor;
            whole += factor_exponent;
        }
        factor *= factor;
        factor_exponent <<= 1;
        if factor < 0.5 {
            factor += factor;
            factor_exponent -= 1;
        }
        left >>= 1;
    }
    scaled(fraction, whole)
}

/// A fraction from 0.5 to below 1, and the power of two that belongs to it.
fn parts(value: f64) -> (f64, i64) {
    // Below the normal floats the exponent is not where it should be.
    let (value, moved) = if value.abs() < f64::MIN_POSITIVE { (value * 2f64.powi(54), 54) } else { (value, 0) };
    let bits = value.to_bits();
    let exponent = (bits >> 52 & 0x7ff) as i64 - 1022;
    (f64::from_bits(bits & !(0x7ff << 52) | 1022 << 52), exponent - moved)
}

fn scaled(fraction: f64, exponent: i64) -> f64 {
    // In two steps, so that no factor leaves the range by itself.
    let exponent = exponent.clamp(-2100, 2100) as i32;
    fraction * 2f64.powi(exponent / 2) * 2f64.powi(exponent - exponent / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bottom_of_a_valley_is_found() {
        let rosenbrock = |x: &mut [f64]| Ok(100.0 * (x[1] - x[0] * x[0]).powi(2) + (1.0 - x[0]).powi(2));
        let (least, found) = minimum(&[-1.2, 1.0], 1e-8, rosenbrock).unwrap();
        assert!(least < 1e-6 && (found[0] - 1.0).abs() < 1e-2 && (found[1] - 1.0).abs() < 1e-2, "{found:?}");
    }

    #[test]
    fn powers_are_powers() {
        for (base, exponent) in [(0.3, 7), (0.999, 1000), (1e-5, 3), (0.7, 2), (1e-310, 2), (0.5, 1 << 40)] {
            let (ours, theirs) = (power(base, exponent), base.powf(exponent as f64));
            assert!((ours - theirs).abs() <= theirs * 1e-12, "{base} {exponent}: {ours} {theirs}");
        }
    }
}

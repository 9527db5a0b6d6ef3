//! `holt_winters`: what comes after a series, by the damped method of Holt and Winters with multiplied seasons. Its parameters are those
//! with the smallest sum of squared errors that a simplex finds (Nelder and Mead), from sixteen beginnings.
//!
//! Each operation stands in InfluxDB's order, and where trying parameters changes them (they are cut to 0..=1, and seasons go on) ours
//! does so too: the search would find another end otherwise.

mod simplex;

use super::Answer;
use super::budget::Budget;

/// What is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Forecast {
    /// Points after the last one.
    pub(crate) count: usize,
    /// Points of a season; below two there is none.
    pub(crate) season: usize,
    /// The points that are there are answered as well, as the method sees them.
    pub(crate) with_fit: bool,
}

/// More points than this are no forecast.
pub(crate) const MAX_COUNT: i64 = 100_000;

/// The search holds the square of this many numbers.
pub(crate) const MAX_SEASON: i64 = 1_000;

/// Where the search begins, for each of the four weights.
const BEGINNINGS: [f64; 2] = [0.3, 0.3 + 0.4];

/// Of the first value and the first step, where there are no seasons.
const FIRST_WEIGHT: f64 = 0.5;

/// The search ends when the errors of all corners are that close.
const CLOSE: f64 = 1.0e-4;

/// Places in the list of parameters: the weights of level, trend and season, how much the trend is damped, the first level and trend;
/// then the seasons.
const PARAMETERS: usize = 6;

impl Forecast {
    /// Points after `points`, which lie `every` apart; some may be missing.
    pub(crate) fn of(self, points: &[(i64, f64)], every: i64, budget: &Budget<'_>) -> Answer<Vec<(i64, f64)>> {
        let seasonal = self.season >= 2;
        let (Some(first), Some(last)) = (points.first(), points.last()) else { return Ok(Vec::new()) };
        if points.len() < 2 || (seasonal && points.len() < self.season) {
            return Ok(Vec::new());
        }
        let values = regular(points, every, budget)?;
        if values.len() < 2 || (seasonal && values.len() < self.season) {
            return Ok(Vec::new());
        }
        let season = if seasonal { self.season } else { 0 };
        let mut parameters = beginning(&values, season);
        let mut best: Option<(f64, Vec<f64>)> = None;
        for number in 0..16 {
            for (at, parameter) in parameters.iter_mut().take(4).enumerate() {
                *parameter = BEGINNINGS[number >> (3 - at) & 1];
            }
            let error = |parameters: &mut [f64]| {
                budget.check()?;
                Ok(squared_error(&values, parameters))
            };
            let found = simplex::minimum(&parameters, CLOSE, error)?;
            if best.as_ref().is_none_or(|(least, _)| found.0 < *least) {
                best = Some(found);
            }
        }
        let Some((_, mut best)) = best else { return Ok(Vec::new()) };
        let all = course(&values, self.count, &mut best);
        let (from, begin) = if self.with_fit { (0, first.0) } else { (values.len(), last.0.saturating_add(every)) };
        let points = all[from..].iter().enumerate().filter(|(_, value)| !value.is_nan());
        let at = |number: usize| begin.saturating_add(every.saturating_mul(number as i64));
        Ok(points.map(|(number, value)| (at(number), *value)).collect())
    }
}

/// The values at equal distances, NaN where there is none; nothing if time does not go forward.
fn regular(points: &[(i64, f64)], every: i64, budget: &Budget<'_>) -> Answer<Vec<f64>> {
    let rounded = |time: i64| {
        let up = i64::from(time % every > every / 2);
        (time / every).saturating_add(up).saturating_mul(every)
    };
    let mut time = rounded(points[0].0);
    let mut values = vec![points[0].1];
    for (next, value) in &points[1..] {
        let next = rounded(*next);
        if next <= time {
            continue;
        }
        let missing = (next.saturating_sub(time) / every - 1) as usize;
        budget.buckets(values.len().saturating_add(missing))?;
        values.extend(std::iter::repeat_n(f64::NAN, missing));
        values.push(*value);
        time = next;
    }
    Ok(values)
}

/// The first guess: a mean of the first season, the mean step to the second, and each value by that mean.
fn beginning(values: &[f64], season: usize) -> Vec<f64> {
    let mut parameters = vec![0.0; PARAMETERS + season];
    let (mut level, mut trend) = (0.0, 0.0);
    if season == 0 {
        level += FIRST_WEIGHT * values[0];
        if !values[1].is_nan() {
            trend = FIRST_WEIGHT * (values[1] - values[0]);
        }
    }
    for value in values[..season].iter().filter(|value| !value.is_nan()) {
        level += (1.0 / season as f64) * value;
    }
    for (value, later) in values[..season].iter().zip(values.iter().skip(season)) {
        if !value.is_nan() && !later.is_nan() {
            trend += 1.0 / (season * season) as f64 * (later - value);
        }
    }
    for (share, value) in parameters[PARAMETERS..].iter_mut().zip(values) {
        *share = if value.is_nan() { 0.0 } else { value / level };
    }
    (parameters[4], parameters[5]) = (level, trend);
    parameters
}

/// What the method makes of the values, and `count` points more.
fn course(values: &[f64], count: usize, parameters: &mut [f64]) -> Vec<f64> {
    for weight in &mut parameters[..4] {
        // NaN stays NaN.
        *weight = weight.clamp(0.0, 1.0);
    }
    let (fixed, seasons) = parameters.split_at_mut(PARAMETERS);
    let [alpha, beta, gamma, damping, mut level, mut trend] = *fixed else { return Vec::new() };
    let (mut value, mut damped) = (values[0], damping);
    let season = seasons.len();
    let mut made = Vec::with_capacity(values.len() + count);
    made.push(value);
    for step in 1..values.len() + count {
        // The place of the season before: the ring is turned by as many places as there were steps.
        let turned = season.wrapping_sub(1).wrapping_add(step - 1);
        let (before, ahead) = match season {
            0 => (1.0, 1.0),
            _ => {
                (seasons[(step + turned - season) % season], seasons[(step + turned - season + step % season) % season])
            }
        };
        let expected = level + damping * trend;
        let next_level = alpha * (value / before) + (1.0 - alpha) * expected;
        let next_trend = beta * (next_level - level) + (1.0 - beta) * damping * trend;
        let share = gamma * (value / expected) + (1.0 - gamma) * before;
        value = (next_level + damped * next_trend) * ahead;
        (level, trend) = (next_level, next_trend);
        damped += simplex::power(damping, step as u64);
        if season > 0 {
            seasons[(step + turned) % season] = share;
        }
        made.push(value);
    }
    made
}

fn squared_error(values: &[f64], parameters: &mut [f64]) -> f64 {
    let mut sum = 0.0;
    for (made, value) in course(values, 0, parameters).iter().zip(values) {
        if value.is_nan() {
            continue;
        }
        if made.is_nan() {
            return f64::INFINITY;
        }
        sum += (made - value) * (made - value);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::QueryLimits;
    use crate::query::QueryOptions;

    fn forecast(count: usize, season: usize, with_fit: bool, points: &[(i64, f64)]) -> Vec<(i64, f64)> {
        let (limits, options) = (QueryLimits::default(), QueryOptions::at(0));
        let budget = Budget::new(&limits, &options, 0);
        Forecast { count, season, with_fit }.of(points, 10, &budget).unwrap()
    }

    /// As a real InfluxDB 1.6.7 answered to the last digit.
    #[test]
    fn a_line_goes_on_as_influxdb_lets_it_go_on() {
        let mut line: Vec<(i64, f64)> = (0..10).map(|at| (at * 10, at as f64 * 10.0 + 3.5)).collect();
        line[0].1 = 3.25;
        assert_eq!(forecast(2, 0, false, &line), [(100, 103.49131095820195), (110, 113.49003278500945)]);
        let fit = forecast(1, 1, true, &line);
        assert_eq!(fit[..3], [(0, 3.25), (10, 13.50281451693449), (20, 23.501536343741982)]);
        assert_eq!(fit.last(), Some(&(100, 103.49131095820195)));
    }

    #[test]
    fn too_little_or_backward_gives_nothing() {
        assert_eq!(forecast(2, 0, false, &[(0, 1.0)]), []);
        assert_eq!(forecast(2, 3, false, &[(0, 1.0), (10, 2.0)]), []);
        assert_eq!(forecast(2, 0, false, &[(10, 1.0), (0, 2.0)]), []);
    }
}

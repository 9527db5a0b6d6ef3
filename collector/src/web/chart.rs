//! Charts of a day, drawn here as SVG: no script, and the same on paper. A device that was connected today has a
//! shorter chart, or its first hour would be a dot at the edge of an empty page.
//!
//! A chart has one scale and a few lines. Where nothing was read there is no line, because a line drawn over a gap
//! says something that nobody saw.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use bellwether_logic::time::Timestamp;
use jiff::tz::TimeZone;

use super::readings::{Rows, Series, only};

pub(super) mod watched;

const HOUR_MS: i64 = 3_600_000;

/// How much a chart shows, and how finely.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    span_ms: i64,
    /// The width of one point; never below the interval of a fleet's agents, or every line would be dots.
    step_ms: i64,
    tick_ms: i64,
    tick_label: &'static str,
    /// How the page names it.
    pub(super) name: &'static str,
}

/// From the shortest to the longest. 288 points are as many as a screen resolves.
const WINDOWS: [Window; 3] = [
    Window { span_ms: HOUR_MS, step_ms: 60_000, tick_ms: HOUR_MS / 4, tick_label: "%-I:%M %p", name: "last hour" },
    Window { span_ms: 6 * HOUR_MS, step_ms: 120_000, tick_ms: HOUR_MS, tick_label: "%-I %p", name: "last 6 hours" },
    Window {
        span_ms: 24 * HOUR_MS,
        step_ms: 300_000,
        tick_ms: 6 * HOUR_MS,
        tick_label: "%-I %p",
        name: "last 24 hours",
    },
];

impl Window {
    /// The shortest that shows everything since a device was connected; a day at most.
    pub(super) fn since(connected: Timestamp, now: Timestamp) -> Self {
        let age_ms = now.0 - connected.0;
        let [.., day] = WINDOWS;
        WINDOWS.into_iter().find(|window| age_ms <= window.span_ms).unwrap_or(day)
    }
}

/// Lines of one chart that can be told apart; the first in order of their names are drawn, the rest is counted.
const LINES_MAX: usize = 6;
/// The drawing, in units of the view box.
const WIDTH: f64 = 400.0;
const LEFT: f64 = 52.0;
const RIGHT: f64 = 6.0;
const TOP: f64 = 8.0;
const BOTTOM: f64 = 116.0;

/// A chart, ready to be placed.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Chart {
    pub(super) title: &'static str,
    pub(super) lines: Vec<Line>,
    /// Lines that are not drawn.
    pub(super) more: usize,
    pub(super) y_ticks: Vec<(String, String)>,
    pub(super) x_ticks: Vec<(String, String)>,
    /// For those who do not see it.
    pub(super) summary: String,
}

/// One line of a chart.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Line {
    pub(super) name: String,
    /// The `d` of its path.
    pub(super) path: String,
    /// The `d` of the band between the least and the most of each point; may be empty.
    pub(super) band: String,
    pub(super) now: String,
    pub(super) min: String,
    pub(super) max: String,
}

/// How numbers of a chart are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Percent,
    Milliseconds,
    BytesPerSecond,
    BitsPerSecond,
    Celsius,
    Count,
    Minutes,
}

impl Unit {
    /// A number for people.
    pub(super) fn write(self, value: f64) -> String {
        let short =
            |value: f64| if value > 0.0 && value < 9.95 { format!("{value:.1}") } else { format!("{value:.0}") };
        match self {
            Self::Percent => format!("{value:.0}%"),
            Self::Milliseconds => format!("{} ms", short(value)),
            Self::Celsius => format!("{value:.0} °C"),
            Self::Count => format!("{value:.0}"),
            Self::Minutes => format!("{value:.0} min"),
            Self::BitsPerSecond => match value {
                0.0..1e3 => format!("{value:.0} bit/s"),
                1e3..1e6 => format!("{} kbit/s", short(value / 1e3)),
                1e6..1e9 => format!("{} Mbit/s", short(value / 1e6)),
                _ => format!("{} Gbit/s", short(value / 1e9)),
            },
            Self::BytesPerSecond => match value {
                0.0..1e3 => format!("{value:.0} B/s"),
                1e3..1e6 => format!("{} kB/s", short(value / 1e3)),
                1e6..1e9 => format!("{} MB/s", short(value / 1e6)),
                _ => format!("{} GB/s", short(value / 1e9)),
            },
        }
    }

    /// The top of the scale for a greatest value: a round number above it.
    fn ceiling(self, max: f64) -> f64 {
        if self == Self::Percent {
            return 100.0;
        }
        let floor = match self {
            Self::Milliseconds => 1.0,
            Self::Count | Self::Minutes | Self::Celsius => 10.0,
            _ => 1e3,
        };
        let max = max.max(floor);
        let power = 10_f64.powf(max.log10().floor());
        [1.0, 2.0, 4.0, 6.0, 10.0].into_iter().map(|step| step * power).find(|top| *top >= max).unwrap_or(max)
    }
}

/// The points of one line, and between what each lies.
type Points = Vec<(i64, f64, f64, f64)>;

/// All charts of a device that have anything to show.
pub(super) fn all(series: &dyn Series, device: &str, window: Window, now: Timestamp, zone: &TimeZone) -> Vec<Chart> {
    let ask = Ask { series, only: only(device), window, now };
    let cpu = ask.gauge("usage_idle", "\"cpu\" WHERE \"cpu\" = 'cpu-total'", None);
    let cpu = cpu.into_values().map(|points| ("in use".into(), points.into_iter().map(invert).collect())).collect();
    let memory = named(ask.gauge("used_percent", "\"mem\" WHERE \"device_id\" != ''", None), "in use");
    let disks = ask.gauge("used_percent", "\"disk\" WHERE \"device_id\" != ''", Some("path"));
    let ping = ask.gauge("average_response_ms", "\"ping\" WHERE \"device_id\" != ''", Some("target_id"));
    let loss = ask.gauge("percent_packet_loss", "\"ping\" WHERE \"device_id\" != ''", Some("target_id"));
    let mut traffic = ask.rate("bytes_recv", "in");
    traffic.extend(ask.rate("bytes_sent", "out"));
    let charts = [
        ("Processor", Unit::Percent, cpu),
        ("Memory", Unit::Percent, memory),
        ("Disk space used", Unit::Percent, disks),
        ("Round trip", Unit::Milliseconds, ping),
        ("Lost pings", Unit::Percent, loss),
        ("Network", Unit::BytesPerSecond, traffic),
    ];
    let frame = Frame { window, now, zone };
    charts.into_iter().filter_map(|(title, unit, lines)| frame.draw(title, unit, lines)).collect()
}

fn invert((at, mean, min, max): (i64, f64, f64, f64)) -> (i64, f64, f64, f64) {
    (at, 100.0 - mean, 100.0 - max, 100.0 - min)
}

fn named(lines: BTreeMap<String, Points>, name: &str) -> BTreeMap<String, Points> {
    lines.into_values().map(|points| (name.to_owned(), points)).collect()
}

struct Ask<'a> {
    series: &'a dyn Series,
    only: String,
    window: Window,
    now: Timestamp,
}

impl Ask<'_> {
    fn rows(&self, fields: &str, from: &str, by: Option<&str>) -> Vec<Rows> {
        let by = by.map(|tag| format!(", \"{tag}\"")).unwrap_or_default();
        let query = format!(
            "SELECT {fields} FROM {from}{} AND time > now() - {}ms GROUP BY time({}ms){by} fill(none)",
            self.only, self.window.span_ms, self.window.step_ms
        );
        self.series.ask(&query, self.now)
    }

    /// The mean, least and most of each point, by the values of a tag.
    fn gauge(&self, field: &str, from: &str, by: Option<&str>) -> BTreeMap<String, Points> {
        let fields = format!("mean(\"{field}\"), min(\"{field}\"), max(\"{field}\")");
        let mut lines = BTreeMap::new();
        for rows in self.rows(&fields, from, by) {
            let name = by.and_then(|tag| rows.tags.get(tag)).cloned().unwrap_or_default();
            let points = rows.rows.iter().filter_map(|(at, values)| match values[..] {
                [Some(mean), Some(min), Some(max)] => Some((*at, mean, min, max)),
                _ => None,
            });
            lines.insert(name, points.collect());
        }
        lines
    }

    /// The rate of a counter, by interface, named with its way. A counter that went back has begun anew: no rate is known there.
    fn rate(&self, field: &str, way: &str) -> BTreeMap<String, Points> {
        let step_ms = self.window.step_ms;
        let rows = self.rows(&format!("last(\"{field}\")"), "\"net\" WHERE \"device_id\" != ''", Some("interface"));
        rows.into_iter()
            .map(|rows| {
                let counts: Vec<(i64, f64)> = rows
                    .rows
                    .iter()
                    .filter_map(|(at, values)| Some((*at, values.first().copied().flatten()?)))
                    .collect();
                let points = counts.windows(2).filter_map(|pair| {
                    let ((from, before), (to, after)) = (pair[0], pair[1]);
                    let apart = to - from == step_ms && after >= before;
                    let rate = (after - before) / seconds(step_ms);
                    apart.then_some((to, rate, rate, rate))
                });
                let interface = rows.tags.get("interface").map_or("", String::as_str);
                (format!("{interface} {way}"), points.collect())
            })
            .collect()
    }
}

#[expect(clippy::cast_precision_loss, reason = "spans of a day are far below 2^53 ms")]
fn seconds(ms: i64) -> f64 {
    ms as f64 / 1_000.0
}

struct Frame<'a> {
    window: Window,
    now: Timestamp,
    zone: &'a TimeZone,
}

impl Frame<'_> {
    fn draw(&self, title: &'static str, unit: Unit, lines: BTreeMap<String, Points>) -> Option<Chart> {
        let mut lines: Vec<(String, Points)> = lines.into_iter().filter(|(_, points)| !points.is_empty()).collect();
        let more = lines.len().saturating_sub(LINES_MAX);
        lines.truncate(LINES_MAX);
        let most = lines.iter().flat_map(|(_, points)| points).map(|point| point.3).fold(0.0, f64::max);
        let top = unit.ceiling(most);
        let lines: Vec<Line> =
            lines.into_iter().filter_map(|(name, points)| self.line(name, &points, unit, top)).collect();
        let first = lines.first()?;
        let summary = format!("{title}, {}: now {}, from {} to {}", self.window.name, first.now, first.min, first.max);
        let y_ticks = [0.0, top / 2.0, top].map(|value| (coordinate(y(value, top)), unit.write(value))).to_vec();
        Some(Chart { title, more, y_ticks, x_ticks: self.x_ticks(), summary, lines })
    }

    fn line(&self, name: String, points: &Points, unit: Unit, top: f64) -> Option<Line> {
        let (mut path, mut band) = (String::new(), String::new());
        let stretches = points.chunk_by(|before, after| after.0 - before.0 <= self.window.step_ms * 3 / 2);
        for stretch in stretches {
            let at: Vec<f64> = stretch.iter().map(|point| self.x(point.0)).collect();
            for (n, (x, point)) in at.iter().zip(stretch).enumerate() {
                let step = if n == 0 { 'M' } else { 'L' };
                let _ = write!(path, "{step}{} {}", coordinate(*x), coordinate(y(point.1, top)));
            }
            if stretch.len() == 1 {
                path.push_str("h1.5");
            } else if stretch.iter().any(|point| point.3 - point.2 > 0.0) {
                let upper = at.iter().zip(stretch).map(|(x, point)| (x, point.3));
                let lower = at.iter().zip(stretch).rev().map(|(x, point)| (x, point.2));
                for (n, (x, value)) in upper.chain(lower).enumerate() {
                    let step = if n == 0 { 'M' } else { 'L' };
                    let _ = write!(band, "{step}{} {}", coordinate(*x), coordinate(y(value, top)));
                }
                band.push('Z');
            }
        }
        let least = points.iter().map(|point| point.2).fold(f64::INFINITY, f64::min);
        let most = points.iter().map(|point| point.3).fold(f64::NEG_INFINITY, f64::max);
        let last = points.last()?;
        // A reading of an hour ago is not "now".
        let now = if self.now.0 - last.0 <= 3 * self.window.step_ms { unit.write(last.1) } else { "–".into() };
        Some(Line { name, path, band, now, min: unit.write(least), max: unit.write(most) })
    }

    fn x(&self, at: i64) -> f64 {
        // A point stands for the step that begins there: it is drawn in its middle.
        let Window { span_ms, step_ms, .. } = self.window;
        let share = seconds(at + step_ms / 2 - (self.now.0 - span_ms)) / seconds(span_ms);
        LEFT + share.clamp(0.0, 1.0) * (WIDTH - LEFT - RIGHT)
    }

    /// Round times of the school's clock.
    fn x_ticks(&self) -> Vec<(String, String)> {
        let Window { span_ms, step_ms, tick_ms, tick_label, .. } = self.window;
        // Zones differ from UTC by whole quarters of an hour.
        let quarter = HOUR_MS / 4;
        let first = (self.now.0 - span_ms).div_euclid(quarter) + 1;
        (first..=self.now.0.div_euclid(quarter))
            .filter_map(|n| {
                let at = jiff::Timestamp::from_millisecond(n * quarter).ok()?.to_zoned(self.zone.clone());
                let since_midnight_ms = i64::from(at.hour()) * HOUR_MS + i64::from(at.minute()) * 60_000;
                let x = self.x(n * quarter - step_ms / 2);
                let fits = x > LEFT + 12.0 && x < WIDTH - RIGHT - 12.0;
                (since_midnight_ms % tick_ms == 0 && fits).then(|| (coordinate(x), at.strftime(tick_label).to_string()))
            })
            .collect()
    }
}

fn y(value: f64, top: f64) -> f64 {
    BOTTOM - (value / top).clamp(0.0, 1.0) * (BOTTOM - TOP)
}

fn coordinate(value: f64) -> String {
    format!("{value:.1}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_795_212_000_000);

    const DAY: Window = WINDOWS[2];

    fn frame(zone: &TimeZone) -> Frame<'_> {
        Frame { window: DAY, now: NOW, zone }
    }

    fn points(at: &[i64]) -> BTreeMap<String, Points> {
        let points = at.iter().map(|n| (NOW.0 - n * DAY.step_ms, 40.0, 30.0, 50.0)).collect();
        [("a".to_owned(), points)].into()
    }

    #[test]
    fn a_gap_stays_a_gap() {
        let chart = frame(&TimeZone::UTC).draw("Load", Unit::Percent, points(&[9, 8, 7, 3, 2])).unwrap();
        assert_eq!(chart.lines[0].path.matches('M').count(), 2);
        assert_eq!(chart.lines[0].band.matches('Z').count(), 2);
        assert_eq!((chart.lines[0].min.as_str(), chart.lines[0].max.as_str()), ("30%", "50%"));
    }

    #[test]
    fn an_old_reading_is_not_called_now() {
        let zone = TimeZone::UTC;
        let frame = frame(&zone);
        assert_eq!(frame.draw("Load", Unit::Percent, points(&[9])).unwrap().lines[0].now, "–");
        assert_eq!(frame.draw("Load", Unit::Percent, points(&[1])).unwrap().lines[0].now, "40%");
        assert_eq!(frame.draw("Load", Unit::Percent, points(&[])), None);
    }

    #[test]
    fn scales_end_in_round_numbers() {
        assert!((Unit::Milliseconds.ceiling(0.4) - 1.0).abs() < 1e-9);
        assert!((Unit::Milliseconds.ceiling(23.0) - 40.0).abs() < 1e-9);
        assert!((Unit::BytesPerSecond.ceiling(7.1e6) - 1e7).abs() < 1.0);
        assert_eq!(Unit::BytesPerSecond.write(1_250_000.0), "1.2 MB/s");
        assert_eq!(Unit::Milliseconds.write(0.42), "0.4 ms");
    }

    #[test]
    fn hours_are_the_schools() {
        let zone = TimeZone::get("America/Chicago").unwrap();
        let labels = |window| -> Vec<String> {
            Frame { window, now: NOW, zone: &zone }.x_ticks().into_iter().map(|(_, label)| label).collect()
        };
        assert_eq!(labels(DAY), ["6 PM", "12 AM", "6 AM", "12 PM"]);
        assert_eq!(labels(WINDOWS[0]).len(), 3);
        assert!(labels(WINDOWS[0])[0].ends_with(":15 PM"), "{:?}", labels(WINDOWS[0]));
    }

    #[test]
    fn a_young_device_has_a_short_chart() {
        let name = |minutes: i64| Window::since(Timestamp(NOW.0 - minutes * 60_000), NOW).name;
        assert_eq!(name(-1), "last hour", "connected just now, by a clock a little ahead");
        assert_eq!(name(59), "last hour");
        assert_eq!(name(300), "last 6 hours");
        assert_eq!(name(100_000), "last 24 hours");
    }
}

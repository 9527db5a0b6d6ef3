//! Values, judged on event time.

use alloc::vec::Vec;
use core::time::Duration;

use super::watched::Watched;
use super::{AHEAD_MAX, Engine, HOLDS_MAX, LATE_INTERVALS, Snapshot, TRACKS_MAX, Turn, UNSEEN_MAX, shows_life};
use crate::batch::Lane;
use crate::device::LifeState;
use crate::hold::{Hold, Step, Times};
use crate::incidents::{Ending, Evidence, Fault};
use crate::presence::INTERVALS;
use crate::rules::{Rule, Threshold, Track, Verdict};
use crate::sample::Sample;
use crate::span::Passing;
use crate::time::Timestamp;

impl Engine {
    /// Judges a batch. Back-fill and what is late are history: they are stored elsewhere, and decide nothing here.
    pub(super) fn judge(&mut self, now: Timestamp, device: &str, lane: Lane, samples: &[Sample]) {
        let forsaken = !shows_life(samples) && self.is_forsaken(device);
        let Self { state, unplaced, .. } = self;
        let Snapshot { devices, tickets, counters, rules, settings, book, parents, editions, plans, .. } = state;
        let settings = *settings;
        let Some(watched) = devices.get_mut(device) else { return };
        if lane == Lane::Backfill {
            counters.samples_backfilled += u64::try_from(samples.len()).unwrap_or(u64::MAX);
            return;
        }
        let mut turn =
            Turn { now, rules, book, parents, forsaken, editions, plans, settings, tickets, counters, unplaced };
        let (before, faults) = (watched.newest, watched.incidents.len());
        for sample in samples {
            if !is_timely(&mut turn, watched, sample) || watched.device.state != LifeState::InUse {
                continue;
            }
            if sample.measurement == "ping_only" && watched.contact.last().is_none() {
                // Many a device answers no ping by its admin's will: that says something of one that once did.
                continue;
            }
            if sample.measurement == "snmp_witness" {
                turn.hear_witness(watched, sample);
            }
            for rule in self.looking.at(watched.device.class, &sample.measurement) {
                if let Some(rule) = rule.of(&watched.device)
                    && let Some(threshold) = rule.check.threshold()
                    && rule.check.looks_at(sample)
                {
                    let interval = watched.interval;
                    let measured =
                        rule.check.measure(sample, interval, |make| track(watched, rule, threshold, sample, make));
                    if let Some(measured) = measured {
                        turn.judge_one(watched, rule, threshold, &measured);
                    }
                }
            }
        }
        turn.forget_unseen(watched, before);
        if !watched.relist.is_empty() || watched.incidents.len() != faults {
            self.touched.insert(device.into());
        }
        self.weigh(now, device);
    }
}

/// What is remembered of what a rule follows in this sample; made if it is not there, and `make` says so.
fn track<'watched>(
    watched: &'watched mut Watched,
    rule: &Rule,
    threshold: &Threshold,
    sample: &Sample,
    make: bool,
) -> Option<&'watched mut Track> {
    let fault = Fault { rule: rule.id.clone(), tags: threshold.subject(sample) };
    let is_new = !watched.tracks.contains_key(&fault);
    // A fault that counts must be able to end, also when what was known of it is gone: its rule may have changed.
    if is_new && !make && !watched.holds.contains_key(&fault) {
        return None;
    }
    if is_new && watched.tracks.len() >= TRACKS_MAX {
        let oldest = watched.tracks.iter().min_by_key(|(_, track)| track.seen()).map(|(fault, _)| fault.clone());
        oldest.map(|oldest| watched.tracks.remove(&oldest));
    }
    Some(watched.tracks.entry(fault).or_default())
}

/// Whether a live sample may be judged; it moves the device's newest if so.
fn is_timely(turn: &mut Turn<'_>, watched: &mut Watched, sample: &Sample) -> bool {
    if sample.time > turn.now + AHEAD_MAX {
        turn.counters.samples_ahead += 1;
        return false;
    }
    let newest = watched.newest.unwrap_or(sample.time);
    if sample.time < newest - watched.interval.saturating_mul(LATE_INTERVALS) {
        turn.counters.samples_late += 1;
        return false;
    }
    watched.newest = Some(newest.max(sample.time));
    turn.counters.samples += 1;
    true
}

impl Turn<'_> {
    fn judge_one(&mut self, watched: &mut Watched, rule: &Rule, threshold: &Threshold, sample: &Sample) {
        let verdict = threshold.verdict(sample);
        if verdict != Verdict::Open && watched.holds.is_empty() {
            return;
        }
        let fault = Fault { rule: rule.id.clone(), tags: threshold.subject(sample) };
        let sudden = self.forsaken && rule.is_outage();
        let step = self.step(watched, &fault, threshold, sudden, verdict, sample.time);
        match step {
            Step::Waits => {}
            Step::Opens => {
                watched.withdrawn.remove(&fault);
                let since = watched.holds.get(&fault).map_or(sample.time, Hold::since);
                let evidence = evidence(threshold, sample);
                self.open(watched, rule, fault, since, evidence, |name| threshold.shown(sample, name));
            }
            Step::Stands => {
                self.worsen(watched, &fault, threshold, sample);
                self.raise_if_worse(watched, rule, &fault);
            }
            Step::Clears => self.end(watched, &fault, &Ending::ProvenGood { r#for: threshold.clear_for }),
            Step::Vanishes => {
                watched.holds.remove(&fault);
                watched.withdrawn.remove(&fault);
            }
        }
    }

    fn step(
        &mut self,
        watched: &mut Watched,
        fault: &Fault,
        threshold: &Threshold,
        sudden: bool,
        verdict: Verdict,
        at: Timestamp,
    ) -> Step {
        let gap = threshold.gap.map_or(watched.interval.saturating_mul(INTERVALS), |gap| gap.0);
        let (open_for, readings) = match sudden && verdict == Verdict::Open {
            true => (Duration::ZERO, 1),
            false => (threshold.r#for.span, threshold.readings),
        };
        let times = Times { open_for, clear_for: threshold.clear_for.0, gap, readings };
        if let Some(hold) = watched.holds.get_mut(fault) {
            let school = match threshold.r#for.passing {
                Passing::Clock => None,
                Passing::School => self.book.school(&watched.device.site),
            };
            return match school {
                None => hold.judge(at, verdict, times),
                Some(school) => hold.judge_by(at, verdict, times, |begin, end| school.between(begin, end)),
            };
        }
        if verdict != Verdict::Open {
            return Step::Waits;
        }
        if watched.holds.len() >= HOLDS_MAX {
            self.counters.holds_refused += 1;
            return Step::Waits;
        }
        let (hold, step) = Hold::begin(at, times);
        watched.holds.insert(fault.clone(), hold);
        step
    }

    /// Forgets what the device has long said nothing of. No data is no proof, so a ticket that waits for somebody
    /// keeps its fault.
    fn forget_unseen(&mut self, watched: &mut Watched, before: Option<Timestamp>) {
        let (Some(before), Some(newest)) = (before, watched.newest) else { return };
        let reported = newest.since(before).min(watched.interval.saturating_mul(INTERVALS));
        watched.sights.pass(reported, newest, self.settings.first_sight.0);
        let tickets = &*self.tickets;
        let incidents = &watched.incidents;
        let waits = |fault: &Fault| {
            incidents.get(fault).and_then(|incident| incident.ticket).is_some_and(|number| tickets.is_open(number))
        };
        let unseen: Vec<Fault> = watched
            .holds
            .iter_mut()
            .filter_map(|(fault, hold)| {
                let long = hold.pass(reported) > UNSEEN_MAX;
                (long && !waits(fault)).then(|| fault.clone())
            })
            .collect();
        for fault in unseen {
            self.end(watched, &fault, &Ending::Unseen);
        }
    }

    fn worsen(&mut self, watched: &mut Watched, fault: &Fault, threshold: &Threshold, sample: &Sample) {
        let Some(incident) = watched.incidents.get_mut(fault) else { return };
        let worse = match (threshold.value(sample), incident.worst.value) {
            (Some(new), Some(old)) => threshold.is_worse(new, old),
            _ => false,
        };
        if worse {
            incident.worsen(evidence(threshold, sample));
        }
        if incident.should_write(self.now) {
            match incident.ticket {
                Some(number) => {
                    self.tickets.update_evidence(self.now, number, &watched.device.id, fault, &incident.worst);
                }
                None => drop(watched.relist.insert(fault.clone())),
            }
        }
    }
}

fn evidence(threshold: &Threshold, sample: &Sample) -> Evidence {
    Evidence { at: sample.time, readings: threshold.readings_of(sample), value: threshold.value(sample) }
}

//! Silence, judged on receive time.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use super::watched::Watched;
use super::{Engine, Snapshot, Turn};
use crate::calendar::Book;
use crate::device::{Device, LifeState};
use crate::incidents::{Ending, Evidence, Fault};
use crate::presence::{Presence, SILENCE};
use crate::rules::{Absence, Check, Expected, Rule, RuleSet, Shown};
use crate::span::{Passing, plain};
use crate::time::Timestamp;
use crate::timer::Purpose;
use crate::usual::{Usual, is_fixed};

impl Engine {
    /// A device gave a sign of life, or took leave: notes it, and ends the silence that is proven over.
    pub(super) fn contact(&mut self, now: Timestamp, device: &str, note: impl FnOnce(&mut Watched)) {
        let (mut turn, devices) = self.turn(now);
        let Some(watched) = devices.get_mut(device) else {
            turn.counters.unknown_device += 1;
            return;
        };
        note(watched);
        watched.find &= watched.contact.presence() != Presence::Present;
        turn.end_silence(watched);
        self.rearm(device);
        self.weigh(now, device);
        self.touched.insert(device.into());
    }

    /// A silence may be too long by now.
    pub(super) fn listen(&mut self, now: Timestamp, device: &str) {
        let unwatched = self.is_unwatched(now, device);
        let usual = self.state.devices.get(device).and_then(|watched| self.usual_of(watched)).cloned();
        let usual = usual.as_ref();
        let (mut turn, devices) = self.turn(now);
        let Some(watched) = devices.get_mut(device) else { return };
        let absent = may_become_absent(watched) && quiet_at(turn.rules, watched).is_some_and(|at| at <= now);
        let rules = turn.rules;
        let due = |absence: &Absence| missed_at(turn.book, usual, watched, absence).is_some_and(|at| at <= now);
        let silent: Vec<(&Rule, &Absence)> = expected(rules, watched).filter(|(_, absence)| due(absence)).collect();
        match (absent, unwatched) {
            (true, false) => watched.contact.become_absent(now),
            (true, true) => watched.contact.become_unknown(now),
            (false, _) => {}
        }
        for (rule, absence) in silent {
            turn.miss(watched, rule, absence);
        }
        self.rearm(device);
        self.weigh(now, device);
        self.touched.insert(device.into());
    }

    /// The collector was away until now: nobody was heard of, and nobody is to blame for it.
    pub(super) fn was_away(&mut self, now: Timestamp, started: bool) {
        let grace = self.state.settings.reconnect_grace.0;
        let devices: Vec<String> = self.state.devices.keys().cloned().collect();
        for device in devices {
            if let Some(watched) = self.state.devices.get_mut(&device) {
                watched.contact.collector_was_away(now, grace, started);
            }
            self.rearm(&device);
            self.touched.insert(device);
        }
    }

    /// What is known of the hours of a device's class at its building.
    fn usual_of(&self, watched: &Watched) -> Option<&Usual> {
        let Device { class, site, .. } = &watched.device;
        if self.state.usual.is_empty() || !is_fixed(*class) {
            return None;
        }
        self.state.usual.get(&(site.clone(), *class))
    }

    /// Sets the time at which a device's silence next means something.
    pub(super) fn rearm(&mut self, device: &str) {
        let Some(watched) = self.state.devices.get(device) else { return };
        let Snapshot { rules, book, .. } = &self.state;
        let usual = self.usual_of(watched);
        let missed = expected(rules, watched).filter_map(|(_, absence)| missed_at(book, usual, watched, absence));
        let quiet = may_become_absent(watched).then(|| quiet_at(rules, watched)).flatten();
        let next = missed.chain(quiet).min();
        self.state.timers.set(Purpose::Silence { device: device.into() }, next);
    }
}

impl Turn<'_> {
    /// A device that should speak has been silent for too long.
    fn miss(&mut self, watched: &mut Watched, rule: &Rule, absence: &Absence) {
        let since = watched.contact.last().unwrap_or(self.now);
        let silence = plain(self.now.since(since).max(absence.r#for.span));
        let evidence = Evidence { at: since, readings: [format!("no sign of life for {silence}")].into(), value: None };
        let lookup = |name: &str| (name == "value").then(|| Shown::Text(silence.clone()));
        self.open(watched, rule, device_itself(rule), since, evidence, lookup);
    }

    /// Ends the silences that the device's signs of life prove to be over.
    fn end_silence(&mut self, watched: &mut Watched) {
        if watched.incidents.is_empty() || watched.contact.presence() != Presence::Present {
            return;
        }
        let back = watched.contact.proven_back();
        for rule in self.rules.iter() {
            let Check::Absence(absence) = &rule.check else { continue };
            let fault = device_itself(rule);
            let is_bad = watched.incidents.get(&fault).is_some_and(|incident| incident.good_since.is_none());
            if back >= absence.clear_for.0 && is_bad {
                self.end(watched, &fault, &Ending::ProvenGood { r#for: absence.clear_for });
            }
        }
    }
}

/// The rules whose silence would be news.
fn expected<'rules>(
    rules: &'rules RuleSet,
    watched: &Watched,
) -> impl Iterator<Item = (&'rules Rule, &'rules Absence)> {
    let judged = watched.device.state == LifeState::InUse;
    let device = watched.device.clone();
    rules
        .iter()
        .filter_map(move |rule| rule.of(&device))
        .filter_map(move |rule| match &rule.check {
            Check::Absence(absence) if judged => Some((rule, absence)),
            _ => None,
        })
        .filter(|(rule, _)| {
            // What comes and goes is news each time that it comes.
            watched.incidents.get(&device_itself(rule)).is_none_or(|incident| incident.good_since.is_some())
        })
}

/// When a device's silence will be news to a rule.
fn missed_at(book: &Book, usual: Option<&Usual>, watched: &Watched, absence: &Absence) -> Option<Timestamp> {
    let passes = |begin, span| {
        let due = counted(book, watched, absence, begin, span);
        let Some(usual) = usual.filter(|_| absence.r#for.passing == Passing::Clock) else { return due };
        let anew = |from| counted(book, watched, absence, from, span);
        usual.due(book.school(&watched.device.site), due, anew)
    };
    watched.contact.silent_at(absence.r#for.span, watched.interval, passes)
}

/// When a silence has lasted for `span`, as a rule counts it.
pub(super) fn counted(
    book: &Book,
    watched: &Watched,
    absence: &Absence,
    begin: Timestamp,
    span: Duration,
) -> Timestamp {
    let Some(school) = book.school(&watched.device.site) else { return begin + span };
    match (absence.expected, absence.r#for.passing) {
        (Expected::InSession, _) => school.after_opening(begin, span),
        (Expected::Always, Passing::School) => school.after(begin, span),
        (Expected::Always, Passing::Clock) => begin + span,
    }
}

/// When a device will have been silent for so long that it counts as absent on pages.
fn quiet_at(rules: &RuleSet, watched: &Watched) -> Option<Timestamp> {
    let spans = rules.iter().filter_map(|rule| rule.of(&watched.device)).filter_map(|rule| match &rule.check {
        Check::Absence(absence) => Some(absence.r#for.span),
        _ => None,
    });
    let span = spans.min().unwrap_or(SILENCE);
    watched.contact.silent_at(span, watched.interval, |begin, span| begin + span)
}

fn may_become_absent(watched: &Watched) -> bool {
    matches!(watched.contact.presence(), Presence::Present | Presence::Unknown)
}

fn device_itself(rule: &Rule) -> Fault {
    Fault { rule: rule.id.clone(), tags: Vec::new() }
}

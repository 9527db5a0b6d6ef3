//! What is wrong before anybody looks: a district has hundreds of worn batteries and full disks on the day on which its
//! monitoring begins. They are work to plan, and no news.

use bellwether_logic::device::Class;

use super::Play;
use super::daily::{BATTERY_HALF, BATTERY_MIN};
use crate::problem::{Deserves, Kind, Problem};

/// What a battery tells of itself is not truer than so many percent.
const NEAR: f64 = 2.0;

impl Play {
    pub(super) fn find_old_faults(&mut self) {
        self.age(self.script.first - 1);
        for thing in 0..self.world.things.len() {
            let class = self.world.things[thing].device.class;
            let this = &mut self.all.things[thing];
            let kind = match class {
                Class::Printer if self.dice.happens(0.1) => {
                    this.service = true;
                    Kind::Service
                }
                Class::Ups if self.dice.happens(0.1) => {
                    this.replace = true;
                    Kind::UpsBattery
                }
                Class::Switch if self.dice.happens(0.02) => {
                    this.part = true;
                    Kind::Part
                }
                Class::Desktop if self.dice.happens(0.01) => {
                    this.set_disk(self.now, 98.0, 0.0);
                    Kind::Fills
                }
                _ => continue,
            };
            self.add(Problem::of_device(kind, thing, self.now, Deserves::Nothing));
        }
        for problem in &mut self.truth.problems {
            problem.old = true;
            problem.deserves = Deserves::Nothing;
            // What is just at a limit may as well come to it tomorrow.
            let near = |thing: &usize| {
                let battery = self.all.things[*thing].battery;
                [BATTERY_MIN, BATTERY_HALF].iter().any(|limit| (battery - limit + NEAR / 2.0).abs() < NEAR)
            };
            if problem.kind == Kind::WornBattery && problem.hits.iter().all(near) {
                (problem.old, problem.deserves) = (false, Deserves::Either);
            }
        }
    }
}

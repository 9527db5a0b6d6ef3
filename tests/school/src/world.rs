//! The district: its buildings, rooms and devices, what hangs on what, and what draws its power from where.
//!
//! It knows nothing of how it is watched: whoever wants a district to look at, in a test or as a show, begins here.

use bellwether_logic::device::{Class, Device, LifeState};

use crate::dice::Dice;

/// How large the district is.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Buildings.
    pub buildings: usize,
    /// Computer labs of a building.
    pub labs: usize,
    /// Classrooms of a building, each with its teacher's desktop.
    pub classrooms: usize,
    /// Laptops of a building.
    pub laptops: usize,
}

impl Size {
    /// 20 buildings with 5,000 devices in all.
    pub const DISTRICT: Self = Self { buildings: 20, labs: 2, classrooms: 25, laptops: 152 };
}

/// Desktops of a lab.
const LAB: usize = 26;

/// Buildings of one technician: about 750 devices, which is what K-12 has (500 to 1,000).
pub const BUILDINGS_EACH: usize = 3;

/// How a computer is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Habit {
    /// On around the clock.
    Always,
    /// Shut down by its menu in the evening.
    ShutDown,
    /// Switched off at the wall in the evening.
    AtTheWall,
    /// Opened and closed in class, taken home or put into a cart.
    Laptop,
    /// Not a computer with an agent: watched by the closet of its building.
    Watched,
}

/// What stores a computer's data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storage {
    /// Turning disks.
    Hdd,
    /// NVMe.
    Ssd,
}

/// A device with what never changes about it.
#[derive(Clone, Debug)]
pub struct Thing {
    /// As the inventory has it.
    pub device: Device,
    /// Which building.
    pub building: usize,
    /// Which model of its class.
    pub model: usize,
    /// How old it was on the first day, in years.
    pub age: f64,
    /// On which it hangs by cable.
    pub on: Option<usize>,
    /// The UPS behind which it is.
    pub ups: Option<usize>,
    /// How it is used.
    pub habit: Habit,
    /// What it stores its data on.
    pub storage: Storage,
}

/// A building.
#[derive(Clone, Debug, Default)]
pub struct Building {
    /// Its name.
    pub name: String,
    /// Every device in it, what others hang on before those.
    pub things: Vec<usize>,
    /// What its closet asks once a minute.
    pub watched: Vec<usize>,
    /// The agent in its closet.
    pub closet: usize,
    /// Its way out.
    pub router: usize,
    /// The switch on which all others hang.
    pub core: usize,
}

/// All of it.
#[derive(Clone, Debug)]
pub struct World {
    /// Buildings.
    pub buildings: Vec<Building>,
    /// Devices.
    pub things: Vec<Thing>,
}

impl World {
    /// A district of a size, the same for the same seed.
    #[must_use]
    pub fn new(size: Size, dice: &mut Dice) -> Self {
        let mut world = Self { buildings: Vec::new(), things: Vec::new() };
        for number in 0..size.buildings {
            Builder::new(&mut world, number, dice).build(size);
        }
        world
    }

    /// How many technicians it has.
    #[must_use]
    pub fn technicians(&self) -> usize {
        self.buildings.len().div_ceil(BUILDINGS_EACH)
    }

    /// The building of a name.
    #[must_use]
    pub fn building(&self, name: &str) -> Option<usize> {
        self.buildings.iter().position(|building| building.name == name)
    }

    /// Devices in a room of a building.
    pub fn in_room<'world>(&'world self, building: usize, room: &'world str) -> impl Iterator<Item = usize> + 'world {
        self.buildings[building].things.iter().copied().filter(move |thing| self.things[*thing].device.room == room)
    }

    /// Everything that hangs on a device, directly or not, without itself.
    #[must_use]
    pub fn below(&self, thing: usize) -> Vec<usize> {
        let mut below = vec![];
        for other in self.buildings[self.things[thing].building].things.iter().copied() {
            let on = self.things[other].on;
            if on == Some(thing) || on.is_some_and(|on| below.contains(&on)) {
                below.push(other);
            }
        }
        below
    }
}

const NAMES: [&str; 20] = [
    "Lincoln",
    "Washington",
    "Jefferson",
    "Roosevelt",
    "Cedar",
    "Aspen",
    "Juniper",
    "Summit",
    "Prairie",
    "Riverside",
    "Horizon",
    "Mesa",
    "Canyon",
    "Foothill",
    "Meadow",
    "Eagle",
    "Pioneer",
    "Sunrise",
    "Valley",
    "Northside",
];

struct Builder<'world> {
    world: &'world mut World,
    number: usize,
    dice: &'world mut Dice,
}

impl<'world> Builder<'world> {
    fn new(world: &'world mut World, number: usize, dice: &'world mut Dice) -> Self {
        let name = NAMES.get(number).map_or_else(|| format!("School {}", number + 1), ToString::to_string);
        world.buildings.push(Building { name, ..Building::default() });
        Self { world, number, dice }
    }

    fn add(&mut self, class: Class, name: &str, room: &str, on: Option<usize>, habit: Habit) -> usize {
        let index = self.world.things.len();
        let id = format!("b{:02}-{name}", self.number + 1);
        let site = self.world.buildings[self.number].name.clone();
        let device = Device {
            name: id.to_uppercase(),
            id,
            class,
            site,
            room: room.into(),
            state: LifeState::InUse,
            model: String::new(),
        };
        let (models, life) = match class {
            Class::Laptop => (5, 4.5),
            Class::Desktop => (4, 6.0),
            _ => (2, 7.0),
        };
        let model = self.dice.below(models);
        // A model is bought for a year or so and then no more.
        let age = (life * (model as f64 + self.dice.unit()) / models as f64).max(0.1);
        let storage = match (habit, self.dice.happens(0.5)) {
            (Habit::Laptop, _) | (_, false) => Storage::Ssd,
            _ => Storage::Hdd,
        };
        let device = Device { model: format!("Acme {class} {}", ["A", "B", "C", "D", "E"][model]), ..device };
        let building = self.number;
        self.world.things.push(Thing { device, building, model, age, on, ups: None, habit, storage });
        let building = &mut self.world.buildings[self.number];
        building.things.push(index);
        if habit == Habit::Watched {
            building.watched.push(index);
        }
        index
    }

    fn build(mut self, size: Size) {
        let switches = self.network();
        let desk = |habit: f64| match habit {
            habit if habit < 0.78 => Habit::ShutDown,
            habit if habit < 0.98 => Habit::Always,
            _ => Habit::AtTheWall,
        };
        for lab in 0..size.labs {
            for seat in 0..LAB {
                let habit = desk(self.dice.unit());
                let (name, room) = (format!("lab{lab}-{:02}", seat + 1), format!("Lab {}", lab + 1));
                self.add(Class::Desktop, &name, &room, Some(switches[lab % switches.len()]), habit);
            }
        }
        for room in 0..size.classrooms {
            let habit = desk(self.dice.unit());
            let on = Some(switches[room % switches.len()]);
            self.add(Class::Desktop, &format!("t{:03}", 101 + room), &format!("{}", 101 + room), on, habit);
        }
        for laptop in 0..size.laptops {
            let room = format!("{}", 101 + laptop % size.classrooms.max(1));
            self.add(Class::Laptop, &format!("nb{:03}", laptop + 1), &room, None, Habit::Laptop);
        }
    }

    /// What all hangs on; says on which switches computers do.
    fn network(&mut self) -> Vec<usize> {
        let closet = |this: &mut Self, class, name: &str, on| this.add(class, name, "MDF", on, Habit::Watched);
        let router = closet(self, Class::Router, "router", None);
        let core = closet(self, Class::Switch, "core", Some(router));
        let ups = closet(self, Class::Ups, "ups1", Some(core));
        let agent = self.add(Class::Closet, "closet", "MDF", Some(core), Habit::Always);
        let server = self.add(Class::Server, "files", "MDF", Some(core), Habit::Always);
        let mut behind = vec![router, core, agent, server];
        behind.push(closet(self, Class::Sensor, "air", Some(core)));
        if self.number.is_multiple_of(4) {
            behind.push(closet(self, Class::Nas, "nas", Some(core)));
        }
        let second = self.add(Class::Ups, "ups2", "IDF-1", Some(core), Habit::Watched);
        let mut switches = vec![];
        for number in 1..=3 {
            let room = format!("IDF-{number}");
            switches.push(self.add(Class::Switch, &format!("sw{number}"), &room, Some(core), Habit::Watched));
        }
        for thing in behind {
            self.world.things[thing].ups = Some(ups);
        }
        self.world.things[switches[0]].ups = Some(second);
        for number in 0..8 {
            let on = Some(switches[number % 3]);
            let room = format!("{}", 101 + 3 * number);
            self.add(Class::AccessPoint, &format!("ap{}", number + 1), &room, on, Habit::Watched);
        }
        for number in 0..2 {
            let on = Some(switches[number]);
            self.add(Class::Printer, &format!("mfp{}", number + 1), ["Office", "Library"][number], on, Habit::Watched);
        }
        let building = &mut self.world.buildings[self.number];
        building.closet = agent;
        building.router = router;
        building.core = core;
        switches
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_district_has_20_buildings_and_5_000_devices_and_everything_hangs_on_what_comes_before_it() {
        let world = World::new(Size::DISTRICT, &mut Dice::new(1));
        assert_eq!(world.buildings.len(), 20);
        assert!((4_950..=5_050).contains(&world.things.len()), "{}", world.things.len());
        for (index, thing) in world.things.iter().enumerate() {
            assert!(thing.on.is_none_or(|on| on < index));
        }
        let core = world.things.iter().position(|thing| thing.device.id == "b01-core").unwrap();
        assert!(world.below(core).len() > 80);
    }
}

//! A school as they are: three buildings, 40 switches, 800 devices, computed. Each building has a core switch and closets
//! below it; access points carry laptops, phones carry desktops, and in some rooms there is a switch that nobody manages.

use super::*;

const BUILDINGS: u16 = 3;
const SWITCHES: u16 = 40;
const DEVICES: u16 = 800;

/// The gateway is number 0, switches are 1 to 40, devices come after them.
struct School {
    /// Number, class, the switch that it hangs on, the port, what carries it.
    all: Vec<(u16, Class, u16, u16, Option<u16>)>,
}

impl School {
    fn new() -> Self {
        let mut all = Vec::new();
        for number in 1..=SWITCHES {
            // 1 is the district's core, 2 and 3 those of the other buildings; closets follow in turn.
            let parent = match number {
                1 => 0,
                2 | 3 => 1,
                _ => 1 + (number % BUILDINGS),
            };
            all.push((number, Class::Switch, parent, 100 + number, None));
        }
        let mut carrier = None;
        for number in SWITCHES + 1..SWITCHES + 1 + DEVICES - SWITCHES {
            let place = number - SWITCHES;
            let (on, port) = (4 + (place / 5) % (SWITCHES - 3), 1 + place / 5 / (SWITCHES - 3) * 5);
            // Five in a row on one switch: an access point with two laptops, a phone with a desktop.
            let (class, port, through) = match place % 5 {
                0 => (Class::AccessPoint, port, None),
                1 | 2 => (Class::Laptop, port, carrier),
                3 => (Class::Phone, port + 1, None),
                _ => (Class::Desktop, port + 1, carrier),
            };
            if matches!(class, Class::AccessPoint | Class::Phone) {
                carrier = Some(number);
            }
            all.push((number, class, on, port, through));
        }
        Self { all }
    }

    fn parent(&self, number: u16) -> Option<(u16, u16)> {
        let found = usize::from(number).checked_sub(1).and_then(|place| self.all.get(place));
        found.map(|(_, _, on, port, _)| (*on, *port))
    }

    fn seen(&self) -> Vec<Seen> {
        let mut learned: BTreeMap<u16, Vec<(String, Mac)>> = BTreeMap::new();
        for (number, ..) in &self.all {
            let mut at = *number;
            while let Some((on, port)) = self.parent(at) {
                // A VLAN more, the same address once more.
                let entry = (format!("1/{port}"), mac(*number));
                learned.entry(on).or_default().extend([entry.clone(), entry]);
                at = on;
            }
            if *number <= SWITCHES {
                learned.entry(*number).or_default().push(("1/52".into(), mac(0)));
            }
        }
        let mut seen = vec![device(0, "n0", Class::Firewall)];
        for (number, class, on, port, _) in &self.all {
            let plain = device(*number, &format!("n{number}"), *class);
            seen.push(match class {
                Class::Switch => {
                    let learned = learned.remove(number).unwrap_or_default();
                    let switch = Seen { view: View { learned, ..View::default() }, ..plain };
                    hears(switch, "1/52", &mac(*on).to_string(), &format!("1/{port}"))
                }
                Class::Desktop | Class::Laptop => agent(*number, &plain.id, 0),
                _ => plain,
            });
        }
        seen
    }
}

#[test]
fn a_school_of_three_buildings_is_drawn_as_it_is() {
    let school = School::new();
    let seen = school.seen();
    assert_eq!(seen.len(), usize::from(DEVICES) + 1);
    let drawn = map(&seen, &[]);
    assert_eq!(drawn.root.as_deref(), Some("n0"));
    for (number, class, on, port, through) in &school.all {
        let attachment = &drawn.attachments[&format!("n{number}")];
        assert!(attachment.sure, "{number}: {attachment:?}");
        let place = attachment.place.as_ref().unwrap();
        assert_eq!(place.switch, format!("n{on}"), "{number}");
        if *on != 0 {
            assert_eq!(place.port, format!("1/{port}"), "{number}");
        }
        assert_eq!(attachment.through, through.map(|carrier| format!("n{carrier}")), "{number}");
        if *class == Class::Switch {
            assert_eq!(attachment.own_port, "1/52");
        }
    }
    assert_eq!(drawn.uplinks.len(), usize::from(SWITCHES));
    let path: Vec<&str> = drawn.path("n800").iter().map(|place| &*place.switch).collect();
    assert!((3..=4).contains(&path.len()) && path.ends_with(&["n1", "n0"]), "{path:?}");
}

#[test]
fn one_silent_core_leaves_its_building_on_the_port_that_leads_there() {
    let school = School::new();
    let mut seen = school.seen();
    seen[2].view = View::default();
    let drawn = map(&seen, &[]);
    // Closets heard the silent one and hang on it; its building is not lost.
    let closets =
        school.all.iter().filter(|(number, class, on, ..)| *class == Class::Switch && *on == 2 && *number > 3);
    for (number, ..) in closets {
        let attachment = &drawn.attachments[&format!("n{number}")];
        assert_eq!(attachment.place.as_ref().map(|place| &*place.switch), Some("n2"), "{number}: {attachment:?}");
    }
    assert_eq!(told(&drawn, "n2"), "n1:1/102");
}

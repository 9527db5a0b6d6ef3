//! Cases of the plan, and that it loses no device.

use alloc::string::ToString;
use alloc::vec;

use proptest::prelude::*;

use super::*;
use crate::life::{ClassLife, PartCost};

fn day(text: &str) -> Date {
    civil::read(text).unwrap()
}

fn today() -> Date {
    day("2026-11-22")
}

fn table() -> Table {
    let laptop = ClassLife { years: Some(4), price_cents: Some(35_000), erate: false };
    let switch = ClassLife { years: Some(7), price_cents: Some(250_000), erate: true };
    let battery = PartCost { part: "battery".into(), cents: 6_000, minutes: 20 };
    Table {
        labor_cents_per_hour: 3_000,
        classes: [(Class::Laptop, laptop), (Class::Switch, switch)].into(),
        repairs: [(BATTERY.into(), battery)].into(),
        ..Table::default()
    }
}

fn item(device: &str, class: Class, facts: Facts) -> Item {
    Item {
        device: device.into(),
        name: device.into(),
        class,
        state: LifeState::InUse,
        site: "Lincoln".into(),
        room: String::new(),
        model: "Lenovo 100e".into(),
        facts,
        battery_percent: None,
        os: None,
        repairs: Repairs::default(),
    }
}

fn bought(date: &str) -> Facts {
    Facts { purchased: Some(day(date)), ..Facts::default() }
}

fn one(item: Item) -> Line {
    forecast(today(), vec![item], &table(), Budget::default()).remove(0)
}

#[test]
fn a_budget_year_begins_in_july() {
    let budget = Budget::default();
    for (date, label) in [("2026-06-30", "2025-26"), ("2026-07-01", "2026-27"), ("2099-07-01", "2099-00")] {
        assert_eq!(budget.label(budget.year_of(day(date))), label);
    }
    let calendar_year = Budget { first_month: 1, ..budget };
    assert_eq!(calendar_year.label(calendar_year.year_of(day("2026-01-01"))), "2026");
}

#[test]
fn what_ends_first_makes_a_device_due() {
    let laptop = |facts| one(item("d1", Class::Laptop, facts));
    let planned = laptop(bought("2024-08-15"));
    assert_eq!(
        (planned.slot, planned.due, planned.because),
        (Slot::Year(2028), Some(day("2028-08-15")), Because::Planned)
    );
    let updates = laptop(Facts { updates_end: Some(day("2027-06-30")), ..bought("2024-08-15") });
    assert_eq!((updates.slot, updates.because), (Slot::Year(2026), Because::Updates));
    let only_updates = laptop(Facts { updates_end: Some(day("2031-06-30")), ..Facts::default() });
    assert_eq!((only_updates.slot, only_updates.because), (Slot::Year(2030), Because::Updates));
    let new = laptop(Facts { planned_years: Some(6), ..bought("2026-08-15") });
    assert_eq!(new.slot, Slot::Later);
    let overdue = laptop(bought("2019-08-15"));
    assert_eq!((overdue.slot, overdue.is_overdue(today())), (Slot::Year(2026), true));
    let lemon =
        Item { repairs: Repairs { count: 3, cost_cents: 30_000 }, ..item("d1", Class::Laptop, bought("2026-08-15")) };
    assert_eq!((one(lemon.clone()).slot, one(lemon).because), (Slot::Year(2026), Because::Lemon));
}

#[test]
fn what_is_assumed_is_said_and_what_is_not_known_is_not_guessed() {
    let line = one(item("d1", Class::Laptop, bought("2024-08-15")));
    assert_eq!(line.assumed, [Assumed::Years, Assumed::Price]);
    let known = Facts { price_cents: Some(30_000), planned_years: Some(4), ..bought("2024-08-15") };
    assert_eq!(one(item("d1", Class::Laptop, known)).assumed, []);
    let unknown = one(item("d1", Class::Laptop, Facts::default()));
    assert_eq!((unknown.slot, unknown.due, unknown.because), (Slot::Unknown, None, Because::Nothing));
    assert_eq!(unknown.remarks(today()), ["Assumed from class: price"]);
    let odd = one(item("d1", Class::Other, bought("2024-08-15")));
    assert_eq!((odd.slot, odd.price_cents), (Slot::Unknown, None));
}

#[test]
fn a_worn_battery_in_a_device_with_life_left_is_replaced_instead() {
    let worn = |percent, date| Item { battery_percent: Some(percent), ..item("d1", Class::Laptop, bought(date)) };
    let line = one(worn(44, "2024-08-15"));
    assert_eq!(line.battery_cents, Some(7_000));
    assert_eq!(line.remarks(today())[0], "Replace the battery instead: it holds 44%, about $70");
    assert_eq!(one(worn(60, "2024-08-15")).battery_cents, None, "not worn");
    assert_eq!(one(worn(44, "2023-08-15")).battery_cents, None, "due within a year");
    assert_eq!(
        one(Item { battery_percent: Some(44), ..item("d1", Class::Laptop, Facts::default()) }).battery_cents,
        None
    );
}

#[test]
fn erate_is_for_the_network_and_not_for_laptops() {
    // 47 CFR 54.502, DA-21-1602A1: switches, access points, routers, UPS; not end-user devices.
    let switch = one(item("s1", Class::Switch, bought("2020-08-15")));
    assert!(switch.erate && switch.assumed.contains(&Assumed::Erate));
    assert!(!one(item("d1", Class::Laptop, bought("2020-08-15"))).erate);
    assert!(!one(item("s1", Class::Switch, Facts { erate: Some(false), ..bought("2020-08-15") })).erate);
}

#[test]
fn sums_add_up_by_building_and_fund() {
    let at = |device: &str, site: &str, fund: &str, date: &str| {
        let facts = Facts { fund: fund.into(), price_cents: Some(40_000), ..bought(date) };
        Item { site: site.into(), ..item(device, Class::Laptop, facts) }
    };
    let items = vec![
        at("d1", "Lincoln", "Bond", "2023-08-15"),
        at("d2", "Lincoln", "", "2018-08-15"),
        at("d3", "Oak", "Bond", "2023-09-15"),
        Item { battery_percent: Some(40), ..at("d4", "Oak", "Bond", "2025-09-15") },
    ];
    let lines = forecast(today(), items, &table(), Budget::default());
    let by = |by| totals(today(), &lines, by, Budget::default());
    let all = &by(By::All)[""];
    assert_eq!(all[&Slot::Year(2027)], Total { devices: 2, cost_cents: 80_000, ..Total::default() });
    let now = all[&Slot::Year(2026)];
    assert_eq!((now.devices, now.overdue, now.batteries, now.battery_cents), (1, 1, 1, 7_000));
    assert_eq!(by(By::Site)["Oak"][&Slot::Year(2029)].devices, 1);
    assert_eq!(by(By::Fund).keys().map(ToString::to_string).collect::<Vec<_>>(), ["", "Bond"]);
}

fn any_item() -> impl Strategy<Value = Item> {
    let date = || prop::option::of((-6_000i32..6_000).prop_map(|days| Date(today().0 + days)));
    let class = prop::sample::select(Class::ALL);
    let state = prop::sample::select(LifeState::ALL);
    let facts = (date(), date(), prop::option::of(1u8..30), prop::option::of(0u32..300_000));
    (class, state, facts, prop::option::of(0u8..101), 0usize..5).prop_map(
        |(class, state, facts, battery_percent, count)| {
            let (purchased, updates_end, planned_years, price_cents) = facts;
            let facts = Facts { purchased, updates_end, planned_years, price_cents, ..Facts::default() };
            Item { state, battery_percent, repairs: Repairs { count, cost_cents: 0 }, ..item("d", class, facts) }
        },
    )
}

proptest! {
    #[test]
    fn every_device_in_use_stands_in_exactly_one_place(items in prop::collection::vec(any_item(), 0..60), years in 1u8..15, first_month in 1u8..13) {
        let budget = Budget { first_month, years };
        let items: Vec<Item> =
            items.into_iter().enumerate().map(|(at, item)| Item { device: at.to_string(), ..item }).collect();
        let mut expected: Vec<String> = items.iter().filter(|item| is_planned_for(item.state)).map(|item| item.device.clone()).collect();
        let cost: u64 = 0;
        let lines = forecast(today(), items, &table(), budget);
        let mut found: Vec<String> = lines.iter().map(|line| line.item.device.clone()).collect();
        expected.sort();
        found.sort();
        prop_assert_eq!(&expected, &found);
        let first = budget.year_of(today());
        for line in &lines {
            if let Slot::Year(year) = line.slot {
                prop_assert!((first..first + i32::from(years)).contains(&year));
            }
            prop_assert_eq!(line.slot == Slot::Unknown, line.due.is_none());
        }
        for by in [By::All, By::Site, By::Model, By::Fund, By::Class] {
            let groups = totals(today(), &lines, by, budget);
            let devices: u64 = groups.values().flat_map(BTreeMap::values).map(|total| total.devices).sum();
            prop_assert_eq!(devices, lines.len() as u64);
            let cents: u64 = groups.values().flat_map(BTreeMap::values).map(|total| total.cost_cents).sum();
            let priced: u64 = lines.iter().filter_map(|line| line.price_cents).map(u64::from).sum();
            prop_assert_eq!(cents, cost + priced);
        }
    }
}

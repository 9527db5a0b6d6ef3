//! The words on pages, in one place: US English, none of the words that only we use.

use bellwether_logic::device::{Class, LifeState};
use bellwether_logic::responsibilities::PartyKind;
use bellwether_logic::rules::{Severity, TicketKind};
use bellwether_logic::tickets::{TicketState, WaitFor};

/// What a device is for.
pub(super) const fn class(class: Class) -> &'static str {
    match class {
        Class::Server => "Server",
        Class::Desktop => "Desktop",
        Class::Laptop => "Laptop",
        Class::Closet => "Network closet",
        Class::Switch => "Switch",
        Class::Router => "Router",
        Class::Firewall => "Firewall",
        Class::WirelessController => "Wireless controller",
        Class::AccessPoint => "Access point",
        Class::Ups => "UPS",
        Class::Pdu => "Power strip",
        Class::Printer => "Printer",
        Class::Projector => "Projector",
        Class::Camera => "Camera",
        Class::Phone => "Phone",
        Class::Nas => "File store",
        Class::Bmc => "Server management card",
        Class::Sensor => "Sensor",
        Class::Other => "Other",
    }
}

/// Where a device stands in its life.
pub(super) const fn life(state: LifeState) -> &'static str {
    match state {
        LifeState::InUse => "In use",
        LifeState::Spare => "Spare",
        LifeState::Loaner => "Loaner",
        LifeState::InRepair => "In repair",
        LifeState::Storage => "In storage",
        LifeState::Lost => "Lost",
        LifeState::Retired => "Retired",
    }
}

/// What a ticket asks for.
pub(super) const fn kind(kind: TicketKind) -> &'static str {
    match kind {
        TicketKind::Supply => "Order supply",
        TicketKind::Repair => "Repair",
        TicketKind::Replacement => "Replace",
    }
}

/// How bad it is.
pub(super) const fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "Good to know",
        Severity::Minor => "Minor",
        Severity::Major => "Major",
        Severity::Critical => "Critical",
    }
}

/// Where a ticket stands.
pub(super) const fn ticket(state: TicketState) -> &'static str {
    match state {
        TicketState::New => "Open",
        TicketState::Assigned => "Taken",
        TicketState::InProgress => "In progress",
        TicketState::Waiting => "Waiting",
        TicketState::Reopened => "Open again",
        TicketState::Resolved => "Resolved by itself",
        TicketState::Closed => "Closed",
    }
}

/// What an owner is.
pub(super) const fn party(kind: PartyKind) -> &'static str {
    match kind {
        PartyKind::Person => "Person",
        PartyKind::Team => "Team",
        PartyKind::Vendor => "Vendor",
    }
}

/// What a ticket waits for.
pub(super) const fn wait(r#for: WaitFor) -> &'static str {
    match r#for {
        WaitFor::Part => "Waits for a part",
        WaitFor::Vendor => "Waits for the vendor",
        WaitFor::Person => "Waits for a person",
    }
}

/// `1 ticket`, `2 tickets`.
pub(super) fn count(n: &usize, word: &str) -> String {
    if *n == 1 { format!("1 {word}") } else { format!("{n} {word}s") }
}

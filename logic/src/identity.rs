//! Which machine is this? A weighted look at what its hardware says of itself, so that a machine that was re-imaged is
//! known again, and a copy of a machine's state on another machine is not.
//!
//! No single word can be trusted. Boards come with "To be filled by O.E.M." for a serial number, docks and adapters lend
//! their network address to whatever stands in them, disks move to the machine whose own has failed, boards are replaced
//! by technicians who write the old serial number into the new board, and a virtual machine's copy has everything that
//! its original has. So the words are taken in four groups that each part of a machine carries by itself: the case, the
//! board, the disks and the network cards. A group speaks for, against or not at all; the sum decides.
//!
//! What a person would have to be asked is `Unsure`: then nothing is merged, and an admin is shown both.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

pub(crate) mod junk;

pub use junk::{is_junk_uuid, is_junk_word, is_shared_address};

/// From here on it is the same machine: the board, or the case with any other part, or disk and network together.
pub const SAME: i32 = 50;

/// From here on it may be the same machine.
pub const UNSURE: i32 = 20;

/// Down to here nothing says loudly enough that it is another machine: a machine that is short of words, or has another
/// disk or network card than before, is not locked out for it.
pub const ANOTHER: i32 = -20;

/// A mark that so many devices bear tells none from another, whatever it says: a serial number that a vendor gave to a
/// whole delivery, a dock that went around.
pub const COMMON: usize = 4;

/// Marks of one machine that are looked at; a server with many disks has fewer. Whoever sends more is cut.
pub const MARKS_MAX: usize = 64;

/// The longest word that is taken; real serial numbers have a quarter of it.
const WORD_CHARS_MAX: usize = 64;

// The groups' weights. They were chosen so that the table in the tests comes out, which is the specification.
/// One less than enough when a network card speaks against it: unknown vendors' words are shared by whole deliveries.
const CASE_AGREES: i32 = 55;
const CASE_DIFFERS: i32 = -60;
const BOARD_AGREES: i32 = 50;
const BOARD_DIFFERS: i32 = -20;
const DISK_AGREES: i32 = 25;
const DISK_DIFFERS: i32 = -5;
/// Two cards in common: a dock has one.
const CARDS_AGREE: i32 = 25;
/// All that there is in common, but only one.
const ONLY_CARD_AGREES: i32 = 20;
/// One of several in common: a dock, or a card that stayed when the board went.
const CARD_AGREES: i32 = 15;
const CARDS_DIFFER: i32 = -10;
const MODEL_DIFFERS: i32 = -20;

/// What a machine says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Hardware {
    /// Who made it.
    pub vendor: String,
    /// Its model.
    pub model: String,
    /// The maker's number of the whole machine.
    pub serial: String,
    /// The maker's number of its board.
    pub board_serial: String,
    /// The firmware's UUID, lower case.
    pub uuid: String,
    /// SHA-256 of the TPM's endorsement key, lower-case hexadecimal.
    pub tpm: String,
    /// The makers' numbers of fixed disks.
    pub disks: BTreeSet<String>,
    /// Permanent addresses of network cards, lower case with colons.
    pub macs: BTreeSet<String>,
}

/// What kind of word a mark is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MarkKind {
    /// The whole machine's serial number, with its maker.
    Serial,
    /// The firmware's UUID.
    Uuid,
    /// The TPM's key.
    Tpm,
    /// The board's serial number, with its maker.
    Board,
    /// A disk's serial number.
    Disk,
    /// A network card's address.
    Mac,
}

impl MarkKind {
    /// In the database, and in sentences.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Serial => "serial number",
            Self::Uuid => "system UUID",
            Self::Tpm => "TPM key",
            Self::Board => "board serial number",
            Self::Disk => "disk",
            Self::Mac => "network card",
        }
    }
}

/// One word by which a machine can be known again.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mark {
    /// What kind of word.
    pub kind: MarkKind,
    /// The word.
    pub value: String,
}

/// What two looks at hardware come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// One machine.
    Same {
        /// How surely; compare candidates by it.
        score: i32,
        /// What agrees and what does not, for a person.
        reasons: Vec<String>,
    },
    /// Perhaps one machine: a person must say.
    Unsure {
        /// How surely.
        score: i32,
        /// What agrees and what does not, for a person.
        reasons: Vec<String>,
    },
    /// Two machines, or nothing to tell by.
    Different {
        /// Down to which score; at or below [`ANOTHER`] it is surely another.
        score: i32,
        /// What agrees and what does not, for a person.
        reasons: Vec<String>,
    },
}

impl Verdict {
    /// Whether it is surely another machine, and not only one of which too little is known.
    #[must_use]
    pub const fn is_another(&self) -> bool {
        matches!(self, Self::Different { score, .. } if *score <= ANOTHER)
    }

    /// What agrees and what does not.
    #[must_use]
    pub fn reasons(&self) -> String {
        let (Self::Same { reasons, .. } | Self::Unsure { reasons, .. } | Self::Different { reasons, .. }) = self;
        if reasons.is_empty() { "nothing to tell by".to_string() } else { reasons.join(", ") }
    }
}

impl Hardware {
    /// With what means nothing taken out, and everything cut to its bounds. What machines send is always put through
    /// here first: whoever sends ten thousand addresses is heard for a few.
    #[must_use]
    pub fn cleaned(self) -> Self {
        let word = |word: String| Some(tidy(&word)).filter(|word| !is_junk_word(word)).unwrap_or_default();
        let disks = self.disks.into_iter().map(word).filter(|disk| !disk.is_empty());
        let macs = self.macs.into_iter().map(|mac| tidy(&mac).to_lowercase()).filter(|mac| !is_shared_address(mac));
        let tpm = tidy(&self.tpm).to_lowercase();
        let is_hash = tpm.len() == 64 && tpm.bytes().all(|byte| byte.is_ascii_hexdigit());
        Self {
            vendor: word(self.vendor),
            model: word(self.model),
            serial: word(self.serial),
            board_serial: word(self.board_serial),
            uuid: Some(tidy(&self.uuid).to_lowercase()).filter(|uuid| !is_junk_uuid(uuid)).unwrap_or_default(),
            tpm: if is_hash { tpm } else { String::new() },
            disks: disks.take(MARKS_MAX / 2).collect(),
            macs: macs.take(MARKS_MAX / 2 - 4).collect(),
        }
    }

    /// The words by which it can be known again.
    #[must_use]
    pub fn marks(&self) -> BTreeSet<Mark> {
        let mut marks = BTreeSet::new();
        let mut add = |kind, value: String| {
            if !value.is_empty() {
                marks.insert(Mark { kind, value });
            }
        };
        let of_maker = |serial: &str| match serial {
            "" => String::new(),
            serial => format!("{} {}", self.vendor.to_lowercase(), serial.to_lowercase()),
        };
        // A hypervisor makes the serial number of the UUID: the same word twice is no second word.
        if !self.is_virtual() {
            add(MarkKind::Serial, of_maker(&self.serial));
            add(MarkKind::Board, of_maker(&self.board_serial));
        }
        add(MarkKind::Uuid, self.uuid.clone());
        add(MarkKind::Tpm, self.tpm.clone());
        for disk in &self.disks {
            add(MarkKind::Disk, disk.to_lowercase());
        }
        for mac in &self.macs {
            add(MarkKind::Mac, mac.clone());
        }
        marks
    }

    /// Whether it is a machine within a machine.
    #[must_use]
    pub fn is_virtual(&self) -> bool {
        let (vendor, model) = (self.vendor.to_lowercase(), self.model.to_lowercase());
        ["qemu", "vmware", "innotek", "xen", "parallels", "bochs", "red hat", "google"]
            .iter()
            .any(|name| vendor.starts_with(name))
            || ["virtual machine", "virtualbox", "kvm", "standard pc"].iter().any(|name| model.contains(name))
    }

    /// Whether it says anything by which it can be known again.
    #[must_use]
    pub fn says_nothing(&self) -> bool {
        self.marks().is_empty()
    }
}

/// A word without what surrounds it, cut to its bound.
fn tidy(word: &str) -> String {
    word.trim().chars().filter(|letter| !letter.is_control()).take(WORD_CHARS_MAX).collect()
}

/// Whether two looks are at one machine. `common` are marks that too many devices bear; they count for nothing.
#[must_use]
pub fn compare(old: &Hardware, new: &Hardware, common: &BTreeSet<Mark>) -> Verdict {
    let marks = |hardware: &Hardware| hardware.marks().into_iter().filter(|mark| !common.contains(mark)).collect();
    let (a, b): (BTreeSet<Mark>, BTreeSet<Mark>) = (marks(old), marks(new));
    let mut sum = Sum::default();
    sum.case(&a, &b);
    sum.board(&a, &b);
    sum.disks(&a, &b);
    sum.cards(&a, &b);
    let differs = |one: &str, other: &str| !one.is_empty() && !other.is_empty() && !one.eq_ignore_ascii_case(other);
    if differs(&old.model, &new.model) {
        sum.add(MODEL_DIFFERS, format!("model {} instead of {}", new.model, old.model));
    }
    let Sum { score, reasons } = sum;
    match if sum_is_capped(&a, &b) { score.min(SAME - 1) } else { score } {
        SAME.. => Verdict::Same { score, reasons },
        UNSURE.. => Verdict::Unsure { score, reasons },
        _ => Verdict::Different { score, reasons },
    }
}

/// Firmware words alone make no two machines one that have neither a disk nor a network card in common: a vendor that
/// gives one serial number to a delivery gives it one board number, too. A TPM's key is no such word.
fn sum_is_capped(a: &BTreeSet<Mark>, b: &BTreeSet<Mark>) -> bool {
    let differs = |kind| matches!(stand(kind, a, b), Stand::Differ);
    differs(MarkKind::Disk) && differs(MarkKind::Mac) && !matches!(stand(MarkKind::Tpm, a, b), Stand::Agree)
}

#[derive(Default)]
struct Sum {
    score: i32,
    reasons: Vec<String>,
}

/// How the marks of one kind stand to each other.
enum Stand {
    Unknown,
    Differ,
    Agree,
}

fn stand(kind: MarkKind, a: &BTreeSet<Mark>, b: &BTreeSet<Mark>) -> Stand {
    let of = |marks: &BTreeSet<Mark>| marks.iter().filter(|mark| mark.kind == kind).cloned().collect::<BTreeSet<_>>();
    let (a, b) = (of(a), of(b));
    match (a.is_empty() || b.is_empty(), a.is_disjoint(&b)) {
        (true, _) => Stand::Unknown,
        (false, true) => Stand::Differ,
        (false, false) => Stand::Agree,
    }
}

impl Sum {
    fn add(&mut self, weight: i32, reason: String) {
        self.score += weight;
        self.reasons.push(reason);
    }

    fn weigh(&mut self, stand: Stand, agrees: i32, differs: i32, what: &str) {
        match stand {
            Stand::Unknown => {}
            Stand::Agree => self.add(agrees, format!("same {what}")),
            Stand::Differ => self.add(differs, format!("another {what}")),
        }
    }

    fn case(&mut self, a: &BTreeSet<Mark>, b: &BTreeSet<Mark>) {
        self.weigh(stand(MarkKind::Serial, a, b), CASE_AGREES, CASE_DIFFERS, MarkKind::Serial.as_str());
    }

    /// UUID, TPM and the board's number come and go with the board: they speak once. A firmware update may change one
    /// of them, so agreement outweighs.
    fn board(&mut self, a: &BTreeSet<Mark>, b: &BTreeSet<Mark>) {
        let kinds = [MarkKind::Tpm, MarkKind::Uuid, MarkKind::Board];
        let agrees = kinds.into_iter().find(|kind| matches!(stand(*kind, a, b), Stand::Agree));
        let differs = kinds.into_iter().find(|kind| matches!(stand(*kind, a, b), Stand::Differ));
        match (agrees, differs) {
            (Some(kind), _) => self.add(BOARD_AGREES, format!("same {}", kind.as_str())),
            (None, Some(kind)) => self.add(BOARD_DIFFERS, format!("another {}", kind.as_str())),
            (None, None) => {}
        }
    }

    fn disks(&mut self, a: &BTreeSet<Mark>, b: &BTreeSet<Mark>) {
        self.weigh(stand(MarkKind::Disk, a, b), DISK_AGREES, DISK_DIFFERS, MarkKind::Disk.as_str());
    }

    fn cards(&mut self, a: &BTreeSet<Mark>, b: &BTreeSet<Mark>) {
        let of = |marks: &BTreeSet<Mark>| marks.iter().filter(|mark| mark.kind == MarkKind::Mac).count();
        let shared = a.intersection(b).filter(|mark| mark.kind == MarkKind::Mac).count();
        let agrees = match shared {
            2.. => CARDS_AGREE,
            1 if of(a) == 1 && of(b) == 1 => ONLY_CARD_AGREES,
            _ => CARD_AGREES,
        };
        self.weigh(stand(MarkKind::Mac, a, b), agrees, CARDS_DIFFER, MarkKind::Mac.as_str());
    }
}

#[cfg(test)]
mod tests;

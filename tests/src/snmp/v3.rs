//! Version 3 as a device has it (RFC 3412, RFC 3414): its engine with users, what it reports when a message is not as it
//! must be, and the faults that real engines have.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use bellwether_agent::snmp::credential::Credential;

use super::message::{Asked, integer, number, oid, take, wrap};
use super::usm::{Keys, Moment, Person};

/// How far clocks may be apart, in seconds (RFC 3414, 2.2.3).
const WINDOW_S: u32 = 150;

/// What is wrong with an engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// After so many questions it has another ID, as a device has that was replaced.
    NewEngine(u32),
    /// After so many questions it starts again and counts its starts from one: it forgets them.
    BootsBack(u32),
    /// After so many questions it starts again, as it should.
    Restart(u32),
    /// Each message is outside its time window.
    AlwaysOutside,
    /// It says nothing instead of that it can't decrypt.
    MuteAboutDecryption,
    /// Its answers are no longer what it signed.
    ChangedOnTheWay,
}

/// What a device says that it can't take, as the last but one number of its counter's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Report {
    UnsupportedLevel = 1,
    NotInTimeWindow = 2,
    UnknownUser = 3,
    UnknownEngine = 4,
    WrongDigest = 5,
    CantDecrypt = 6,
}

/// The engine of a device.
#[derive(Debug)]
pub struct Engine {
    people: Vec<Person>,
    fault: Fault,
    now: Mutex<Now>,
}

#[derive(Debug)]
struct Now {
    id: Vec<u8>,
    boots: u32,
    begun: Instant,
    asked: u32,
    /// Of each person, for this ID.
    keys: Vec<Keys>,
}

/// A message as it came.
struct Message<'a> {
    id: i64,
    flags: u8,
    engine: &'a [u8],
    moment: Moment,
    user: &'a [u8],
    signature: &'a [u8],
    salt: &'a [u8],
    /// What is inside, still encrypted if it was.
    scoped: &'a [u8],
}

/// Who an answer is for, and how it is protected.
struct Way<'a> {
    keys: &'a Keys,
    flags: u8,
    user: &'a [u8],
}

impl Engine {
    /// An engine of that ID which knows these users; communities are none.
    #[must_use]
    pub fn new(id: &[u8], people: &[Credential], fault: Fault) -> Self {
        let user = |credential: &Credential| -> Option<Person> {
            let Credential::V3(user) = credential else { return None };
            Some(Person::new(user))
        };
        Self::of(id, people.iter().filter_map(user).collect(), fault)
    }

    /// An honest engine of another ID with the same users: what is made of passwords costs a megabyte of hashing each.
    #[must_use]
    pub fn beside(&self, id: &[u8]) -> Self {
        Self::of(id, self.people.clone(), Fault::None)
    }

    fn of(id: &[u8], people: Vec<Person>, fault: Fault) -> Self {
        let keys = people.iter().map(|person| person.keys(id)).collect();
        let now = Now { id: id.to_vec(), boots: 7, begun: Instant::now(), asked: 0, keys };
        Self { people, fault, now: Mutex::new(now) }
    }

    /// The same engine, started so often and running for so long.
    ///
    /// # Panics
    /// If another thread panicked in here.
    #[must_use]
    pub fn running(self, boots: u32, since: Duration) -> Self {
        let begun = Instant::now().checked_sub(since).unwrap_or_else(Instant::now);
        let now = self.now.into_inner().expect("nobody panics with it");
        Self { now: Mutex::new(Now { boots, begun, ..now }), ..self }
    }

    /// What is said to a packet; `find` makes the answer to a question.
    ///
    /// # Panics
    /// If another thread panicked in here.
    pub fn answer(&self, packet: &[u8], find: impl FnOnce(&Asked) -> Option<Vec<u8>>) -> Option<Vec<u8>> {
        let message = Message::parse(packet)?;
        let mut now = self.now.lock().expect("nobody panics with it");
        if !message.engine.is_empty() {
            self.age(&mut now);
        }
        let (way, plain) = match self.open(&now, &message, packet) {
            Ok(opened) => opened,
            Err((Report::CantDecrypt, _)) if self.fault == Fault::MuteAboutDecryption => return None,
            Err((report, way)) => return Some(now.seal(&message, &way, &[], &reported(report))),
        };
        let (_, inside, _) = take(&plain)?;
        let (_, _, rest) = take(inside)?;
        let (_, context, question) = take(rest)?;
        let answer = find(&Asked::of_question(3, context, question)?)?;
        let mut sealed = now.seal(&message, &way, context, &answer);
        if self.fault == Fault::ChangedOnTheWay {
            // The last byte is inside the answer.
            *sealed.last_mut()? ^= 0x55;
        }
        Some(sealed)
    }

    /// Counts a question and lets happen what the fault is.
    fn age(&self, now: &mut Now) {
        now.asked += 1;
        match self.fault {
            Fault::NewEngine(after) if now.asked == after => {
                now.id.push(0x99);
                now.keys = self.people.iter().map(|person| person.keys(&now.id)).collect();
            }
            Fault::BootsBack(after) if now.asked == after => (now.boots, now.begun) = (1, Instant::now()),
            Fault::Restart(after) if now.asked == after => (now.boots, now.begun) = (now.boots + 1, Instant::now()),
            _ => {}
        }
    }

    /// Checks a message in the order of RFC 3414, 3.2; what is inside, and how the answer goes out.
    fn open<'a>(
        &self,
        now: &'a Now,
        message: &Message<'a>,
        packet: &[u8],
    ) -> Result<(Way<'a>, Vec<u8>), (Report, Way<'a>)> {
        const NONE: &Keys = &Keys::NONE;
        let open = Way { keys: NONE, flags: 0, user: message.user };
        if message.engine != now.id {
            return Err((Report::UnknownEngine, open));
        }
        let Some(place) = self.people.iter().position(|person| person.name.as_bytes() == message.user) else {
            return Err((Report::UnknownUser, open));
        };
        let (person, keys) = (&self.people[place], &now.keys[place]);
        if message.flags & 3 > person.level() {
            return Err((Report::UnsupportedLevel, open));
        }
        if message.flags & 1 != 0 {
            let begin = message.signature.as_ptr().addr() - packet.as_ptr().addr();
            let mut unsigned = packet.to_vec();
            unsigned[begin..begin + message.signature.len()].fill(0);
            if keys.sign(&unsigned) != message.signature {
                return Err((Report::WrongDigest, open));
            }
            let own = now.moment();
            let outside = message.moment.boots != own.boots || message.moment.time.abs_diff(own.time) > WINDOW_S;
            if outside || self.fault == Fault::AlwaysOutside {
                return Err((Report::NotInTimeWindow, Way { keys, flags: 1, ..open }));
            }
        }
        let way = Way { keys, flags: message.flags & 3, user: message.user };
        if message.flags & 2 == 0 {
            return Ok((way, message.scoped.to_vec()));
        }
        let salt = <[u8; 8]>::try_from(message.salt).unwrap_or_default();
        let plain = take(message.scoped).map(|(_, secret, _)| keys.decrypt(secret, message.moment, salt));
        let readable = |plain: &Vec<u8>| {
            let inside = take(plain).filter(|(tag, ..)| *tag == 0x30);
            inside.is_some_and(|(_, inside, _)| take(inside).is_some_and(|(tag, ..)| tag == 4))
        };
        plain
            .filter(readable)
            .map_or(Err((Report::CantDecrypt, Way { keys, flags: 1, ..open })), |plain| Ok((way, plain)))
    }
}

impl Now {
    fn moment(&self) -> Moment {
        Moment { boots: self.boots, time: u32::try_from(self.begun.elapsed().as_secs()).unwrap_or(u32::MAX) }
    }

    /// The packet with this answer inside, from this context.
    fn seal(&self, to: &Message, way: &Way, context: &[u8], answer: &[u8]) -> Vec<u8> {
        let moment = self.moment();
        let mut scoped = wrap(0x30, &[wrap(4, &self.id), wrap(4, context), answer.to_vec()].concat());
        let mut salt = Vec::new();
        if way.flags & 2 != 0 {
            // Each message of one start has a number of its own.
            let number = [moment.boots.to_be_bytes(), self.asked.to_be_bytes()].concat();
            salt.clone_from(&number);
            let salt = <[u8; 8]>::try_from(number).expect("twice four bytes");
            scoped = wrap(4, &way.keys.encrypt(scoped, moment, salt));
        }
        let whole = |signature: &[u8]| {
            let times = [integer(2, i64::from(moment.boots)), integer(2, i64::from(moment.time))].concat();
            let security = [wrap(4, &self.id), times, wrap(4, way.user), wrap(4, signature), wrap(4, &salt)].concat();
            let header = [integer(2, to.id), integer(2, 65_507), wrap(4, &[way.flags]), integer(2, 3)].concat();
            let inside = [integer(2, 3), wrap(0x30, &header), wrap(4, &wrap(0x30, &security)), scoped.clone()].concat();
            wrap(0x30, &inside)
        };
        if way.flags & 1 == 0 {
            return whole(&[]);
        }
        whole(&way.keys.sign(&whole(&vec![0; way.keys.signature_bytes()])))
    }
}

impl<'a> Message<'a> {
    fn parse(packet: &'a [u8]) -> Option<Self> {
        let (_, message, _) = take(packet)?;
        let (_, version, rest) = take(message)?;
        if number(version) != 3 {
            return None;
        }
        let (_, header, rest) = take(rest)?;
        let (_, security, scoped) = take(rest)?;
        let (_, id, header) = take(header)?;
        let (_, _, header) = take(header)?;
        let (_, flags, _) = take(header)?;
        let (_, security, _) = take(security)?;
        let (_, engine, security) = take(security)?;
        let (_, boots, security) = take(security)?;
        let (_, time, security) = take(security)?;
        let (_, user, security) = take(security)?;
        let (_, signature, security) = take(security)?;
        let (_, salt, _) = take(security)?;
        let moment = Moment { boots: u32::try_from(number(boots)).ok()?, time: u32::try_from(number(time)).ok()? };
        Some(Self { id: number(id), flags: *flags.first()?, engine, moment, user, signature, salt, scoped })
    }
}

/// What is inside a report: the counter of what was refused.
fn reported(report: Report) -> Vec<u8> {
    let counter = [oid(&[1, 3, 6, 1, 6, 3, 15, 1, 1, report as u32, 0]), integer(0x41, 1)].concat();
    let nothing = integer(2, 0);
    wrap(0xa8, &[nothing.clone(), nothing.clone(), nothing, wrap(0x30, &wrap(0x30, &counter))].concat())
}

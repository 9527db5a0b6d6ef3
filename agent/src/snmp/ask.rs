//! What can be asked of a device, and what can come of it: our own words, so that nothing but the client knows the
//! library that speaks SNMP, and so that a walk can be tried against any device that one can think of.

use std::future::Future;
use std::time::Duration;

use super::{Oid, Value};

/// One question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// The values of these names.
    Get(Vec<Oid>),
    /// The first name after each of these, with its value.
    GetNext(Vec<Oid>),
    /// For each of these, the next `repetitions` names. Version 1 has no such question.
    GetBulk {
        /// After which names.
        after: Vec<Oid>,
        /// How many names after each.
        repetitions: u32,
    },
}

/// One name of an answer, and what the device holds under it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// The name, as the device gave it: it may be any.
    pub name: Oid,
    /// What it holds.
    pub held: Held,
}

/// What a device holds under a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Held {
    /// A value.
    Value(Value),
    /// The device knows no such kind of thing.
    NoSuchObject,
    /// The device knows the kind, but has none of that index.
    NoSuchInstance,
    /// Nothing comes after the name that was asked about.
    EndOfView,
    /// Nothing that could be used: no value, or one of an unknown type.
    Odd,
}

impl Held {
    /// The value, if there is one.
    #[must_use]
    pub const fn value(&self) -> Option<&Value> {
        match self {
            Self::Value(value) => Some(value),
            _ => None,
        }
    }
}

/// Why a question has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// Nothing came back, however often it was asked.
    #[error("no answer")]
    NoAnswer,
    /// The answer would be larger than the device can send.
    #[error("the answer would be too big for the device")]
    TooBig,
    /// Version 1's word for both "I have no such thing" and "nothing comes after it".
    #[error("the device has no such name")]
    NoSuchName,
    /// The device failed to find the answer.
    #[error("the device failed to answer (genErr)")]
    DeviceFailed,
    /// The device lets this user read nothing of it.
    #[error("the device refuses this user access")]
    NoAccess,
    /// Any other error of the device, by its number.
    #[error("the device answered with error {0}")]
    Status(i32),
    /// What came back is no answer to the question.
    #[error("the answer makes no sense")]
    Garbled,
    /// Version 3: the device has no such user.
    #[error("the device has no user of this name")]
    UnknownUser,
    /// Version 3: the device finds that the message is not signed by this user.
    #[error("the device says that the authentication password or protocol is wrong")]
    WrongDigest,
    /// Version 3: the device can't decrypt the message.
    #[error("the device can't decrypt: the privacy password or protocol is wrong")]
    CantDecrypt,
    /// Version 3: the device has the user with less or other protection.
    #[error("the device does not take this level of security from this user")]
    UnsupportedLevel,
    /// Version 3: the device's clock and our idea of it differ, and could not be brought together.
    #[error("the message is outside the device's time window")]
    NotInTimeWindow,
    /// Version 3: the device no longer has the engine ID under which it was known.
    #[error("the device does not know the engine ID that it had")]
    UnknownEngine,
    /// Version 3: what came back is not signed by the device.
    #[error("the answer is not signed with this user's password")]
    Unsigned,
    /// It never left this machine.
    #[error("can't ask: {0}")]
    NotSent(String),
}

impl Trouble {
    /// The word of a closed list that is sent for it.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::NoAnswer => "no_answer",
            Self::TooBig | Self::NoSuchName | Self::DeviceFailed | Self::Status(_) => "device_failed",
            Self::NoAccess => "no_access",
            Self::Garbled => "garbled",
            Self::UnknownUser => "unknown_user",
            Self::WrongDigest => "wrong_digest",
            Self::CantDecrypt => "cant_decrypt",
            Self::UnsupportedLevel => "unsupported_level",
            Self::NotInTimeWindow => "not_in_time_window",
            Self::UnknownEngine => "unknown_engine",
            Self::Unsigned => "unsigned",
            Self::NotSent(_) => "not_sent",
        }
    }
}

/// Something that can be asked: one device.
pub trait Client {
    /// Asks once; what may be asked again is asked again by this, within bounds.
    fn ask(&self, request: &Request) -> impl Future<Output = Result<Vec<Binding>, Trouble>> + Send;

    /// How long the device took for its last answer, where that is known better than by who asked: waits for lost packets
    /// and for other devices' answers are none of its doing.
    fn took(&self) -> Option<Duration> {
        None
    }

    /// The values of these names.
    fn get(&self, names: &[Oid]) -> impl Future<Output = Result<Vec<Binding>, Trouble>> + Send
    where
        Self: Sync,
    {
        let request = Request::Get(names.to_vec());
        async move { self.ask(&request).await }
    }

    /// The first name after each of these.
    fn get_next(&self, names: &[Oid]) -> impl Future<Output = Result<Vec<Binding>, Trouble>> + Send
    where
        Self: Sync,
    {
        let request = Request::GetNext(names.to_vec());
        async move { self.ask(&request).await }
    }

    /// The next `repetitions` names after each of these.
    fn get_bulk(&self, names: &[Oid], repetitions: u32) -> impl Future<Output = Result<Vec<Binding>, Trouble>> + Send
    where
        Self: Sync,
    {
        let request = Request::GetBulk { after: names.to_vec(), repetitions };
        async move { self.ask(&request).await }
    }
}

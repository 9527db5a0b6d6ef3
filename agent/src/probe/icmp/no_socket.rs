//! Where there are no such sockets: raw ones are all that Windows has, and they need an administrator.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::packet::{Family, Heard};

/// What came in.
pub(super) struct Received {
    pub heard: Heard,
    pub from: IpAddr,
    pub age: Duration,
}

/// Never opened.
pub(super) enum Socket {}

impl Socket {
    pub(super) fn open(_: Family) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) const fn room(&self) -> usize {
        match *self {}
    }

    pub(super) fn send(&self, _: SocketAddr, _: u16, _: u64, _: Option<u8>) -> io::Result<()> {
        match *self {}
    }

    pub(super) async fn ready(&self) {
        match *self {}
    }

    pub(super) fn take(&self, _: usize, _: impl FnMut(Received)) {
        match *self {}
    }
}

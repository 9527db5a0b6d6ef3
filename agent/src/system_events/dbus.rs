//! As much of D-Bus as listening to logind takes: calls with words and numbers, their replies, and signals.
//!
//! A whole D-Bus library is larger than the agent's sources together. What it may not do: believe a length. Everything
//! that comes is bounded and read with checks; anything odd ends the connection, which is made anew later.

use std::collections::VecDeque;
use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags};
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::UnixStream;

/// logind's messages have some hundred bytes.
const MAX_MESSAGE_BYTES: usize = 64 << 10;

/// File descriptors that one message may bring.
const MAX_FDS: usize = 4;

/// The longest line of the greeting.
const MAX_LINE_BYTES: usize = 256;

/// The bytes of a message before its header fields.
const FIXED_BYTES: usize = 16;

pub(super) const CALL: u8 = 1;
pub(super) const REPLY: u8 = 2;
pub(super) const SIGNAL: u8 = 4;

/// Codes of header fields.
pub(super) mod field {
    pub(in super::super) const PATH: u8 = 1;
    pub(in super::super) const INTERFACE: u8 = 2;
    pub(in super::super) const MEMBER: u8 = 3;
    pub(in super::super) const REPLY_SERIAL: u8 = 5;
    pub(in super::super) const DESTINATION: u8 = 6;
    pub(in super::super) const SENDER: u8 = 7;
    pub(in super::super) const SIGNATURE: u8 = 8;
}

/// A value that is sent.
#[derive(Clone, Copy)]
pub(super) enum Value<'a> {
    Text(&'a str),
    Path(&'a str),
    Signature(&'a str),
    Number(u32),
}

/// Whom to call.
#[derive(Clone, Copy)]
pub(super) struct Method<'a> {
    pub destination: &'a str,
    pub path: &'a str,
    pub interface: &'a str,
    pub member: &'a str,
}

/// A message that came.
#[derive(Debug, Default)]
pub(super) struct Message {
    pub kind: u8,
    #[cfg_attr(not(test), expect(dead_code, reason = "what a reply names; the agent answers no calls"))]
    pub serial: u32,
    pub reply_to: u32,
    pub interface: String,
    pub member: String,
    pub sender: String,
    pub signature: String,
    pub body: Vec<u8>,
    pub fds: Vec<OwnedFd>,
}

/// A connection to a bus.
pub(super) struct Bus {
    stream: UnixStream,
    received: Vec<u8>,
    fds: VecDeque<OwnedFd>,
    serial: u32,
}

fn odd(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

impl Bus {
    /// Connects and says hello.
    pub(super) async fn connect(socket: &Path) -> io::Result<Self> {
        let mut stream = UnixStream::connect(socket).await?;
        // In decimal, each digit as hexadecimal ASCII.
        let own_id = std::fs::metadata("/proc/self")?.uid().to_string();
        let own_id: String = own_id.bytes().map(|digit| format!("{digit:02x}")).collect();
        stream.write_all(format!("\0AUTH EXTERNAL {own_id}\r\n").as_bytes()).await?;
        expect(&mut stream, "OK ").await?;
        stream.write_all(b"NEGOTIATE_UNIX_FD\r\n").await?;
        expect(&mut stream, "AGREE_UNIX_FD").await?;
        stream.write_all(b"BEGIN\r\n").await?;
        let mut bus = Self { stream, received: Vec::new(), fds: VecDeque::new(), serial: 0 };
        bus.call(of_bus("Hello"), &[]).await?;
        Ok(bus)
    }

    /// Asks for the signals that match a rule.
    pub(super) async fn listen(&mut self, rule: &str) -> io::Result<()> {
        self.call(of_bus("AddMatch"), &[Value::Text(rule)]).await.map(drop)
    }

    /// Calls a method; its reply comes as a message that names the number which this returns.
    pub(super) async fn call(&mut self, method: Method<'_>, arguments: &[Value<'_>]) -> io::Result<u32> {
        let fields = [
            (field::PATH, Value::Path(method.path)),
            (field::INTERFACE, Value::Text(method.interface)),
            (field::MEMBER, Value::Text(method.member)),
            (field::DESTINATION, Value::Text(method.destination)),
        ];
        self.serial += 1;
        let message = encode(CALL, self.serial, &fields, arguments);
        self.stream.write_all(&message).await?;
        Ok(self.serial)
    }

    /// The next message.
    pub(super) async fn next(&mut self) -> io::Result<Message> {
        loop {
            if let Some((mut message, length, fds)) = decode(&self.received)? {
                self.received.drain(..length);
                message.fds = self.fds.drain(..fds.min(self.fds.len())).collect();
                return Ok(message);
            }
            self.receive().await?;
        }
    }

    async fn receive(&mut self) -> io::Result<()> {
        let Self { stream, received, fds, .. } = self;
        let count = stream
            .async_io(Interest::READABLE, || {
                let mut bytes = [0; 2048];
                let mut room = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
                let mut control = RecvAncillaryBuffer::new(&mut room);
                let flags = RecvFlags::CMSG_CLOEXEC;
                let got = rustix::net::recvmsg(&*stream, &mut [IoSliceMut::new(&mut bytes)], &mut control, flags)?;
                for message in control.drain() {
                    if let RecvAncillaryMessage::ScmRights(new) = message {
                        fds.extend(new);
                    }
                }
                received.extend_from_slice(&bytes[..got.bytes]);
                Ok(got.bytes)
            })
            .await?;
        let too_much = self.received.len() > MAX_MESSAGE_BYTES || self.fds.len() > MAX_FDS;
        match count {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ if too_much => Err(odd("more than any message has")),
            _ => Ok(()),
        }
    }

    #[cfg(test)]
    pub(super) const fn stream(&self) -> &UnixStream {
        &self.stream
    }
}

/// A method of the bus itself.
pub(super) const fn of_bus(member: &str) -> Method<'_> {
    Method {
        destination: "org.freedesktop.DBus",
        path: "/org/freedesktop/DBus",
        interface: "org.freedesktop.DBus",
        member,
    }
}

async fn expect(stream: &mut UnixStream, begin: &str) -> io::Result<()> {
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") {
        if line.len() > MAX_LINE_BYTES {
            return Err(odd("a greeting without an end"));
        }
        line.push(stream.read_u8().await?);
    }
    if line.starts_with(begin.as_bytes()) { Ok(()) } else { Err(odd("the bus refused the greeting")) }
}

/// A message as it goes over the wire.
pub(super) fn encode(kind: u8, serial: u32, fields: &[(u8, Value<'_>)], arguments: &[Value<'_>]) -> Vec<u8> {
    let mut body = Vec::new();
    let mut signature = String::new();
    for argument in arguments {
        signature.push_str(argument.signature());
        argument.write(&mut body);
    }
    let mut header = Vec::new();
    let of_body = (!arguments.is_empty()).then_some((field::SIGNATURE, Value::Signature(&signature)));
    for (code, value) in fields.iter().copied().chain(of_body) {
        pad(&mut header, 8);
        header.push(code);
        Value::Signature(value.signature()).write(&mut header);
        value.write(&mut header);
    }
    let number = |length: usize| u32::try_from(length).expect("our messages are short").to_le_bytes();
    let mut message = vec![b'l', kind, 0, 1];
    message.extend(number(body.len()));
    message.extend(serial.to_le_bytes());
    message.extend(number(header.len()));
    message.extend(header);
    pad(&mut message, 8);
    message.extend(body);
    message
}

impl Value<'_> {
    const fn signature(self) -> &'static str {
        match self {
            Self::Text(_) => "s",
            Self::Path(_) => "o",
            Self::Signature(_) => "g",
            Self::Number(_) => "u",
        }
    }

    fn write(self, to: &mut Vec<u8>) {
        match self {
            Self::Text(text) | Self::Path(text) => {
                Self::Number(u32::try_from(text.len()).expect("our words are short")).write(to);
                to.extend(text.as_bytes());
                to.push(0);
            }
            Self::Signature(text) => {
                to.push(u8::try_from(text.len()).expect("our signatures are short"));
                to.extend(text.as_bytes());
                to.push(0);
            }
            Self::Number(number) => {
                pad(to, 4);
                to.extend(number.to_le_bytes());
            }
        }
    }
}

fn pad(bytes: &mut Vec<u8>, to: usize) {
    bytes.resize(bytes.len().next_multiple_of(to), 0);
}

/// The first message of `bytes`, its length, and how many file descriptors it brings; none if it is not whole yet.
fn decode(bytes: &[u8]) -> io::Result<Option<(Message, usize, usize)>> {
    const UNIX_FDS: u8 = 9;
    let Some(fixed) = bytes.first_chunk::<FIXED_BYTES>() else { return Ok(None) };
    if fixed[0] != b'l' || fixed[3] != 1 {
        return Err(odd("no message of this kind of machine"));
    }
    let mut reader = Reader { bytes: fixed, at: 4 };
    let (body_bytes, serial, header_bytes) = (reader.size()?, reader.number()?, reader.size()?);
    let body_at = (FIXED_BYTES + header_bytes).next_multiple_of(8);
    let length = body_at + body_bytes;
    if length > MAX_MESSAGE_BYTES {
        return Err(odd("a message that is too long"));
    }
    let Some(whole) = bytes.get(..length) else { return Ok(None) };
    let mut message = Message { kind: fixed[1], serial, body: whole[body_at..].to_vec(), ..Message::default() };
    let mut fds = 0;
    let mut reader = Reader { bytes: &whole[..FIXED_BYTES + header_bytes], at: FIXED_BYTES };
    while reader.at < reader.bytes.len() {
        reader.align(8);
        let code = reader.byte()?;
        match (code, reader.signature()?.as_str()) {
            (field::REPLY_SERIAL, "u") => message.reply_to = reader.number()?,
            (UNIX_FDS, "u") => fds = reader.size()?,
            (field::INTERFACE, "s") => message.interface = reader.text()?,
            (field::MEMBER, "s") => message.member = reader.text()?,
            (field::SENDER, "s") => message.sender = reader.text()?,
            (field::SIGNATURE, "g") => message.signature = reader.signature()?,
            (_, "s" | "o") => drop(reader.text()?),
            (_, "g") => drop(reader.signature()?),
            (_, "u") => drop(reader.number()?),
            _ => return Err(odd("a header of an unknown type")),
        }
    }
    Ok(Some((message, length, fds)))
}

/// Reads values one after the other.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// From the begin of a body.
    pub(super) const fn new(body: &'a [u8]) -> Self {
        Self { bytes: body, at: 0 }
    }

    pub(super) const fn is_at_end(&self) -> bool {
        self.at >= self.bytes.len()
    }

    pub(super) const fn align(&mut self, to: usize) {
        self.at = self.at.next_multiple_of(to);
    }

    pub(super) fn number(&mut self) -> io::Result<u32> {
        self.align(4);
        let bytes = self.take(4)?;
        Ok(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    pub(super) fn text(&mut self) -> io::Result<String> {
        let length = self.size()?;
        self.word(length)
    }

    pub(super) fn signature(&mut self) -> io::Result<String> {
        let length = self.byte()?;
        self.word(usize::from(length))
    }

    fn word(&mut self, length: usize) -> io::Result<String> {
        let text = String::from_utf8(self.take(length)?.to_vec()).map_err(|_| odd("a word that is no text"))?;
        self.take(1)?;
        Ok(text)
    }

    fn size(&mut self) -> io::Result<usize> {
        // No sum of two such can overflow.
        Ok(usize::try_from(self.number()?).unwrap_or(usize::MAX).min(MAX_MESSAGE_BYTES * 2))
    }

    fn byte(&mut self) -> io::Result<u8> {
        Ok(self.take(1)?[0])
    }

    fn take(&mut self, count: usize) -> io::Result<&'a [u8]> {
        let taken = self.bytes.get(self.at..self.at.saturating_add(count)).ok_or_else(|| odd("a message cut short"))?;
        self.at += count;
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_written_is_read_back() {
        let fields = [(field::MEMBER, Value::Text("Inhibit")), (field::REPLY_SERIAL, Value::Number(7))];
        let bytes = encode(REPLY, 3, &fields, &[Value::Text("a"), Value::Number(9)]);
        let (message, length, _) = decode(&bytes).unwrap().unwrap();
        assert_eq!((length, message.kind, message.serial, message.reply_to), (bytes.len(), REPLY, 3, 7));
        assert_eq!((message.member.as_str(), message.signature.as_str()), ("Inhibit", "su"));
        let mut reader = Reader::new(&message.body);
        assert_eq!((reader.text().unwrap().as_str(), reader.number().unwrap()), ("a", 9));
        for cut in 0..bytes.len() {
            assert!(decode(&bytes[..cut]).unwrap().is_none());
        }
    }

    proptest! {
        #[test]
        fn whatever_comes_is_read_or_refused(mut bytes in prop::collection::vec(any::<u8>(), 0..200), valid in any::<bool>()) {
            if valid && bytes.len() >= 4 {
                (bytes[0], bytes[3]) = (b'l', 1);
            }
            if let Ok(Some((_, length, _))) = decode(&bytes) {
                prop_assert!(length <= bytes.len());
            }
        }
    }
}

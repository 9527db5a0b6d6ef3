//! Asking the kernel by generic netlink: one question, one answer, on a socket that lives that long.
//!
//! Written by hand because it is all of netlink that is needed: a question of one or two attributes, and a walk over the
//! answer. The crates for it bring an asynchronous socket, a connection task and every attribute that there is.

#![cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "only Linux has these sockets"))]

use std::io;

/// Attributes of attributes: the highest bits of a type are flags.
const TYPE_MASK: u16 = 0x3fff;

/// The heads of a message (`nlmsghdr`), of a generic one (`genlmsghdr`), and of an attribute (`nlattr`).
const MESSAGE_HEAD: usize = 16;
const GENERIC_HEAD: usize = 4;
const ATTRIBUTE_HEAD: usize = 4;

const ERROR: u16 = 2;
const DONE: u16 = 3;

/// A question to a family of the kernel.
pub(super) struct Question {
    /// The family's number.
    pub family: u16,
    pub command: u8,
    /// Whether every object is asked for (a "dump"), or the one that is named.
    pub of_all: bool,
    /// Type and value of each attribute.
    pub attributes: Vec<(u16, Vec<u8>)>,
}

impl Question {
    fn to_bytes(&self) -> Vec<u8> {
        const REQUEST: u16 = 0x1;
        const ACK: u16 = 0x4;
        const DUMP: u16 = 0x300;
        let mut body = vec![self.command, 1, 0, 0];
        for (kind, value) in &self.attributes {
            let length = u16::try_from(ATTRIBUTE_HEAD + value.len()).unwrap_or(u16::MAX);
            body.extend(length.to_ne_bytes());
            body.extend(kind.to_ne_bytes());
            body.extend(value);
            body.resize(body.len().next_multiple_of(4), 0);
        }
        let length = u32::try_from(MESSAGE_HEAD + body.len()).unwrap_or(u32::MAX);
        let flags = REQUEST | if self.of_all { DUMP } else { ACK };
        let mut bytes = Vec::with_capacity(MESSAGE_HEAD + body.len());
        bytes.extend(length.to_ne_bytes());
        bytes.extend(self.family.to_ne_bytes());
        bytes.extend(flags.to_ne_bytes());
        // The sequence and the port: nobody else speaks on this socket.
        bytes.extend([0; 8]);
        bytes.extend(body);
        bytes
    }
}

/// The attributes of each object in an answer.
pub(super) fn objects(answer: &[u8]) -> impl Iterator<Item = &[u8]> {
    messages(answer).filter(|(kind, _)| *kind > DONE).filter_map(|(_, body)| body.get(GENERIC_HEAD..))
}

/// The value of an attribute among others.
pub(super) fn attribute(attributes: &[u8], wanted: u16) -> Option<&[u8]> {
    let mut rest = attributes;
    while let Some((length, kind)) = u16_at(rest, 0).zip(u16_at(rest, 2)) {
        let length = usize::from(length);
        let value = rest.get(ATTRIBUTE_HEAD..length)?;
        if kind & TYPE_MASK == wanted {
            return Some(value);
        }
        rest = rest.get(length.next_multiple_of(4)..)?;
    }
    None
}

/// Type and body of each message; what is cut ends the walk.
fn messages(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let length = usize::try_from(u32_at(rest, 0)?).ok()?;
        let kind = u16_at(rest, 4)?;
        let body = rest.get(MESSAGE_HEAD..length)?;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, body))
    })
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// Whether an answer is whole: its last message says so, or names an error.
fn end_of(answer: &[u8]) -> Option<io::Result<()>> {
    messages(answer).find_map(|(kind, body)| match kind {
        DONE => Some(Ok(())),
        ERROR => {
            let code = i32::from_ne_bytes(body.get(..4)?.try_into().ok()?);
            Some(if code == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(code.saturating_neg())) })
        }
        _ => None,
    })
}

/// Asks the kernel and waits for the whole answer.
#[cfg(target_os = "linux")]
pub(super) fn ask(question: &Question) -> io::Result<Vec<u8>> {
    use rustix::net::netlink::{GENERIC, SocketAddrNetlink};
    use rustix::net::sockopt::{Timeout, set_socket_timeout};
    use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, sendto, socket_with};
    use std::time::Duration;

    /// The kernel answers at once; only a driver that hangs does not.
    const WAIT: Duration = Duration::from_secs(2);
    /// The kernel fills no more into one datagram.
    const DATAGRAM_BYTES: usize = 32 << 10;
    /// Far more than a survey of all channels.
    const ANSWER_BYTES: usize = 512 << 10;

    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, Some(GENERIC))?;
    set_socket_timeout(&socket, Timeout::Recv, Some(WAIT))?;
    sendto(&socket, &question.to_bytes(), SendFlags::empty(), &SocketAddrNetlink::new(0, 0))?;
    let mut answer = Vec::new();
    let mut buffer = vec![0; DATAGRAM_BYTES];
    while answer.len() < ANSWER_BYTES {
        let (taken, _) = recv(&socket, buffer.as_mut_slice(), RecvFlags::empty())?;
        let datagram = buffer.get(..taken).unwrap_or_default();
        answer.extend_from_slice(datagram);
        if let Some(end) = end_of(datagram) {
            return end.map(|()| answer);
        }
        if datagram.is_empty() {
            break;
        }
    }
    Err(io::Error::new(io::ErrorKind::InvalidData, "an answer without an end"))
}

#[cfg(not(target_os = "linux"))]
pub(super) fn ask(_question: &Question) -> io::Result<Vec<u8>> {
    Err(io::Error::from(io::ErrorKind::Unsupported))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_question_is_laid_out_as_the_kernel_reads_it() {
        let question =
            Question { family: 0x10, command: 3, of_all: false, attributes: vec![(2, b"nl80211\0".to_vec())] };
        let bytes = question.to_bytes();
        assert_eq!(bytes.len(), 32);
        assert_eq!(u32_at(&bytes, 0), Some(32));
        assert_eq!((u16_at(&bytes, 4), u16_at(&bytes, 6)), (Some(0x10), Some(0x5)));
        assert_eq!(&bytes[16..20], [3, 1, 0, 0]);
        assert_eq!(attribute(&bytes[20..], 2), Some(&b"nl80211\0"[..]));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_kernel_answers_a_question_about_itself() {
        // The family that knows the others has a number that never changes, and its own name.
        let question =
            Question { family: 0x10, command: 3, of_all: false, attributes: vec![(2, b"nlctrl\0".to_vec())] };
        let answer = ask(&question).unwrap();
        let number = objects(&answer).find_map(|object| attribute(object, 1)).unwrap();
        assert_eq!(number, 0x10_u16.to_ne_bytes());
        let unknown = Question { attributes: vec![(2, b"no-such\0".to_vec())], ..question };
        assert_eq!(ask(&unknown).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_stumble(bytes in proptest::collection::vec(any::<u8>(), 0..256), wanted in 0_u16..8) {
            for object in objects(&bytes) {
                let _ = attribute(object, wanted);
            }
            let _ = attribute(&bytes, wanted);
            let _ = end_of(&bytes);
        }
    }
}

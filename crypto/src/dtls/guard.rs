//! What of a datagram is let through to the library while a handshake has no keys.
//!
//! Nothing is authentic then, and whoever can send from the peer's address could end or block the
//! handshake with one record; "invalid records SHOULD be silently discarded" (RFC 6347 section
//! 4.1.2.7). So alerts are kept back: they end the handshake only if it does not go on. Fragments are
//! put together here, by message, length and number, and the library sees whole messages only: one
//! that is never completed blocks nothing. Messages that have no place in the handshake are dropped.

use std::collections::VecDeque;

use super::session::Role;
use crate::limits::{DTLS_ASSEMBLIES_MAX, DTLS_MESSAGE_BYTES_MAX, DTLS_RESTARTS_MAX};

const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
/// Content type of a handshake record (RFC 6347 section 4.1).
pub(super) const HANDSHAKE: u8 = 22;
/// ACK (RFC 9147 section 7), the last content type of a record with a whole header.
const ACK: u8 = 26;
const RECORD_HEADER_BYTES: usize = 13;
const MESSAGE_HEADER_BYTES: usize = 12;

const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;
const CERTIFICATE: u8 = 11;
const CERTIFICATE_VERIFY: u8 = 15;
const CLIENT_KEY_EXCHANGE: u8 = 16;
/// Messages of a server in the clear: HelloRequest, ServerHello, HelloVerifyRequest,
/// NewSessionTicket, Certificate, ServerKeyExchange, CertificateRequest, ServerHelloDone.
const OF_SERVERS: [u8; 8] = [0, 2, 3, 4, 11, 12, 13, 14];

/// How the random of a ServerHello begins that asks for another ClientHello (RFC 8446 section 4.1.3).
const HELLO_RETRY_REQUEST: [u8; 8] = [0xCF, 0x21, 0xAD, 0x74, 0xE5, 0x9A, 0x61, 0x11];

/// What is left of a datagram.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Passage {
    /// What the library gets; nothing if empty.
    pub(super) bytes: Vec<u8>,
    /// An alert was kept back: its description (RFC 5246 section 7.2).
    pub(super) alert: Option<u8>,
    /// A message with a place was kept back: it claims more than
    /// [`DTLS_MESSAGE_BYTES_MAX`](crate::limits::DTLS_MESSAGE_BYTES_MAX), so many bytes.
    pub(super) too_long: Option<usize>,
    /// A whole handshake message is among the bytes.
    pub(super) has_message: bool,
    /// So is a whole Certificate.
    pub(super) has_certificate: bool,
    /// Another client speaks, or the first one was none: the library has to begin anew with this.
    pub(super) begins_anew: bool,
}

/// The state of one handshake, as far as it can be seen from outside.
#[derive(Debug)]
pub(super) struct Guard {
    role: Role,
    /// Newest last.
    assemblies: VecDeque<Assembly>,
    /// The first ClientHello that was let through, and the number of the last one.
    hello: Option<(Vec<u8>, u16)>,
    restarts_left: u8,
    /// We have sent a ServerHello: the client has returned our cookie, or will.
    answered: bool,
}

/// The head of a handshake message, or of a fragment (RFC 6347 section 4.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Head {
    kind: u8,
    length: usize,
    number: u16,
    offset: usize,
    here: usize,
}

/// A message that comes in fragments.
#[derive(Debug)]
struct Assembly {
    head: Head,
    bytes: Vec<u8>,
    present: Vec<bool>,
}

impl Guard {
    pub(super) fn new(role: Role) -> Self {
        Self {
            role,
            assemblies: VecDeque::new(),
            hello: None,
            restarts_left: DTLS_RESTARTS_MAX,
            answered: false,
        }
    }

    /// We send this.
    pub(super) fn sent(&mut self, datagram: &[u8]) {
        let is_plain = matches!(datagram, [HANDSHAKE, _, _, 0, 0, ..]);
        let is_hello = datagram.get(RECORD_HEADER_BYTES) == Some(&SERVER_HELLO);
        let random = RECORD_HEADER_BYTES + MESSAGE_HEADER_BYTES + 2;
        let is_retry = datagram.get(random..random + 8) == Some(&HELLO_RETRY_REQUEST);
        self.answered |= is_plain && is_hello && !is_retry;
    }

    /// The peer, or somebody in its place, sends this.
    pub(super) fn inspect(&mut self, datagram: &[u8]) -> Passage {
        let mut passage = Passage::default();
        let mut rest = datagram;
        while let Some(&content) = rest.first() {
            if !(CHANGE_CIPHER_SPEC..=ACK).contains(&content) {
                // An encrypted record of DTLS 1.3, or nothing that the library takes.
                passage.bytes.extend_from_slice(rest);
                break;
            }
            let Some((record, behind)) = split_record(rest) else {
                break;
            };
            rest = behind;
            let (header, body) = record.split_at(RECORD_HEADER_BYTES);
            let is_plain = header.get(3..5) == Some(&[0, 0]);
            match content {
                ALERT if is_plain => passage.alert = body.get(1).copied().or(passage.alert),
                HANDSHAKE if is_plain => self.messages(header, body, &mut passage),
                _ => passage.bytes.extend_from_slice(record),
            }
        }
        passage
    }

    /// The messages of a record in the clear, each in a record of its own.
    fn messages(&mut self, header: &[u8], mut body: &[u8], passage: &mut Passage) {
        while let Some((head, bytes, behind)) = split_message(body) {
            body = behind;
            if !self.has_a_place(head) {
                continue;
            }
            if head.length > DTLS_MESSAGE_BYTES_MAX {
                passage.too_long = Some(head.length);
                continue;
            }
            if head.here == head.length {
                self.pass(header, head, bytes, passage);
            } else if let Some(whole) = self.assemble(head, bytes) {
                self.pass(header, head, &whole, passage);
            }
        }
    }

    fn has_a_place(&self, head: Head) -> bool {
        if self.role == Role::Client {
            return OF_SERVERS.contains(&head.kind);
        }
        let last_hello = self.hello.as_ref().map(|(_, number)| *number);
        let behind_hello = last_hello.and_then(|last| head.number.checked_sub(last));
        match head.kind {
            CLIENT_HELLO => {
                let next = |last: u16| last.saturating_add(u16::from(!self.answered));
                head.number <= last_hello.map_or(0, next)
            }
            CERTIFICATE => self.answered && behind_hello == Some(1),
            CLIENT_KEY_EXCHANGE => self.answered && behind_hello == Some(2),
            CERTIFICATE_VERIFY => self.answered && behind_hello == Some(3),
            _ => false,
        }
    }

    fn pass(&mut self, header: &[u8], head: Head, body: &[u8], passage: &mut Passage) {
        if head.kind == CLIENT_HELLO {
            let first = self.hello.as_ref().map(|(first, _)| first.as_slice());
            match first {
                Some(first) if head.number == 0 && first != body && !self.answered => {
                    if self.restarts_left == 0 {
                        return;
                    }
                    self.restarts_left -= 1;
                    passage.begins_anew = true;
                    self.hello = Some((body.to_vec(), 0));
                }
                None => self.hello = Some((body.to_vec(), head.number)),
                Some(_) => {
                    if let Some((_, last)) = &mut self.hello {
                        *last = (*last).max(head.number);
                    }
                }
            }
        }
        passage.has_message = true;
        passage.has_certificate |= head.kind == CERTIFICATE;
        let out = &mut passage.bytes;
        out.extend_from_slice(header.get(..11).unwrap_or_default());
        let length = MESSAGE_HEADER_BYTES + body.len();
        out.extend_from_slice(&u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes());
        out.push(head.kind);
        out.extend_from_slice(&u24(head.length));
        out.extend_from_slice(&head.number.to_be_bytes());
        out.extend_from_slice(&u24(0));
        out.extend_from_slice(&u24(head.length));
        out.extend_from_slice(body);
    }

    /// Adds a fragment to its message, which comes out when it is whole. The newest bytes count.
    fn assemble(&mut self, head: Head, bytes: &[u8]) -> Option<Vec<u8>> {
        let is_of = |a: &Assembly| {
            (a.head.kind, a.head.number, a.head.length) == (head.kind, head.number, head.length)
        };
        let index = self.assemblies.iter().position(is_of);
        let index = index.unwrap_or_else(|| {
            if self.assemblies.len() >= DTLS_ASSEMBLIES_MAX {
                self.assemblies.pop_front();
            }
            self.assemblies.push_back(Assembly {
                head,
                bytes: vec![0; head.length],
                present: vec![false; head.length],
            });
            self.assemblies.len() - 1
        });
        let assembly = self.assemblies.get_mut(index)?;
        let range = head.offset..head.offset + head.here;
        assembly
            .bytes
            .get_mut(range.clone())?
            .copy_from_slice(bytes);
        assembly.present.get_mut(range)?.fill(true);
        if !assembly.present.iter().all(|is_there| *is_there) {
            return None;
        }
        Some(self.assemblies.remove(index)?.bytes)
    }
}

/// The first record, header included, and what is behind it.
fn split_record(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let length = bytes.get(11..RECORD_HEADER_BYTES)?;
    let length = length
        .iter()
        .fold(0, |sum, byte| sum << 8 | usize::from(*byte));
    bytes.split_at_checked(RECORD_HEADER_BYTES + length)
}

/// The first message or fragment, its bytes, and what is behind it. `None`: what follows is none.
fn split_message(bytes: &[u8]) -> Option<(Head, &[u8], &[u8])> {
    let (head, rest) = bytes.split_at_checked(MESSAGE_HEADER_BYTES)?;
    let number = |range: std::ops::Range<usize>| {
        let digits = head.get(range).unwrap_or_default();
        digits
            .iter()
            .fold(0, |sum, byte| sum << 8 | usize::from(*byte))
    };
    let head = Head {
        kind: *head.first()?,
        length: number(1..4),
        number: u16::try_from(number(4..6)).ok()?,
        offset: number(6..9),
        here: number(9..12),
    };
    let is_inside = head.offset + head.here <= head.length;
    let is_something = head.here > 0 || head.length == 0;
    if !is_inside || !is_something {
        return None;
    }
    let (body, behind) = rest.split_at_checked(head.here)?;
    Some((head, body, behind))
}

fn u24(number: usize) -> [u8; 3] {
    let [_, bytes @ ..] = u32::try_from(number).unwrap_or_default().to_be_bytes();
    bytes
}

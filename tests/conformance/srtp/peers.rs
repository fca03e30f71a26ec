//! Both implementations with the same keys.

use crypto::keys::{MasterKey, Mki, SrtpProfile};
use crypto::srtp::{SrtpOptions, SrtpReceiver, SrtpSender};
use libsrtp::{Direction, Policy, Session, Suite, TRAILER_BYTES_MAX};

use super::differences::{Outcome, agree, ours, theirs};
use crate::random::Random;

/// Suites that are compared: ours, theirs. All but those of difference 10.
pub(crate) const SUITES: &[(SrtpProfile, Suite)] = &[
    (SrtpProfile::AesCm128HmacSha1_80, Suite::AesCm128HmacSha1_80),
    (SrtpProfile::AesCm128HmacSha1_32, Suite::AesCm128HmacSha1_32),
    (SrtpProfile::AesCm256HmacSha1_80, Suite::AesCm256HmacSha1_80),
    (SrtpProfile::AesCm256HmacSha1_32, Suite::AesCm256HmacSha1_32),
    (SrtpProfile::AeadAes128Gcm, Suite::AeadAes128Gcm),
    (SrtpProfile::AeadAes256Gcm, Suite::AeadAes256Gcm),
    (SrtpProfile::NullHmacSha1_80, Suite::NullHmacSha1_80),
    (SrtpProfile::NullHmacSha1_32, Suite::NullHmacSha1_32),
];

const _: () = assert!(SUITES.len() + 2 == SrtpProfile::ALL.len());

/// Packet kinds, which have keys and indices of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Rtp,
    Rtcp,
}

/// What both sides have agreed on.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) suite: (SrtpProfile, Suite),
    /// Empty for none.
    pub(crate) mki: Vec<u8>,
    /// A multiple of 32: difference 9.
    pub(crate) window_packets: u16,
    /// The only source and its first rollover counter, which was signalled. `None`: any sources,
    /// which start at 0.
    pub(crate) rollover_counter: Option<(u32, u32)>,
}

/// A result and, if it is a good one, the packet.
pub(crate) type Answer = (Outcome, Option<Vec<u8>>);

/// Two senders that protect the same packets and two receivers that get the same datagrams.
pub(crate) struct Peers {
    suite: SrtpProfile,
    our_sender: SrtpSender,
    our_receiver: SrtpReceiver,
    their_sender: Session,
    their_receiver: Session,
}

impl Peers {
    /// Peers with random keys.
    pub(crate) fn new(call: &Call, random: &mut Random) -> Self {
        let (profile, suite) = call.suite;
        let key = random.bytes(profile.key_bytes());
        let salt = random.bytes(profile.salt_bytes());
        let mut master = MasterKey::new(profile, &key, &salt).unwrap();
        if !call.mki.is_empty() {
            master = master.with_mki(Mki::new(&call.mki).unwrap());
        }
        let options = SrtpOptions {
            replay_window_packets: call.window_packets,
            ..SrtpOptions::default()
        };
        let session = |direction| {
            Session::new(&Policy {
                suite,
                key: &key,
                salt: &salt,
                mki: &call.mki,
                window_packets: call.window_packets,
                direction,
                source: call.rollover_counter.map(|(ssrc, _)| ssrc),
            })
            .unwrap()
        };
        let mut peers = Self {
            suite: profile,
            our_sender: SrtpSender::with_options(&master, options).unwrap(),
            our_receiver: SrtpReceiver::with_options(&master, options).unwrap(),
            their_sender: session(Direction::Outbound),
            their_receiver: session(Direction::Inbound),
        };
        if let Some((ssrc, counter)) = call.rollover_counter {
            peers.our_sender.start_source(ssrc, counter).unwrap();
            peers.our_receiver.start_source(ssrc, counter).unwrap();
            for session in [&mut peers.their_sender, &mut peers.their_receiver] {
                session.set_rollover_counter(ssrc, counter).unwrap();
            }
        }
        peers
    }

    /// Has both senders protect an RTP packet, which must give the same bytes or the same refusal.
    pub(crate) fn protect_rtp(&mut self, plain: &[u8]) -> Option<Vec<u8>> {
        let (our_outcome, our_bytes) = self.protect_with_ours(Kind::Rtp, plain);
        let (their_outcome, their_bytes) = self.protect_with_theirs(Kind::Rtp, plain);
        let what = format!("protecting {plain:02x?} with {}", self.suite);
        assert_eq!(our_outcome, their_outcome, "{what}");
        assert_eq!(our_bytes, their_bytes, "{what}");
        our_bytes
    }

    pub(crate) fn protect_with_ours(&mut self, kind: Kind, plain: &[u8]) -> Answer {
        let mut buffer = with_room(plain);
        let result = match kind {
            Kind::Rtp => self.our_sender.protect_rtp(&mut buffer, plain.len()),
            Kind::Rtcp => self.our_sender.protect_rtcp(&mut buffer, plain.len()),
        };
        cut(ours(result), buffer)
    }

    pub(crate) fn protect_with_theirs(&mut self, kind: Kind, plain: &[u8]) -> Answer {
        let mut buffer = with_room(plain);
        let result = match kind {
            Kind::Rtp => self.their_sender.protect_rtp(&mut buffer, plain.len()),
            Kind::Rtcp => self.their_sender.protect_rtcp(&mut buffer, plain.len()),
        };
        cut(theirs(result), buffer)
    }

    /// Gives both receivers a datagram: both accept it, with the same plain packet, or both refuse
    /// it for the same reason. Returns the plain packet.
    pub(crate) fn deliver(&mut self, kind: Kind, datagram: &[u8]) -> Option<Vec<u8>> {
        let ((our_outcome, our_bytes), (their_outcome, their_bytes)) =
            self.unprotect(kind, datagram);
        let what = format!("unprotecting {kind:?} {datagram:02x?} with {}", self.suite);
        assert!(
            agree(our_outcome, their_outcome),
            "{our_outcome:?}, {their_outcome:?}: {what}"
        );
        assert_eq!(our_bytes, their_bytes, "{what}");
        our_bytes
    }

    /// Gives both receivers a datagram and returns what each makes of it: ours, theirs.
    pub(crate) fn unprotect(&mut self, kind: Kind, datagram: &[u8]) -> (Answer, Answer) {
        let (mut our_buffer, mut their_buffer) = (datagram.to_vec(), datagram.to_vec());
        let (our_result, their_result) = match kind {
            Kind::Rtp => (
                self.our_receiver.unprotect_rtp(&mut our_buffer),
                self.their_receiver.unprotect_rtp(&mut their_buffer),
            ),
            Kind::Rtcp => (
                self.our_receiver.unprotect_rtcp(&mut our_buffer),
                self.their_receiver.unprotect_rtcp(&mut their_buffer),
            ),
        };
        (
            cut(ours(our_result), our_buffer),
            cut(theirs(their_result), their_buffer),
        )
    }

    /// Moves our side to another process, as it were: it must go on as if nothing had happened.
    pub(crate) fn fail_over(&mut self) {
        let sender = self.our_sender.export();
        self.our_sender = SrtpSender::import(sender.as_bytes()).unwrap();
        let receiver = self.our_receiver.export();
        self.our_receiver = SrtpReceiver::import(receiver.as_bytes()).unwrap();
    }

    /// Holds the rollover counters of a source against each other.
    pub(crate) fn compare_rollover_counters(&self, ssrc: u32) {
        let theirs = |session: &Session| session.rollover_counter(ssrc).ok();
        let (ours, theirs_too) = (
            self.our_sender.rollover_counter(ssrc),
            theirs(&self.their_sender),
        );
        assert_eq!(ours, theirs_too, "sender's rollover counter");
        let (ours, theirs_too) = (
            self.our_receiver.rollover_counter(ssrc),
            theirs(&self.their_receiver),
        );
        assert_eq!(ours, theirs_too, "receiver's rollover counter");
    }
}

fn with_room(plain: &[u8]) -> Vec<u8> {
    let mut buffer = plain.to_vec();
    buffer.resize(plain.len() + TRAILER_BYTES_MAX, 0);
    buffer
}

fn cut(outcome: Outcome, mut buffer: Vec<u8>) -> Answer {
    match outcome {
        Outcome::Done(length) => {
            buffer.truncate(length);
            (outcome, Some(buffer))
        }
        Outcome::Refused(_) => (outcome, None),
    }
}

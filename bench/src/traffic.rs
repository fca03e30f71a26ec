//! The calls through one target: what they send, and what must come out.

use std::net::SocketAddrV4;

use crypto::random::Random;
use crypto::srtp::{SrtpReceiver, SrtpSender};

use crate::Failure;
use crate::check;
use crate::scenario::{Scenario, Way};
use crate::stream::{
    IncomingStream, OutgoingStream, RTP_HEADER_BYTES, Tally, read_ssrc, right_payload_number,
    sent_ssrc, ssrc_and_sequence,
};
use crate::subject::{OpenCall, OpenedCall, Processing, SubjectProcess, master_key};
use crate::wire::{Arrival, HEADERS_BYTES, Wire};

/// What the longest authentication tag adds, with room to spare.
const SRTP_ROOM_BYTES: usize = 32;
const PROFILE_OF_SUITES: &str = "the suite has no name in SDES";

/// All calls through one target.
pub(crate) struct Traffic {
    pub(crate) scenario: Scenario,
    calls: Vec<Call>,
    random: Random,
    /// Counts the steps.
    step: u64,
}

/// What a packet that came out is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known {
    pub(crate) way: Way,
    pub(crate) call: u16,
    ssrc: u32,
    rollover_counter: u32,
}

struct Call {
    browser: SocketAddrV4,
    trunk: SocketAddrV4,
    for_browser: SocketAddrV4,
    for_trunk: SocketAddrV4,
    check: Option<Vec<u8>>,
    pub(crate) check_answered: bool,
    srtp_sender: SrtpSender,
    ssrc_rewritten: bool,
    reflected: bool,
    /// By way.
    outgoing: [OutgoingStream; 2],
    incoming: [IncomingStream; 2],
    /// By way: what takes off the protection of what comes out, if there is any.
    unprotect: [Option<SrtpReceiver>; 2],
    /// By way: the step in which a packet was verified last.
    verified_in: [u64; 2],
}

/// The packets of one way of one step, ready to send: frames of one packet, or of several of one
/// call that follow each other.
#[derive(Default)]
pub(crate) struct Prepared {
    bytes: Vec<u8>,
    frame_bytes: usize,
    packets_per_frame: u16,
}

impl Prepared {
    /// Frames.
    pub(crate) fn count(&self) -> usize {
        self.bytes.len() / self.frame_bytes.max(1)
    }

    pub(crate) fn packets_per_frame(&self) -> usize {
        usize::from(self.packets_per_frame.max(1))
    }

    /// The frames from this one on.
    pub(crate) fn from(&self, first: usize) -> impl Iterator<Item = &[u8]> {
        let rest = self
            .bytes
            .get(first * self.frame_bytes..)
            .unwrap_or_default();
        rest.chunks_exact(self.frame_bytes.max(1))
    }
}

impl Traffic {
    pub(crate) fn new(scenario: &Scenario) -> Result<Self, Failure> {
        Ok(Self {
            scenario: scenario.clone(),
            calls: Vec::new(),
            random: Random::from_system()?,
            step: 0,
        })
    }

    /// Sets up a call in the target: the next one, or once more one that was closed.
    pub(crate) fn open_call(
        &mut self,
        call: u16,
        subject: &mut SubjectProcess,
        wire: &Wire,
    ) -> Result<(), Failure> {
        let suite = self.scenario.suite;
        let mut browser_key = vec![0; suite.key_bytes() + suite.salt_bytes()];
        self.random.fill(&mut browser_key);
        let (browser, trunk) = (wire.browser_address(call), wire.trunk_address(call));
        let opened = subject.open(OpenCall {
            call,
            browser,
            trunk,
            suite: suite.sdes_name().ok_or(PROFILE_OF_SUITES)?.to_owned(),
            browser_key: browser_key.clone(),
        })?;
        let made = self.call(call, [browser, trunk], &browser_key, &opened)?;
        match self.calls.get_mut(usize::from(call)) {
            Some(place) => *place = made,
            None => self.calls.push(made),
        }
        Ok(())
    }

    /// Closes all calls in the target and sets them up again.
    pub(crate) fn renew(
        &mut self,
        subject: &mut SubjectProcess,
        wire: &Wire,
    ) -> Result<(), Failure> {
        for call in 0..u16::try_from(self.calls.len())? {
            subject.close(call)?;
            self.open_call(call, subject, wire)?;
        }
        Ok(())
    }

    fn call(
        &self,
        call: u16,
        [browser, trunk]: [SocketAddrV4; 2],
        browser_key: &[u8],
        opened: &OpenedCall,
    ) -> Result<Call, Failure> {
        let suite = self.scenario.suite;
        let browser_key = master_key(suite, browser_key)?;
        let (unprotect, ssrc_rewritten) = match &opened.media {
            Processing::Reflected => ([None, Some(SrtpReceiver::new(&browser_key)?)], false),
            Processing::Forwarded {
                gateway_key,
                ssrc_rewritten,
            } => {
                let gateway_key = master_key(suite, gateway_key)?;
                (
                    [Some(SrtpReceiver::new(&gateway_key)?), None],
                    *ssrc_rewritten,
                )
            }
        };
        let check = match &opened.ice {
            Some((fragment, password)) => {
                let request = check::request(call, fragment, password);
                Some(request.ok_or("the ICE texts are too long")?)
            }
            None => None,
        };
        Ok(Call {
            browser,
            trunk,
            for_browser: opened.for_browser,
            for_trunk: opened.for_trunk,
            check_answered: check.is_none(),
            check,
            srtp_sender: SrtpSender::new(&browser_key)?,
            ssrc_rewritten,
            reflected: matches!(opened.media, Processing::Reflected),
            outgoing: [Way::ToBrowser, Way::ToTrunk]
                .map(|way| OutgoingStream::new(sent_ssrc(way, call))),
            incoming: [IncomingStream::default(); 2],
            unprotect,
            verified_in: [0; 2],
        })
    }

    /// A step begins: every ICE check has to be made again, and who verifies has missed packets.
    pub(crate) fn begin_step(&mut self) {
        self.step += 1;
        for call in &mut self.calls {
            call.check_answered = call.check.is_none();
        }
    }

    /// Frames with the checks that have no answer yet, at most `limit`.
    pub(crate) fn open_checks(&self, wire: &Wire, limit: usize) -> Vec<Vec<u8>> {
        let open = self
            .calls
            .iter()
            .filter(|call| !call.check_answered)
            .take(limit);
        open.filter_map(|call| {
            let check = call.check.as_ref()?;
            let headers = wire.headers(call.browser, call.for_browser, check.len(), 1);
            Some([&headers[..], check].concat())
        })
        .collect()
    }

    /// Takes an answer to a check. True if it was one.
    pub(crate) fn take_answer(&mut self, packet: &[u8]) -> bool {
        let answered = check::answered_call(packet);
        let call = answered.and_then(|call| self.calls.get_mut(usize::from(call)));
        call.map(|call| call.check_answered = true).is_some()
    }

    /// Makes (and protects) about `count` packets of one way, in the memory of an earlier step.
    /// `burst` packets of one call follow each other, in one frame where the wire can do that.
    pub(crate) fn prepare(
        &mut self,
        way: Way,
        count: u32,
        burst: u16,
        wire: &Wire,
        prepared: &mut Prepared,
    ) -> Result<(), Failure> {
        let per_frame = if wire.segments() { burst } else { 1 };
        let calls = u32::try_from(self.calls.len())?.max(1);
        prepared.bytes.clear();
        prepared.packets_per_frame = per_frame;
        let frames = count.div_ceil(per_frame.into());
        for frame in 0..frames {
            let number = frame * u32::from(per_frame);
            let index = u16::try_from(number / u32::from(burst) % calls)?;
            let start = prepared.bytes.len();
            prepared.bytes.resize(start + HEADERS_BYTES, 0);
            let mut length = 0;
            for number in number..number + u32::from(per_frame) {
                let last = (burst > 1).then_some(number % u32::from(burst) == u32::from(burst) - 1);
                length = self.append(way, index, number, last, &mut prepared.bytes)?;
            }
            let call = self.calls.get(usize::from(index)).ok_or("no call")?;
            let (from, to) = match way {
                Way::ToBrowser => (call.trunk, call.for_trunk),
                Way::ToTrunk => (call.browser, call.for_browser),
            };
            let headers = wire.headers(from, to, length, per_frame);
            let place = prepared.bytes.get_mut(start..start + HEADERS_BYTES);
            place.unwrap_or_default().copy_from_slice(&headers);
            prepared.frame_bytes = prepared.bytes.len() - start;
        }
        Ok(())
    }

    /// Appends the next packet of a call; returns its length.
    fn append(
        &mut self,
        way: Way,
        index: u16,
        number: u32,
        last: Option<bool>,
        bytes: &mut Vec<u8>,
    ) -> Result<usize, Failure> {
        let payload_bytes = self.scenario.payload_bytes;
        let rtp_bytes = RTP_HEADER_BYTES + usize::from(payload_bytes);
        let call = self.calls.get_mut(usize::from(index)).ok_or("no call")?;
        let [to_browser, to_trunk] = &mut call.outgoing;
        let start = bytes.len();
        match way {
            Way::ToBrowser => {
                to_browser.append(bytes, index, number, payload_bytes, last);
                Ok(rtp_bytes)
            }
            Way::ToTrunk => {
                to_trunk.append(bytes, index, number, payload_bytes, last);
                bytes.resize(bytes.len() + SRTP_ROOM_BYTES, 0);
                let packet = bytes.get_mut(start..).unwrap_or_default();
                let length = call.srtp_sender.protect_rtp(packet, rtp_bytes)?;
                bytes.truncate(start + length);
                Ok(length)
            }
        }
    }

    /// Counts a packet that came out. Tells what it is, if it is any of ours.
    pub(crate) fn receive(
        &mut self,
        arrival: &Arrival<'_>,
        tallies: &mut [Tally; 2],
    ) -> Option<Known> {
        let (ssrc, sequence) = ssrc_and_sequence(arrival.payload)?;
        let known = read_ssrc(ssrc).and_then(|(way, call, rewritten)| {
            let stream = self.calls.get_mut(usize::from(call))?;
            let at_browser = (way == Way::ToBrowser) != stream.reflected;
            let expected = if at_browser {
                stream.browser
            } else {
                stream.trunk
            };
            let right = arrival.to.is_none_or(|to| to == expected);
            (right && stream.ssrc_rewritten == rewritten).then_some((way, call, stream))
        });
        let Some((way, call, stream)) = known else {
            tallies[0].wrong += 1;
            return None;
        };
        let incoming = stream.incoming.get_mut(way.index())?;
        incoming.receive(sequence, tallies.get_mut(way.index())?);
        Some(Known {
            way,
            call,
            ssrc,
            rollover_counter: incoming.rollover_counter(sequence),
        })
    }

    /// Looks at every byte of a packet that came out, and returns the number that it was made
    /// with; `None` if it is not right.
    pub(crate) fn verify(&mut self, known: Known, packet: &mut [u8]) -> Option<u32> {
        let stream = self.calls.get_mut(usize::from(known.call))?;
        let verified_in = stream.verified_in.get_mut(known.way.index())?;
        let joins = std::mem::replace(verified_in, self.step) != self.step;
        let length = match stream.unprotect.get_mut(known.way.index())? {
            Some(receiver) => {
                if joins {
                    // Not every call is verified in every step.
                    receiver.remove_source(known.ssrc);
                    receiver
                        .start_source(known.ssrc, known.rollover_counter)
                        .ok()?;
                }
                receiver.unprotect_rtp(packet).ok()?
            }
            None => packet.len(),
        };
        right_payload_number(
            packet.get(..length)?,
            known.call,
            self.scenario.payload_bytes,
        )
    }
}

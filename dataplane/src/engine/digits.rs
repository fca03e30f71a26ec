//! Digits of our own in the audio of a flow: telephone-events (RFC 4733) in the numbering that the
//! audio leaves with, so that the receiver sees one stream of one source.
//!
//! While a digit lasts, the audio of its flow is withheld: a receiver plays one or the other, and
//! numbers go on without a gap. A digit needs no audio: a muted source sends digits too.

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::Engine;
use super::flow::{Flow, MediaProtocol};
use super::heard::Heard;
use super::ticks::ticks;
use super::verdict::{DropReason, Transmit};
use crate::limits::{
    DIGIT_DURATION_MAX, DIGIT_DURATION_MIN, DIGIT_PACKET_INTERVAL, DIGIT_PAUSE, DIGITS_PER_FLOW_MAX,
};
use crate::link::{FlowId, RefuseReason, SendDigit};
use crate::wire::telephone_event::{self, TelephoneEvent};

/// RFC 4733 section 2.5.1.4: the final packet is sent three times.
const FINAL_PACKETS: u32 = 3;

/// What few flows have: what is known of their digits.
#[derive(Default)]
pub(super) struct FlowDigits {
    /// Those of ours that go where the audio goes; `None` when there is nothing to do.
    pub(super) sent: Option<Digits>,
    /// What is known of those of the peer that end here; `None` unless a route says that they do.
    pub(super) heard: Option<Heard>,
}

/// What the engine does for the digits of a flow when the time comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Due {
    pub(super) at: Instant,
    pub(super) flow: FlowId,
    pub(super) task: Task,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Task {
    /// Writes the next packet of a digit of ours.
    Send,
    /// Looks whether the end of a digit of the peer was lost.
    Expire,
    /// Asks the peer for a key frame.
    AskKeyFrame,
}

/// The digits of one flow: the one that is being sent, and those that wait.
pub(super) struct Digits {
    waiting: VecDeque<SendDigit>,
    current: Option<Current>,
}

/// A digit of which at least one packet has left.
struct Current {
    digit: SendDigit,
    /// When it began, in the stream's media time.
    timestamp: u32,
    /// Packets that have left.
    packets: u32,
    /// Packets until its end is told for the first time, that one included.
    packets_to_end: u32,
}

/// What one packet of a digit says.
struct Packet {
    payload_type: u8,
    is_first: bool,
    timestamp: u32,
    event: TelephoneEvent,
}

impl Digits {
    fn new(first: SendDigit) -> Self {
        let mut waiting = VecDeque::with_capacity(DIGITS_PER_FLOW_MAX);
        waiting.push_back(first);
        Self {
            waiting,
            current: None,
        }
    }

    /// The next packet, and the time from it until something is to be done again; `None` when the
    /// pause after the last digit is over.
    fn next(&mut self, begin: impl FnOnce() -> u32) -> Option<(Packet, Duration)> {
        if self.current.is_none() {
            let digit = self.waiting.pop_front()?;
            let lasts = digit.duration.clamp(DIGIT_DURATION_MIN, DIGIT_DURATION_MAX);
            let packets = lasts
                .as_micros()
                .div_ceil(DIGIT_PACKET_INTERVAL.as_micros());
            self.current = Some(Current {
                digit: SendDigit {
                    duration: lasts,
                    ..digit
                },
                timestamp: begin(),
                packets: 0,
                packets_to_end: u32::try_from(packets).unwrap_or(1),
            });
        }
        let current = self.current.as_mut()?;
        current.packets += 1;
        let (packet, is_last) = (current.packet(), current.is_over());
        let wait = if is_last {
            // The last packet left later than the digit ended: that is part of the pause.
            let repeated = DIGIT_PACKET_INTERVAL * (FINAL_PACKETS - 2);
            self.current = None;
            DIGIT_PAUSE.saturating_sub(repeated)
        } else {
            DIGIT_PACKET_INTERVAL
        };
        Some((packet, wait))
    }
}

impl Current {
    /// The packet that was counted last. As a frame of audio it tells what lasts from now on: the
    /// first says one interval, for zero would be a state (RFC 4733 section 2.3.5).
    fn packet(&self) -> Packet {
        let is_end = self.packets >= self.packets_to_end;
        let so_far = if is_end {
            self.digit.duration
        } else {
            DIGIT_PACKET_INTERVAL * self.packets
        };
        Packet {
            payload_type: self.digit.payload_type,
            is_first: self.packets == 1,
            timestamp: self.timestamp,
            event: TelephoneEvent {
                event: self.digit.event,
                is_end,
                duration: u16::try_from(ticks(so_far, self.digit.clock_hz)).unwrap_or(u16::MAX),
            },
        }
    }

    fn is_over(&self) -> bool {
        self.packets + 1 >= self.packets_to_end + FINAL_PACKETS
    }
}

impl Engine {
    /// Writes the next packet of a digit that is due into `buffer`
    /// ([`DIGIT_PACKET_BYTES_MAX`](crate::limits::DIGIT_PACKET_BYTES_MAX) at most), protected, and
    /// says where it goes. `None` when there is none: to be called until then, or as often as the
    /// shell can send in one turn. Digits of peers whose end was lost end here too.
    pub fn poll_digit(&mut self, now: Instant, buffer: &mut [u8]) -> Option<Transmit> {
        while let Some(Reverse(due)) = self.digits_due.peek().copied()
            && due.at <= now
        {
            self.digits_due.pop();
            let (at, id) = (due.at, due.flow);
            match due.task {
                Task::Send => {}
                Task::Expire => {
                    self.expire_digit(now, id);
                    continue;
                }
                Task::AskKeyFrame => {
                    self.ask_key_frame(id);
                    continue;
                }
            }
            let Some((packet, wait)) = self.next_packet(now, id) else {
                self.drop_digits(id);
                continue;
            };
            // Equal intervals, but no hurry after a turn that came much too late.
            let from = if now - at >= wait { now } else { at };
            let at = from + wait;
            self.digits_due.push(Reverse(Due { at, ..due }));
            match self.write_digit(now, id, &packet, buffer) {
                Ok(transmit) => {
                    self.counters.count_digit_packet();
                    return Some(transmit);
                }
                Err(reason) => self.counters.count_drop(reason),
            }
        }
        None
    }

    /// Queues a digit behind those that are not sent yet.
    pub(super) fn send_digit(
        &mut self,
        now: Instant,
        digit: SendDigit,
    ) -> Result<(), RefuseReason> {
        let id = digit.from;
        let flow = self.table.get_mut(id).ok_or(RefuseReason::UnknownFlow)?;
        if flow.audio.route().is_none() {
            return Err(RefuseReason::NoRoute);
        }
        match &mut flow.digits.get_or_insert_default().sent {
            Some(digits) if digits.waiting.len() >= DIGITS_PER_FLOW_MAX => {
                return Err(RefuseReason::TooManyDigits);
            }
            Some(digits) => digits.waiting.push_back(digit),
            sent @ None => {
                *sent = Some(Digits::new(digit));
                let due = Due {
                    at: now,
                    flow: id,
                    task: Task::Send,
                };
                self.digits_due.push(Reverse(due));
            }
        }
        Ok(())
    }

    /// What is left of a flow's digits is not sent any more: its audio goes nowhere, or elsewhere.
    pub(super) fn stop_digits(&mut self, id: FlowId) {
        if self.drop_digits(id) {
            let is_another = |due: &Due| due.flow != id || due.task != Task::Send;
            self.digits_due.retain(|Reverse(due)| is_another(due));
        }
    }

    /// The flow is no more, and nothing is to be done for it.
    pub(super) fn forget_digits(&mut self, flow: &Flow) {
        if flow.has_digits_due() || flow.key_frames().is_awaited {
            self.digits_due.retain(|Reverse(due)| due.flow != flow.id);
        }
    }

    /// When something is to be done next.
    pub(super) fn digit_due_at(&self) -> Option<Instant> {
        self.digits_due.peek().map(|Reverse(due)| due.at)
    }

    fn drop_digits(&mut self, id: FlowId) -> bool {
        let Some(flow) = self.table.get_mut(id) else {
            return false;
        };
        flow.audio.replace(false);
        let digits = flow.digits.as_deref_mut();
        digits.and_then(|digits| digits.sent.take()).is_some()
    }

    fn next_packet(&mut self, now: Instant, id: FlowId) -> Option<(Packet, Duration)> {
        let random = self.next_random();
        let flow = self.table.get_mut(id)?;
        let digits = flow.digits.as_deref_mut()?.sent.as_mut()?;
        let clock_hz = flow.audio.known_route()?.clock_hz;
        let rewrite = &mut flow.audio.rewrite;
        let next = digits.next(|| rewrite.begin(now, clock_hz, random))?;
        flow.audio.replace(digits.current.is_some());
        Some(next)
    }

    fn write_digit(
        &mut self,
        now: Instant,
        id: FlowId,
        packet: &Packet,
        buffer: &mut [u8],
    ) -> Result<Transmit, DropReason> {
        let source = self.table.get_mut(id).ok_or(DropReason::NoRoute)?;
        let route = source.audio.route().ok_or(DropReason::NoRoute)?;
        let (to, ssrc) = (route.to, route.outgoing_ssrc);
        let numbers = source.audio.rewrite.insert(now, packet.timestamp);
        let header = telephone_event::Header {
            payload_type: packet.payload_type,
            marker: packet.is_first,
            sequence: numbers.sequence,
            timestamp: numbers.timestamp,
            ssrc,
        };
        let sent = self.protect_digit(now, to, packet, &header, buffer);
        match sent {
            Ok(_) => {
                let sending = self.table.get_mut(to).map(|flow| &mut flow.audio.sending);
                if let Some(sending) = sending {
                    sending.count(now, ssrc, &numbers, telephone_event::PAYLOAD_BYTES);
                }
            }
            Err(_) => {
                if let Some(source) = self.table.get_mut(id) {
                    source.audio.rewrite.withdraw(&numbers);
                }
            }
        }
        sent
    }

    fn protect_digit(
        &mut self,
        now: Instant,
        to: FlowId,
        packet: &Packet,
        header: &telephone_event::Header,
        buffer: &mut [u8],
    ) -> Result<Transmit, DropReason> {
        let length = packet
            .event
            .write(header, buffer)
            .ok_or(DropReason::Truncated)?;
        let flow = self.table.get_mut(to).ok_or(DropReason::NoDestination)?;
        let moment = self.clock.moment(now);
        let (length, socket, to) = flow.protect(moment, buffer, length, MediaProtocol::Rtp)?;
        Ok(Transmit::new(socket, to, length))
    }
}

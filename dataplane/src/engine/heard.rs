//! Digits that a peer sends as telephone-events (RFC 4733), where the other leg does not take
//! those: they end here, and control is told each of them once, when it is over.

use std::cmp::Reverse;
use std::time::{Duration, Instant};

use super::Engine;
use super::digits::{Due, Task};
use super::flow::Flow;
use crate::limits::{DIGIT_LOST_AFTER, DIGITS_PER_SWEEP_MAX};
use crate::link::{Event, FlowId, PayloadTypeMap};
use crate::wire::rtp::RtpHeader;
use crate::wire::telephone_event::TelephoneEvent;

/// The last event that is a digit; others are no DTMF (RFC 4733 section 3.2).
const LAST_DIGIT: u8 = 15;

/// What is known of the digits of one flow.
#[derive(Default)]
pub(super) struct Heard {
    latest: Option<Latest>,
    /// The engine looks at it again when the digit has had no packet for a while.
    is_awaited: bool,
    /// Digits that may still be told until the next sweep.
    left: u8,
}

/// The digit of the newest packet.
#[derive(Clone, Copy)]
struct Latest {
    ssrc: u32,
    timestamp: u32,
    event: u8,
    /// How long it has lasted, in units of the clock rate: of earlier segments, and of this one.
    before: u32,
    duration: u16,
    seen_at: Instant,
    is_over: bool,
}

/// A digit that is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Finished {
    event: u8,
    ticks: u32,
}

impl Latest {
    fn finished(&self) -> Finished {
        Finished {
            event: self.event,
            ticks: self.before.saturating_add(self.duration.into()),
        }
    }

    /// Does this packet go on with it, in another segment (RFC 4733 section 2.5.1.3)?
    fn goes_on(&self, header: &RtpHeader, event: &TelephoneEvent) -> bool {
        let next = self.timestamp.wrapping_add(self.duration.into());
        self.duration == u16::MAX
            && !header.marker
            && self.event == event.event
            && header.timestamp == next
    }
}

impl Heard {
    pub(super) fn new() -> Self {
        Self {
            left: DIGITS_PER_SWEEP_MAX,
            ..Self::default()
        }
    }

    /// Takes in a packet, and returns what is over with it: the digit before, whose end was lost,
    /// and this one.
    fn take(
        &mut self,
        now: Instant,
        header: &RtpHeader,
        event: &TelephoneEvent,
    ) -> [Option<Finished>; 2] {
        // RFC 4733 section 2.3.5: zero is for states, and digits are none.
        if event.event > LAST_DIGIT || event.duration == 0 {
            return [None; 2];
        }
        let mut next = Latest {
            ssrc: header.ssrc,
            timestamp: header.timestamp,
            event: event.event,
            before: 0,
            duration: event.duration,
            seen_at: now,
            is_over: event.is_end,
        };
        let mut lost = None;
        if let Some(latest) = self.latest.filter(|latest| latest.ssrc == header.ssrc) {
            let ahead = header
                .timestamp
                .wrapping_sub(latest.timestamp)
                .cast_signed();
            if ahead < 0 || (ahead == 0 && (latest.is_over || latest.event != event.event)) {
                // It has been told: its end is sent three times, and packets overtake each other.
                return [None; 2];
            }
            if ahead == 0 {
                next.duration = latest.duration.max(event.duration);
                next.before = latest.before;
            } else if !latest.is_over && latest.goes_on(header, event) {
                next.before = latest.finished().ticks;
            } else {
                lost = (!latest.is_over).then(|| latest.finished());
            }
        } else {
            let latest = self.latest.filter(|latest| !latest.is_over);
            lost = latest.map(|latest| latest.finished());
        }
        self.latest = Some(next);
        [lost, next.is_over.then(|| next.finished())]
    }

    /// The digit that has had no packet for too long: its end was lost.
    fn expire(&mut self, now: Instant) -> Expired {
        self.is_awaited = false;
        match &mut self.latest {
            Some(latest) if !latest.is_over => {
                let at = latest.seen_at + DIGIT_LOST_AFTER;
                if at > now {
                    self.is_awaited = true;
                    return Expired::Later(at);
                }
                latest.is_over = true;
                Expired::Now(latest.finished())
            }
            Some(_) | None => Expired::Nothing,
        }
    }
}

enum Expired {
    Now(Finished),
    Later(Instant),
    Nothing,
}

impl Engine {
    /// Takes in a telephone-event of a flow whose route lets none pass.
    pub(super) fn hear_digit(
        &mut self,
        now: Instant,
        slot: u16,
        header: &RtpHeader,
        packet: &[u8],
    ) {
        let Some(flow) = self.table.at_mut(slot) else {
            return;
        };
        let since_open = now.saturating_duration_since(flow.opened_at);
        let arrival = flow.audio.take(header, since_open);
        // What follows leaves no gap.
        flow.audio.rewrite.skip(arrival);
        let Some(event) = TelephoneEvent::parse(header.payload(packet)) else {
            return;
        };
        let id = flow.id;
        let Some(heard) = flow.digits_heard() else {
            return;
        };
        let finished = heard.take(now, header, &event);
        let is_open = heard.latest.is_some_and(|latest| !latest.is_over);
        if is_open && !heard.is_awaited {
            heard.is_awaited = true;
            let at = now + DIGIT_LOST_AFTER;
            self.digits_due.push(Reverse(Due {
                at,
                flow: id,
                task: Task::Expire,
            }));
        }
        for finished in finished.into_iter().flatten() {
            self.tell_digit(id, finished);
        }
    }

    /// A route is set that lets these pass: digits are heard only where they do not.
    pub(super) fn expect_digits(&mut self, id: FlowId, payload_types: &PayloadTypeMap) {
        if let Some(flow) = self.table.get_mut(id)
            && payload_types.ends_digits()
        {
            let digits = flow.digits.get_or_insert_default();
            digits.heard.get_or_insert_with(Heard::new);
        }
    }

    /// It is time to look whether the end of a digit was lost.
    pub(super) fn expire_digit(&mut self, now: Instant, id: FlowId) {
        let flow = self.table.get_mut(id);
        let Some(heard) = flow.and_then(Flow::digits_heard) else {
            return;
        };
        match heard.expire(now) {
            Expired::Nothing => {}
            Expired::Now(finished) => self.tell_digit(id, finished),
            Expired::Later(at) => {
                self.digits_due.push(Reverse(Due {
                    at,
                    flow: id,
                    task: Task::Expire,
                }));
            }
        }
    }

    /// Nobody has as many fingers: what is more than that is not told.
    fn tell_digit(&mut self, id: FlowId, finished: Finished) {
        let Some(flow) = self.table.get_mut(id) else {
            return;
        };
        let clock_hz = flow.audio.known_route().map_or(0, |route| route.clock_hz);
        let Some(heard) = flow.digits_heard() else {
            return;
        };
        let Some(left) = heard.left.checked_sub(1) else {
            return self.counters.count_dropped_digit();
        };
        heard.left = left;
        let micros = (u64::from(finished.ticks) * 1_000_000).checked_div(clock_hz.into());
        self.counters.count_heard_digit();
        self.events.push_back(Event::Digit {
            flow: id,
            event: finished.event,
            duration: Duration::from_micros(micros.unwrap_or(0)),
        });
    }
}

impl Flow {
    /// The next digits may be told, if control has taken the last ones.
    pub(super) fn refill_digits(&mut self, events_waiting: usize) {
        if let Some(heard) = self.digits_heard()
            && events_waiting < crate::limits::COMMAND_QUEUE_LENGTH
        {
            heard.left = DIGITS_PER_SWEEP_MAX;
        }
    }

    /// The engine will look at the flow's digits, sent or heard.
    pub(super) fn has_digits_due(&self) -> bool {
        self.digits.as_deref().is_some_and(|digits| {
            let is_awaited = |heard: &Heard| heard.is_awaited;
            digits.sent.is_some() || digits.heard.as_ref().is_some_and(is_awaited)
        })
    }

    fn digits_heard(&mut self) -> Option<&mut Heard> {
        self.digits.as_deref_mut()?.heard.as_mut()
    }
}

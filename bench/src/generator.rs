//! The load generator: offers a rate through one target, and looks at what comes out.

use std::time::Duration;

use crate::Failure;
use crate::clock::{now, since_1970};
use crate::scenario::{Scenario, Target, Way};
use crate::step::{Step, float};
use crate::stream::Tally;
use crate::subject::{SubjectProcess, Usage};
use crate::traffic::{Known, Prepared, Traffic};
use crate::wire::{BATCH_PACKETS, Wire};

/// All answers to ICE checks must have come by then.
const CHECKS_DEADLINE: Duration = Duration::from_secs(10);
/// What is not answered by then is sent again.
const CHECK_AGAIN_AFTER: Duration = Duration::from_millis(100);
/// A step is over when nothing has arrived for this long.
const QUIET: Duration = Duration::from_millis(60);
/// Packets that are received between two looks at what is due to be sent.
const RECEIVE_LIMIT: usize = 256;
/// A generator that needs this many times the planned time could not offer the rate.
const LATE_FACTOR: f64 = 1.02;

/// A target with its calls.
pub(crate) struct Lane {
    pub(crate) target: Target,
    pub(crate) subject: SubjectProcess,
    pub(crate) traffic: Traffic,
    /// Its calls have been overloaded.
    pub(crate) overloaded: bool,
}

/// How a rate is offered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Offer {
    pub(crate) what: &'static str,
    /// All ways together.
    pub(crate) pps: f64,
    pub(crate) time: Duration,
    /// Of so many calls, one has every packet that comes out checked to the last byte, and its
    /// latency measured.
    pub(crate) verified_one_in: u16,
    /// Datagrams per system call.
    pub(crate) batch: usize,
    /// Packets of one call that follow each other.
    pub(crate) burst: u16,
}

/// Sends and receives; the memory of its packets is used again.
pub(crate) struct Generator {
    pub(crate) wire: Wire,
    prepared: [Prepared; 2],
    samples: Samples,
}

/// Packets that are looked at after the step: what each is, its length and its time.
#[derive(Default)]
struct Samples {
    bytes: Vec<u8>,
    packets: Vec<(Known, usize, Duration)>,
}

/// How the sending and receiving of a step went.
#[derive(Default)]
struct Exchange {
    /// When the last packet was sent, after the begin.
    sent_after: Duration,
    /// By way, then by frame: since 1970.
    sent_at: [Vec<Duration>; 2],
    tallies: [Tally; 2],
    received_in_time: u64,
}

impl Generator {
    pub(crate) fn new(wire: Wire) -> Self {
        Self {
            wire,
            prepared: Default::default(),
            samples: Samples::default(),
        }
    }

    /// Sets up all calls of the scenario in a target.
    pub(crate) fn open_lane(
        &mut self,
        target: Target,
        mut subject: SubjectProcess,
        scenario: &Scenario,
    ) -> Result<Lane, Failure> {
        let mut traffic = Traffic::new(scenario)?;
        for call in 0..scenario.calls {
            traffic.open_call(call, &mut subject, &self.wire)?;
        }
        let mut lane = Lane {
            target,
            subject,
            traffic,
            overloaded: false,
        };
        self.check_all(&mut lane)?;
        Ok(lane)
    }

    /// Makes every browser's ICE check, which also renews its consent (RFC 7675), and waits for
    /// all answers.
    pub(crate) fn check_all(&mut self, lane: &mut Lane) -> Result<(), Failure> {
        lane.traffic.begin_step();
        let end = now() + CHECKS_DEADLINE;
        loop {
            let checks = lane.traffic.open_checks(&self.wire, BATCH_PACKETS);
            if checks.is_empty() {
                return Ok(());
            }
            if now() > end {
                return Err(format!("{} does not answer the ICE checks", lane.target).into());
            }
            self.wire
                .send(Way::ToTrunk, checks.iter().map(Vec::as_slice))?;
            let (mut awaited, again) = (checks.len(), now() + CHECK_AGAIN_AFTER);
            while awaited > 0 && now() < again {
                self.wire.receive(RECEIVE_LIMIT, |arrival| {
                    let answer = lane.traffic.take_answer(arrival.payload);
                    awaited = awaited.saturating_sub(usize::from(answer));
                })?;
            }
        }
    }

    /// Offers one rate.
    pub(crate) fn offer(&mut self, lane: &mut Lane, offer: Offer) -> Result<Step, Failure> {
        if lane.overloaded && lane.target.stays_overloaded() {
            lane.traffic.renew(&mut lane.subject, &self.wire)?;
        }
        let ways = lane.traffic.scenario.direction.ways();
        let each_way = offer.pps / float(ways.len() as u64);
        let count = whole((offer.time.as_secs_f64() * each_way).max(1.0));
        for (way, prepared) in [Way::ToBrowser, Way::ToTrunk]
            .iter()
            .zip(&mut self.prepared)
        {
            let count = if ways.contains(way) { count } else { 0 };
            lane.traffic
                .prepare(*way, count, offer.burst, &self.wire, prepared)?;
        }
        self.check_all(lane)?;
        let before = lane.subject.usage()?;
        self.wire.overflow()?;
        let exchange = self.exchange(lane, offer, each_way)?;
        let after = lane.subject.usage()?;
        let mut tallies = exchange.tallies;
        let latencies_ns = self.verify(lane, &exchange, &mut tallies);
        let sent = self.prepared.each_ref();
        let sent = sent.map(|packets| (packets.count() * packets.packets_per_frame()) as u64);
        let time = exchange.sent_after.max(offer.time);
        let step = Step {
            what: offer.what,
            target: lane.target,
            offered_pps: float(sent.iter().sum()) / time.as_secs_f64(),
            sent,
            burst: offer.burst,
            tallies,
            time,
            received_in_time: exchange.received_in_time,
            cpu_ns: after.cpu_ns - before.cpu_ns,
            cpu_share: float(after.cpu_ns - before.cpu_ns)
                / (time.as_secs_f64() * 1e9 * f64::from(lane.traffic.scenario.workers)),
            latencies_ns,
            generator_late: time.as_secs_f64() > offer.time.as_secs_f64() * LATE_FACTOR,
            overflow: self.wire.overflow()?,
            drops: new_drops(&before, &after),
        };
        lane.overloaded = step.is_lossy();
        Ok(step)
    }

    /// Sends what is prepared at `pps` each way, and receives until nothing comes any more.
    fn exchange(&mut self, lane: &mut Lane, offer: Offer, pps: f64) -> Result<Exchange, Failure> {
        self.samples.bytes.clear();
        self.samples.packets.clear();
        let mut done = Exchange {
            sent_at: self
                .prepared
                .each_ref()
                .map(|packets| Vec::with_capacity(packets.count())),
            ..Exchange::default()
        };
        let (begin, begin_1970) = (now(), since_1970());
        let (mut last_arrival, mut all_sent) = (Duration::ZERO, None);
        loop {
            let time = now() - begin;
            let due = usize::try_from(whole(time.as_secs_f64() * pps))?;
            let due = if time >= offer.time { usize::MAX } else { due };
            let mut finished = true;
            for (way, packets) in [Way::ToBrowser, Way::ToTrunk]
                .into_iter()
                .zip(&self.prepared)
            {
                let Some(sent_at) = done.sent_at.get_mut(way.index()) else {
                    continue;
                };
                let due = due / packets.packets_per_frame();
                let count = due.saturating_sub(sent_at.len()).min(offer.batch);
                if count > 0 && sent_at.len() < packets.count() {
                    let stamp = since_1970();
                    let batch = packets.from(sent_at.len()).take(count);
                    let taken = self.wire.send(way, batch)?;
                    sent_at.extend(std::iter::repeat_n(stamp, taken));
                }
                finished &= sent_at.len() == packets.count();
            }
            if finished && all_sent.is_none() {
                all_sent = Some(time);
            }
            let end = begin_1970 + all_sent.unwrap_or(Duration::MAX / 2).max(offer.time);
            let (samples, done) = (&mut self.samples, &mut done);
            // RTCP reports go on for ever, and do not count.
            let mut media_arrived = false;
            self.wire.receive(RECEIVE_LIMIT, |arrival| {
                let known = lane.traffic.receive(&arrival, &mut done.tallies);
                media_arrived |= known.is_some();
                done.received_in_time += u64::from(known.is_some() && arrival.at <= end);
                if let Some(known) = known
                    && known.call.is_multiple_of(offer.verified_one_in)
                {
                    samples.bytes.extend_from_slice(arrival.payload);
                    samples
                        .packets
                        .push((known, arrival.payload.len(), arrival.at));
                }
            })?;
            if media_arrived {
                last_arrival = time;
            }
            if let Some(sent_after) = all_sent
                && time > last_arrival.max(sent_after).max(offer.time) + QUIET
            {
                done.sent_after = sent_after;
                return Ok(std::mem::take(done));
            }
        }
    }

    /// Checks the samples to the last byte, and returns their latencies, sorted.
    fn verify(&mut self, lane: &mut Lane, done: &Exchange, tallies: &mut [Tally; 2]) -> Vec<u64> {
        let mut latencies = Vec::with_capacity(self.samples.packets.len());
        let mut rest = self.samples.bytes.as_mut_slice();
        for (known, length, at) in &self.samples.packets {
            let way = known.way;
            let (packet, behind) = rest.split_at_mut(*length);
            rest = behind;
            let Some(tally) = tallies.get_mut(way.index()) else {
                continue;
            };
            tally.verified += 1;
            let number = lane.traffic.verify(*known, packet);
            let index = number.and_then(|number| usize::try_from(number).ok());
            let sent_at = done.sent_at.get(way.index());
            let per_frame = self
                .prepared
                .get(way.index())
                .map_or(1, Prepared::packets_per_frame);
            match index.and_then(|index| sent_at?.get(index / per_frame)) {
                Some(sent_at) => {
                    let latency = at.saturating_sub(*sent_at).as_nanos();
                    latencies.push(u64::try_from(latency).unwrap_or(u64::MAX));
                }
                None => tally.wrong += 1,
            }
        }
        latencies.sort_unstable();
        latencies
    }
}

fn new_drops(before: &Usage, after: &Usage) -> Vec<(String, u64)> {
    let pairs = after.dropped.iter().zip(&before.dropped);
    let pairs = pairs.map(|((reason, now), (_, then))| (reason.clone(), now - then));
    pairs.filter(|(_, count)| *count > 0).collect()
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "saturates, and is never negative"
)]
fn whole(value: f64) -> u32 {
    value as u32
}

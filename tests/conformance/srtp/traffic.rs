//! Random calls: sources that come and go, jumps and wraps of sequence numbers, loss, duplicates,
//! reordering, damage, a change of process in between.

use crypto::keys::SrtpProfile;
use libsrtp::Suite;

use super::packets::{damage, rtcp, rtp};
use super::peers::{Call, Kind, Peers, SUITES};
use crate::random::{Random, SeedOnPanic, seed};

/// RTP packets protected in one run, over all suites: what the comparison promises at least.
const PACKETS_MIN: usize = 100_000;
const RTP_PACKETS_PER_SUITE: usize = PACKETS_MIN / SUITES.len();
const RTCP_PACKETS_PER_SUITE: usize = PACKETS_MIN / 4 / SUITES.len();

/// Packets of one call with its own keys.
const PACKETS_PER_CALL_MAX: usize = 250;
const SOURCES_PER_CALL_MAX: usize = 6;

/// Counts, so that a run in which nothing much happened fails.
#[derive(Debug, Default)]
struct Seen {
    protected: usize,
    refused_to_protect: usize,
    accepted: usize,
    refused_replays: usize,
    refused_damage: usize,
    wraps: usize,
}

#[test]
fn random_rtp_calls_go_as_with_libsrtp() {
    for_every_suite(Kind::Rtp, RTP_PACKETS_PER_SUITE);
}

#[test]
fn random_rtcp_calls_go_as_with_libsrtp() {
    for_every_suite(Kind::Rtcp, RTCP_PACKETS_PER_SUITE);
}

fn for_every_suite(kind: Kind, packets: usize) {
    let seed = seed();
    let repeat = SeedOnPanic(seed);
    let mut random = Random::new(seed);
    for suite in SUITES {
        let mut seen = Seen::default();
        while seen.protected < packets {
            match kind {
                Kind::Rtp => rtp_call(*suite, &mut random, &mut seen),
                Kind::Rtcp => rtcp_call(*suite, &mut random, &mut seen),
            }
        }
        assert!(seen.accepted * 2 > seen.protected, "{suite:?}: {seen:?}");
        let mut rare = vec![seen.refused_replays, seen.refused_damage];
        if kind == Kind::Rtp {
            rare.extend([seen.refused_to_protect, seen.wraps]);
        }
        for count in rare {
            assert!(count * 1000 > seen.protected, "{suite:?}: {seen:?}");
        }
    }
    drop(repeat);
}

/// A source of RTP and how its sender numbers packets.
struct Source {
    ssrc: u32,
    sequence: u16,
}

impl Source {
    fn new(random: &mut Random) -> Self {
        let near_an_edge = *random.pick(&[0_u16, 1, 0x7FFF, 0x8000, 0x8001, 0xFFF0, 0xFFFF]);
        let sequence = if random.permille(500) {
            near_an_edge
        } else {
            random.sequence()
        };
        Self {
            ssrc: random.ssrc(),
            sequence,
        }
    }

    /// The number of the next packet: mostly the next one, sometimes far ahead, behind or the same.
    fn next(&mut self, call: &Call, random: &mut Random, seen: &mut Seen) -> u16 {
        let step = match random.below(100) {
            0..70 => 1,
            70..85 => random.between(2, 20),
            85..90 => random.between(100, 200),
            90..94 => random.between(20_000, 32_767),
            94 => random.between(32_768, 40_000),
            95 => 0,
            // Behind, inside and outside the window.
            _ => 65_536 - random.between(1, usize::from(call.window_packets) * 5 / 4),
        };
        let step = u16::try_from(step).unwrap();
        let next = self.sequence.wrapping_add(step);
        if step < 0x8000 {
            seen.wraps += usize::from(next < self.sequence);
            self.sequence = next;
        }
        next
    }
}

fn rtp_call(suite: (SrtpProfile, Suite), random: &mut Random, seen: &mut Seen) {
    let count = random.between(1, SOURCES_PER_CALL_MAX);
    let mut sources: Vec<_> = (0..count).map(|_| Source::new(random)).collect();
    let mut call = Call {
        suite,
        mki: random_mki(random),
        window_packets: *random.pick(&[64, 96, 128, 128, 128, 1024, 8192, 32_736]),
        rollover_counter: None,
    };
    if count == 1 {
        // Below what a call can use up: difference 7.
        let [_, .., a, b, c, d] = (random.word() >> random.below(64)).to_be_bytes();
        let counter = u32::from_be_bytes([a, b, c, d]).min(u32::MAX - 1000);
        call.rollover_counter = Some((sources[0].ssrc, counter));
    }
    let mut peers = Peers::new(&call, random);
    let mut network = Network::new(random);
    let accepted_before = seen.accepted;
    for _ in 0..random.between(1, PACKETS_PER_CALL_MAX) {
        let which = random.below(sources.len());
        let source = &mut sources[which];
        let sequence = source.next(&call, random, seen);
        let plain = rtp(random, source.ssrc, sequence);
        seen.protected += 1;
        match peers.protect_rtp(&plain) {
            Some(datagram) => network.send(random, plain, datagram),
            None => seen.refused_to_protect += 1,
        }
        network.deliver_some(Kind::Rtp, random, &mut peers, seen);
        if random.permille(10) {
            peers.fail_over();
        }
    }
    network.deliver_rest(Kind::Rtp, random, &mut peers, seen);
    // libsrtp takes a signalled counter over with the first packet only.
    if seen.accepted > accepted_before {
        for source in &sources {
            peers.compare_rollover_counters(source.ssrc);
        }
    }
}

fn rtcp_call(suite: (SrtpProfile, Suite), random: &mut Random, seen: &mut Seen) {
    let count = random.between(1, SOURCES_PER_CALL_MAX);
    let ssrcs: Vec<_> = (0..count).map(|_| random.ssrc()).collect();
    let (profile, _) = suite;
    let call = Call {
        suite,
        mki: match profile.rtp_tag_bytes() == profile.rtcp_tag_bytes() {
            true => random_mki(random),
            // Difference 8.
            false => Vec::new(),
        },
        window_packets: 128,
        rollover_counter: None,
    };
    let mut peers = Peers::new(&call, random);
    let from_us = random.permille(500);
    // Then both count alike, but for the first index: differences 1 and 2.
    let compared = ssrcs.len() == 1;
    if compared {
        peers.protect_with_ours(Kind::Rtcp, &rtcp(random, ssrcs[0]));
    }
    let mut network = Network::new(random);
    for _ in 0..random.between(1, PACKETS_PER_CALL_MAX) {
        let ssrc = *random.pick(&ssrcs);
        let plain = rtcp(random, ssrc);
        seen.protected += 1;
        let (_, ours) = peers.protect_with_ours(Kind::Rtcp, &plain);
        let (_, theirs) = peers.protect_with_theirs(Kind::Rtcp, &plain);
        if compared {
            assert_eq!(ours, theirs, "protecting {plain:02x?}");
        }
        let datagram = if from_us { ours } else { theirs };
        network.send(random, plain, datagram.expect("RTCP is protected"));
        network.deliver_some(Kind::Rtcp, random, &mut peers, seen);
        if random.permille(10) {
            peers.fail_over();
        }
    }
    network.deliver_rest(Kind::Rtcp, random, &mut peers, seen);
}

fn random_mki(random: &mut Random) -> Vec<u8> {
    let count = *random.pick(&[0, 0, 0, 1, 2, 4, 16]);
    random.bytes(count)
}

/// A network that delays, loses, repeats and damages.
struct Network {
    under_way: Vec<(Vec<u8>, Vec<u8>)>,
    /// How many datagrams can overtake each other.
    depth: usize,
    loss_permille: usize,
    damage_permille: usize,
    repeat_permille: usize,
}

impl Network {
    fn new(random: &mut Random) -> Self {
        Self {
            under_way: Vec::new(),
            depth: *random.pick(&[0, 0, 3, 20, 100, 200]),
            loss_permille: *random.pick(&[0, 20, 300]),
            damage_permille: *random.pick(&[0, 20, 200]),
            repeat_permille: *random.pick(&[0, 50, 200]),
        }
    }

    fn send(&mut self, random: &mut Random, plain: Vec<u8>, datagram: Vec<u8>) {
        if !random.permille(self.loss_permille) {
            self.under_way.push((plain, datagram));
        }
    }

    fn deliver_some(
        &mut self,
        kind: Kind,
        random: &mut Random,
        peers: &mut Peers,
        seen: &mut Seen,
    ) {
        while self.under_way.len() > self.depth {
            self.deliver_one(kind, random, peers, seen);
        }
    }

    fn deliver_rest(
        &mut self,
        kind: Kind,
        random: &mut Random,
        peers: &mut Peers,
        seen: &mut Seen,
    ) {
        while !self.under_way.is_empty() {
            self.deliver_one(kind, random, peers, seen);
        }
    }

    fn deliver_one(&mut self, kind: Kind, random: &mut Random, peers: &mut Peers, seen: &mut Seen) {
        let which = random.below(self.under_way.len());
        if random.permille(self.damage_permille) {
            let mut damaged = self.under_way[which].1.clone();
            damage(random, &mut damaged);
            assert_eq!(peers.deliver(kind, &damaged), None, "damage was accepted");
            seen.refused_damage += 1;
        }
        let (plain, datagram) = if random.permille(self.repeat_permille) {
            self.under_way[which].clone()
        } else {
            self.under_way.swap_remove(which)
        };
        match peers.deliver(kind, &datagram) {
            Some(received) => {
                assert_eq!(received, plain);
                seen.accepted += 1;
            }
            None => seen.refused_replays += 1,
        }
    }
}

use super::*;
use crate::engine::numbering::Numbering;

const CLOCK_HZ: u32 = 8000;

/// What a medium has: the statistics, told by the numbers.
#[derive(Default)]
struct Receiver {
    numbering: Numbering,
    reception: Reception,
}

impl Receiver {
    fn observe(&mut self, header: &RtpHeader, since_open: Duration, clock_hz: u32) {
        let arrival = self.numbering.take(header, clock_hz);
        self.reception
            .observe(header, arrival, since_open, clock_hz);
    }
}

impl std::ops::Deref for Receiver {
    type Target = Reception;

    fn deref(&self) -> &Reception {
        &self.reception
    }
}

impl std::ops::DerefMut for Receiver {
    fn deref_mut(&mut self) -> &mut Reception {
        &mut self.reception
    }
}

fn header(ssrc: u32, sequence: u16, timestamp: u32) -> RtpHeader {
    let mut packet = [0x80; 14];
    crate::wire::rtp::rewrite(&mut packet, 0, sequence, timestamp, ssrc).unwrap();
    packet[0] = 0x80;
    RtpHeader::parse(&packet).unwrap()
}

#[test]
fn counts_loss_over_wrap_reordering_and_source_change() {
    let mut reception = Receiver::default();
    for sequence in [65_534, 0, 65_535, 3] {
        reception.observe(&header(1, sequence, 0), Duration::ZERO, CLOCK_HZ);
    }
    assert_eq!(reception.lost_packets(), 2);
    for sequence in [9, 11] {
        reception.observe(&header(2, sequence, 0), Duration::ZERO, CLOCK_HZ);
    }
    assert_eq!(reception.lost_packets(), 3);
    reception.observe(&header(2, 11, 0), Duration::ZERO, CLOCK_HZ);
    assert_eq!(reception.lost_packets(), 3, "a duplicate makes up for none");
    for sequence in [8, 10] {
        reception.observe(&header(2, sequence, 0), Duration::ZERO, CLOCK_HZ);
    }
    assert_eq!(reception.lost_packets(), 2, "8 came before the first");
}

#[test]
fn media_f4_numbers_that_go_back_or_jump_are_no_loss_and_no_jitter() {
    let mut reception = Receiver::default();
    let now = NtpTime::from_unix(Duration::from_secs(1_000_000));
    let mut packets: u16 = 0;
    let mut send = |reception: &mut Receiver, first: u16, clock: u32| {
        for n in 0..50 {
            let packet = header(7, first.wrapping_add(n), clock + u32::from(n) * 160);
            let time = Duration::from_millis(20 * u64::from(packets));
            reception.observe(&packet, time, CLOCK_HZ);
            packets += 1;
        }
    };
    let firsts = [5000, 4000, 3900, 3890, 3889, 23_000, 60_000, 65_535, 3200];
    for (first, clock) in firsts.into_iter().zip((0..).step_by(1_000_000)) {
        send(&mut reception, first, clock);
        let block = reception.report(now).unwrap();
        assert!((0..=2).contains(&block.lost_packets), "{first}: {block:?}");
        assert!(block.fraction_lost < 20, "{first}: {block:?}");
        assert_eq!(reception.jitter_us(), 0, "{first}");
    }
    assert_eq!(reception.lost_packets(), 0);
}

#[test]
fn measures_no_jitter_of_an_even_stream_and_some_of_an_uneven_one() {
    let mut even = Receiver::default();
    let mut uneven = Receiver::default();
    for n in 0..200_u16 {
        let packet = header(1, n, u32::from(n) * 160);
        let time = Duration::from_millis(20 * u64::from(n));
        even.observe(&packet, time, CLOCK_HZ);
        let late = Duration::from_millis(if n % 2 == 0 { 0 } else { 8 });
        uneven.observe(&packet, time + late, CLOCK_HZ);
    }
    assert_eq!(even.jitter_us(), 0);
    // The difference between neighbours is 8 ms each time: so is the smoothed value.
    assert!(
        (7_500..=8_500).contains(&uneven.jitter_us()),
        "{}",
        uneven.jitter_us()
    );
}

#[test]
fn reports_loss_since_the_last_report_and_in_all() {
    let mut reception = Receiver::default();
    let now = NtpTime::from_unix(Duration::from_secs(1_000_000));
    assert_eq!(reception.report(now), None);
    for sequence in [65_534, 65_535, 2, 3] {
        reception.observe(&header(7, sequence, 0), Duration::ZERO, CLOCK_HZ);
    }
    // 65534 to 3 are six, of which two did not come: 2 * 256 / 6.
    let block = reception.report(now).unwrap();
    assert_eq!(
        (block.ssrc, block.fraction_lost, block.lost_packets),
        (7, 85, 2)
    );
    assert_eq!(
        block.highest_sequence, 0x1_0003,
        "the numbers have wrapped once"
    );
    assert_eq!((block.last_report, block.since_last_report), (0, 0));
    assert_eq!(reception.report(now), None, "nothing has come since");
    reception.observe(&header(7, 4, 0), Duration::ZERO, CLOCK_HZ);
    let block = reception.report(now).unwrap();
    assert_eq!((block.fraction_lost, block.lost_packets), (0, 2));
    // The two come late: more than were expected.
    for sequence in [0, 1] {
        reception.observe(&header(7, sequence, 0), Duration::ZERO, CLOCK_HZ);
    }
    let block = reception.report(now).unwrap();
    assert_eq!((block.fraction_lost, block.lost_packets), (0, 0));
    for _ in 0..3 {
        reception.observe(&header(7, 4, 0), Duration::ZERO, CLOCK_HZ);
    }
    assert_eq!(reception.report(now).unwrap().lost_packets, -3);
}

#[test]
fn another_source_is_reported_from_its_own_beginning() {
    let mut reception = Receiver::default();
    let now = NtpTime::from_unix(Duration::from_secs(1_000_000));
    for sequence in [10, 15] {
        reception.observe(&header(7, sequence, 0), Duration::ZERO, CLOCK_HZ);
    }
    let clock = SourceClock {
        ntp: NtpTime(0x0001_0002_0003_0004),
        timestamp: 5,
        arrived: now.middle(),
    };
    assert!(!reception.note_sender_report(8, clock), "not the source");
    assert!(reception.note_sender_report(7, clock));
    let block = reception
        .report(now.after(Duration::from_millis(1500)))
        .unwrap();
    assert_eq!(
        (block.last_report, block.since_last_report),
        (0x0002_0003, 0x1_8000)
    );
    reception.observe(&header(8, 20_000, 0), Duration::ZERO, CLOCK_HZ);
    let block = reception.report(now).unwrap();
    assert_eq!(
        (block.ssrc, block.lost_packets, block.last_report),
        (8, 0, 0)
    );
    assert_eq!(block.highest_sequence, 20_000);
    let mut totals = StreamTotals::default();
    reception.add_to(&mut totals, Duration::from_secs(2));
    assert_eq!((totals.received_packets, totals.lost_packets), (3, 4));
    assert_eq!(totals.last_received, Some(Duration::from_secs(2)));
}

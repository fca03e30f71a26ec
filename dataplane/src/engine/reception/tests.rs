use super::*;

const CLOCK_HZ: u32 = 8000;

fn header(ssrc: u32, sequence: u16, timestamp: u32) -> RtpHeader {
    let mut packet = [0x80; 14];
    crate::wire::rtp::rewrite(&mut packet, 0, sequence, timestamp, ssrc).unwrap();
    packet[0] = 0x80;
    RtpHeader::parse(&packet).unwrap()
}

#[test]
fn counts_loss_over_wrap_reordering_and_source_change() {
    let mut reception = Reception::default();
    for sequence in [65_534, 0, 65_535, 3] {
        reception.observe(&header(1, sequence, 0), Duration::ZERO, CLOCK_HZ);
    }
    assert_eq!(reception.lost_packets(), 2);
    for sequence in [9, 11] {
        reception.observe(&header(2, sequence, 0), Duration::ZERO, CLOCK_HZ);
    }
    assert_eq!(reception.lost_packets(), 3);
    reception.observe(&header(2, 11, 0), Duration::ZERO, CLOCK_HZ);
    assert_eq!(
        reception.lost_packets(),
        2,
        "a duplicate stands against a loss"
    );
}

#[test]
fn measures_no_jitter_of_an_even_stream_and_some_of_an_uneven_one() {
    let mut even = Reception::default();
    let mut uneven = Reception::default();
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
    let mut reception = Reception::default();
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
    let mut reception = Reception::default();
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

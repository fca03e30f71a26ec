use super::*;

const CLOCK_HZ: u32 = 8000;

fn header(ssrc: u32, sequence: u16, timestamp: u32) -> RtpHeader {
    let mut packet = [0x80; 14];
    crate::wire::rtp::rewrite(&mut packet, 0, sequence, timestamp, ssrc).unwrap();
    packet[0] = 0x80;
    RtpHeader::parse(&packet).unwrap()
}

fn take(numbering: &mut Numbering, sequence: u16) -> Arrival {
    numbering.take(&header(1, sequence, u32::from(sequence) * 160), CLOCK_HZ)
}

#[test]
fn media_f4_the_bounds_of_a_numbering_are_those_of_appendix_a1() {
    let mut numbering = Numbering::default();
    for newest in [10_000, 65_535, 0, 99] {
        numbering.take(&header(u32::from(newest) + 7, newest, 0), CLOCK_HZ);
        numbering.seen = 1;
        let at = |offset: u16| {
            let mut numbering = Numbering {
                seen: numbering.seen,
                ..numbering
            };
            numbering.take(
                &header(u32::from(newest) + 7, newest.wrapping_add(offset), 0),
                CLOCK_HZ,
            )
        };
        assert_eq!(at(0), Arrival::Repeated);
        assert_eq!(at(1), Arrival::Ahead(1));
        assert_eq!(at(2999), Arrival::Ahead(2999));
        assert_eq!(at(3000), Arrival::Stray);
        assert_eq!(at(0x8000), Arrival::Stray);
        assert_eq!(at(1_u16.wrapping_neg()), Arrival::Late(1));
        assert_eq!(at(99_u16.wrapping_neg()), Arrival::Late(99));
        assert_eq!(at(100_u16.wrapping_neg()), Arrival::Stray);
    }
}

#[test]
fn media_f4_stray_packets_that_are_not_in_a_row_begin_nothing() {
    let mut numbering = Numbering::default();
    assert_eq!(take(&mut numbering, 1000), Arrival::Begins);
    for stray in [30_000, 30_002, 30_002, 30_001, 500, 502] {
        assert_eq!(take(&mut numbering, stray), Arrival::Stray);
    }
    assert_eq!(take(&mut numbering, 999), Arrival::Repeated, "before all");
    assert_eq!(take(&mut numbering, 503), Arrival::Restarts);
    assert_eq!(take(&mut numbering, 502), Arrival::Late(1));
    assert_eq!(take(&mut numbering, 1001), Arrival::Ahead(498));
}

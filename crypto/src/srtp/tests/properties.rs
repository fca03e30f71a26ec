//! What holds for any packet.

use proptest::prelude::*;

use super::*;

fn any_profile() -> impl Strategy<Value = SrtpProfile> {
    prop::sample::select(SrtpProfile::ALL.to_vec())
}

/// A well-formed RTP packet with any header.
fn any_rtp() -> impl Strategy<Value = Vec<u8>> {
    let header = (any::<[u8; 11]>(), 0_usize..16, any::<bool>(), 0_usize..6);
    let payload = prop::collection::vec(any::<u8>(), 0..300);
    (header, payload).prop_map(|((fixed, csrcs, extended, words), payload)| {
        let extension = u8::from(extended) << 4;
        let mut packet = vec![0x80 | extension | u8::try_from(csrcs).unwrap()];
        packet.extend(fixed);
        packet.extend((0..csrcs * 4).map(|n| u8::try_from(n).unwrap()));
        if extended {
            packet.extend([0xBE, 0xDE, 0, u8::try_from(words).unwrap()]);
            packet.extend(vec![0x11; words * 4]);
        }
        packet.extend(payload);
        packet
    })
}

fn any_rtcp() -> impl Strategy<Value = Vec<u8>> {
    // Compound or reduced: any words after the first header.
    (any::<[u8; 7]>(), prop::collection::vec(any::<u8>(), 0..200)).prop_map(|(head, rest)| {
        let mut packet = vec![0x81];
        packet.extend(head);
        packet.extend(rest);
        packet
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn no_bytes_from_the_network_make_the_receiver_panic(
        packet in prop::collection::vec(any::<u8>(), 0..120),
        first in 0x80_u8..0xC0,
    ) {
        for profile in PROFILES {
            let (_, mut receiver) = pair(profile);
            let mut packet = packet.clone();
            if let Some(byte) = packet.first_mut() {
                *byte = first;
            }
            prop_assert!(unprotected(&mut receiver, &packet).is_err());
            prop_assert!(unprotected_rtcp(&mut receiver, &packet).is_err());
        }
    }

    #[test]
    fn no_packet_makes_the_sender_panic(
        packet in prop::collection::vec(any::<u8>(), 0..60),
        profile in any_profile(),
    ) {
        let (mut sender, _) = pair(profile);
        let _outcome = protected(&mut sender, &packet).is_ok();
        let _outcome = protected_rtcp(&mut sender, &packet).is_ok();
    }

    #[test]
    fn protecting_and_unprotecting_is_identity(
        profile in any_profile(),
        packet in any_rtp(),
        report in any_rtcp(),
        rollover in any::<u32>(),
        mki in prop::collection::vec(any::<u8>(), 0..=16),
    ) {
        let mut key = master(profile);
        if !mki.is_empty() {
            key = key.with_mki(Mki::new(&mki).unwrap());
        }
        let mut sender = SrtpSender::new(&key).unwrap();
        let mut receiver = SrtpReceiver::new(&key).unwrap();
        let ssrc = u32::from_be_bytes(packet[8..12].try_into().unwrap());
        sender.start_source(ssrc, rollover).unwrap();
        receiver.start_source(ssrc, rollover).unwrap();
        let sent = protected(&mut sender, &packet).unwrap();
        prop_assert_eq!(sent.len(), packet.len() + sender.rtp_overhead_bytes());
        prop_assert_eq!(unprotected(&mut receiver, &sent), Ok(packet));
        let sent = protected_rtcp(&mut sender, &report).unwrap();
        prop_assert_eq!(sent.len(), report.len() + sender.rtcp_overhead_bytes());
        prop_assert_eq!(unprotected_rtcp(&mut receiver, &sent), Ok(report));
    }

    #[test]
    fn any_flipped_bit_is_refused_and_changes_nothing(
        profile in any_profile(),
        packet in any_rtp(),
        report in any_rtcp(),
        bits in prop::collection::vec(any::<prop::sample::Index>(), 8),
    ) {
        let (mut sender, mut receiver) = pair(profile);
        // The receiver has seen something of the source, so that there is a state to change.
        let first = protected(&mut sender, &packet).unwrap();
        unprotected(&mut receiver, &first).unwrap();
        let mut packet = packet;
        packet[3] ^= 1;
        let sent = protected(&mut sender, &packet).unwrap();
        let sent_report = protected_rtcp(&mut sender, &report).unwrap();
        let before = receiver.export();
        for bit in bits {
            let flip = |sent: &[u8]| {
                let mut forged = sent.to_vec();
                let bit = bit.index(sent.len() * 8);
                forged[bit / 8] ^= 1 << (bit % 8);
                forged
            };
            prop_assert!(unprotected(&mut receiver, &flip(&sent)).is_err());
            prop_assert!(unprotected_rtcp(&mut receiver, &flip(&sent_report)).is_err());
            let after = receiver.export();
            prop_assert_eq!(after.as_bytes(), before.as_bytes());
        }
        prop_assert_eq!(unprotected(&mut receiver, &sent), Ok(packet));
        prop_assert_eq!(unprotected_rtcp(&mut receiver, &sent_report), Ok(report));
    }

    #[test]
    fn any_order_within_the_window_is_taken_once(
        profile in any_profile(),
        start in any::<u16>(),
        order in Just((0..128_u16).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let (mut sender, mut receiver) = pair(profile);
        sender.start_source(7, 1).unwrap();
        receiver.start_source(7, 1).unwrap();
        // A first packet just before: which side of a wrap the numbers are on is then known.
        let before = rtp(7, start.wrapping_sub(1));
        let sent = protected(&mut sender, &before).unwrap();
        unprotected(&mut receiver, &sent).unwrap();
        let sent: Vec<_> = (0..128)
            .map(|n| protected(&mut sender, &rtp(7, start.wrapping_add(n))).unwrap())
            .collect();
        for position in &order {
            let received = unprotected(&mut receiver, &sent[usize::from(*position)]);
            prop_assert_eq!(received, Ok(rtp(7, start.wrapping_add(*position))));
        }
        for position in order {
            let received = unprotected(&mut receiver, &sent[usize::from(position)]);
            prop_assert_eq!(received, Err(SrtpError::Replayed));
        }
    }

    #[test]
    fn no_bytes_make_an_import_panic(state in prop::collection::vec(any::<u8>(), 0..200)) {
        let state = [b"RSRT\x01\x02\x01\x01\x00\x80\x00\x04".to_vec(), state].concat();
        let _outcome = SrtpReceiver::import(&state).is_ok();
    }
}

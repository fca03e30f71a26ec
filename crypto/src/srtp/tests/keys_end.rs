//! Limits of a key, rollovers that are signalled, and contexts that go elsewhere.

use super::*;

#[test]
fn keys_end_with_their_last_index() {
    let (mut sender, _) = pair(SrtpProfile::AeadAes128Gcm);
    sender.skip_rtcp_indices(RTCP_PACKETS_PER_KEY_MAX - 1);
    assert_eq!(sender.poll_event(), Some(SrtpEvent::RtcpKeyEnding));
    protected_rtcp(&mut sender, &rtcp(7)).unwrap();
    for _ in 0..2 {
        let refused = protected_rtcp(&mut sender, &rtcp(7));
        assert_eq!(refused, Err(SrtpError::KeyExhausted));
    }
    sender.skip_rtcp_indices(u32::MAX);
    assert_eq!(
        protected_rtcp(&mut sender, &rtcp(7)),
        Err(SrtpError::KeyExhausted)
    );
    assert_eq!(sender.poll_event(), None);

    sender.start_source(7, u32::MAX).unwrap();
    protected(&mut sender, &rtp(7, 65_535)).unwrap();
    assert_eq!(sender.poll_event(), Some(SrtpEvent::RtpKeyEnding));
    assert_eq!(
        protected(&mut sender, &rtp(7, 0)),
        Err(SrtpError::KeyExhausted)
    );
    assert_eq!(sender.poll_event(), None);
}

#[test]
fn a_negotiated_lifetime_ends_a_key_on_both_sides_after_a_warning() {
    let options = SrtpOptions {
        lifetime_packets: Some(8),
        ..SrtpOptions::default()
    };
    let key = master(SrtpProfile::AesCm128HmacSha1_80);
    let mut sender = SrtpSender::with_options(&key, options).unwrap();
    let mut endless = SrtpSender::new(&key).unwrap();
    let mut receiver = SrtpReceiver::with_options(&key, options).unwrap();
    for number in 1..=8 {
        let sent = protected(&mut sender, &rtp(7, number)).unwrap();
        assert_eq!(protected(&mut endless, &rtp(7, number)).unwrap(), sent);
        unprotected(&mut receiver, &sent).unwrap();
        let due = (number == 6).then_some(SrtpEvent::RtpKeyEnding);
        assert_eq!(sender.poll_event(), due);
        assert_eq!(receiver.poll_event(), due);
    }
    let refused = protected(&mut sender, &rtp(7, 9));
    assert_eq!(refused, Err(SrtpError::KeyExhausted));
    let late = protected(&mut endless, &rtp(7, 9)).unwrap();
    let refused = unprotected(&mut receiver, &late);
    assert_eq!(refused, Err(SrtpError::KeyExhausted));
    // RTCP is counted apart.
    protected_rtcp(&mut sender, &rtcp(7)).unwrap();
}

#[test]
fn options_out_of_range_are_refused() {
    let good = SrtpOptions::default();
    let key = master(SrtpProfile::AeadAes128Gcm);
    for options in [
        SrtpOptions {
            replay_window_packets: 63,
            ..good
        },
        SrtpOptions {
            replay_window_packets: 32_769,
            ..good
        },
        SrtpOptions {
            sources_max: 0,
            ..good
        },
        SrtpOptions {
            sources_max: 257,
            ..good
        },
        SrtpOptions {
            lifetime_packets: Some(0),
            ..good
        },
    ] {
        let refused = SrtpReceiver::with_options(&key, options).err();
        assert_eq!(refused, Some(SrtpError::BadOptions), "{options:?}");
    }
}

#[test]
fn a_window_of_any_size_takes_what_it_should() {
    for window in [64_u16, 100, 1024, 32_768] {
        let options = SrtpOptions {
            replay_window_packets: window,
            ..SrtpOptions::default()
        };
        let key = master(SrtpProfile::AesCm128HmacSha1_32);
        let mut receiver = SrtpReceiver::with_options(&key, options).unwrap();
        let packet_of = |number| {
            let mut sender = SrtpSender::new(&key).unwrap();
            sender.start_source(7, 5).unwrap();
            protected(&mut sender, &rtp(7, number)).unwrap()
        };
        receiver.start_source(7, 5).unwrap();
        unprotected(&mut receiver, &packet_of(40_000)).unwrap();
        assert_eq!(
            unprotected(&mut receiver, &packet_of(40_000 - window)),
            Err(SrtpError::TooOld)
        );
        unprotected(&mut receiver, &packet_of(40_001 - window)).unwrap();
        assert_eq!(
            unprotected(&mut receiver, &packet_of(40_001 - window)),
            Err(SrtpError::Replayed)
        );
    }
}

#[test]
fn rtcp_in_the_clear_is_authenticated_and_only_taken_where_agreed() {
    let options = SrtpOptions {
        encrypt_rtcp: false,
        ..SrtpOptions::default()
    };
    for profile in PROFILES {
        let key = master(profile);
        let mut sender = SrtpSender::with_options(&key, options).unwrap();
        let mut receiver = SrtpReceiver::with_options(&key, options).unwrap();
        let sent = protected_rtcp(&mut sender, &rtcp(7)).unwrap();
        assert_eq!(sent[..28], rtcp(7)[..28], "{profile}");
        assert_eq!(sent[index_position(profile, &sent)] >> 7, 0);
        for position in 0..sent.len() {
            let mut forged = sent.clone();
            forged[position] ^= 1;
            assert!(unprotected_rtcp(&mut receiver, &forged).is_err());
        }
        assert_eq!(unprotected_rtcp(&mut receiver, &sent), Ok(rtcp(7)));
        if profile.encrypts() {
            let mut strict = SrtpReceiver::new(&key).unwrap();
            let refused = unprotected_rtcp(&mut strict, &sent);
            assert_eq!(refused, Err(SrtpError::NotEncrypted));
            let hidden = protected_rtcp(&mut SrtpSender::new(&key).unwrap(), &rtcp(7)).unwrap();
            let refused = unprotected_rtcp(&mut receiver, &hidden);
            assert_eq!(refused, Err(SrtpError::UnexpectedEncryption));
        }
    }
}

#[test]
fn another_identifier_is_refused_by_name() {
    for profile in PROFILES {
        let named = |name: &[u8]| master(profile).with_mki(Mki::new(name).unwrap());
        let mut sender = SrtpSender::new(&named(&[1, 2])).unwrap();
        let mut receiver = SrtpReceiver::new(&named(&[1, 3])).unwrap();
        let sent = protected(&mut sender, &rtp(7, 1)).unwrap();
        assert_eq!(sent.len(), 172 + sender.rtp_overhead_bytes());
        let refused = unprotected(&mut receiver, &sent);
        assert_eq!(refused, Err(SrtpError::UnknownMki));
        let sent = protected_rtcp(&mut sender, &rtcp(7)).unwrap();
        assert_eq!(sent.len(), 28 + sender.rtcp_overhead_bytes());
        let refused = unprotected_rtcp(&mut receiver, &sent);
        assert_eq!(refused, Err(SrtpError::UnknownMki));
    }
}

#[test]
fn padding_larger_than_the_payload_is_refused_on_both_sides() {
    for profile in PROFILES {
        let (mut sender, mut receiver) = pair(profile);
        let mut packet = rtp(7, 1);
        packet[0] |= 0x20;
        packet[171] = 160;
        let sent = protected(&mut sender, &packet).unwrap();
        assert_eq!(unprotected(&mut receiver, &sent), Ok(packet.clone()));
        packet[3] = 2;
        packet[171] = 161;
        let refused = Err(SrtpError::PaddingTooLarge);
        assert_eq!(protected(&mut sender, &packet), refused);
        assert_eq!(protected(&mut sender, &packet[..12]), refused);
        // What a sender makes of it that does not look.
        let cipher = Context::new(&master(profile), SrtpOptions::default())
            .unwrap()
            .rtp;
        let header = rtp::RtpHeader::parse(&packet, 0).unwrap();
        packet.resize(172 + profile.rtp_tag_bytes(), 0);
        rtp::protect(&cipher, header, 2, &mut packet, 172).unwrap();
        assert_eq!(unprotected(&mut receiver, &packet), refused);
    }
}

#[test]
fn an_exported_context_goes_on_where_it_was() {
    for profile in PROFILES {
        let options = SrtpOptions {
            replay_window_packets: 200,
            sources_max: 3,
            ..SrtpOptions::default()
        };
        let key = master(profile).with_mki(Mki::new(&[9]).unwrap());
        let mut sender = SrtpSender::with_options(&key, options).unwrap();
        let mut receiver = SrtpReceiver::with_options(&key, options).unwrap();
        sender.start_source(1, 77).unwrap();
        receiver.start_source(1, 77).unwrap();
        let late = protected(&mut sender, &rtp(1, 65_530)).unwrap();
        let before = protected(&mut sender, &rtp(1, 65_535)).unwrap();
        let report = protected_rtcp(&mut sender, &rtcp(1)).unwrap();
        unprotected(&mut receiver, &before).unwrap();
        unprotected_rtcp(&mut receiver, &report).unwrap();

        let exported = sender.export();
        let mut sender = SrtpSender::import(exported.as_bytes()).unwrap();
        assert_eq!(sender.export().as_bytes(), exported.as_bytes());
        let exported = receiver.export();
        let mut receiver = SrtpReceiver::import(exported.as_bytes()).unwrap();
        assert_eq!(receiver.export().as_bytes(), exported.as_bytes());

        assert_eq!(sender.rollover_counter(1), Some(77));
        let repeated = protected(&mut sender, &rtp(1, 65_530));
        assert_eq!(repeated, Err(SrtpError::Replayed));
        let next = protected(&mut sender, &rtp(1, 0)).unwrap();
        assert_eq!(unprotected(&mut receiver, &next), Ok(rtp(1, 0)));
        assert_eq!(receiver.rollover_counter(1), Some(78));
        assert_eq!(unprotected(&mut receiver, &late), Ok(rtp(1, 65_530)));
        for seen in [&before, &late] {
            let refused = unprotected(&mut receiver, seen);
            assert_eq!(refused, Err(SrtpError::Replayed));
        }
        let refused = unprotected_rtcp(&mut receiver, &report);
        assert_eq!(refused, Err(SrtpError::Replayed));
        let report = protected_rtcp(&mut sender, &rtcp(1)).unwrap();
        assert_eq!(unprotected_rtcp(&mut receiver, &report), Ok(rtcp(1)));
    }
}

#[test]
fn a_damaged_export_is_refused_or_at_least_harmless() {
    let (mut sender, mut receiver) = pair(SrtpProfile::AesCm128HmacSha1_80);
    let sent = protected(&mut sender, &rtp(7, 5)).unwrap();
    unprotected(&mut receiver, &sent).unwrap();
    let exported = receiver.export();
    let state = exported.as_bytes();
    let import = |state: &[u8]| SrtpReceiver::import(state).err();
    for length in 0..state.len() {
        assert_eq!(import(&state[..length]), Some(ImportError::Malformed));
    }
    let longer = [state, &[0]].concat();
    assert_eq!(import(&longer), Some(ImportError::Malformed));
    let changed = |position: usize, value: u8| {
        let mut state = state.to_vec();
        state[position] = value;
        import(&state)
    };
    assert_eq!(changed(0, b'X'), Some(ImportError::Malformed));
    assert_eq!(changed(4, 2), Some(ImportError::UnknownVersion));
    assert_eq!(changed(5, 1), Some(ImportError::WrongDirection));
    assert_eq!(changed(6, 0), Some(ImportError::UnknownSuite));
    assert_eq!(changed(7, 2), Some(ImportError::BadValue));
    assert_eq!(changed(9, 63), Some(ImportError::BadValue));
    assert_eq!(changed(20, 17), Some(ImportError::BadValue));
    for position in 0..state.len() {
        // No byte makes it panic, and what is imported still works.
        let mut state = state.to_vec();
        state[position] ^= 0xFF;
        if let Ok(mut receiver) = SrtpReceiver::import(&state) {
            let _outcome = unprotected(&mut receiver, &sent).is_ok();
        }
    }
    assert!(!format!("{exported:?}").contains('['));
}

//! Whole packets, from sender to receiver.

mod keys_end;
mod properties;
mod resets;
mod vectors;

use super::testing::bytes;
use super::*;
use crate::keys::{Mki, SrtpProfile};
use crate::limits::{SOURCES_DEFAULT, SRTP_OVERHEAD_BYTES_MAX};

const PROFILES: [SrtpProfile; 10] = SrtpProfile::ALL;

fn master(profile: SrtpProfile) -> MasterKey {
    let key: Vec<u8> = (0..32).collect();
    let salt: Vec<u8> = (100..114).collect();
    MasterKey::new(
        profile,
        &key[..profile.key_bytes()],
        &salt[..profile.salt_bytes()],
    )
    .unwrap()
}

fn pair(profile: SrtpProfile) -> (SrtpSender, SrtpReceiver) {
    let key = master(profile);
    (
        SrtpSender::new(&key).unwrap(),
        SrtpReceiver::new(&key).unwrap(),
    )
}

fn rtp(ssrc: u32, sequence: u16) -> Vec<u8> {
    let mut packet = vec![0x80, 96];
    packet.extend(sequence.to_be_bytes());
    packet.extend(0xDECA_FBAD_u32.to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    packet.extend((0..160).map(|n| n ^ sequence.to_be_bytes()[1]));
    packet
}

fn rtcp(ssrc: u32) -> Vec<u8> {
    let mut packet = bytes("81c80006");
    packet.extend(ssrc.to_be_bytes());
    packet.extend([0x5A; 20]);
    packet
}

fn protected(sender: &mut SrtpSender, packet: &[u8]) -> Result<Vec<u8>, SrtpError> {
    let mut buffer = packet.to_vec();
    buffer.resize(packet.len() + SRTP_OVERHEAD_BYTES_MAX, 0xEE);
    let length = sender.protect_rtp(&mut buffer, packet.len())?;
    buffer.truncate(length);
    Ok(buffer)
}

fn protected_rtcp(sender: &mut SrtpSender, packet: &[u8]) -> Result<Vec<u8>, SrtpError> {
    let mut buffer = packet.to_vec();
    buffer.resize(packet.len() + SRTP_OVERHEAD_BYTES_MAX, 0xEE);
    let length = sender.protect_rtcp(&mut buffer, packet.len())?;
    buffer.truncate(length);
    Ok(buffer)
}

fn unprotected(receiver: &mut SrtpReceiver, packet: &[u8]) -> Result<Vec<u8>, SrtpError> {
    let mut buffer = packet.to_vec();
    let length = receiver.unprotect_rtp(&mut buffer)?;
    buffer.truncate(length);
    Ok(buffer)
}

fn unprotected_rtcp(receiver: &mut SrtpReceiver, packet: &[u8]) -> Result<Vec<u8>, SrtpError> {
    let mut buffer = packet.to_vec();
    let length = receiver.unprotect_rtcp(&mut buffer)?;
    buffer.truncate(length);
    Ok(buffer)
}

/// Where E bit and index of a protected packet lie.
fn index_position(profile: SrtpProfile, packet: &[u8]) -> usize {
    let tag_last = !profile.label().contains("GCM");
    packet.len()
        - 4
        - if tag_last {
            profile.rtcp_tag_bytes()
        } else {
            0
        }
}

#[test]
fn an_rtp_packet_comes_back_as_it_was_and_travels_encrypted() {
    for profile in PROFILES {
        let (mut sender, mut receiver) = pair(profile);
        let packet = rtp(7, 1000);
        let sent = protected(&mut sender, &packet).unwrap();
        assert_eq!(sent.len(), packet.len() + profile.rtp_tag_bytes());
        assert_eq!(sent[..12], packet[..12]);
        assert_eq!(sent[12..172] != packet[12..172], profile.encrypts());
        assert_eq!(unprotected(&mut receiver, &sent), Ok(packet));
    }
}

#[test]
fn csrc_list_and_extension_stay_in_the_clear() {
    for profile in PROFILES {
        let (mut sender, mut receiver) = pair(profile);
        let mut packet = bytes("92600001 00000000 00000009 11111111 22222222 BEDE0002");
        packet.extend([0xAA; 8]);
        let header = packet.len();
        packet.extend([0x33; 50]);
        let sent = protected(&mut sender, &packet).unwrap();
        assert_eq!(sent[..header], packet[..header]);
        let hidden = sent[header..header + 50] != packet[header..];
        assert_eq!(hidden, profile.encrypts());
        assert_eq!(unprotected(&mut receiver, &sent), Ok(packet));
    }
}

#[test]
fn a_packet_without_payload_is_authenticated_too() {
    for profile in PROFILES {
        let (mut sender, mut receiver) = pair(profile);
        let packet = rtp(7, 1)[..12].to_vec();
        let sent = protected(&mut sender, &packet).unwrap();
        assert_eq!(unprotected(&mut receiver, &sent), Ok(packet));
    }
}

#[test]
fn a_changed_byte_is_refused_and_leaves_no_trace() {
    for profile in PROFILES {
        let (mut sender, mut receiver) = pair(profile);
        let packet = rtp(7, 5);
        let sent = protected(&mut sender, &packet).unwrap();
        for position in 0..sent.len() {
            let mut forged = sent.clone();
            forged[position] ^= 0x20;
            assert!(
                unprotected(&mut receiver, &forged).is_err(),
                "{profile} byte {position}"
            );
        }
        // Not even a forged number far ahead moved the window or took a place in the table.
        assert_eq!(unprotected(&mut receiver, &sent), Ok(packet));
    }
}

#[test]
fn a_repeated_packet_is_refused() {
    for profile in PROFILES {
        let (mut sender, mut receiver) = pair(profile);
        let sent = protected(&mut sender, &rtp(7, 5)).unwrap();
        unprotected(&mut receiver, &sent).unwrap();
        assert_eq!(unprotected(&mut receiver, &sent), Err(SrtpError::Replayed));
        let report = protected_rtcp(&mut sender, &rtcp(7)).unwrap();
        unprotected_rtcp(&mut receiver, &report).unwrap();
        assert_eq!(
            unprotected_rtcp(&mut receiver, &report),
            Err(SrtpError::Replayed)
        );
    }
}

#[test]
fn packets_of_two_sources_do_not_disturb_each_other() {
    let (mut sender, mut receiver) = pair(SrtpProfile::AeadAes128Gcm);
    for (ssrc, sequence) in [(1, 60_000), (2, 3), (1, 60_001), (2, 4)] {
        let packet = rtp(ssrc, sequence);
        let sent = protected(&mut sender, &packet).unwrap();
        assert_eq!(unprotected(&mut receiver, &sent), Ok(packet));
    }
}

#[test]
fn the_key_stream_goes_on_when_the_sequence_number_wraps() {
    for profile in PROFILES {
        let (mut sender, mut receiver) = pair(profile);
        let mut seen = Vec::new();
        // Twice around, in steps that cross both halves.
        for step in 0..14_u32 {
            let sequence = u16::try_from(step * 10_000 % 65_536).unwrap();
            let mut packet = rtp(7, sequence);
            packet[12..].fill(0);
            let sent = protected(&mut sender, &packet).unwrap();
            assert_eq!(unprotected(&mut receiver, &sent), Ok(packet));
            seen.push(sent[12..44].to_vec());
        }
        // 0 → 65_536 + … : the same number under another ROC has another key stream.
        let again = protected(&mut sender, &rtp(7, 10_000)).unwrap();
        assert_ne!(again[12..44], seen[1][..]);
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), if profile.encrypts() { 14 } else { 1 });
    }
}

#[test]
fn a_late_packet_from_before_the_wrap_is_taken() {
    for profile in PROFILES {
        let (mut sender, mut receiver) = pair(profile);
        let packets: Vec<_> = [65_533, 65_534, 65_535, 0, 1].map(|n| rtp(7, n)).into();
        let sent: Vec<_> = packets
            .iter()
            .map(|packet| protected(&mut sender, packet).unwrap())
            .collect();
        for position in [0, 3, 4, 2, 1] {
            let received = unprotected(&mut receiver, &sent[position]);
            assert_eq!(received.as_ref(), Ok(&packets[position]));
        }
        assert_eq!(
            unprotected(&mut receiver, &sent[2]),
            Err(SrtpError::Replayed)
        );
    }
}

#[test]
fn a_sender_takes_numbers_out_of_order_and_none_twice() {
    for profile in PROFILES {
        let (mut sender, mut receiver) = pair(profile);
        for sequence in [65_534, 0, 65_535, 2, 1] {
            let packet = rtp(7, sequence);
            let sent = protected(&mut sender, &packet).unwrap();
            assert_eq!(unprotected(&mut receiver, &sent), Ok(packet));
        }
        assert_eq!(protected(&mut sender, &rtp(7, 1)), Err(SrtpError::Replayed));
        assert_eq!(
            protected(&mut sender, &rtp(7, 65_535)),
            Err(SrtpError::Replayed)
        );
        protected(&mut sender, &rtp(7, 500)).unwrap();
        assert_eq!(protected(&mut sender, &rtp(7, 3)), Err(SrtpError::TooOld));
    }
}

#[test]
fn a_sender_refuses_more_sources_than_it_can_remember() {
    let (mut sender, _) = pair(SrtpProfile::AeadAes128Gcm);
    let count = u32::from(SOURCES_DEFAULT);
    for ssrc in 0..count {
        protected(&mut sender, &rtp(ssrc, 1)).unwrap();
    }
    assert_eq!(
        protected(&mut sender, &rtp(count, 1)),
        Err(SrtpError::TooManySources)
    );
    protected(&mut sender, &rtp(0, 2)).unwrap();
}

#[test]
fn a_receiver_forgets_the_source_that_was_silent_longest_and_only_for_an_authentic_one() {
    let key = master(SrtpProfile::AeadAes128Gcm);
    let mut receiver = SrtpReceiver::new(&key).unwrap();
    let packet_of = |ssrc| protected(&mut SrtpSender::new(&key).unwrap(), &rtp(ssrc, 1)).unwrap();
    let count = u32::from(SOURCES_DEFAULT);
    for ssrc in 0..count {
        unprotected(&mut receiver, &packet_of(ssrc)).unwrap();
    }
    let mut forged = packet_of(count);
    forged[20] ^= 1;
    assert_eq!(
        unprotected(&mut receiver, &forged),
        Err(SrtpError::AuthenticationFailed)
    );
    assert_eq!(
        unprotected(&mut receiver, &packet_of(0)),
        Err(SrtpError::Replayed)
    );
    unprotected(&mut receiver, &packet_of(count)).unwrap();
    assert_eq!(
        unprotected(&mut receiver, &packet_of(1)),
        Err(SrtpError::Replayed)
    );
    assert!(unprotected(&mut receiver, &packet_of(0)).is_ok());
}

#[test]
fn an_rtcp_packet_comes_back_as_it_was_and_counts_its_index_up() {
    for profile in PROFILES {
        let (mut sender, mut receiver) = pair(profile);
        let packet = rtcp(7);
        let mut sent_before = Vec::new();
        for index in 0..3_u32 {
            let sent = protected_rtcp(&mut sender, &packet).unwrap();
            assert_eq!(sent[..8], packet[..8]);
            assert_eq!(sent[8..28] != packet[8..28], profile.encrypts());
            assert_ne!(sent, sent_before);
            let word = &sent[index_position(profile, &sent)..][..4];
            let e_bit = u32::from(profile.encrypts()) << 31;
            assert_eq!(*word, (index | e_bit).to_be_bytes());
            assert_eq!(unprotected_rtcp(&mut receiver, &sent).as_ref(), Ok(&packet));
            sent_before = sent;
        }
    }
}

#[test]
fn a_changed_rtcp_byte_is_refused_and_leaves_no_trace() {
    for profile in PROFILES {
        let (mut sender, mut receiver) = pair(profile);
        let sent = protected_rtcp(&mut sender, &rtcp(7)).unwrap();
        for position in 0..sent.len() {
            let mut forged = sent.clone();
            forged[position] ^= 0x10;
            assert!(
                unprotected_rtcp(&mut receiver, &forged).is_err(),
                "{profile} {position}"
            );
        }
        assert_eq!(unprotected_rtcp(&mut receiver, &sent), Ok(rtcp(7)));
    }
}

#[test]
fn an_e_bit_that_says_other_than_the_policy_is_refused() {
    for profile in PROFILES {
        let (mut sender, mut receiver) = pair(profile);
        let mut sent = protected_rtcp(&mut sender, &rtcp(7)).unwrap();
        let position = index_position(profile, &sent);
        sent[position] ^= 0x80;
        let expected = match profile.encrypts() {
            true => SrtpError::NotEncrypted,
            false => SrtpError::UnexpectedEncryption,
        };
        assert_eq!(unprotected_rtcp(&mut receiver, &sent), Err(expected));
    }
}

#[test]
fn the_two_directions_and_the_two_protocols_have_keys_of_their_own() {
    let key = master(SrtpProfile::AeadAes256Gcm);
    let other = MasterKey::new(key.profile(), &[9; 32], &[9; 12]).unwrap();
    let sent = protected(&mut SrtpSender::new(&other).unwrap(), &rtp(7, 1)).unwrap();
    let mut receiver = SrtpReceiver::new(&key).unwrap();
    assert_eq!(
        unprotected(&mut receiver, &sent),
        Err(SrtpError::AuthenticationFailed)
    );
}

#[test]
fn malformed_and_short_packets_have_their_own_errors() {
    for profile in PROFILES {
        let (mut sender, mut receiver) = pair(profile);
        let mut rtp_errors = |packet: &[u8], expected| {
            assert_eq!(protected(&mut sender, packet), Err(expected));
            let mut tagged = packet.to_vec();
            tagged.resize(packet.len() + profile.rtp_tag_bytes(), 0);
            assert_eq!(unprotected(&mut receiver, &tagged), Err(expected));
        };
        rtp_errors(&rtp(7, 1)[..11], SrtpError::TooShort);
        rtp_errors(&[], SrtpError::TooShort);
        let mut version_1 = rtp(7, 1);
        version_1[0] = 0x40;
        rtp_errors(&version_1, SrtpError::BadVersion);
        let mut many_csrc = rtp(7, 1);
        many_csrc[0] = 0x8F;
        rtp_errors(&many_csrc[..71], SrtpError::TruncatedCsrcs);
        let mut long_extension = rtp(7, 1);
        long_extension[0] = 0x90;
        long_extension[14..16].fill(0xFF);
        rtp_errors(&long_extension, SrtpError::TruncatedExtension);
        rtp_errors(&long_extension[..15], SrtpError::TruncatedExtension);
        for word in [[0xC0, 0xDE], [0xC2, 0xDE]] {
            let mut cryptex = rtp(7, 1);
            cryptex[0] = 0x90;
            cryptex[12..14].copy_from_slice(&word);
            cryptex[14..16].copy_from_slice(&[0, 2]);
            rtp_errors(&cryptex, SrtpError::EncryptedHeader);
        }
        assert_eq!(
            protected_rtcp(&mut sender, &rtcp(7)[..7]),
            Err(SrtpError::TooShort)
        );
        assert_eq!(
            unprotected_rtcp(&mut receiver, &[0x80; 8 + 4 + 9]),
            Err(SrtpError::TooShort)
        );
        assert_eq!(
            protected_rtcp(&mut sender, &[0; 30]),
            Err(SrtpError::BadVersion)
        );
    }
}

#[test]
fn a_buffer_without_room_is_refused_before_anything_changes() {
    for profile in PROFILES {
        let (mut sender, _) = pair(profile);
        let packet = rtp(7, 1);
        let mut tight = packet.clone();
        tight.resize(packet.len() + profile.rtp_tag_bytes() - 1, 0);
        assert_eq!(
            sender.protect_rtp(&mut tight, packet.len()),
            Err(SrtpError::NoRoom)
        );
        assert_eq!(tight[..packet.len()], packet);
        assert_eq!(sender.protect_rtp(&mut tight, 1000), Err(SrtpError::NoRoom));
        assert!(protected(&mut sender, &packet).is_ok());
    }
}

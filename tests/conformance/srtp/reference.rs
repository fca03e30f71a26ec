//! SRTP with AES in counter mode as RFC 3711 and RFC 6188 write it down, block by block, with no
//! regard to speed and no state: the judge where libsrtp is none (difference 10). It is held
//! against libsrtp, through our sender, where that is one.

use aes::cipher::{BlockCipherEncrypt, KeyInit};
use aes::{Aes128, Aes192, Aes256};
use crypto::keys::{MasterKey, SrtpProfile};
use crypto::srtp::{SrtpReceiver, SrtpSender};
use hmac::{Hmac, Mac};
use sha1::Sha1;

use super::packets::{rtcp, rtp};
use crate::random::{Random, SeedOnPanic, seed};

const PACKETS: usize = 4000;
const SSRC: u32 = 0x5249_4E47;

const SUITES: &[SrtpProfile] = &[
    SrtpProfile::AesCm128HmacSha1_80,
    SrtpProfile::AesCm128HmacSha1_32,
    SrtpProfile::AesCm192HmacSha1_80,
    SrtpProfile::AesCm192HmacSha1_32,
    SrtpProfile::AesCm256HmacSha1_80,
    SrtpProfile::AesCm256HmacSha1_32,
];

/// XORs with the key stream whose first block is `block` (RFC 3711 section 4.1.1).
fn apply_keystream(key: &[u8], mut block: u128, data: &mut [u8]) {
    for chunk in data.chunks_mut(16) {
        let mut stream = block.to_be_bytes().into();
        match key.len() {
            16 => Aes128::new_from_slice(key)
                .unwrap()
                .encrypt_block(&mut stream),
            24 => Aes192::new_from_slice(key)
                .unwrap()
                .encrypt_block(&mut stream),
            _ => Aes256::new_from_slice(key)
                .unwrap()
                .encrypt_block(&mut stream),
        }
        for (to, from) in chunk.iter_mut().zip(stream) {
            *to ^= from;
        }
        block += 1;
    }
}

/// A salt of 112 bits as a number.
fn number(salt: &[u8]) -> u128 {
    salt.iter()
        .fold(0, |number, byte| number << 8 | u128::from(*byte))
}

/// The session key of a label (RFC 3711 section 4.3.1, RFC 6188 section 3).
fn derived<const BYTES: usize>(master: &[u8], salt: &[u8], label: u8) -> [u8; BYTES] {
    let x = number(salt) ^ u128::from(label) << 48;
    let mut key = [0; BYTES];
    apply_keystream(master, x << 16, &mut key);
    key
}

/// Encrypts what follows `clear_bytes` with the keys of three labels, and returns the whole tag
/// over the packet and `suffix`.
fn encrypt(
    (master, salt): (&[u8], &[u8]),
    labels: [u8; 3],
    index: u64,
    packet: &mut [u8],
    clear_bytes: usize,
    suffix: &[u8],
) -> [u8; 20] {
    let [encryption, authentication, salting] = labels;
    let key: [u8; 32] = derived(master, salt, encryption);
    let session_salt: [u8; 14] = derived(master, salt, salting);
    let block = number(&session_salt) << 16 ^ u128::from(SSRC) << 64 ^ u128::from(index) << 16;
    apply_keystream(&key[..master.len()], block, &mut packet[clear_bytes..]);
    let mac_key: [u8; 20] = derived(master, salt, authentication);
    let mut mac = <Hmac<Sha1> as KeyInit>::new_from_slice(&mac_key).unwrap();
    mac.update(packet);
    mac.update(suffix);
    mac.finalize().into_bytes().into()
}

/// RFC 3711 section 3.1.
fn protect_rtp(keys: (&[u8], &[u8]), tag_bytes: usize, index: u64, plain: &[u8]) -> Vec<u8> {
    let mut header_bytes = 12 + 4 * usize::from(plain[0] & 0x0F);
    if plain[0] & 0x10 != 0 {
        let words = u16::from_be_bytes([plain[header_bytes + 2], plain[header_bytes + 3]]);
        header_bytes += 4 + 4 * usize::from(words);
    }
    let rollover_counter = u32::try_from(index >> 16).unwrap().to_be_bytes();
    let mut packet = plain.to_vec();
    let tag = encrypt(
        keys,
        [0, 1, 2],
        index,
        &mut packet,
        header_bytes,
        &rollover_counter,
    );
    packet.extend(&tag[..tag_bytes]);
    packet
}

/// RFC 3711 section 3.4.
fn protect_rtcp(keys: (&[u8], &[u8]), index: u32, plain: &[u8]) -> Vec<u8> {
    let word = (index | 1 << 31).to_be_bytes();
    let mut packet = plain.to_vec();
    let tag = encrypt(keys, [3, 4, 5], index.into(), &mut packet, 8, &word);
    packet.extend(word);
    packet.extend(&tag[..10]);
    packet
}

#[test]
fn counter_mode_suites_do_as_the_rfcs_write() {
    let seed = seed();
    let repeat = SeedOnPanic(seed);
    let mut random = Random::new(seed);
    for profile in SUITES {
        let key = random.bytes(profile.key_bytes());
        let salt = random.bytes(profile.salt_bytes());
        let keys = (&*key, &*salt);
        let master = MasterKey::new(*profile, &key, &salt).unwrap();
        let mut sender = SrtpSender::new(&master).unwrap();
        let mut receiver = SrtpReceiver::new(&master).unwrap();
        // Low enough that the first packet has rollover counter 0.
        let mut index = u64::from(random.sequence() / 2);
        for number in 0..PACKETS / SUITES.len() {
            index += u64::try_from(*random.pick(&[1, 1, 1, 2, 100, 30_000])).unwrap();
            let [low, high, ..] = index.to_le_bytes();
            let plain = rtp(&mut random, SSRC, u16::from_le_bytes([low, high]));
            let mut packet = plain.clone();
            packet.resize(plain.len() + 32, 0);
            let length = sender.protect_rtp(&mut packet, plain.len()).unwrap();
            let expected = protect_rtp(keys, profile.rtp_tag_bytes(), index, &plain);
            assert_eq!(packet[..length], expected, "{profile}, index {index}");
            let length = receiver.unprotect_rtp(&mut packet[..length]).unwrap();
            assert_eq!(packet[..length], plain);

            let plain = rtcp(&mut random, SSRC);
            let mut packet = plain.clone();
            packet.resize(plain.len() + 32, 0);
            let length = sender.protect_rtcp(&mut packet, plain.len()).unwrap();
            let expected = protect_rtcp(keys, u32::try_from(number).unwrap(), &plain);
            assert_eq!(packet[..length], expected, "{profile}, RTCP index {number}");
            let length = receiver.unprotect_rtcp(&mut packet[..length]).unwrap();
            assert_eq!(packet[..length], plain);
        }
    }
    drop(repeat);
}

//! Whole packets as other implementations make them.
//!
//! The first three tests have the keys and packets of libsrtp's `test/srtp_driver.c` (`srtp_validate`,
//! `srtp_validate_mki`, `srtp_validate_null_sha1_80`, `srtp_validate_gcm`, `srtp_validate_aes_192`,
//! `srtp_validate_aes_256`): Copyright (c) 2001-2017 Cisco Systems, Inc. All rights reserved.
//! Redistribution and use in source and binary forms, with or without modification, are permitted
//! under the conditions of the BSD 3-clause licence; the software is provided "as is", without
//! warranty of any kind.
//!
//! The packets of the last test were made with libsrtp 2.5.0. Those of AES-192 are not among them:
//! up to 2.5 libsrtp derived their keys with AES-256 over key and salt run together, not as RFC
//! 6188 section 7.3 shows (repaired by its change df5b38a).

use super::*;

fn key(profile: SrtpProfile, key: &str, salt: &str) -> MasterKey {
    MasterKey::new(profile, &bytes(key), &bytes(salt)).unwrap()
}

/// Both directions make of one packet the other. libsrtp's first RTCP index is 1.
fn agrees(key: &MasterKey, [rtp_plain, rtp_sent]: [&str; 2], rtcp: Option<[&str; 2]>) {
    let mut sender = SrtpSender::new(key).unwrap();
    let mut receiver = SrtpReceiver::new(key).unwrap();
    let sent = protected(&mut sender, &bytes(rtp_plain)).unwrap();
    assert_eq!(sent, bytes(rtp_sent), "{key:?}");
    assert_eq!(unprotected(&mut receiver, &sent).unwrap(), bytes(rtp_plain));
    if let Some([plain, expected]) = rtcp {
        sender.skip_rtcp_indices(1);
        let sent = protected_rtcp(&mut sender, &bytes(plain)).unwrap();
        assert_eq!(sent, bytes(expected), "{key:?}");
        let received = unprotected_rtcp(&mut receiver, &sent);
        assert_eq!(received.unwrap(), bytes(plain));
    }
}

const RTP: &str = "800f1234decafbadcafebabeabababababababababababababababab";
const RTCP: &str = "81c8000bcafebabeabababababababababababababababab";

#[test]
fn makes_the_packets_of_libsrtp_for_aes_128_and_without_a_cipher() {
    let material = [
        "e1f97a0d3e018be0d64fa32c06de4139",
        "0ec675ad498afeebb6960b3aabe6",
    ];
    let cm = key(SrtpProfile::AesCm128HmacSha1_80, material[0], material[1]);
    agrees(
        &cm,
        [
            RTP,
            "800f1234decafbadcafebabe4e55dc4ce79978d88ca4d215949d2402b78d6acc99ea179b8dbb",
        ],
        Some([
            RTCP,
            "81c8000bcafebabe7128035be487b9bdbef89041f977a5a880000001993e08cd54d6c1230798",
        ]),
    );
    agrees(
        &cm.with_mki(Mki::new(&bytes("e1f97a0d")).unwrap()),
        [
            RTP,
            "800f1234decafbadcafebabe4e55dc4ce79978d88ca4d215949d2402e1f97a0d\
             b78d6acc99ea179b8dbb",
        ],
        Some([
            RTCP,
            "81c8000bcafebabe7128035be487b9bdbef89041f977a5a880000001e1f97a0d\
             993e08cd54d6c1230798",
        ]),
    );
    agrees(
        &key(SrtpProfile::NullHmacSha1_80, material[0], material[1]),
        [
            RTP,
            "800f1234decafbadcafebabeabababababababababababababababababa13627\
             0b679134ce9b",
        ],
        Some([
            RTCP,
            "81c8000bcafebabeabababababababababababababababab00000001fe88c7fdfd37ebce615d",
        ]),
    );
}

#[test]
fn makes_the_packets_of_libsrtp_for_gcm() {
    agrees(
        &key(
            SrtpProfile::AeadAes128Gcm,
            "000102030405060708090a0b0c0d0e0f",
            "a0a1a2a3a4a5a6a7a8a9aaab",
        ),
        [
            RTP,
            "800f1234decafbadcafebabec5002ede04cfdd2eb91159e0880aa06e\
             d2976826f796b201df3131a127e8a392",
        ],
        Some([
            RTCP,
            "81c8000bcafebabec98b8b5df0392a55852b6c21ac8e7025\
             c52c6fbea2b3b446ea31123ba88ce61e80000001",
        ]),
    );
}

#[test]
fn makes_the_packets_of_libsrtp_for_aes_192_and_256() {
    agrees(
        &key(
            SrtpProfile::AesCm192HmacSha1_80,
            "73edc66c4fa15776fb57f9505c17136550ffda71f3e8e5f1",
            "c8522f3acd4ce86d5add78edbb11",
        ),
        [
            "800f0000decafbad00000000abababababababababababababababab",
            "800f0000decafbad00000000d98865552f2762c3ef37f837acfdb7122d6bc4dc84c76f74aea5",
        ],
        None,
    );
    agrees(
        &key(
            SrtpProfile::AesCm256HmacSha1_80,
            "f0f04914b513f2763a1b1fa130f10e2998f6f6e43e4309d1e622a0e332b9f1b6",
            "3b04803de51ee7c96423ab5b78d2",
        ),
        [
            RTP,
            "800f1234decafbadcafebabef1d9de17ff251ff1aa007774b0b4b40da08d9d9a5b3a55d8873b",
        ],
        None,
    );
}

/// One CSRC, a header extension, and padding.
const RTP_WITH_EVERYTHING: &str = "b10f1234decafbadcafebabe11223344bede000151000200\
                                   ababababababababababababababababababab04";
const RTCP_SHORT: &str = "81c80005cafebabeabababababababababababababababab";

use SrtpProfile as P;

/// Suite, identifier, RTP, RTCP.
const LIBSRTP_PACKETS: [(SrtpProfile, &str, &str, &str); 8] = [
    (
        P::AesCm128HmacSha1_80,
        "",
        "b10f1234decafbadcafebabe11223344bede0001510002001b772ba588e77fe3\
             1896892ffed5ac6764dc0b1835fb0b39716c41c6af63",
        "81c80005cafebabe9ce0f4d627d81f6c4ef5125b5ed5f10c80000001c04f832a\
             f392f62fb7ec",
    ),
    (
        P::AesCm128HmacSha1_32,
        "",
        "b10f1234decafbadcafebabe11223344bede0001510002001b772ba588e77fe3\
             1896892ffed5ac6764dc0b1835fb0b39",
        "81c80005cafebabe9ce0f4d627d81f6c4ef5125b5ed5f10c80000001c04f832a\
             f392f62fb7ec",
    ),
    (
        P::AesCm256HmacSha1_80,
        "",
        "b10f1234decafbadcafebabe11223344bede0001510002005547ec3e4907ecf6\
             d3f1b50062fea1f9f5ec5c6623911d6ea42e8ed673bd",
        "81c80005cafebabec4709b152a095e6f44d944d97721e1f98000000167ce2dc8\
             56e20b27252a",
    ),
    (
        P::AesCm256HmacSha1_32,
        "",
        "b10f1234decafbadcafebabe11223344bede0001510002005547ec3e4907ecf6\
             d3f1b50062fea1f9f5ec5c6623911d6e",
        "81c80005cafebabec4709b152a095e6f44d944d97721e1f98000000167ce2dc8\
             56e20b27252a",
    ),
    (
        P::AeadAes128Gcm,
        "",
        "b10f1234decafbadcafebabe11223344bede000151000200c76a4169e35c11ab\
             2507ea6178f91c6fa37bdb2fa6956fa1bd883854e5a2a8a37d84df1a",
        "81c80005cafebabe4ed32effd6febc765dba00ec58b15445e93b34361b55279e\
             739d9d30d064395c80000001",
    ),
    (
        P::AeadAes256Gcm,
        "",
        "b10f1234decafbadcafebabe11223344bede000151000200398f393af7569716\
             1479a0d5cd5eb328dc8ab90c485d2aad68bafd855411a3db8e26dcef",
        "81c80005cafebabeafdbe98eba628224f6e2057715de48f6298f935cc1206313\
             244d7d371eda13d880000001",
    ),
    (
        P::AeadAes256Gcm,
        "e1f97a0d",
        "b10f1234decafbadcafebabe11223344bede000151000200398f393af7569716\
             1479a0d5cd5eb328dc8ab90c485d2aad68bafd855411a3db8e26dcefe1f97a0d",
        "81c80005cafebabeafdbe98eba628224f6e2057715de48f6298f935cc1206313\
             244d7d371eda13d880000001e1f97a0d",
    ),
    (
        P::AesCm128HmacSha1_80,
        "e1f97a0d",
        "b10f1234decafbadcafebabe11223344bede0001510002001b772ba588e77fe3\
             1896892ffed5ac6764dc0b18e1f97a0d35fb0b39716c41c6af63",
        "81c80005cafebabe9ce0f4d627d81f6c4ef5125b5ed5f10c80000001e1f97a0d\
             c04f832af392f62fb7ec",
    ),
];

#[test]
fn makes_the_packets_of_libsrtp_with_csrc_extension_padding_and_identifier() {
    let material: Vec<u8> = (0..46_u8)
        .map(|n| n.wrapping_mul(7).wrapping_add(3))
        .collect();
    for (profile, mki, rtp_sent, rtcp_sent) in LIBSRTP_PACKETS {
        let (key, salt) = material.split_at(profile.key_bytes());
        let mut key = MasterKey::new(profile, key, &salt[..profile.salt_bytes()]).unwrap();
        if !mki.is_empty() {
            key = key.with_mki(Mki::new(&bytes(mki)).unwrap());
        }
        let rtcp = Some([RTCP_SHORT, rtcp_sent]);
        agrees(&key, [RTP_WITH_EVERYTHING, rtp_sent], rtcp);
    }
}

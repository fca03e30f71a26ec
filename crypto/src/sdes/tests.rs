//! Whole `a=crypto` lines.

use proptest::prelude::*;

use super::*;

/// Key 0, 1, 2, … and salt 16, 17, …
const KEY_128: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd";

fn line(rest: &str) -> String {
    format!("a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{KEY_128}{rest}")
}

fn error(text: &str) -> SdesError {
    CryptoLine::parse(text).expect_err(text)
}

#[test]
fn reads_the_examples_of_rfc_4568() {
    // Section 4.1 and 5.1.
    let text = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 \
                inline:PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBR|2^20|1:32\r\n";
    assert_eq!(error(text), SdesError::MkiTooLong);
    let text = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 \
                inline:PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBR|2^20|1:4\r\n";
    let read = CryptoLine::parse(text).unwrap();
    assert_eq!(read.tag, 1);
    assert_eq!(read.key.profile(), SrtpProfile::AesCm128HmacSha1_80);
    assert_eq!(read.key.key(), b"=-n@%^x!Bjufr9)?");
    assert_eq!(read.key.salt(), b",#5h\\`=&]{qiPQ");
    assert_eq!(read.lifetime_packets, Some(1 << 20));
    assert_eq!(read.key.mki(), [0, 0, 0, 1]);
    assert_eq!(read.to_line().unwrap().as_str(), text.trim_end());

    let two_keys = "a=crypto:2 AES_CM_128_HMAC_SHA1_80 \
                    inline:MTIzNDU2Nzg5QUJDREUwMTIzNDU2Nzg5QUJjZGVm|2^20|1:4;\
                    inline:QUJjZGVmMTIzNDU2Nzg5QUJDREUwMTIzNDU2Nzg5|2^20|2:4";
    assert_eq!(error(two_keys), SdesError::SeveralKeys);
    let weaker = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 \
                  inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj|2^20|1:4 UNENCRYPTED_SRTCP";
    assert_eq!(error(weaker), SdesError::UnencryptedRtcp);
}

#[test]
fn every_suite_with_a_name_goes_out_and_comes_back() {
    for profile in SrtpProfile::ALL {
        let key: Vec<u8> = (0..32).collect();
        let salt: Vec<u8> = (200..214).collect();
        let key = MasterKey::new(
            profile,
            &key[..profile.key_bytes()],
            &salt[..profile.salt_bytes()],
        )
        .unwrap();
        let out = CryptoLine {
            tag: 7,
            key,
            lifetime_packets: None,
            window_size_hint: None,
        };
        let Some(text) = out.to_line() else {
            assert!(!profile.encrypts());
            continue;
        };
        for text in [text.as_str(), text.trim_end_matches('=')] {
            let back = CryptoLine::parse(text).unwrap();
            assert_eq!(back.key.profile(), profile);
            assert_eq!(back.key.key(), out.key.key());
            assert_eq!(back.key.salt(), out.key.salt());
        }
        assert!(text.capacity() <= SDES_LINE_BYTES_MAX);
    }
}

#[test]
fn reads_the_value_alone_and_every_lifetime_and_identifier() {
    for (rest, lifetime, mki) in [
        ("", None, &[][..]),
        ("|2^31", Some(1 << 31), &[]),
        ("|2^48", Some(1 << 48), &[]),
        ("|1048576", Some(1_048_576), &[]),
        ("|1000", Some(1000), &[]),
        ("|1:1", None, &[1]),
        ("|258:2", None, &[1, 2]),
        (
            "|2^20|5:16",
            Some(1 << 20),
            &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5],
        ),
    ] {
        let text = line(rest);
        let read = CryptoLine::parse(&text).unwrap();
        assert_eq!(read.lifetime_packets, lifetime, "{rest}");
        assert_eq!(read.key.mki(), mki, "{rest}");
        let bare = CryptoLine::parse(text.strip_prefix("a=crypto:").unwrap()).unwrap();
        assert_eq!(bare.to_line(), read.to_line());
    }
}

#[test]
fn what_is_broken_has_an_error_of_its_own() {
    for (rest, expected) in [
        ("|", SdesError::BadLifetime),
        ("|0", SdesError::BadLifetime),
        ("|2^49", SdesError::BadLifetime),
        ("|2^64", SdesError::BadLifetime),
        ("|-1", SdesError::BadLifetime),
        ("|2^20|", SdesError::BadMki),
        ("|2^20|1", SdesError::BadMki),
        ("|2^20|1:0", SdesError::BadMki),
        ("|2^20|256:1", SdesError::BadMki),
        ("|2^20|1:17", SdesError::MkiTooLong),
        ("|2^20|1:128", SdesError::MkiTooLong),
        ("|2^20|1:4|", SdesError::Malformed),
        ("A", SdesError::BadBase64),
        ("AAAA", SdesError::BadKeyLength),
        ("!AAA", SdesError::BadBase64),
        (" WSH=63", SdesError::BadWindowSize),
        (" WSH", SdesError::BadWindowSize),
        (" WSH=64 WSH=64", SdesError::RepeatedParameter),
    ] {
        assert_eq!(error(&line(rest)), expected, "{rest}");
    }
    assert_eq!(error(""), SdesError::Malformed);
    assert_eq!(
        error("a=crypto:1 AES_CM_128_HMAC_SHA1_80"),
        SdesError::Malformed
    );
    assert_eq!(error(&line("").replace(":1 ", ":x ")), SdesError::BadTag);
    assert_eq!(
        error(&line("").replace(":1 ", ":1000000000 ")),
        SdesError::BadTag
    );
    assert_eq!(
        error(&line("").replace("inline", "uri")),
        SdesError::UnsupportedKeyMethod
    );
    assert_eq!(error(&line(&" -x".repeat(400))), SdesError::TooLong);
    for suite in [
        "F8_128_HMAC_SHA1_80",
        "NULL_HMAC_SHA1_80",
        "SEED_CTR_128_HMAC_SHA1_80",
    ] {
        let text = line("").replace("AES_CM_128_HMAC_SHA1_80", suite);
        assert_eq!(error(&text), SdesError::UnsupportedSuite);
    }
    // A key of another suite's length.
    let short = line("").replace("AES_CM_128", "AES_256_CM");
    assert_eq!(error(&short), SdesError::BadKeyLength);
}

#[test]
fn session_parameters_that_we_lack_are_refused_by_name() {
    for (parameter, expected) in [
        ("KDR=1", SdesError::KeyDerivationRate),
        ("KDR=0", SdesError::KeyDerivationRate),
        ("UNENCRYPTED_SRTP", SdesError::UnencryptedRtp),
        ("unencrypted_srtp", SdesError::UnencryptedRtp),
        ("UNENCRYPTED_SRTCP", SdesError::UnencryptedRtcp),
        ("UNAUTHENTICATED_SRTP", SdesError::UnauthenticatedRtp),
        ("FEC_ORDER=FEC_SRTP", SdesError::ForwardErrorCorrection),
        ("FEC_KEY=inline:x", SdesError::ForwardErrorCorrection),
        ("CRYPTEX", SdesError::UnknownParameter),
        ("-", SdesError::UnknownParameter),
    ] {
        assert_eq!(error(&line(&format!(" {parameter}"))), expected);
        assert_eq!(error(&line(&format!(" WSH=64 {parameter}"))), expected);
    }
    let read = CryptoLine::parse(&line(" -ignored=1 WSH=1024 -too")).unwrap();
    assert_eq!(read.window_size_hint, Some(1024));
    let read = CryptoLine::parse(&line(" WSH=100000")).unwrap();
    assert_eq!(read.window_size_hint, Some(REPLAY_WINDOW_PACKETS_MAX));
}

#[test]
fn neither_a_line_nor_an_error_shows_the_key() {
    let read = CryptoLine::parse(&line("|2^20|1:4")).unwrap();
    let shown = format!("{read:?}");
    assert!(
        shown.contains("tag: 1") && !shown.contains(KEY_128),
        "{shown}"
    );
    assert!(!shown.contains("1, 2, 3"), "{shown}");
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in ".{0,200}", rest in "[ -~]{0,60}") {
        let _parsed = CryptoLine::parse(&text).is_ok();
        let _parsed = CryptoLine::parse(&line(&rest)).is_ok();
    }

    #[test]
    fn what_is_read_is_written_and_read_alike(
        tag in 0..=TAG_MAX,
        material in prop::collection::vec(any::<u8>(), 46),
        suite in 0..8_usize,
        lifetime_packets in prop::option::of(1..=RTP_PACKETS_PER_KEY_MAX),
        mki in prop::option::of(prop::collection::vec(any::<u8>(), 1..=16)),
        window_size_hint in prop::option::of(64..=REPLAY_WINDOW_PACKETS_MAX),
    ) {
        let profile = SrtpProfile::ALL[suite];
        let (key, salt) = material.split_at(profile.key_bytes());
        let key = MasterKey::new(profile, key, &salt[..profile.salt_bytes()]).unwrap();
        let key = match mki {
            Some(mki) => key.with_mki(Mki::new(&mki).unwrap()),
            None => key,
        };
        let out = CryptoLine { tag, key, lifetime_packets, window_size_hint };
        let text = out.to_line().unwrap();
        let back = CryptoLine::parse(&text).unwrap();
        prop_assert_eq!(back.tag, tag);
        prop_assert_eq!(back.key.key(), out.key.key());
        prop_assert_eq!(back.key.salt(), out.key.salt());
        prop_assert_eq!(back.key.mki(), out.key.mki());
        prop_assert_eq!(back.lifetime_packets, lifetime_packets);
        prop_assert_eq!(back.window_size_hint, window_size_hint);
    }
}

//! What somebody may send from the peer's address before there are keys.

use super::*;
use crate::limits::{DTLS_ASSEMBLIES_MAX, DTLS_BELIEVED_AFTER};

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(|byte| *byte != b' ').collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

/// A handshake fragment in a record of its own.
fn fragment(kind: u8, length: usize, number: u8, offset: usize, body: &[u8]) -> Vec<u8> {
    let u24 = |number: usize| u32::try_from(number).unwrap().to_be_bytes();
    let mut datagram = bytes("16fefd 0000 000000000077");
    datagram.extend(&u24(12 + body.len())[2..]);
    datagram.push(kind);
    datagram.extend(&u24(length)[1..]);
    datagram.extend([0, number]);
    datagram.extend(&u24(offset)[1..]);
    datagram.extend(&u24(body.len())[1..]);
    datagram.extend(body);
    datagram
}

/// Datagrams that must neither end nor block a handshake.
fn nuisances() -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = [
        "15fefd 0000 000000000000 0002 0228",
        "15fefd 0000 000000000000 0002 0100",
        "15fefd 0000 000000000001 0002 0200",
        "15feff 0000 000000000002 0002 022f",
        "15fefd 0000 000000000000 0001 02",
        "15fefd 0000 000000000000 0000",
        "15fefd 0001 000000000000 0002 0228",
        "16fefd 0000 000000000009 0014 01000020 0000 000010 000008 fefd717171717171",
        "14fefd 0000 000000000003 0001 01",
        "17fefd 0000 000000000003 0001 01",
        "1afefd 0000 000000000003 0002 0000",
        "16fefd 0001 000000000001 0030",
        "2c0000 1122334455667788990011223344556677889900",
    ]
    .iter()
    .map(|hex| bytes(hex))
    .collect();
    for kind in [0, 1, 2, 3, 4, 11, 12, 13, 14, 15, 16, 20, 24, 67] {
        for (length, offset) in [(8192, 16), (100, 0), (16_000, 15_990), (9, 1), (1 << 23, 0)] {
            all.push(fragment(kind, length, 0, offset, &[0x71; 8]));
            all.push(fragment(kind, length, 1, offset, &[0x71; 8]));
            all.push(fragment(kind, length, 3, offset, &[0x71; 8]));
        }
        // Whole messages without a place.
        all.push(fragment(kind, 8, 7, 0, &[0x71; 8]));
        if kind != 1 {
            all.push(fragment(kind, 8, 0, 0, &[0x71; 8]));
        }
    }
    all
}

#[test]
fn media_f21_records_in_the_clear_neither_end_nor_block_a_handshake() {
    for versions in VERSIONS {
        for nuisance in nuisances() {
            let mut pair = Pair::expecting(versions);
            // Before the browser's first datagram, and before every other one.
            pair.noise = vec![nuisance.clone()];
            let outcome = pair.exchange(|_| false);
            assert_eq!(outcome, Ok(()), "{versions:?} {nuisance:02x?}");
            while pair.client_keys.is_empty() || pair.server_keys.is_empty() {
                assert!(pair.advance().unwrap(), "{versions:?} {nuisance:02x?}");
                pair.exchange(|_| false).unwrap();
            }
            pair.assert_keys_agree();
        }
    }
}

#[test]
fn media_f21_another_client_hello_first_leaves_the_handshake_to_the_browser() {
    for versions in VERSIONS {
        let mut pair = Pair::expecting(versions);
        let certificate = Certificate::generate().unwrap();
        let mut other = DtlsClient::with_versions(&certificate, versions, pair.now).unwrap();
        while let Some(output) = other.poll_output() {
            let DtlsOutput::Datagram(hello) = output else {
                panic!("{output:?}");
            };
            pair.server.handle_datagram(pair.now, &hello).unwrap();
        }
        while pair.server.poll_output().is_some() {}
        pair.exchange(|_| false).unwrap();
        pair.assert_keys_agree();
    }
}

#[test]
fn media_f21_an_alert_of_a_browser_that_says_nothing_more_is_believed_soon() {
    for alert in [
        "15fefd 0000 000000000000 0002 0228",
        "15fefd 0000 000000000000 0002 0100",
    ] {
        let mut pair = Pair::expecting(DtlsVersions::Only12);
        let began = pair.now;
        pair.exchange(|number| number > 4).unwrap();
        pair.server
            .handle_datagram(pair.now, &bytes(alert))
            .unwrap();
        let error = loop {
            pair.now = pair.server.poll_timeout().unwrap();
            if let Err(error) = pair.server.handle_timeout(pair.now) {
                break error;
            }
        };
        assert!(matches!(error, DtlsError::Alert(40 | 0)), "{error:?}");
        assert_eq!(pair.now - began, DTLS_BELIEVED_AFTER);
        assert!(!error.to_string().contains("40") || error.to_string().contains("ECDSA"));
    }
}

#[test]
fn media_f21_a_client_hello_in_pieces_is_put_together_in_any_order() {
    for versions in VERSIONS {
        let mut pair = Pair::expecting(versions);
        let Some(DtlsOutput::Datagram(hello)) = pair.client.poll_output() else {
            panic!("no ClientHello");
        };
        assert!(pair.client.poll_output().is_none());
        let body = &hello[25..];
        let mut pieces: Vec<Vec<u8>> = body
            .chunks(50)
            .enumerate()
            .map(|(index, piece)| fragment(1, body.len(), 0, index * 50, piece))
            .collect();
        // As many strangers' pieces as leave room for one message.
        for number in 1..DTLS_ASSEMBLIES_MAX {
            pieces.push(fragment(1, body.len() + number, 0, 0, &[9; 8]));
        }
        pieces.reverse();
        for piece in pieces {
            pair.server.handle_datagram(pair.now, &piece).unwrap();
        }
        pair.exchange(|_| false).unwrap();
        pair.assert_keys_agree();
    }
}

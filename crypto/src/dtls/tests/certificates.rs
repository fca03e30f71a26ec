//! Certificates of any size and kind, and what a panic of the library does.

use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384};

use super::*;
use crate::limits::{DTLS_CERTIFICATE_BYTES_MAX, DTLS_HANDSHAKE_BYTES_MAX};

/// A certificate of at least so many bytes, and at most 60 more.
fn certificate_of(bytes: usize, key: &KeyPair) -> Certificate {
    let der = |names: usize| {
        let name = |n: usize| format!("h{n:05}.example.org");
        let names: Vec<String> = (0..names).map(name).collect();
        let parameters = CertificateParams::new(names).unwrap();
        parameters.self_signed(key).unwrap().der().to_vec()
    };
    let (none, hundred) = (der(0).len(), der(100).len());
    let names = bytes.saturating_sub(none) * 100 / (hundred - none);
    let found = (names..).map(der).find(|der| der.len() >= bytes).unwrap();
    assert!(found.len() < bytes + 60, "{} for {bytes}", found.len());
    Certificate::from_der(found, key.serialize_der())
}

/// How the server fares with a client that has this certificate; the client is a stranger, who may
/// not matter to it.
fn outcome(versions: DtlsVersions, certificate: Certificate) -> Result<(), DtlsError> {
    let mut pair = Pair::with_client(versions, certificate).with_fingerprints();
    pair.exchange(|_| false)?;
    while pair.server_keys.is_empty() {
        pair.now = pair.server.poll_timeout().expect("it gives up some time");
        pair.server.handle_timeout(pair.now)?;
        while let Some(output) = pair.server.poll_output() {
            if let DtlsOutput::Keys(keys) = output {
                pair.server_keys.push(keys);
            }
        }
    }
    pair.assert_keys_agree();
    Ok(())
}

#[test]
fn media_f1_a_certificate_of_any_size_is_taken_or_ends_its_own_session() {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    for versions in VERSIONS {
        for bytes in [489, 1150, 1180, 1200, 1220, 1300, 2295, 4000, 8000] {
            let outcome = outcome(versions, certificate_of(bytes, &key));
            assert_eq!(outcome, Ok(()), "{versions:?} {bytes}");
        }
        // In DTLS 1.3 the client of this library has no room for a flight of more than 12 records.
        if versions == DtlsVersions::Only12 {
            let taken = outcome(versions, certificate_of(16_000, &key));
            assert_eq!(taken, Ok(()));
            for bytes in [DTLS_CERTIFICATE_BYTES_MAX + 1, 30_000] {
                let error = outcome(versions, certificate_of(bytes, &key)).unwrap_err();
                let is_said = matches!(error, DtlsError::CertificateTooLarge(n) if n >= bytes);
                assert!(is_said, "{bytes}: {error:?}");
            }
        }
        assert!(outcome(versions, certificate_of(60_000, &key)).is_err());
        // And the next one has media.
        assert_eq!(outcome(versions, Certificate::generate().unwrap()), Ok(()));
    }
}

#[test]
fn media_f1_a_certificate_of_any_size_comes_through_a_path_with_loss() {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
    for versions in VERSIONS {
        let mut pair = Pair::with_client(versions, certificate_of(5000, &key)).with_fingerprints();
        let mut until = 0;
        while pair.client_keys.is_empty() || pair.server_keys.is_empty() {
            pair.exchange(|number| number % 4 == 0).unwrap();
            pair.advance().unwrap();
            until += 1;
            assert!(until < 100, "{versions:?}");
        }
        pair.assert_keys_agree();
    }
}

#[test]
fn media_f1_a_stranger_who_never_ends_its_flight_ends_itself_alone() {
    let certificate = Certificate::generate().unwrap();
    let mut server = DtlsServer::new(&certificate, start()).unwrap();
    let mut sent = 0;
    let error = loop {
        if let Err(error) = server.handle_datagram(start(), &[63; 1200]) {
            break error;
        }
        sent += 1200;
        assert!(sent <= DTLS_HANDSHAKE_BYTES_MAX);
    };
    assert_eq!(error, DtlsError::FlightTooLong);
}

#[test]
fn media_f1_a_panic_in_the_library_ends_its_session_alone() {
    // The library panics on a private key that is none.
    let broken = Certificate::from_der(vec![0x30, 0], vec![1, 2, 3]);
    let error = DtlsServer::new(&broken, start()).unwrap_err();
    let DtlsError::Panicked(text) = error else {
        panic!("{error:?}");
    };
    assert!(text.contains("private key"), "{text}");
    assert_eq!(
        outcome(DtlsVersions::Both, Certificate::generate().unwrap()),
        Ok(())
    );
}

/// A CertificateRequest of DTLS 1.2 in these bytes: its types and its pairs of hash and signature.
fn request_in(datagram: &[u8]) -> Option<(Vec<u8>, Vec<u16>)> {
    const CERTIFICATE_REQUEST: u8 = 13;
    let mut rest = datagram;
    while let [22, ..] = rest {
        let (record, behind) =
            rest.split_at(13 + usize::from(rest[11]) * 256 + usize::from(rest[12]));
        rest = behind;
        let body = &record[13..];
        if body[0] == CERTIFICATE_REQUEST {
            let (types, pairs) = body[13..].split_at(usize::from(body[12]));
            let pairs = &pairs[2..2 + usize::from(pairs[1])];
            let pair = |pair: &[u8]| u16::from(pair[0]) * 256 + u16::from(pair[1]);
            return Some((types.to_vec(), pairs.chunks(2).map(pair).collect()));
        }
    }
    None
}

#[test]
fn media_f11_f23_rsa_and_p521_are_asked_for() {
    let mut pair = Pair::new(DtlsVersions::Only12);
    let mut asked = None;
    for _ in 0..4 {
        while let Some(output) = pair.client.poll_output() {
            if let DtlsOutput::Datagram(bytes) = output {
                pair.server.handle_datagram(pair.now, &bytes).unwrap();
            }
        }
        while let Some(output) = pair.server.poll_output() {
            if let DtlsOutput::Datagram(bytes) = output {
                asked = request_in(&bytes).or(asked);
                pair.client.handle_datagram(pair.now, &bytes).unwrap();
            }
        }
    }
    // ECDSA_SIGN and RSA_SIGN; each hash with both (RFC 5246 sections 7.4.1.4.1 and 7.4.4).
    let pairs = vec![0x0403, 0x0503, 0x0603, 0x0401, 0x0501, 0x0601];
    assert_eq!(asked, Some((vec![64, 1], pairs)));
}

#[test]
fn media_f11_f23_signatures_of_rsa_and_p521_keys_are_verified() {
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{
        ECDSA_P521_SHA512_ASN1_SIGNING, EcdsaKeyPair, RSA_PKCS1_SHA256, RSA_PKCS1_SHA512,
        RSA_PSS_SHA256, RSA_PSS_SHA384, RsaKeyPair,
    };
    use dimpl::crypto::SignatureScheme as Scheme;
    use rcgen::{PKCS_ECDSA_P521_SHA512, PKCS_RSA_SHA256, RsaKeySize};

    let provider = dimpl::crypto::aws_lc_rs::default_provider();
    let certificate = |key: &KeyPair| {
        let parameters = CertificateParams::new(vec!["a".to_owned()]).unwrap();
        parameters.self_signed(key).unwrap().der().to_vec()
    };
    let random = SystemRandom::new();
    let mut signed = Vec::new();
    for size in [RsaKeySize::_2048, RsaKeySize::_4096] {
        let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, size).unwrap();
        let pair = RsaKeyPair::from_pkcs8(key.serialized_der()).unwrap();
        for (scheme, encoding) in [
            (Scheme::RSA_PKCS1_SHA256, &RSA_PKCS1_SHA256),
            (Scheme::RSA_PKCS1_SHA512, &RSA_PKCS1_SHA512),
            (Scheme::RSA_PSS_RSAE_SHA256, &RSA_PSS_SHA256),
            (Scheme::RSA_PSS_RSAE_SHA384, &RSA_PSS_SHA384),
        ] {
            let mut signature = vec![0; pair.public_modulus_len()];
            pair.sign(encoding, &random, b"said", &mut signature)
                .unwrap();
            signed.push((certificate(&key), scheme, signature));
        }
    }
    let key = KeyPair::generate_for(&PKCS_ECDSA_P521_SHA512).unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P521_SHA512_ASN1_SIGNING, key.serialized_der());
    let signature = pair.unwrap().sign(&random, b"said").unwrap();
    let scheme = Scheme::ECDSA_SECP521R1_SHA512;
    signed.push((certificate(&key), scheme, signature.as_ref().to_vec()));

    for (certificate, scheme, signature) in signed {
        let verify = |text: &[u8], scheme| {
            let verifier = provider.signature_verification;
            verifier.verify_scheme(&certificate, text, &signature, scheme)
        };
        assert_eq!(verify(b"said", scheme), Ok(()), "{scheme:?}");
        assert!(verify(b"unsaid", scheme).is_err(), "{scheme:?}");
        for other in provider.signature_verification.client_schemes() {
            let is_refused = *other == scheme || verify(b"said", *other).is_err();
            assert!(is_refused, "{scheme:?} taken for {other:?}");
        }
    }
}

#[test]
fn media_f11_f23_the_log_says_which_certificates_are_taken() {
    // A browser whose certificate is of another kind ends the handshake with an alert; OpenSSL goes
    // on without a certificate.
    let none = dimpl::Error::CertificateError(dimpl::CertificateError::NoClientCertificateReceived);
    let none = session::failure(&none);
    assert_eq!(none, DtlsError::NoCertificate);
    for error in [none, DtlsError::Alert(40), DtlsError::Alert(43)] {
        let text = error.to_string();
        let kinds = "ECDSA P-256, P-384 or P-521, or RSA with 2048 to 8192 bits";
        assert!(text.contains(kinds), "{text}");
    }
}

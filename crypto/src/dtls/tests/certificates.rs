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

#[test]
fn media_f11_f23_the_log_says_which_certificates_are_taken() {
    // A browser with an RSA or P-521 certificate ends the handshake with an alert; OpenSSL goes on
    // without a certificate.
    let none = dimpl::Error::CertificateError(dimpl::CertificateError::NoClientCertificateReceived);
    let none = session::failure(&none);
    assert_eq!(none, DtlsError::NoCertificate);
    for error in [none, DtlsError::Alert(40), DtlsError::Alert(43)] {
        let text = error.to_string();
        assert!(text.contains("neither RSA nor P-521"), "{text}");
    }
}

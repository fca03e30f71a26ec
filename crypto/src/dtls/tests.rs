//! Handshakes between a client and a server in memory.

use std::time::Duration;

mod certificates;
mod guard;

use super::*;
use crate::srtp::{SrtpReceiver, SrtpSender};

#[expect(
    clippy::disallowed_methods,
    reason = "an instant to start from; nothing waits"
)]
fn start() -> Instant {
    Instant::now()
}

/// A client and a server with a network that loses what it is told to lose.
struct Pair {
    now: Instant,
    client: DtlsClient,
    server: DtlsServer,
    client_certificate: Certificate,
    server_certificate: Certificate,
    client_keys: Vec<SrtpKeys>,
    server_keys: Vec<SrtpKeys>,
    server_closed: bool,
    datagrams: usize,
    /// What the server gets before every datagram of the client.
    noise: Vec<Vec<u8>>,
}

impl Pair {
    fn new(versions: DtlsVersions) -> Self {
        Self::with_client(versions, Certificate::generate().unwrap())
    }

    fn with_client(versions: DtlsVersions, client_certificate: Certificate) -> Self {
        let now = start();
        let server_certificate = Certificate::generate().unwrap();
        Self {
            now,
            client: DtlsClient::with_versions(&client_certificate, versions, now).unwrap(),
            server: DtlsServer::new(&server_certificate, now).unwrap(),
            client_certificate,
            server_certificate,
            client_keys: Vec::new(),
            server_keys: Vec::new(),
            server_closed: false,
            datagrams: 0,
            noise: Vec::new(),
        }
    }

    fn expecting(versions: DtlsVersions) -> Self {
        Self::new(versions).with_fingerprints()
    }

    fn with_fingerprints(self) -> Self {
        let mut pair = self;
        pair.client
            .expect(vec![pair.server_certificate.fingerprint()])
            .unwrap();
        pair.server
            .expect(vec![pair.client_certificate.fingerprint()])
            .unwrap();
        pair
    }

    /// Carries datagrams until nobody has any; `lose` is asked about each by its number.
    fn exchange(&mut self, mut lose: impl FnMut(usize) -> bool) -> Result<(), DtlsError> {
        loop {
            let mut idle = true;
            while let Some(output) = self.client.poll_output() {
                idle = false;
                match output {
                    DtlsOutput::Datagram(bytes) => {
                        assert!(bytes.len() <= crate::limits::DTLS_DATAGRAM_BYTES_MAX);
                        self.datagrams += 1;
                        for noise in &self.noise {
                            self.server.handle_datagram(self.now, noise)?;
                        }
                        if !lose(self.datagrams) {
                            self.server.handle_datagram(self.now, &bytes)?;
                        }
                    }
                    DtlsOutput::Keys(keys) => self.client_keys.push(keys),
                    DtlsOutput::Closed => {}
                }
            }
            while let Some(output) = self.server.poll_output() {
                idle = false;
                match output {
                    DtlsOutput::Datagram(bytes) => {
                        assert!(bytes.len() <= crate::limits::DTLS_DATAGRAM_BYTES_MAX);
                        self.datagrams += 1;
                        if !lose(self.datagrams) {
                            self.client.handle_datagram(self.now, &bytes)?;
                        }
                    }
                    DtlsOutput::Keys(keys) => self.server_keys.push(keys),
                    DtlsOutput::Closed => self.server_closed = true,
                }
            }
            if idle {
                return Ok(());
            }
        }
    }

    /// Goes to the next timeout of either side. False when there is none.
    fn advance(&mut self) -> Result<bool, DtlsError> {
        let next = [self.client.poll_timeout(), self.server.poll_timeout()];
        let Some(next) = next.into_iter().flatten().min() else {
            return Ok(false);
        };
        self.now = self.now.max(next);
        self.client.handle_timeout(self.now)?;
        self.server.handle_timeout(self.now)?;
        Ok(true)
    }

    fn assert_keys_agree(&self) {
        let [client] = &self.client_keys[..] else {
            panic!("client: not keys once")
        };
        let [server] = &self.server_keys[..] else {
            panic!("server: not keys once")
        };
        for (local, remote) in [
            (&client.local, &server.remote),
            (&server.local, &client.remote),
        ] {
            let mut packet = vec![0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, b'h', b'i'];
            let length = packet.len();
            packet.resize(length + 16, 0);
            let sent = SrtpSender::new(local)
                .unwrap()
                .protect_rtp(&mut packet, length)
                .unwrap();
            let mut receiver = SrtpReceiver::new(remote).unwrap();
            assert_eq!(receiver.unprotect_rtp(&mut packet[..sent]), Ok(length));
            assert_eq!(packet[12..length], *b"hi");
        }
    }
}

const VERSIONS: [DtlsVersions; 3] = [
    DtlsVersions::Only12,
    DtlsVersions::Only13,
    DtlsVersions::Both,
];

#[test]
fn a_handshake_of_every_version_gives_both_sides_the_same_keys_once() {
    for versions in VERSIONS {
        let mut pair = Pair::expecting(versions);
        pair.exchange(|_| false).unwrap();
        pair.assert_keys_agree();
    }
}

#[test]
fn a_server_waits_for_a_browser_that_answers_late() {
    // A telephone may ring for minutes before the browser's first datagram.
    let mut pair = Pair::expecting(DtlsVersions::Both);
    let rings_until = pair.now + Duration::from_secs(200);
    while let Some(at) = pair.server.poll_timeout().filter(|at| *at < rings_until) {
        pair.now = pair.now.max(at);
        pair.server.handle_timeout(pair.now).unwrap();
    }
    pair.now = rings_until;
    pair.client = DtlsClient::new(&pair.client_certificate, pair.now).unwrap();
    pair.client
        .expect(vec![pair.server_certificate.fingerprint()])
        .unwrap();
    pair.exchange(|_| false).unwrap();
    pair.assert_keys_agree();
}

#[test]
fn a_finished_server_has_no_timeout() {
    for versions in VERSIONS {
        let mut pair = Pair::expecting(versions);
        assert_eq!(pair.server.poll_timeout(), None);
        pair.exchange(|_| false).unwrap();
        assert_eq!(pair.server.poll_timeout(), None);
    }
}

#[test]
fn keys_are_held_back_until_the_fingerprint_is_known() {
    for versions in VERSIONS {
        let mut pair = Pair::new(versions);
        pair.exchange(|_| false).unwrap();
        assert!(pair.server_keys.is_empty() && pair.client_keys.is_empty());
        let other = Fingerprint::of_certificate(HashFunction::Sha512, b"an older certificate");
        let right = pair.client_certificate.fingerprint();
        pair.server.expect(vec![other, right]).unwrap();
        pair.client
            .expect(vec![pair.server_certificate.fingerprint()])
            .unwrap();
        pair.exchange(|_| false).unwrap();
        pair.assert_keys_agree();
    }
}

#[test]
fn a_wrong_fingerprint_announced_before_the_handshake_gives_no_keys() {
    for versions in VERSIONS {
        let mut pair = Pair::new(versions);
        // Somebody else's certificate: what a man in the middle would have to live with.
        pair.server
            .expect(vec![pair.server_certificate.fingerprint()])
            .unwrap();
        assert_eq!(
            pair.exchange(|_| false),
            Err(DtlsError::FingerprintMismatch)
        );
        assert_eq!(pair.server.expect(vec![]), Err(DtlsError::Ended));
        let right = pair.client_certificate.fingerprint();
        assert_eq!(pair.server.expect(vec![right]), Err(DtlsError::Ended));
        while let Some(output) = pair.server.poll_output() {
            assert!(!matches!(output, DtlsOutput::Keys(_)));
        }
        assert_eq!(pair.server.poll_timeout(), None);
        assert_eq!(
            pair.server.handle_datagram(pair.now, &[22]),
            Err(DtlsError::Ended)
        );
    }
}

#[test]
fn a_wrong_fingerprint_announced_after_the_handshake_gives_no_keys() {
    for versions in VERSIONS {
        let mut pair = Pair::new(versions);
        pair.exchange(|_| false).unwrap();
        let wrong = pair.server_certificate.fingerprint();
        assert_eq!(
            pair.server.expect(vec![wrong]),
            Err(DtlsError::FingerprintMismatch)
        );
        let right = pair.client_certificate.fingerprint();
        assert_eq!(pair.server.expect(vec![right]), Err(DtlsError::Ended));
        assert!(pair.server.poll_output().is_none());
    }
}

#[test]
fn any_single_lost_datagram_is_made_good_within_half_a_second() {
    for versions in VERSIONS {
        let mut whole = Pair::expecting(versions);
        whole.exchange(|_| false).unwrap();
        for lost in 1..=whole.datagrams {
            let mut pair = Pair::expecting(versions);
            let began = pair.now;
            pair.exchange(|number| number == lost).unwrap();
            while pair.client_keys.is_empty() || pair.server_keys.is_empty() {
                assert!(
                    pair.advance().unwrap(),
                    "{versions:?}: stuck without {lost}"
                );
                pair.exchange(|_| false).unwrap();
            }
            pair.assert_keys_agree();
            assert!(
                pair.now - began < Duration::from_millis(500),
                "{versions:?} {lost}"
            );
        }
    }
}

#[test]
fn a_handshake_survives_the_loss_of_every_third_datagram() {
    for versions in VERSIONS {
        let mut pair = Pair::expecting(versions);
        while pair.client_keys.is_empty() || pair.server_keys.is_empty() {
            pair.exchange(|number| number % 3 == 0).unwrap();
            pair.advance().unwrap();
        }
        pair.assert_keys_agree();
    }
}

#[test]
fn the_first_repetition_comes_within_100_ms() {
    let certificate = Certificate::generate().unwrap();
    for _ in 0..20 {
        let now = start();
        let client = DtlsClient::new(&certificate, now).unwrap();
        let wait = client.poll_timeout().unwrap() - now;
        assert!(wait <= Duration::from_millis(100), "{wait:?}");
        assert!(wait >= Duration::from_millis(50), "{wait:?}");
    }
}

#[test]
fn a_silent_peer_is_given_up_within_half_a_minute() {
    let mut pair = Pair::expecting(DtlsVersions::Both);
    let began = pair.now;
    let error = loop {
        pair.exchange(|number| number > 1).unwrap();
        match pair.server.poll_timeout() {
            Some(at) => pair.now = at,
            None => panic!("the server waits for ever"),
        }
        if let Err(error) = pair.server.handle_timeout(pair.now) {
            break error;
        }
    };
    assert_eq!(error, DtlsError::Timeout);
    assert!(pair.now - began <= Duration::from_secs(31));
}

#[test]
fn garbage_at_any_time_is_ignored() {
    for versions in VERSIONS {
        let mut pair = Pair::expecting(versions);
        let garbage: [&[u8]; 6] = [
            &[],
            &[22],
            &[0; 100],
            &[22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 200, 1, 2],
            &[23, 254, 253, 0, 1, 0, 0, 0, 0, 0, 9, 0, 3, 1, 2, 3],
            &[63; 1500],
        ];
        pair.noise = garbage.map(<[u8]>::to_vec).into();
        pair.exchange(|_| false).unwrap();
        pair.assert_keys_agree();
        for bytes in garbage {
            pair.server.handle_datagram(pair.now, bytes).unwrap();
        }
        assert!(pair.server.poll_output().is_none());
    }
}

#[test]
fn a_peer_that_closes_is_noticed() {
    for versions in VERSIONS {
        let mut pair = Pair::expecting(versions);
        pair.exchange(|_| false).unwrap();
        assert!(!pair.server_closed);
        pair.client.close(pair.now).unwrap();
        pair.exchange(|_| false).unwrap();
        assert!(pair.server_closed);
    }
}

#[test]
fn no_fingerprint_and_too_many_are_refused() {
    let certificate = Certificate::generate().unwrap();
    for count in [0, crate::limits::FINGERPRINTS_MAX + 1] {
        let mut server = DtlsServer::new(&certificate, start()).unwrap();
        let fingerprints = vec![certificate.fingerprint(); count];
        assert_eq!(
            server.expect(fingerprints),
            Err(DtlsError::FingerprintCount)
        );
    }
}

#[test]
fn every_certificate_is_new_and_nothing_secret_is_printed() {
    let (first, second) = (
        Certificate::generate().unwrap(),
        Certificate::generate().unwrap(),
    );
    assert_ne!(first.fingerprint(), second.fingerprint());
    assert_eq!(first.fingerprint().hash_function(), HashFunction::Sha256);
    let text = format!("{first:?} {:?}", DtlsServer::new(&first, start()).unwrap());
    assert!(text.len() < 250, "{text}");
}

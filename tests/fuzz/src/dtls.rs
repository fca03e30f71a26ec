//! DTLS through our seam: what a stranger may send to a server or a client, and what a network may
//! do to a handshake.
//!
//! The seam turns a panic of the library into an error, which is a finding here. Most inputs mutate
//! recorded flights, for which no key has to be made; the others spoil a live handshake.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crypto::dtls::{Certificate, DtlsClient, DtlsError, DtlsOutput, DtlsServer, DtlsVersions};
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};

/// Datagrams that a stranger sends in one input.
const STRANGE_DATAGRAMS_MAX: usize = 24;
/// Datagrams of one live handshake, both ways.
const LIVE_DATAGRAMS_MAX: usize = 60;
const VERSIONS: [DtlsVersions; 3] = [
    DtlsVersions::Only12,
    DtlsVersions::Only13,
    DtlsVersions::Both,
];

/// Nothing panics, no stranger gets keys, and no side gives them out twice.
pub fn dtls(input: &[u8]) {
    let mut choices = Choices(input);
    let versions = VERSIONS[choices.below(VERSIONS.len())];
    match choices.below(8) {
        0..=3 => stranger(&mut choices, &mut server(), true),
        4..=5 => stranger(&mut choices, &mut client(versions, 0), false),
        _ => live(&mut choices, versions),
    }
}

/// What an input says, byte by byte; zeros behind its end.
struct Choices<'a>(&'a [u8]);

impl Choices<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        *first
    }

    fn number(&mut self) -> usize {
        usize::from(self.byte()) << 8 | usize::from(self.byte())
    }

    fn below(&mut self, end: usize) -> usize {
        usize::from(self.byte()) % end
    }

    fn is_over(&self) -> bool {
        self.0.is_empty()
    }
}

/// A server or a client.
trait Side {
    fn take(&mut self, now: Instant, datagram: &[u8]) -> Result<(), DtlsError>;
    fn time(&mut self, now: Instant) -> Result<(), DtlsError>;
    fn output(&mut self) -> Option<DtlsOutput>;
    fn due(&self) -> Option<Instant>;
    fn end(&mut self, now: Instant) -> Result<(), DtlsError>;
}

macro_rules! side {
    ($name:ident) => {
        impl Side for $name {
            fn take(&mut self, now: Instant, datagram: &[u8]) -> Result<(), DtlsError> {
                self.handle_datagram(now, datagram)
            }
            fn time(&mut self, now: Instant) -> Result<(), DtlsError> {
                self.handle_timeout(now)
            }
            fn output(&mut self) -> Option<DtlsOutput> {
                self.poll_output()
            }
            fn due(&self) -> Option<Instant> {
                self.poll_timeout()
            }
            fn end(&mut self, now: Instant) -> Result<(), DtlsError> {
                self.close(now)
            }
        }
    };
}

side!(DtlsServer);
side!(DtlsClient);

/// False when the session has ended. A panic that the seam has caught is a finding.
fn goes_on(outcome: Result<(), DtlsError>) -> bool {
    if let Err(DtlsError::Panicked(why)) = &outcome {
        panic!("the DTLS library panicked: {why}");
    }
    outcome.is_ok()
}

/// The library panics on a private key that is none: an input that finds something.
pub fn what_a_caught_panic_is() {
    let broken = Certificate::from_der(vec![0x30, 0], vec![1, 2, 3]);
    goes_on(DtlsServer::new(&broken, start()).map(drop));
}

#[expect(
    clippy::disallowed_methods,
    reason = "an instant to start from; nothing waits"
)]
fn start() -> Instant {
    static START: OnceLock<Instant> = OnceLock::new();
    *START.get_or_init(Instant::now)
}

/// Certificates of some sizes, the first one the server's.
fn certificates() -> &'static [Certificate] {
    static CERTIFICATES: OnceLock<Vec<Certificate>> = OnceLock::new();
    CERTIFICATES.get_or_init(|| {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key");
        let with_names = |count: usize| {
            let names: Vec<String> = (0..count).map(|n| format!("h{n:05}.example.org")).collect();
            let parameters = CertificateParams::new(names).expect("names");
            let der = parameters.self_signed(&key).expect("a certificate");
            Certificate::from_der(der.der().to_vec(), key.serialize_der())
        };
        [0, 0, 40, 45, 100, 380].map(with_names).into()
    })
}

fn server() -> DtlsServer {
    let mut server = DtlsServer::new(&certificates()[0], start()).expect("a server");
    let all = certificates().iter().map(Certificate::fingerprint);
    server.expect(all.collect()).expect("fingerprints");
    server
}

fn client(versions: DtlsVersions, certificate: usize) -> DtlsClient {
    let certificate = &certificates()[certificate];
    let mut client = DtlsClient::with_versions(certificate, versions, start()).expect("a client");
    let server = certificates()[0].fingerprint();
    client.expect(vec![server]).expect("a fingerprint");
    client
}

/// Datagrams of real handshakes, of both versions and all certificates; true: of the client.
fn recorded() -> &'static [(bool, Vec<u8>)] {
    static RECORDED: OnceLock<Vec<(bool, Vec<u8>)>> = OnceLock::new();
    RECORDED.get_or_init(|| {
        let mut recorded = Vec::new();
        for versions in VERSIONS {
            for certificate in 1..certificates().len() {
                let (mut client, mut server) = (client(versions, certificate), server());
                loop {
                    let before = recorded.len();
                    while let Some(output) = client.poll_output() {
                        if let DtlsOutput::Datagram(bytes) = output {
                            goes_on(server.handle_datagram(start(), &bytes));
                            recorded.push((true, bytes));
                        }
                    }
                    while let Some(output) = server.poll_output() {
                        if let DtlsOutput::Datagram(bytes) = output {
                            goes_on(client.handle_datagram(start(), &bytes));
                            recorded.push((false, bytes));
                        }
                    }
                    if recorded.len() == before {
                        break;
                    }
                }
            }
        }
        recorded
    })
}

/// Somebody who knows no key sends what he likes.
fn stranger(choices: &mut Choices<'_>, side: &mut impl Side, from_client: bool) {
    let mut now = start();
    let mut kept: Vec<Vec<u8>> = Vec::new();
    let mut sent = 0;
    while sent < STRANGE_DATAGRAMS_MAX && !choices.is_over() {
        let datagrams = match choices.below(8) {
            0 => vec![raw(choices)],
            // What the side has said itself, and what a peer could answer to it with.
            1 if !kept.is_empty() => {
                let one = kept[choices.below(kept.len())].clone();
                vec![mutated(choices, one)]
            }
            2 => {
                now = side.due().unwrap_or(now).max(now) + Duration::from_millis(1);
                if !goes_on(side.time(now)) {
                    return;
                }
                Vec::new()
            }
            3 => {
                let one = pick(choices, from_client);
                in_pieces(choices, &one)
            }
            _ => {
                let one = pick(choices, from_client);
                vec![mutated(choices, one)]
            }
        };
        for datagram in datagrams {
            sent += 1;
            if !goes_on(side.take(now, &datagram)) {
                return;
            }
        }
        while let Some(output) = side.output() {
            match output {
                DtlsOutput::Datagram(bytes) => kept.push(bytes),
                DtlsOutput::Keys(_) => panic!("a stranger got keys"),
                DtlsOutput::Closed => {}
            }
        }
    }
    goes_on(side.end(now));
}

/// A client and a server with a network that spoils what it carries.
fn live(choices: &mut Choices<'_>, versions: DtlsVersions) {
    let of_client = 1 + choices.below(certificates().len() - 1);
    let (mut client, mut server) = (client(versions, of_client), server());
    let (mut now, mut carried, mut keys) = (start(), 0, [0, 0]);
    let mut held: Vec<(bool, Vec<u8>)> = Vec::new();
    while carried < LIVE_DATAGRAMS_MAX {
        let mut due = Vec::new();
        while let Some(output) = client.output() {
            sort_out(output, true, &mut due, &mut keys[0]);
        }
        while let Some(output) = server.output() {
            sort_out(output, false, &mut due, &mut keys[1]);
        }
        if due.is_empty() {
            due = std::mem::take(&mut held);
        }
        if due.is_empty() {
            let next = [client.due(), server.due()].into_iter().flatten().min();
            let (Some(next), false) = (next, choices.is_over()) else {
                break;
            };
            now = now.max(next);
            if !goes_on(client.time(now)) || !goes_on(server.time(now)) {
                return;
            }
            carried += 1;
        }
        for (from_client, datagram) in due {
            carried += 1;
            for datagram in on_the_way(choices, from_client, datagram, &mut held) {
                let outcome = if from_client {
                    server.take(now, &datagram)
                } else {
                    client.take(now, &datagram)
                };
                if !goes_on(outcome) {
                    return;
                }
            }
        }
    }
    assert!(keys[0] <= 1 && keys[1] <= 1, "keys came twice");
    goes_on(client.end(now));
    goes_on(server.end(now));
}

fn sort_out(
    output: DtlsOutput,
    from_client: bool,
    due: &mut Vec<(bool, Vec<u8>)>,
    keys: &mut usize,
) {
    match output {
        DtlsOutput::Datagram(bytes) => due.push((from_client, bytes)),
        DtlsOutput::Keys(_) => *keys += 1,
        DtlsOutput::Closed => {}
    }
}

/// What becomes of a datagram: lost, late, twice, spoilt, in pieces, or nothing of the kind.
fn on_the_way(
    choices: &mut Choices<'_>,
    from_client: bool,
    datagram: Vec<u8>,
    held: &mut Vec<(bool, Vec<u8>)>,
) -> Vec<Vec<u8>> {
    match choices.byte() {
        0..=139 => vec![datagram],
        140..=149 => Vec::new(),
        150..=164 => {
            held.push((from_client, datagram));
            Vec::new()
        }
        165..=179 => vec![datagram.clone(), datagram],
        180..=204 => vec![mutated(choices, datagram.clone()), datagram],
        205..=219 => vec![mutated(choices, datagram)],
        220..=239 => in_pieces(choices, &datagram),
        _ => vec![pick(choices, from_client), datagram],
    }
}

fn pick(choices: &mut Choices<'_>, from_client: bool) -> Vec<u8> {
    let all = recorded();
    let first = choices.number() % all.len();
    let mut from = all.iter().cycle().skip(first).take(all.len());
    let found = from.find(|(of_client, _)| *of_client == from_client);
    found.map(|(_, bytes)| bytes.clone()).unwrap_or_default()
}

/// Bytes of the input, behind a header that is one.
fn raw(choices: &mut Choices<'_>) -> Vec<u8> {
    let content = [20, 21, 22, 22, 23, 26, 0x2c, choices.byte()][choices.below(8)];
    let epoch = [0, 0, 1, 2, 3, choices.byte()][choices.below(6)];
    let length = choices.below(200);
    let body: Vec<u8> = (0..length).map(|_| choices.byte()).collect();
    let mut datagram = vec![content, 0xfe, 0xfd, 0, epoch, 0, 0, 0, 0, 0, choices.byte()];
    let claimed = u16::try_from(length + choices.below(2)).unwrap_or_default();
    datagram.extend(claimed.to_be_bytes());
    datagram.extend(body);
    datagram
}

/// A few changes, most of them to the headers of records and handshake messages.
fn mutated(choices: &mut Choices<'_>, mut datagram: Vec<u8>) -> Vec<u8> {
    for _ in 0..choices.below(4) {
        if datagram.is_empty() {
            break;
        }
        let headers = datagram.len().min(25);
        match choices.below(8) {
            0..=2 => {
                let at = choices.below(headers);
                datagram[at] = choices.byte();
            }
            3..=4 => {
                let at = choices.number() % datagram.len();
                datagram[at] ^= 1 << choices.below(8);
            }
            5 => datagram.truncate(choices.number() % datagram.len()),
            6 => {
                let with = recorded()[choices.number() % recorded().len()].1.clone();
                datagram.extend(with);
            }
            _ => {
                let at = choices.number() % datagram.len();
                let more = vec![choices.byte(); choices.below(64)];
                datagram.splice(at..at, more);
            }
        }
    }
    datagram
}

/// The first handshake message of a datagram in several records, in an order of its own, some of
/// them overlapping or wrong.
fn in_pieces(choices: &mut Choices<'_>, datagram: &[u8]) -> Vec<Vec<u8>> {
    let (Some(record), Some(header), Some(body)) =
        (datagram.get(..11), datagram.get(13..22), datagram.get(25..))
    else {
        return vec![datagram.to_vec()];
    };
    let length = usize::from(header[2]) << 8 | usize::from(header[3]);
    let body = body.get(..length).unwrap_or(body);
    if body.is_empty() {
        return vec![datagram.to_vec()];
    }
    let size = 1 + choices.number() % 600;
    let mut pieces = Vec::new();
    for (index, piece) in body.chunks(size.max(body.len() / 40 + 1)).enumerate() {
        let offset = (index * size).saturating_sub(choices.below(2) * choices.below(3));
        let mut datagram = record.to_vec();
        let bytes = |number: usize| u32::try_from(number).unwrap_or_default().to_be_bytes();
        datagram.extend(&bytes(12 + piece.len())[2..]);
        datagram.extend(&header[..6]);
        datagram.extend(&bytes(offset)[1..]);
        datagram.extend(&bytes(piece.len())[1..]);
        datagram.extend(piece);
        pieces.push(datagram);
    }
    for _ in 0..choices.below(4) {
        let (one, other) = (choices.below(pieces.len()), choices.below(pieces.len()));
        pieces.swap(one, other);
    }
    if choices.below(4) == 0 {
        let at = choices.below(pieces.len());
        let piece = pieces.remove(at);
        pieces.push(mutated(choices, piece));
    }
    pieces
}

//! DTLS-SRTP (RFC 5764) over DTLS 1.2 and 1.3: a handshake that ends in SRTP keys.
//!
//! The rule of this module: keys come out only after the peer proved to own a certificate that
//! matches a fingerprint which [`DtlsServer::expect`] was told. The signalling that carries the
//! fingerprint may arrive before or after the handshake; until then keys are held back. A mismatch
//! wipes them and ends the session.
//!
//! A session is kept after the handshake: it answers a peer that repeats its last flight because
//! ours was lost, and it reports the peer's `close_notify`.
//!
//! Datagrams that make no sense are ignored. Yet whoever can send from a peer's address can disturb
//! a handshake in progress, so pass on only datagrams from an address that ICE has validated.

mod certificate;
mod fingerprint;
mod guard;
mod session;

use std::fmt;
use std::time::Instant;

pub use certificate::Certificate;
pub use fingerprint::{Fingerprint, FingerprintError, HashFunction};
use session::{Role, Session};

use crate::keys::SrtpKeys;
use crate::limits::DTLS_CERTIFICATE_BYTES_MAX;

/// What a session wants done.
#[derive(Debug)]
pub enum DtlsOutput {
    /// Send this to the peer.
    Datagram(Vec<u8>),
    /// The handshake is complete and the peer's certificate verified. Comes once.
    Keys(SrtpKeys),
    /// The peer ended the association with `close_notify`.
    Closed,
}

/// Why a session ended. It does nothing any more: drop it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DtlsError {
    /// Our certificate could not be made.
    Certificate,
    /// The library refused our settings.
    Configuration(String),
    /// The peer's certificate matches no expected fingerprint.
    FingerprintMismatch,
    /// [`DtlsServer::expect`] was given no fingerprint, or more than
    /// [`FINGERPRINTS_MAX`](crate::limits::FINGERPRINTS_MAX).
    FingerprintCount,
    /// The handshake ended without an SRTP profile that we know (RFC 5764 section 4.1).
    NoSrtpProfile,
    /// The peer did not answer in time.
    Timeout,
    /// The peer's certificate is larger than
    /// [`DTLS_CERTIFICATE_BYTES_MAX`]; its length in bytes.
    CertificateTooLarge(usize),
    /// The peer sent more than
    /// [`DTLS_HANDSHAKE_BYTES_MAX`](crate::limits::DTLS_HANDSHAKE_BYTES_MAX) before its certificate
    /// was whole, or in more pieces than are kept.
    FlightTooLong,
    /// The peer sent this alert (RFC 5246 section 7.2) in the clear, and nothing more.
    Alert(u8),
    /// The peer has no certificate of a kind that is taken (ECDSA on P-256, P-384 and P-521, RSA
    /// with 2048 to 8192 bits), or shows none.
    NoCertificate,
    /// The handshake failed.
    Handshake(String),
    /// The library panicked, with this message. A fault of ours or of the library, never of the
    /// peer alone: report it.
    Panicked(String),
    /// The session had failed before.
    Ended,
}

/// Certificates that a peer may have.
const CERTIFICATE_KINDS: &str =
    "it must be ECDSA P-256, P-384 or P-521, or RSA with 2048 to 8192 bits";

impl fmt::Display for DtlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Certificate => f.write_str("cannot make a certificate"),
            Self::Configuration(why) => write!(f, "DTLS settings refused: {why}"),
            Self::FingerprintMismatch => f.write_str("certificate matches no fingerprint in SDP"),
            Self::FingerprintCount => f.write_str("no fingerprint, or too many"),
            Self::NoSrtpProfile => f.write_str("no common SRTP protection profile"),
            Self::Timeout => f.write_str("DTLS handshake timed out"),
            Self::CertificateTooLarge(bytes) => write!(
                f,
                "the peer's certificate has {bytes} bytes: more than {DTLS_CERTIFICATE_BYTES_MAX} \
                 are not taken"
            ),
            Self::FlightTooLong => f.write_str(
                "the peer's certificate, or what it sent before it, is longer than is taken",
            ),
            Self::Alert(description @ (40 | 42 | 43)) => write!(
                f,
                "the peer ended the DTLS handshake with alert {description}: {CERTIFICATE_KINDS}"
            ),
            Self::NoCertificate => write!(f, "the peer shows no certificate: {CERTIFICATE_KINDS}"),
            Self::Alert(description) => write!(
                f,
                "the peer ended the DTLS handshake with alert {description}"
            ),
            Self::Handshake(why) => write!(f, "DTLS handshake failed: {why}"),
            Self::Panicked(why) => write!(f, "the DTLS library panicked: {why}"),
            Self::Ended => f.write_str("the DTLS session has ended"),
        }
    }
}

impl std::error::Error for DtlsError {}

/// The version of DTLS that a client offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DtlsVersions {
    /// Only 1.2 (RFC 6347).
    Only12,
    /// Only 1.3 (RFC 9147).
    Only13,
    /// Both; the server chooses.
    Both,
}

/// The server's side (`a=setup:passive`); takes the version that the client offers.
#[derive(Debug)]
pub struct DtlsServer {
    session: Session,
}

/// The client's side (`a=setup:active`): what a browser is towards us. Same face as the server.
#[derive(Debug)]
pub struct DtlsClient {
    session: Session,
}

impl DtlsServer {
    /// Waits for a ClientHello.
    ///
    /// # Errors
    /// [`DtlsError::Configuration`].
    pub fn new(certificate: &Certificate, now: Instant) -> Result<Self, DtlsError> {
        let session = Session::new(certificate, Role::Server, DtlsVersions::Both, now)?;
        Ok(Self { session })
    }
}

impl DtlsClient {
    /// Starts the handshake: the ClientHello is the first output.
    ///
    /// # Errors
    /// [`DtlsError::Configuration`].
    pub fn new(certificate: &Certificate, now: Instant) -> Result<Self, DtlsError> {
        Self::with_versions(certificate, DtlsVersions::Both, now)
    }

    /// As [`new`](Self::new), offering only the given version.
    ///
    /// # Errors
    /// [`DtlsError::Configuration`].
    pub fn with_versions(
        certificate: &Certificate,
        versions: DtlsVersions,
        now: Instant,
    ) -> Result<Self, DtlsError> {
        let session = Session::new(certificate, Role::Client, versions, now)?;
        Ok(Self { session })
    }
}

macro_rules! face_of_a_session {
    ($name:ident) => {
        impl $name {
            /// Says which certificates the peer may show: the fingerprints of its SDP (one that
            /// matches is enough, RFC 8122 section 5.1). May come before or after the end of the
            /// handshake; a later call replaces an earlier one as long as no keys were given out.
            ///
            /// # Errors
            /// [`DtlsError::FingerprintMismatch`] when the peer has already shown another
            /// certificate; [`DtlsError::FingerprintCount`]; [`DtlsError::Ended`].
            pub fn expect(&mut self, fingerprints: Vec<Fingerprint>) -> Result<(), DtlsError> {
                self.session.expect(fingerprints)
            }

            /// Takes a datagram from the peer; one that makes no sense is ignored.
            ///
            /// # Errors
            /// Any [`DtlsError`] ends the session and wipes its keys; outputs that were already
            /// made (an alert to send) can still be polled.
            pub fn handle_datagram(
                &mut self,
                now: Instant,
                datagram: &[u8],
            ) -> Result<(), DtlsError> {
                self.session.handle_datagram(now, datagram)
            }

            /// Lets time pass: sends a flight again, or gives up.
            ///
            /// # Errors
            /// As [`handle_datagram`](Self::handle_datagram).
            pub fn handle_timeout(&mut self, now: Instant) -> Result<(), DtlsError> {
                self.session.handle_timeout(now)
            }

            /// Ends the association: the peer is told with `close_notify` if the handshake is
            /// complete. Drop the session after polling its outputs.
            ///
            /// # Errors
            /// As [`handle_datagram`](Self::handle_datagram).
            pub fn close(&mut self, now: Instant) -> Result<(), DtlsError> {
                self.session.close(now)
            }

            /// The next thing to do, until `None`.
            pub fn poll_output(&mut self) -> Option<DtlsOutput> {
                self.session.poll_output()
            }

            /// When `handle_timeout` wants to be called; `None`: not before more input.
            #[must_use]
            pub fn poll_timeout(&self) -> Option<Instant> {
                self.session.poll_timeout()
            }
        }
    };
}

face_of_a_session!(DtlsServer);
face_of_a_session!(DtlsClient);

#[cfg(test)]
mod tests;

//! One DTLS association: the seam over dimpl, and the rule when keys come out.
//!
//! dimpl reports the peer's certificate when it arrives, the key material when the peer has proved
//! to own the private key and both Finished messages fit. It wants to be polled dry after every
//! call and its errors are final.
//!
//! dimpl asserts where a buffer of ours is too small for a certificate, and a stranger chooses the
//! certificate: the buffer is as large as everything that the peer has sent so far. Should it panic
//! all the same, the session ends like after any other error ([`DtlsError::Panicked`]).

use std::any::Any;
use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use dimpl::{Config, Dtls, Output};

use super::certificate::Certificate;
use super::fingerprint::Fingerprint;
use super::guard::{Guard, HANDSHAKE, Passage};
use super::{DtlsError, DtlsOutput, DtlsVersions};
use crate::keys::{MasterKey, SrtpKeys, SrtpProfile};
use crate::limits::{
    DTLS_BELIEVED_AFTER, DTLS_CERTIFICATE_BYTES_MAX, DTLS_DATAGRAM_BYTES_MAX,
    DTLS_FIRST_RETRANSMIT, DTLS_HANDSHAKE_BYTES_MAX, DTLS_HANDSHAKE_TIMEOUT, DTLS_PIECES_MAX,
    DTLS_RETRANSMITS_MAX, FINGERPRINTS_MAX,
};

/// dimpl says "never" with an instant years away.
const NEVER: Duration = Duration::from_secs(24 * 3600);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Server,
    Client,
}

pub(super) struct Session {
    role: Role,
    versions: DtlsVersions,
    own: Certificate,
    /// None once the handshake is complete: then the library knows what is authentic.
    guard: Option<Guard>,
    /// Why the handshake may not go on, if that was the peer itself, and when it is believed.
    doubt: Option<(DtlsError, Instant)>,
    /// None once the session has failed.
    dtls: Option<Box<Dtls>>,
    /// Waits for the first message of the server.
    client_waits: bool,
    expected: Vec<Fingerprint>,
    /// What the peer showed, in DER.
    certificate: Option<Vec<u8>>,
    /// Bytes that have come before the certificate, which cannot be longer. At most
    /// [`DTLS_HANDSHAKE_BYTES_MAX`].
    received: usize,
    /// The handshake is complete.
    connected: bool,
    /// It gave key material: it need not, when the peer does not offer an SRTP profile.
    exported: bool,
    /// Held back until the certificate is verified.
    keys: Option<SrtpKeys>,
    outputs: VecDeque<DtlsOutput>,
    timeout: Option<Instant>,
}

impl Session {
    pub(super) fn new(
        certificate: &Certificate,
        role: Role,
        versions: DtlsVersions,
        now: Instant,
    ) -> Result<Self, DtlsError> {
        let dtls = make(certificate, role, versions, now)?;
        let mut session = Self {
            role,
            versions,
            own: certificate.clone(),
            guard: Some(Guard::new(role)),
            doubt: None,
            dtls: Some(dtls),
            client_waits: role == Role::Client,
            expected: Vec::new(),
            certificate: None,
            received: 0,
            connected: false,
            exported: false,
            keys: None,
            outputs: VecDeque::new(),
            timeout: None,
        };
        session.handle_timeout(now)?;
        Ok(session)
    }

    pub(super) fn expect(&mut self, fingerprints: Vec<Fingerprint>) -> Result<(), DtlsError> {
        if self.dtls.is_none() {
            return Err(DtlsError::Ended);
        }
        if fingerprints.is_empty() || fingerprints.len() > FINGERPRINTS_MAX {
            return self.fail(DtlsError::FingerprintCount);
        }
        self.expected = fingerprints;
        self.release_keys()
    }

    pub(super) fn handle_datagram(
        &mut self,
        now: Instant,
        datagram: &[u8],
    ) -> Result<(), DtlsError> {
        self.advance(now)?;
        // A client that offers both versions takes the first datagram for the server's choice and
        // would fail on anything else: let through only what can be a handshake record.
        if self.client_waits && datagram.first() != Some(&HANDSHAKE) {
            // It may be an alert of that server, all the same.
            if let Some(passage) = self.guard.as_mut().map(|guard| guard.inspect(datagram)) {
                self.look_at(now, &passage);
            }
            return Ok(());
        }
        let Some(guard) = &mut self.guard else {
            return self.take(now, datagram);
        };
        let passage = guard.inspect(datagram);
        if passage.begins_anew {
            self.dtls = Some(make(&self.own, self.role, self.versions, now)?);
            self.advance(now)?;
        }
        let answer = match &self.doubt {
            Some((DtlsError::CertificateTooLarge(_), _)) => passage.has_certificate,
            Some(_) | None => passage.has_message,
        };
        if answer {
            self.doubt = None;
        }
        self.look_at(now, &passage);
        match passage.bytes.is_empty() {
            true => Ok(()),
            false => self.take(now, &passage.bytes),
        }
    }

    /// Remembers what was kept back of a datagram.
    fn look_at(&mut self, now: Instant, passage: &Passage) {
        let alert = passage.alert.map(DtlsError::Alert);
        let too_long = passage.too_long.map(DtlsError::CertificateTooLarge);
        if let Some(why) = alert.or(too_long) {
            self.doubt.get_or_insert((why, now + DTLS_BELIEVED_AFTER));
        }
    }

    fn take(&mut self, now: Instant, datagram: &[u8]) -> Result<(), DtlsError> {
        self.client_waits = false;
        if self.certificate.is_none() {
            self.received = self.received.saturating_add(datagram.len());
            if self.received > DTLS_HANDSHAKE_BYTES_MAX {
                return self.fail(DtlsError::FlightTooLong);
            }
        }
        let result = self.ask(|dtls| dtls.handle_packet(datagram))?;
        self.conclude(now, result)
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) -> Result<(), DtlsError> {
        self.advance(now)
    }

    pub(super) fn close(&mut self, now: Instant) -> Result<(), DtlsError> {
        let result = self.ask(Dtls::close)?;
        self.conclude(now, result)
    }

    pub(super) fn poll_output(&mut self) -> Option<DtlsOutput> {
        self.outputs.pop_front()
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let believed = self.doubt.as_ref().map(|(_, at)| *at);
        [self.timeout, believed].into_iter().flatten().min()
    }

    fn advance(&mut self, now: Instant) -> Result<(), DtlsError> {
        if let Some((why, _)) = self.doubt.take_if(|(_, at)| *at <= now) {
            return self.fail(why);
        }
        let result = self.ask(|dtls| dtls.handle_timeout(now))?;
        self.conclude(now, result)
    }

    /// Takes what dimpl has to say after a call, and ends the session if the call failed.
    fn conclude(
        &mut self,
        now: Instant,
        result: Result<(), dimpl::Error>,
    ) -> Result<(), DtlsError> {
        match result {
            Ok(()) => self.drain(now),
            Err(dimpl::Error::Timeout(_)) => {
                let why = self.doubt.take().map(|(why, _)| why);
                self.fail(why.unwrap_or(DtlsError::Timeout))
            }
            Err(error) => self.fail(failure(&error)),
        }
    }

    /// Asks the library for something. A panic in it ends this session and no other.
    fn ask<T>(&mut self, step: impl FnOnce(&mut Dtls) -> T) -> Result<T, DtlsError> {
        let dtls = self.dtls.as_mut().ok_or(DtlsError::Ended)?;
        match unless_panicked(|| step(dtls)) {
            Ok(answer) => Ok(answer),
            Err(error) => {
                self.end();
                Err(error)
            }
        }
    }

    fn drain(&mut self, now: Instant) -> Result<(), DtlsError> {
        let mut stack = [0; DTLS_DATAGRAM_BYTES_MAX];
        let mut large = Vec::new();
        if self.certificate.is_none() && self.received > stack.len() {
            large = vec![0; self.received];
        }
        loop {
            let buffer = if large.is_empty() {
                &mut stack[..]
            } else {
                &mut large[..]
            };
            match self.ask(|dtls| dtls.poll_output(buffer))? {
                Output::Packet(packet) => {
                    if let Some(guard) = &mut self.guard {
                        guard.sent(packet);
                    }
                    self.outputs
                        .push_back(DtlsOutput::Datagram(packet.to_vec()));
                }
                Output::BufferTooSmall { needed } if needed <= DTLS_HANDSHAKE_BYTES_MAX => {
                    large = vec![0; needed];
                }
                Output::BufferTooSmall { .. } => return self.fail(DtlsError::FlightTooLong),
                Output::Timeout(at) => {
                    self.timeout = (at < now + NEVER).then_some(at);
                    return match self.connected && !self.exported {
                        true => self.fail(DtlsError::NoSrtpProfile),
                        false => Ok(()),
                    };
                }
                Output::PeerCert(certificate) if certificate.len() > DTLS_CERTIFICATE_BYTES_MAX => {
                    return self.fail(DtlsError::CertificateTooLarge(certificate.len()));
                }
                Output::PeerCert(certificate) => {
                    self.certificate = Some(certificate.to_vec());
                    self.release_keys()?;
                }
                Output::KeyingMaterial(material, profile) => {
                    let Some(keys) = split_material(&material, profile, self.role) else {
                        return self.fail(DtlsError::NoSrtpProfile);
                    };
                    self.exported = true;
                    self.keys = Some(keys);
                    self.release_keys()?;
                }
                Output::CloseNotify => self.outputs.push_back(DtlsOutput::Closed),
                Output::Connected => {
                    self.connected = true;
                    self.guard = None;
                    self.doubt = None;
                }
                // Nothing is sent over the association itself: data channels are not negotiated.
                Output::ApplicationData(_) => {}
                // The enumeration is open; what it may gain is no business of a media gateway.
                _ => {}
            }
        }
    }

    /// Verifies the certificate as soon as both it and the fingerprints are known, and gives the
    /// keys out when they are there, too.
    fn release_keys(&mut self) -> Result<(), DtlsError> {
        let Some(certificate) = &self.certificate else {
            return Ok(());
        };
        if self.expected.is_empty() {
            return Ok(());
        }
        if !self
            .expected
            .iter()
            .any(|fingerprint| fingerprint.matches(certificate))
        {
            return self.fail(DtlsError::FingerprintMismatch);
        }
        if let Some(keys) = self.keys.take() {
            self.outputs.push_back(DtlsOutput::Keys(keys));
        }
        Ok(())
    }

    fn fail(&mut self, error: DtlsError) -> Result<(), DtlsError> {
        self.end();
        Err(error)
    }

    fn end(&mut self) {
        self.discard();
        self.guard = None;
        self.doubt = None;
        self.keys = None;
        self.timeout = None;
        self.outputs
            .retain(|output| !matches!(output, DtlsOutput::Keys(_)));
    }

    /// Drops the state of the library, even if its own clean-up panics.
    fn discard(&mut self) {
        let dtls = self.dtls.take();
        // What a half-done clean-up leaves is memory; the session has ended either way.
        drop(unless_panicked(|| drop(dtls)));
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.discard();
    }
}

/// The error of the library in our words.
pub(super) fn failure(error: &dimpl::Error) -> DtlsError {
    use dimpl::CertificateError::NoClientCertificateReceived;
    if *error == dimpl::Error::ReceiveQueueFull {
        DtlsError::FlightTooLong
    } else if *error == dimpl::Error::CertificateError(NoClientCertificateReceived) {
        DtlsError::NoCertificate
    } else {
        DtlsError::Handshake(error.to_string())
    }
}

/// Runs code of the library and takes a panic for an error. Whatever it left half done must not be
/// used again.
fn unless_panicked<T>(step: impl FnOnce() -> T) -> Result<T, DtlsError> {
    catch_unwind(AssertUnwindSafe(step)).map_err(|panic| DtlsError::Panicked(message_of(&*panic)))
}

/// The text of a panic.
fn message_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("no message").to_owned()
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("role", &self.role)
            .finish_non_exhaustive()
    }
}

/// The state of the library for one association.
fn make(
    certificate: &Certificate,
    role: Role,
    versions: DtlsVersions,
    now: Instant,
) -> Result<Box<Dtls>, DtlsError> {
    let (config, pair) = (config()?, certificate.pair());
    unless_panicked(|| {
        let mut dtls = Box::new(match versions {
            DtlsVersions::Only12 => Dtls::new_12(config, pair, now),
            DtlsVersions::Only13 => Dtls::new_13(config, pair, now),
            DtlsVersions::Both => Dtls::new_auto(config, pair, now),
        });
        if role == Role::Client {
            dtls.set_active(true);
        }
        dtls
    })
}

/// client key, server key, client salt, server salt (RFC 5764 section 4.2).
fn split_material(material: &[u8], profile: dimpl::SrtpProfile, role: Role) -> Option<SrtpKeys> {
    let profile = match profile {
        dimpl::SrtpProfile::AES128_CM_SHA1_80 => SrtpProfile::AesCm128HmacSha1_80,
        dimpl::SrtpProfile::AEAD_AES_128_GCM => SrtpProfile::AeadAes128Gcm,
        dimpl::SrtpProfile::AEAD_AES_256_GCM => SrtpProfile::AeadAes256Gcm,
        _ => return None,
    };
    let (client_key, rest) = material.split_at_checked(profile.key_bytes())?;
    let (server_key, rest) = rest.split_at_checked(profile.key_bytes())?;
    let (client_salt, server_salt) = rest.split_at_checked(profile.salt_bytes())?;
    let client = MasterKey::new(profile, client_key, client_salt).ok()?;
    let server = MasterKey::new(profile, server_key, server_salt).ok()?;
    Some(match role {
        Role::Server => SrtpKeys {
            local: server,
            remote: client,
        },
        Role::Client => SrtpKeys {
            local: client,
            remote: server,
        },
    })
}

/// The settings that all sessions share.
fn config() -> Result<Arc<Config>, DtlsError> {
    static CONFIG: OnceLock<Arc<Config>> = OnceLock::new();
    if let Some(config) = CONFIG.get() {
        return Ok(Arc::clone(config));
    }
    let config = Config::builder()
        .with_crypto_provider(dimpl::crypto::aws_lc_rs::default_provider())
        .mtu(DTLS_DATAGRAM_BYTES_MAX)
        .max_queue_rx(DTLS_PIECES_MAX)
        .max_queue_tx(DTLS_PIECES_MAX)
        .flight_start_rto(DTLS_FIRST_RETRANSMIT)
        .flight_retries(DTLS_RETRANSMITS_MAX)
        .handshake_timeout(DTLS_HANDSHAKE_TIMEOUT)
        .require_client_certificate(true)
        .build()
        .map_err(|error| DtlsError::Configuration(error.to_string()))?;
    Ok(Arc::clone(CONFIG.get_or_init(|| Arc::new(config))))
}

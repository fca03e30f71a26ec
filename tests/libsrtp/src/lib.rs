//! A safe face for Debian's libsrtp2: the oracle that our SRTP is compared with, and the library
//! that `ringway-bench srtp --features libsrtp` measures it against. Nothing that ships links it.
//!
//! The library itself is only needed where a program is linked: `apt-get install libsrtp2-dev`.

#[expect(unsafe_code, reason = "the declarations of a C library")]
mod ffi;

use std::ffi::{c_int, c_uint, c_void};
use std::fmt;
use std::ptr;
use std::ptr::NonNull;
use std::sync::Mutex;

/// `SRTP_MAX_TRAILER_LEN` and the SRTCP index: what protecting a packet can add at most.
pub const TRAILER_BYTES_MAX: usize = 16 + 128 + 4;

/// `SRTP_MAX_MKI_LEN`
pub const MKI_BYTES_MAX: usize = 128;

/// A protection suite: the same for RTP and RTCP, but for the `_32` ones, which have 80-bit tags on
/// RTCP (RFC 4568 section 6.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the registered names")]
pub enum Suite {
    AesCm128HmacSha1_80,
    AesCm128HmacSha1_32,
    AesCm192HmacSha1_80,
    AesCm192HmacSha1_32,
    AesCm256HmacSha1_80,
    AesCm256HmacSha1_32,
    AeadAes128Gcm,
    AeadAes256Gcm,
    NullHmacSha1_80,
    NullHmacSha1_32,
}

impl Suite {
    /// Length of the master key and the master salt in bytes.
    #[must_use]
    pub const fn key_and_salt_bytes(self) -> (usize, usize) {
        match self {
            Self::AesCm128HmacSha1_80
            | Self::AesCm128HmacSha1_32
            | Self::NullHmacSha1_80
            | Self::NullHmacSha1_32 => (16, 14),
            Self::AesCm192HmacSha1_80 | Self::AesCm192HmacSha1_32 => (24, 14),
            Self::AesCm256HmacSha1_80 | Self::AesCm256HmacSha1_32 => (32, 14),
            Self::AeadAes128Gcm => (16, 12),
            Self::AeadAes256Gcm => (32, 12),
        }
    }

    fn rtp(self) -> ffi::CryptoPolicy {
        let mut policy = ffi::CryptoPolicy::default();
        match self {
            Self::AesCm128HmacSha1_80 => ffi::srtp_crypto_policy_set_rtp_default(&mut policy),
            Self::AesCm128HmacSha1_32 => {
                ffi::srtp_crypto_policy_set_aes_cm_128_hmac_sha1_32(&mut policy);
            }
            Self::AesCm192HmacSha1_80 => {
                ffi::srtp_crypto_policy_set_aes_cm_192_hmac_sha1_80(&mut policy);
            }
            Self::AesCm192HmacSha1_32 => {
                ffi::srtp_crypto_policy_set_aes_cm_192_hmac_sha1_32(&mut policy);
            }
            Self::AesCm256HmacSha1_80 => {
                ffi::srtp_crypto_policy_set_aes_cm_256_hmac_sha1_80(&mut policy);
            }
            Self::AesCm256HmacSha1_32 => {
                ffi::srtp_crypto_policy_set_aes_cm_256_hmac_sha1_32(&mut policy);
            }
            Self::AeadAes128Gcm => ffi::srtp_crypto_policy_set_aes_gcm_128_16_auth(&mut policy),
            Self::AeadAes256Gcm => ffi::srtp_crypto_policy_set_aes_gcm_256_16_auth(&mut policy),
            Self::NullHmacSha1_80 | Self::NullHmacSha1_32 => {
                // Keys as for AES-128: without a key length libsrtp cannot tell key from salt.
                ffi::srtp_crypto_policy_set_rtp_default(&mut policy);
                let keyed = policy.cipher_key_bytes;
                ffi::srtp_crypto_policy_set_null_cipher_hmac_sha1_80(&mut policy);
                policy.cipher_key_bytes = keyed;
                policy.services = ffi::SERVICE_AUTHENTICATION;
                if self == Self::NullHmacSha1_32 {
                    policy.auth_tag_bytes = 4;
                }
            }
        }
        policy
    }

    fn rtcp(self) -> ffi::CryptoPolicy {
        let with_80_bit_tags = match self {
            Self::AesCm128HmacSha1_32 => Self::AesCm128HmacSha1_80,
            Self::AesCm192HmacSha1_32 => Self::AesCm192HmacSha1_80,
            Self::AesCm256HmacSha1_32 => Self::AesCm256HmacSha1_80,
            Self::NullHmacSha1_32 => Self::NullHmacSha1_80,
            Self::AesCm128HmacSha1_80
            | Self::AesCm192HmacSha1_80
            | Self::AesCm256HmacSha1_80
            | Self::AeadAes128Gcm
            | Self::AeadAes256Gcm
            | Self::NullHmacSha1_80 => self,
        };
        with_80_bit_tags.rtp()
    }
}

/// Whether a session protects or unprotects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "said by their names")]
pub enum Direction {
    Inbound,
    Outbound,
}

/// What a session is made from.
#[derive(Clone, Copy, Debug)]
pub struct Policy<'a> {
    /// The ciphers.
    pub suite: Suite,
    /// The master key: as long as the suite says.
    pub key: &'a [u8],
    /// The master salt: as long as the suite says.
    pub salt: &'a [u8],
    /// The MKI of every packet; empty for none. At most [`MKI_BYTES_MAX`] bytes.
    pub mki: &'a [u8],
    /// The replay window of RTP; libsrtp rounds it up to a multiple of 32. That of RTCP is always
    /// 128.
    pub window_packets: u16,
    /// Whether the session protects or unprotects.
    pub direction: Direction,
    /// The only source; `None` for any number of them. Only a source that is named here can be
    /// given a rollover counter before its first packet.
    pub source: Option<u32>,
}

/// Why libsrtp refused: its `srtp_err_status_t`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Status(u32);

impl Status {
    /// `srtp_err_status_bad_param`: among others a packet that is too short.
    pub const BAD_PARAMETER: Self = Self(2);
    /// `srtp_err_status_auth_fail`
    pub const AUTHENTICATION_FAILED: Self = Self(7);
    /// `srtp_err_status_cipher_fail`
    pub const CIPHER_FAILED: Self = Self(8);
    /// `srtp_err_status_replay_fail`
    pub const REPLAYED: Self = Self(9);
    /// `srtp_err_status_replay_old`
    pub const TOO_OLD: Self = Self(10);
    /// `srtp_err_status_no_ctx`: not the source that the session was made for.
    pub const NO_CONTEXT: Self = Self(13);
    /// `srtp_err_status_cant_check`: the E bit does not match.
    pub const CANNOT_CHECK: Self = Self(14);
    /// `srtp_err_status_key_expired`
    pub const KEY_EXPIRED: Self = Self(15);
    /// `srtp_err_status_parse_err`
    pub const PARSE_ERROR: Self = Self(21);
    /// `srtp_err_status_bad_mki`
    pub const BAD_MKI: Self = Self(25);
    /// `srtp_err_status_pkt_idx_old`
    pub const INDEX_TOO_OLD: Self = Self(26);

    fn check(code: ffi::StatusCode) -> Result<(), Self> {
        match code {
            0 => Ok(()),
            code => Err(Self(code)),
        }
    }
}

impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match *self {
            Self::BAD_PARAMETER => "bad_param",
            Self::AUTHENTICATION_FAILED => "auth_fail",
            Self::CIPHER_FAILED => "cipher_fail",
            Self::REPLAYED => "replay_fail",
            Self::TOO_OLD => "replay_old",
            Self::NO_CONTEXT => "no_ctx",
            Self::CANNOT_CHECK => "cant_check",
            Self::KEY_EXPIRED => "key_expired",
            Self::PARSE_ERROR => "parse_err",
            Self::BAD_MKI => "bad_mki",
            Self::INDEX_TOO_OLD => "pkt_idx_old",
            Self(code) => return write!(f, "srtp_err_status {code}"),
        };
        f.write_str(name)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "libsrtp: {self:?}")
    }
}

impl std::error::Error for Status {}

/// The library's version: major, minor, patch.
#[must_use]
pub fn version() -> [u8; 3] {
    let [major, minor, high, low] = ffi::srtp_get_version().to_be_bytes();
    // Written as three numbers of 8, 8 and 16 bits.
    [major, minor, high | low]
}

/// Bytes that the process has on the C heap: Rust's allocations, and those of the libraries in C.
#[must_use]
pub fn heap_bytes_in_use() -> usize {
    let info = ffi::mallinfo2();
    info.used_bytes + info.mapped_bytes
}

/// A libsrtp session for the sources of one direction. It stays in its thread.
pub struct Session {
    context: NonNull<ffi::Context>,
    has_mki: bool,
}

/// Made once a process; making and ending sessions goes one by one, because libsrtp does not
/// promise more.
static LIBRARY: Mutex<Library> = Mutex::new(Library { ready: false });

struct Library {
    ready: bool,
}

impl Library {
    #[expect(unsafe_code, reason = "calls libsrtp")]
    fn prepare(&mut self) -> Result<(), Status> {
        if !self.ready {
            // SAFETY: no precondition; the lock makes it the only call that is under way.
            Status::check(unsafe { ffi::srtp_init() })?;
            self.ready = true;
        }
        Ok(())
    }
}

impl Session {
    /// Makes a session.
    ///
    /// # Errors
    /// [`Status::BAD_PARAMETER`] for a key, salt or MKI of the wrong length; what libsrtp says of
    /// the window.
    #[expect(unsafe_code, reason = "calls libsrtp")]
    pub fn new(policy: &Policy<'_>) -> Result<Self, Status> {
        let lengths = (policy.key.len(), policy.salt.len());
        if lengths != policy.suite.key_and_salt_bytes() || policy.mki.len() > MKI_BYTES_MAX {
            return Err(Status::BAD_PARAMETER);
        }
        let mut library = LIBRARY.lock().map_err(|_| Status::BAD_PARAMETER)?;
        library.prepare()?;
        let mut key = [policy.key, policy.salt].concat();
        // libsrtp copies the whole MKI and wants a pointer even to none.
        let mut mki = policy.mki.to_vec();
        let mut master = ffi::MasterKey {
            key: key.as_mut_ptr(),
            mki: mki.as_mut_ptr(),
            mki_bytes: c_uint::try_from(mki.len()).map_err(|_| Status::BAD_PARAMETER)?,
        };
        let mut keys = [&raw mut master];
        let has_mki = !mki.is_empty();
        let description = ffi::Policy {
            ssrc: ffi::SsrcRule {
                kind: match (policy.source, policy.direction) {
                    (Some(_), _) => ffi::SPECIFIC,
                    (None, Direction::Inbound) => ffi::ANY_INBOUND,
                    (None, Direction::Outbound) => ffi::ANY_OUTBOUND,
                },
                value: policy.source.unwrap_or(0),
            },
            rtp: policy.suite.rtp(),
            rtcp: policy.suite.rtcp(),
            key: if has_mki {
                ptr::null_mut()
            } else {
                key.as_mut_ptr()
            },
            keys: if has_mki {
                keys.as_mut_ptr()
            } else {
                ptr::null_mut()
            },
            key_count: u64::from(has_mki),
            deprecated_ekt: ptr::null_mut(),
            window_packets: policy.window_packets.into(),
            allow_repeat: 0,
            encrypted_extensions: ptr::null_mut(),
            encrypted_extension_count: 0,
            next: ptr::null_mut(),
        };
        let mut context = ptr::null_mut();
        // SAFETY: `description` and all it points to live until the call returns, which copies
        // them; the key is as long as the suite says; `context` is a place for one pointer.
        Status::check(unsafe { ffi::srtp_create(&raw mut context, &raw const description) })?;
        drop(library);
        let context = NonNull::new(context).ok_or(Status::BAD_PARAMETER)?;
        Ok(Self { context, has_mki })
    }

    /// Protects the RTP packet in the first `length` bytes, in place, and returns its new length.
    ///
    /// # Errors
    /// Libsrtp's; [`Status::BAD_PARAMETER`] without [`TRAILER_BYTES_MAX`] bytes of room, or if the
    /// buffer does not start at a multiple of 4.
    #[expect(unsafe_code, reason = "calls libsrtp")]
    pub fn protect_rtp(&mut self, buffer: &mut [u8], length: usize) -> Result<usize, Status> {
        let (packet, mut bytes) = with_room(buffer, length)?;
        let mki = self.has_mki.into();
        // SAFETY: the context is live and ours alone; `packet` is aligned and has `bytes` bytes
        // and room for any trailer behind them.
        Status::check(unsafe {
            ffi::srtp_protect_mki(self.context.as_ptr(), packet, &raw mut bytes, mki, 0)
        })?;
        returned(bytes)
    }

    /// Protects the RTCP packet in the first `length` bytes, in place, and returns its new length.
    ///
    /// # Errors
    /// As [`protect_rtp`](Self::protect_rtp).
    #[expect(unsafe_code, reason = "calls libsrtp")]
    pub fn protect_rtcp(&mut self, buffer: &mut [u8], length: usize) -> Result<usize, Status> {
        let (packet, mut bytes) = with_room(buffer, length)?;
        let mki = self.has_mki.into();
        // SAFETY: as in `protect_rtp`.
        Status::check(unsafe {
            ffi::srtp_protect_rtcp_mki(self.context.as_ptr(), packet, &raw mut bytes, mki, 0)
        })?;
        returned(bytes)
    }

    /// Verifies and decrypts an SRTP packet, the whole slice, and returns the length of the RTP
    /// packet that it begins with.
    ///
    /// # Errors
    /// Libsrtp's; [`Status::BAD_PARAMETER`] if the slice does not start at a multiple of 4.
    #[expect(unsafe_code, reason = "calls libsrtp")]
    pub fn unprotect_rtp(&mut self, packet: &mut [u8]) -> Result<usize, Status> {
        let (packet, mut bytes) = aligned(packet)?;
        let mki = self.has_mki.into();
        // SAFETY: the context is live and ours alone; `packet` is aligned and has `bytes` bytes,
        // beyond which libsrtp does not write when it takes a trailer off.
        Status::check(unsafe {
            ffi::srtp_unprotect_mki(self.context.as_ptr(), packet, &raw mut bytes, mki)
        })?;
        returned(bytes)
    }

    /// Verifies and decrypts an SRTCP packet, the whole slice, and returns the length of the RTCP
    /// packet that it begins with.
    ///
    /// # Errors
    /// As [`unprotect_rtp`](Self::unprotect_rtp).
    #[expect(unsafe_code, reason = "calls libsrtp")]
    pub fn unprotect_rtcp(&mut self, packet: &mut [u8]) -> Result<usize, Status> {
        let (packet, mut bytes) = aligned(packet)?;
        let mki = self.has_mki.into();
        // SAFETY: as in `unprotect_rtp`.
        Status::check(unsafe {
            ffi::srtp_unprotect_rtcp_mki(self.context.as_ptr(), packet, &raw mut bytes, mki)
        })?;
        returned(bytes)
    }

    /// The rollover counter of a source that the session has seen.
    ///
    /// # Errors
    /// [`Status::BAD_PARAMETER`] for a source that it has not seen.
    #[expect(unsafe_code, reason = "calls libsrtp")]
    pub fn rollover_counter(&self, ssrc: u32) -> Result<u32, Status> {
        let mut counter = 0;
        // SAFETY: the context is live, `counter` is a place for 32 bits.
        Status::check(unsafe {
            ffi::srtp_get_stream_roc(self.context.as_ptr(), ssrc, &raw mut counter)
        })?;
        Ok(counter)
    }

    /// Sets the rollover counter that the next packet of a source has: one not behind its own.
    ///
    /// # Errors
    /// [`Status::BAD_PARAMETER`] for a source that the session has not seen and was not made for.
    #[expect(unsafe_code, reason = "calls libsrtp")]
    pub fn set_rollover_counter(&mut self, ssrc: u32, counter: u32) -> Result<(), Status> {
        // SAFETY: the context is live and ours alone.
        Status::check(unsafe { ffi::srtp_set_stream_roc(self.context.as_ptr(), ssrc, counter) })
    }
}

impl Drop for Session {
    #[expect(unsafe_code, reason = "calls libsrtp")]
    fn drop(&mut self) {
        let guard = LIBRARY.lock();
        // SAFETY: the context is live and nobody uses it after this.
        let status = unsafe { ffi::srtp_dealloc(self.context.as_ptr()) };
        debug_assert_eq!(status, 0);
        drop(guard);
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").finish_non_exhaustive()
    }
}

/// libsrtp reads and writes headers in words of 32 bits.
fn aligned(packet: &mut [u8]) -> Result<(*mut c_void, c_int), Status> {
    if packet.as_ptr().align_offset(4) != 0 {
        return Err(Status::BAD_PARAMETER);
    }
    let bytes = c_int::try_from(packet.len()).map_err(|_| Status::BAD_PARAMETER)?;
    Ok((packet.as_mut_ptr().cast(), bytes))
}

fn with_room(buffer: &mut [u8], length: usize) -> Result<(*mut c_void, c_int), Status> {
    let room = buffer.len().checked_sub(length);
    if room.is_none_or(|room| room < TRAILER_BYTES_MAX) {
        return Err(Status::BAD_PARAMETER);
    }
    let bytes = c_int::try_from(length).map_err(|_| Status::BAD_PARAMETER)?;
    let (packet, _) = aligned(buffer)?;
    Ok((packet, bytes))
}

fn returned(bytes: c_int) -> Result<usize, Status> {
    usize::try_from(bytes).map_err(|_| Status::BAD_PARAMETER)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SSRC: u32 = 0xCAFE_BABE;

    fn session(direction: Direction, mki: &[u8]) -> Session {
        Session::new(&Policy {
            suite: Suite::AesCm128HmacSha1_80,
            key: &[1; 16],
            salt: &[2; 14],
            mki,
            window_packets: 128,
            direction,
            source: None,
        })
        .unwrap()
    }

    fn packet(sequence: u16) -> Vec<u8> {
        let mut packet = vec![0x80, 0];
        packet.extend(sequence.to_be_bytes());
        packet.extend([0; 4]);
        packet.extend(SSRC.to_be_bytes());
        packet.extend([7; 20]);
        packet.resize(32 + TRAILER_BYTES_MAX, 0);
        packet
    }

    #[test]
    fn protects_and_unprotects() {
        assert_eq!(version()[0], 2);
        let mut sender = session(Direction::Outbound, &[]);
        let mut receiver = session(Direction::Inbound, &[]);
        let mut buffer = packet(1);
        assert_eq!(sender.protect_rtp(&mut buffer, 32), Ok(42));
        let mut copy = buffer.clone();
        assert_eq!(receiver.unprotect_rtp(&mut buffer[..42]), Ok(32));
        assert_eq!(buffer[..32], packet(1)[..32]);
        let again = receiver.unprotect_rtp(&mut copy[..42]);
        assert_eq!(again, Err(Status::REPLAYED));
        assert_eq!(receiver.rollover_counter(SSRC), Ok(0));
    }

    #[test]
    fn puts_the_mki_before_the_tag_and_wants_it_back() {
        let mut sender = session(Direction::Outbound, &[0xAA, 0xBB]);
        let mut receiver = session(Direction::Inbound, &[0xAA, 0xBB]);
        let mut buffer = packet(1);
        assert_eq!(sender.protect_rtp(&mut buffer, 32), Ok(44));
        assert_eq!(buffer[32..34], [0xAA, 0xBB]);
        let mut copy = buffer.clone();
        copy[32] ^= 1;
        let refused = receiver.unprotect_rtp(&mut copy[..44]);
        assert_eq!(refused, Err(Status::BAD_MKI));
        assert_eq!(receiver.unprotect_rtp(&mut buffer[..44]), Ok(32));
    }

    #[test]
    fn refuses_a_buffer_without_room() {
        let mut sender = session(Direction::Outbound, &[]);
        let mut buffer = packet(1);
        buffer.pop();
        let refused = sender.protect_rtp(&mut buffer, 32);
        assert_eq!(refused, Err(Status::BAD_PARAMETER));
    }
}

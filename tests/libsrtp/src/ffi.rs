//! What we call of `srtp2/srtp.h` (libsrtp 2.5.0) and of glibc's `malloc.h`, written by hand.

use std::ffi::{c_int, c_uint, c_ulong, c_void};

/// `srtp_err_status_t`
pub(crate) type StatusCode = c_uint;

/// `sec_serv_auth` of `srtp_sec_serv_t`
pub(crate) const SERVICE_AUTHENTICATION: c_uint = 2;

/// `ssrc_specific` of `srtp_ssrc_type_t`
pub(crate) const SPECIFIC: c_uint = 1;
/// `ssrc_any_inbound` of `srtp_ssrc_type_t`
pub(crate) const ANY_INBOUND: c_uint = 2;
/// `ssrc_any_outbound` of `srtp_ssrc_type_t`
pub(crate) const ANY_OUTBOUND: c_uint = 3;

/// `struct srtp_ctx_t_`
#[repr(C)]
pub(crate) struct Context {
    opaque: [u8; 0],
}

/// `srtp_crypto_policy_t`
#[repr(C)]
#[derive(Default)]
pub(crate) struct CryptoPolicy {
    pub(crate) cipher_type: u32,
    pub(crate) cipher_key_bytes: c_int,
    pub(crate) auth_type: u32,
    pub(crate) auth_key_bytes: c_int,
    pub(crate) auth_tag_bytes: c_int,
    pub(crate) services: c_uint,
}

/// `srtp_ssrc_t`
#[repr(C)]
pub(crate) struct SsrcRule {
    pub(crate) kind: c_uint,
    pub(crate) value: c_uint,
}

/// `srtp_master_key_t`
#[repr(C)]
pub(crate) struct MasterKey {
    pub(crate) key: *mut u8,
    pub(crate) mki: *mut u8,
    pub(crate) mki_bytes: c_uint,
}

/// `srtp_policy_t`
#[repr(C)]
pub(crate) struct Policy {
    pub(crate) ssrc: SsrcRule,
    pub(crate) rtp: CryptoPolicy,
    pub(crate) rtcp: CryptoPolicy,
    pub(crate) key: *mut u8,
    pub(crate) keys: *mut *mut MasterKey,
    pub(crate) key_count: c_ulong,
    pub(crate) deprecated_ekt: *mut c_void,
    pub(crate) window_packets: c_ulong,
    pub(crate) allow_repeat: c_int,
    pub(crate) encrypted_extensions: *mut c_int,
    pub(crate) encrypted_extension_count: c_int,
    pub(crate) next: *mut Policy,
}

// The sizes that the C compiler gives them on the platforms that we test on (LP64).
#[cfg(target_pointer_width = "64")]
const _: () = {
    assert!(size_of::<CryptoPolicy>() == 24);
    assert!(size_of::<MasterKey>() == 24);
    assert!(size_of::<Policy>() == 128);
};

/// `struct mallinfo2`
#[repr(C)]
pub(crate) struct MallocInfo {
    pub(crate) arena: usize,
    pub(crate) free_chunks: usize,
    pub(crate) fast_chunks: usize,
    pub(crate) mapped_regions: usize,
    pub(crate) mapped_bytes: usize,
    pub(crate) unused: usize,
    pub(crate) fast_bytes: usize,
    pub(crate) used_bytes: usize,
    pub(crate) free_bytes: usize,
    pub(crate) releasable_bytes: usize,
}

unsafe extern "C" {
    pub(crate) safe fn mallinfo2() -> MallocInfo;
}

#[link(name = "srtp2")]
unsafe extern "C" {
    pub(crate) fn srtp_init() -> StatusCode;
    pub(crate) fn srtp_create(session: *mut *mut Context, policy: *const Policy) -> StatusCode;
    pub(crate) fn srtp_dealloc(session: *mut Context) -> StatusCode;
    pub(crate) fn srtp_protect_mki(
        session: *mut Context,
        packet: *mut c_void,
        bytes: *mut c_int,
        use_mki: c_uint,
        mki_index: c_uint,
    ) -> StatusCode;
    pub(crate) fn srtp_unprotect_mki(
        session: *mut Context,
        packet: *mut c_void,
        bytes: *mut c_int,
        use_mki: c_uint,
    ) -> StatusCode;
    pub(crate) fn srtp_protect_rtcp_mki(
        session: *mut Context,
        packet: *mut c_void,
        bytes: *mut c_int,
        use_mki: c_uint,
        mki_index: c_uint,
    ) -> StatusCode;
    pub(crate) fn srtp_unprotect_rtcp_mki(
        session: *mut Context,
        packet: *mut c_void,
        bytes: *mut c_int,
        use_mki: c_uint,
    ) -> StatusCode;
    pub(crate) fn srtp_set_stream_roc(session: *mut Context, ssrc: u32, roc: u32) -> StatusCode;
    pub(crate) fn srtp_get_stream_roc(
        session: *mut Context,
        ssrc: u32,
        roc: *mut u32,
    ) -> StatusCode;
    pub(crate) safe fn srtp_get_version() -> c_uint;
    pub(crate) safe fn srtp_crypto_policy_set_rtp_default(policy: &mut CryptoPolicy);
    pub(crate) safe fn srtp_crypto_policy_set_aes_cm_128_hmac_sha1_32(policy: &mut CryptoPolicy);
    pub(crate) safe fn srtp_crypto_policy_set_aes_cm_192_hmac_sha1_80(policy: &mut CryptoPolicy);
    pub(crate) safe fn srtp_crypto_policy_set_aes_cm_192_hmac_sha1_32(policy: &mut CryptoPolicy);
    pub(crate) safe fn srtp_crypto_policy_set_aes_cm_256_hmac_sha1_80(policy: &mut CryptoPolicy);
    pub(crate) safe fn srtp_crypto_policy_set_aes_cm_256_hmac_sha1_32(policy: &mut CryptoPolicy);
    pub(crate) safe fn srtp_crypto_policy_set_aes_gcm_128_16_auth(policy: &mut CryptoPolicy);
    pub(crate) safe fn srtp_crypto_policy_set_aes_gcm_256_16_auth(policy: &mut CryptoPolicy);
    pub(crate) safe fn srtp_crypto_policy_set_null_cipher_hmac_sha1_80(policy: &mut CryptoPolicy);
}

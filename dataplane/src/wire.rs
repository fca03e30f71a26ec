//! Views over bytes: no state, no decision. Every function takes whatever the network sends.

pub mod classify;
pub mod ntp;
pub mod rtcp;
pub mod rtp;
pub mod stun;
pub mod telephone_event;

/// The two bytes at `offset` as a number.
pub(crate) fn read_u16(bytes: &[u8], offset: usize) -> Option<u16> {
    bytes
        .get(offset..)?
        .first_chunk()
        .map(|chunk| u16::from_be_bytes(*chunk))
}

/// The four bytes at `offset` as a number.
pub(crate) fn read_u32(bytes: &[u8], offset: usize) -> Option<u32> {
    bytes
        .get(offset..)?
        .first_chunk()
        .map(|chunk| u32::from_be_bytes(*chunk))
}

/// Puts `value` at `offset`; `None` when it does not fit.
pub(crate) fn write(bytes: &mut [u8], offset: usize, value: &[u8]) -> Option<()> {
    bytes
        .get_mut(offset..)?
        .get_mut(..value.len())?
        .copy_from_slice(value);
    Some(())
}

//! Runs of equal packets that the kernel takes as one and cuts again (UDP generic segmentation
//! offload, `UDP_SEGMENT` in udp(7)): one way through the stack for all of them.

/// `struct cmsghdr` and a `u16`, with their padding.
pub(super) const CONTROL_BYTES: usize = 24;
const HEADER_BYTES: usize = size_of::<libc::cmsghdr>();

const _: () = assert!(HEADER_BYTES == 16);

/// The control message that says how long each packet of a run is.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C, align(8))]
pub(super) struct SegmentControl {
    length: usize,
    level: i32,
    kind: i32,
    segment_bytes: u16,
    padding: [u16; 3],
}

const _: () = assert!(size_of::<SegmentControl>() == CONTROL_BYTES);

impl SegmentControl {
    /// Every packet of the run but the last, which may be shorter, has so many bytes.
    pub(super) fn set(&mut self, segment_bytes: usize) {
        *self = Self {
            length: HEADER_BYTES + size_of::<u16>(),
            level: libc::SOL_UDP,
            kind: libc::UDP_SEGMENT,
            segment_bytes: u16::try_from(segment_bytes).unwrap_or(u16::MAX),
            padding: [0; 3],
        };
    }
}

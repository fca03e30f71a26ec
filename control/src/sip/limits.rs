//! Every bound of the SIP layer.

use std::time::Duration;

/// Size of one message, start line to end of body; more is refused with 513.
///
/// A browser's INVITE is 4 to 8 kB; a UDP datagram cannot be longer than this.
pub const MESSAGE_BYTES_MAX: usize = 64 * 1024;

/// Size of a request that may go in a datagram whatever the path's MTU (RFC 3261 section 18.1.1);
/// larger ones go over TCP where the trunk allows it.
pub const DATAGRAM_REQUEST_BYTES_MAX: usize = 1300;

/// Size of start line and header together; more is refused with 513.
pub const HEAD_BYTES_MAX: usize = 32 * 1024;

/// Size of one header line, folded lines counted together.
///
/// An `Identity` header (RFC 8224) takes up to about 2 kB.
pub const HEADER_LINE_BYTES_MAX: usize = 8 * 1024;

/// Size of the start line of a request; more is refused with 414.
pub const START_LINE_BYTES_MAX: usize = 4 * 1024;

/// Size of the reason phrase of a response; a longer one is cut.
pub const REASON_BYTES_MAX: usize = 256;

/// Count of header lines in one message.
pub const HEADER_LINES_MAX: usize = 128;

/// Parts of one multipart body, those of nested ones included.
pub const BODY_PARTS_MAX: usize = 16;

/// Multipart bodies within each other.
pub const BODY_DEPTH_MAX: usize = 3;

/// Size of the header of one part of a multipart body.
pub const BODY_PART_HEAD_BYTES_MAX: usize = 4 * 1024;

/// Count of transactions that wait for a final response or its ACK, clients and servers together,
/// unless configured. Each takes 4 to 10 kB, and new calls take half of them at most.
pub const TRANSACTIONS_DEFAULT: usize = 131_072;
/// Least such count.
pub const TRANSACTIONS_MIN: usize = 1024;
/// Largest such count: what 10 GB hold.
pub const TRANSACTIONS_MAX: usize = 1_048_576;

/// Count of transactions that have ended and wait for repetitions, unless configured: 1,500 calls a
/// second leave 144,000 behind. Each takes 0.2 to 0.8 kB.
pub const FINISHED_TRANSACTIONS_DEFAULT: usize = 262_144;
/// Least such count.
pub const FINISHED_TRANSACTIONS_MIN: usize = 1024;
/// Largest such count.
pub const FINISHED_TRANSACTIONS_MAX: usize = 4_194_304;

/// What `Retry-After` says in the 503 of a full table, in seconds.
pub const TABLE_FULL_RETRY_AFTER_S: u32 = 5;

/// Digest nonces are accepted for this long, then answered `stale=true`.
pub const NONCE_LIFETIME: Duration = Duration::from_secs(300);

/// Nonces whose count is remembered. The oldest makes room, and all up to it become stale.
pub const NONCES_USED_MAX: usize = 65_536;

/// Count of seconds by which a nonce may be in the future (clock stepped back).
pub const NONCE_SKEW_S: u64 = 5;

const _: () = assert!(TRANSACTIONS_MIN < TRANSACTIONS_DEFAULT);
const _: () = assert!(TRANSACTIONS_DEFAULT < TRANSACTIONS_MAX);
const _: () = assert!(FINISHED_TRANSACTIONS_MIN < FINISHED_TRANSACTIONS_DEFAULT);
const _: () = assert!(FINISHED_TRANSACTIONS_DEFAULT < FINISHED_TRANSACTIONS_MAX);
const _: () = assert!(HEADER_LINE_BYTES_MAX < HEAD_BYTES_MAX);
const _: () = assert!(START_LINE_BYTES_MAX < HEAD_BYTES_MAX);
const _: () = assert!(REASON_BYTES_MAX < START_LINE_BYTES_MAX);
const _: () = assert!(HEAD_BYTES_MAX < MESSAGE_BYTES_MAX);
const _: () = assert!(DATAGRAM_REQUEST_BYTES_MAX < MESSAGE_BYTES_MAX);

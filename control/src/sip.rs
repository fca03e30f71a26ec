//! SIP as text and as transactions: messages, addresses, digest, retransmission.
//!
//! Everything here is plain computation: bytes and `now` come in, bytes and events go out.
//!
//! - [`message`]: one message, parsed without losing a byte of what is not edited.
//! - [`framing`]: where a message ends on a stream.
//! - [`body`]: the session description in a body, multipart or not.
//! - [`uri`], [`header`]: views of single header values.
//! - [`digit`]: digits of DTMF in INFO.
//! - [`digest`]: challenges and answers (RFC 3261 section 22, RFC 8760).
//! - [`transaction`]: RFC 3261 section 17 with the corrections of RFC 6026.
//!
//! What is left out on purpose: `Date` is not validated, and URI comparison (RFC 3261 section
//! 19.1.4) ignores URI headers.

pub mod body;
mod chars;
pub mod digest;
pub mod digit;
pub mod framing;
pub mod header;
pub mod limits;
pub mod message;
pub mod method;
mod parse;
mod print;
pub mod status;
pub mod transaction;
pub mod transport;
pub mod uri;

pub use body::BodyError;
pub use header::HeaderName;
pub use header::cseq::CSeq;
pub use header::params::Params;
pub use header::via::Via;
pub use message::Message;
pub use method::Method;
pub use parse::ParseError;
pub use transport::Transport;
pub use uri::{Contact, NameAddr, Scheme, Uri};

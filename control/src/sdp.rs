//! Session descriptions: reading what a peer wrote, deciding, and writing our own.
//!
//! A call has two legs and each leg has its own session description. Nothing here edits text:
//! a description is read into a [`RemoteDescription`], a plan is made from it, and the
//! description for the other leg is written from that plan and from that leg's own record.
//!
//! One offer/answer exchange through a call, seen from the offering leg A and the target leg B:
//!
//! 1. [`read_webrtc`] or [`read_plain`]: the bytes of A's offer → [`RemoteDescription`].
//! 2. [`plan_offer`]: offer × profile and codec policy of B → [`OfferPlan`], or a [`Refusal`]
//!    before B has been bothered. For a re-offer, [`LegSdp::settle`] of leg B afterwards.
//! 3. [`LegSdp::write_offer`] on leg B: the text of our offer to B.
//! 4. `read_*` of B's answer, [`LegSdp::note_answer`] on leg B, then [`plan_answer`] →
//!    [`AnswerPlan`].
//! 5. [`LegSdp::write_answer`] on leg A: the text of our answer to A.
//! 6. [`join`]: which payload types pass between the two flows, and in which direction.
//!
//! [`LegSdp::hear`] takes note of each description of a peer; [`LegSdp::agreed`], [`LegSdp::able`]
//! and [`LegSdp::is_news`] compare the two legs, so that nobody is left with an old description.
//!
//! Where ringway itself answers (the echo line), [`plan_local_answer`] stands for steps 2 to 4 and
//! [`echo_routes`] for step 6. [`compare`] says what a re-offer changes.
//!
//! Left out, on purpose: SDES keys (`a=crypto`, RFC 4568), trickle ICE (RFC 8840), simulcast and
//! RID, data channels, T.38; their m-lines are answered with port 0 and their attributes ignored.

mod agreement;
mod compare;
mod late;
mod leg;
pub mod limits;
mod model;
mod negotiate;
mod parse;
mod policy;
mod print;
mod read;
mod route;
mod session;
mod telephone_event;
#[cfg(test)]
mod tests;
mod write;

pub use agreement::{Said, is_same_offer, join, share_medium};
pub use compare::{Change, compare, is_new_association, is_same_media};
pub use late::{capabilities, offer_accepted};
pub use leg::{LegSdp, LocalIce, LocalTransport};
pub use model::{
    Codec, Direction, LegProfile, MediaKind, Refusal, RemoteDescription, RemoteIce, RemoteMedia,
    Setup,
};
pub use negotiate::{
    AcceptedMedia, AnswerPlan, AnsweredMedia, OfferPlan, PlannedCodec, PlannedMedia, plan_answer,
    plan_local_answer, plan_offer,
};
pub use parse::SdpError;
pub use policy::CodecPolicy;
pub use read::{read_plain, read_plain_for, read_webrtc};
pub use route::{MediaRoute, PayloadPair, echo_routes};
pub use session::{Attribute, Line, MediaDescription, Origin, SessionDescription};
pub use telephone_event::{assume_events, event_towards};

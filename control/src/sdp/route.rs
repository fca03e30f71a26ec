//! From a finished offer/answer exchange to what the media plane must do with payload types.

use super::model::{MediaKind, RemoteDescription};
use super::negotiate::{AcceptedMedia, AnswerPlan};

/// One payload type on the way from one leg to the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PayloadPair {
    /// The number the packet arrives with.
    pub from: u8,
    /// The number it leaves with.
    pub to: u8,
}

/// One medium between two legs. *Source* is the leg that offered, *target* the one that answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaRoute {
    /// Audio or video.
    pub kind: MediaKind,
    /// Index of the m-line in the source's offer.
    pub source_index: usize,
    /// Index of the m-line in the target's answer.
    pub target_index: usize,
    /// Name of the first codec, for logs.
    pub codec: String,
    /// RTP clock rate of the first codec in Hz.
    pub clock_hz: u32,
    /// The `a=rtcp-fb` values that were agreed for any of the codecs.
    pub feedback: Vec<String>,
    /// Payload types of packets from the source, telephone-event included.
    pub to_target: Vec<PayloadPair>,
    /// Payload types of packets from the target, telephone-event included.
    pub to_source: Vec<PayloadPair>,
    /// Whether the source's media may go to the target.
    pub source_to_target: bool,
    /// Whether the target's media may go to the source.
    pub target_to_source: bool,
}

/// The routes of a leg that hears itself: what comes in goes back with the same payload type.
pub fn echo_routes(offer: &RemoteDescription, answer_plan: &AnswerPlan) -> Vec<MediaRoute> {
    offer
        .media
        .iter()
        .enumerate()
        .filter_map(|(index, media)| {
            let accepted = answer_plan.accepted(index)?;
            let mut route = new_route(media.kind, index, index, accepted)?;
            for codec in &accepted.codecs {
                let pair = PayloadPair {
                    from: codec.payload_type,
                    to: codec.payload_type,
                };
                route.to_target.push(pair);
                route.to_source.push(pair);
            }
            Some(route)
        })
        .collect()
}

fn new_route(
    kind: MediaKind,
    source_index: usize,
    target_index: usize,
    accepted: &AcceptedMedia,
) -> Option<MediaRoute> {
    let first = accepted.codecs.first()?;
    let mut feedback: Vec<String> = Vec::new();
    for value in accepted.codecs.iter().flat_map(|codec| &codec.feedback) {
        if !feedback.contains(value) {
            feedback.push(value.clone());
        }
    }
    Some(MediaRoute {
        kind,
        source_index,
        target_index,
        codec: first.name.clone(),
        clock_hz: first.clock_hz,
        feedback,
        to_target: Vec::new(),
        to_source: Vec::new(),
        // The accepted direction is ours towards the source: we receive what it sends.
        source_to_target: accepted.direction.receives(),
        target_to_source: accepted.direction.sends(),
    })
}

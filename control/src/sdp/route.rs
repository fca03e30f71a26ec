//! From a finished offer/answer exchange to what the media plane must do with payload types.

use super::model::{Codec, MediaKind, RemoteDescription};
use super::negotiate::{
    AcceptedMedia, AnswerPlan, OfferPlan, PlannedMedia, answered_index, planned_for,
};

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

/// What was agreed between the two legs, one route per accepted medium.
pub fn routes(
    source_offer: &RemoteDescription,
    plan: &OfferPlan,
    answer_plan: &AnswerPlan,
    answer: &RemoteDescription,
) -> Vec<MediaRoute> {
    plan.media
        .iter()
        .filter(|planned| planned.source_index < source_offer.media.len())
        .filter_map(|planned| {
            let accepted = answer_plan.accepted(planned.source_index)?;
            let target_index = answered_index(answer, planned.kind)?;
            let answered = &answer.media.get(target_index)?.codecs;
            let mut route = new_route(planned.kind, planned.source_index, target_index, accepted)?;
            let aliases: Vec<PayloadPair> = accepted
                .codecs
                .iter()
                .filter_map(|codec| add_pairs(&mut route, planned, codec, answered))
                .collect();
            for alias in aliases {
                if !route.to_source.iter().any(|pair| pair.from == alias.from) {
                    route.to_source.push(alias);
                }
            }
            Some(route)
        })
        .collect()
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

/// `accepted` carries the source's number. The numbers of an answer say what the answerer wants to
/// receive, those of an offer what the offerer wants to receive (RFC 3264 sections 5.1 and 6.1).
/// Answerers with numbers of their own also tend to send with them: that pair is the result.
fn add_pairs(
    route: &mut MediaRoute,
    planned: &PlannedMedia,
    accepted: &Codec,
    answered: &[Codec],
) -> Option<PayloadPair> {
    let source = accepted.payload_type;
    let offered = planned
        .codecs
        .iter()
        .find(|planned| planned.source_payload_type == source)?;
    let answered = answered
        .iter()
        .find(|codec| planned_for(planned, codec).is_some_and(|found| found == offered))?;
    route.to_target.push(PayloadPair {
        from: source,
        to: answered.payload_type,
    });
    route.to_source.push(PayloadPair {
        from: offered.codec.payload_type,
        to: source,
    });
    Some(PayloadPair {
        from: answered.payload_type,
        to: source,
    })
}

//! Offer and answer across two legs (RFC 3264): what of an offer goes to the other side, and what
//! of the other side's answer comes back.

use super::limits::ROUTE_PAIRS_MAX;
use super::model::{
    Codec, Direction, LegProfile, MediaKind, Refusal, RemoteDescription, RemoteMedia,
};
use super::policy::{
    CodecPolicy, PTIME_MS_DEFAULT, TELEPHONE_EVENT_HZ, TELEPHONE_EVENTS, allowed_audio,
    allowed_video,
};

/// One codec of a planned m-line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedCodec {
    /// The payload type in the source's offer.
    pub source_payload_type: u8,
    /// The codec as the target is offered it.
    pub codec: Codec,
}

/// One m-line of the source that goes to the target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedMedia {
    /// Index of the m-line in the source's offer.
    pub source_index: usize,
    /// Audio or video; a plan has at most one of each.
    pub kind: MediaKind,
    /// What the target is offered, in the source's order.
    pub codecs: Vec<PlannedCodec>,
    /// The source's direction, copied.
    pub direction: Direction,
    /// Packet time to ask for, in milliseconds; audio only.
    pub ptime: Option<u16>,
}

/// What of a source's offer is offered to the target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfferPlan {
    /// The leg the offer is for.
    pub target: LegProfile,
    /// In the source's order: audio, audio and video, or video alone.
    pub media: Vec<PlannedMedia>,
}

/// What becomes of one m-line of an offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AnsweredMedia {
    /// Accepted.
    Accepted(AcceptedMedia),
    /// Answered with port 0; keeps its place.
    Rejected,
}

/// An accepted m-line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcceptedMedia {
    /// In the offerer's payload types: the codecs in order of preference (for video on a trunk the
    /// first), then telephone-events.
    pub codecs: Vec<Codec>,
    /// Our direction in the answer; never wider than the offer allows.
    pub direction: Direction,
    /// Packet time for the answer, in milliseconds; audio only.
    pub ptime: Option<u16>,
}

/// The answer to an offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnswerPlan {
    /// One entry for each m-line of the offer, in its order.
    pub media: Vec<AnsweredMedia>,
}

impl AnswerPlan {
    /// The accepted m-line at `index` of the offer, if it was accepted.
    pub fn accepted(&self, index: usize) -> Option<&AcceptedMedia> {
        match self.media.get(index)? {
            AnsweredMedia::Accepted(media) => Some(media),
            AnsweredMedia::Rejected => None,
        }
    }
}

/// Decides what of `offer` is offered to a leg of profile `target` under `policy`.
///
/// The first usable audio m-line and, if the policy has video, the first usable video m-line go
/// on. Payload type numbers stay, unless two m-lines use the same number for different codecs.
/// One telephone-event per remaining clock rate (RFC 4733 section 2.1), and that of 8000 Hz.
///
/// An offer without audio may go on with video alone, where the policy has video.
///
/// # Errors
/// 488 when there is no usable m-line (Warning 304) or no audio codec in common (305).
pub fn plan_offer(
    offer: &RemoteDescription,
    target: LegProfile,
    policy: &CodecPolicy,
) -> Result<OfferPlan, Refusal> {
    let chosen = choose_media(offer, policy)?;
    let mut media: Vec<PlannedMedia> = chosen
        .into_iter()
        .map(|(source_index, source, codecs)| PlannedMedia {
            source_index,
            kind: source.kind,
            codecs: planned(&codecs, target),
            direction: source.direction,
            ptime: (source.kind == MediaKind::Audio).then_some(policy.ptime),
        })
        .collect();
    media.sort_by_key(|planned| planned.source_index);
    let mut plan = OfferPlan { target, media };
    make_payload_types_unique(&mut plan);
    Ok(plan)
}

/// Maps the target's `answer` back to the m-lines and payload types of `source_offer`.
///
/// # Errors
/// 488 when the target rejected the audio, or the video where there is nothing else (Warning 304),
/// or chose nothing of what was planned (305).
pub fn plan_answer(
    source_offer: &RemoteDescription,
    plan: &OfferPlan,
    answer: &RemoteDescription,
) -> Result<AnswerPlan, Refusal> {
    let mut media = vec![AnsweredMedia::Rejected; source_offer.media.len()];
    let is_alone = plan.media.len() == 1;
    for planned in &plan.media {
        let accepted = accept_answered(source_offer, (planned, is_alone), answer);
        let accepted = match planned.kind {
            MediaKind::Audio => Some(accepted?),
            MediaKind::Video | MediaKind::Other if is_alone => Some(accepted?),
            MediaKind::Video | MediaKind::Other => accepted.ok(),
        };
        if let (Some(slot), Some(accepted)) = (media.get_mut(planned.source_index), accepted) {
            *slot = AnsweredMedia::Accepted(accepted);
        }
    }
    Ok(AnswerPlan { media })
}

/// The answer when ringway itself is the answerer: the first audio codec of the offer that
/// `policy` allows with its telephone-event, and the first video codec.
///
/// # Errors
/// As [`plan_offer`].
pub fn plan_local_answer(
    offer: &RemoteDescription,
    policy: &CodecPolicy,
) -> Result<AnswerPlan, Refusal> {
    let mut media = vec![AnsweredMedia::Rejected; offer.media.len()];
    for (index, source, codecs) in choose_media(offer, policy)? {
        let is_audio = source.kind == MediaKind::Audio;
        if let Some(slot) = media.get_mut(index) {
            *slot = AnsweredMedia::Accepted(AcceptedMedia {
                codecs: if is_audio {
                    one_with_telephone_event(&codecs)
                } else {
                    codecs.into_iter().take(1).collect()
                },
                direction: source.direction.reversed(),
                ptime: is_audio.then_some(policy.ptime),
            });
        }
    }
    Ok(AnswerPlan { media })
}

/// The m-line of an answer that belongs to the planned m-line of `kind`. Our offers have at most
/// one line of a kind with a port, so the answer has at most one that is not rejected.
fn answered_index(answer: &RemoteDescription, kind: MediaKind) -> Option<usize> {
    answer
        .media
        .iter()
        .position(|media| media.kind == kind && media.usable)
}

/// The planned codec that a codec of the target's answer stands for.
fn planned_for<'a>(planned: &'a PlannedMedia, answered: &Codec) -> Option<&'a PlannedCodec> {
    let same = |candidate: &&PlannedCodec| candidate.codec.matches(answered);
    let exact = planned
        .codecs
        .iter()
        .filter(same)
        .find(|candidate| candidate.codec.payload_type == answered.payload_type);
    // An answerer may use numbers of its own (RFC 3264 section 6.1), and some leave parameters
    // such as the H.264 profile away; then the number alone says which one was meant.
    exact
        .or_else(|| planned.codecs.iter().find(same))
        .or_else(|| {
            planned.codecs.iter().find(|candidate| {
                candidate.codec.payload_type == answered.payload_type
                    && candidate.codec.name.eq_ignore_ascii_case(&answered.name)
                    && candidate.codec.clock_hz == answered.clock_hz
            })
        })
}

fn accept_answered(
    source_offer: &RemoteDescription,
    (planned, is_alone): (&PlannedMedia, bool),
    answer: &RemoteDescription,
) -> Result<AcceptedMedia, Refusal> {
    let rejected = match planned.kind {
        MediaKind::Audio => "the other side rejected the audio",
        MediaKind::Video | MediaKind::Other => "the other side rejected the video",
    };
    let answered = answered_index(answer, planned.kind)
        .and_then(|index| answer.media.get(index))
        .ok_or_else(|| Refusal::new(488, 304, rejected))?;
    if planned.kind == MediaKind::Video && !is_alone && !shares_transport(answer, answered) {
        return Err(Refusal::new(488, 304, "video outside of the BUNDLE group"));
    }
    let mut codecs = common_formats(planned, &answered.codecs);
    if (planned.kind, source_offer.profile) == (MediaKind::Video, LegProfile::Plain) {
        codecs.truncate(1);
    }
    if codecs.is_empty() {
        return Err(Refusal::new(
            488,
            305,
            "the other side chose no codec that was offered",
        ));
    }
    let offered = source_offer
        .media
        .get(planned.source_index)
        .map_or(Direction::Inactive, |media| media.direction);
    Ok(AcceptedMedia {
        codecs,
        direction: answered.direction.intersect(offered.reversed()),
        ptime: planned
            .ptime
            .map(|_| answered.ptime.unwrap_or(PTIME_MS_DEFAULT)),
    })
}

/// The formats that both sides agree to, each once, as far as their payload types fit a route: the
/// offerer must be ready for each format of the answer (RFC 3264 section 6.1). A codec takes the
/// telephone-event of its clock rate along: digits come before a further codec.
fn common_formats(planned: &PlannedMedia, answered: &[Codec]) -> Vec<Codec> {
    let mut common: Vec<(Codec, usize)> = Vec::new();
    for codec in answered {
        let Some(source) = planned_for(planned, codec) else {
            continue;
        };
        let number = source.source_payload_type;
        if common.iter().all(|(known, _)| known.payload_type != number) {
            // An answerer with numbers of its own sends with them, or with those that it was offered.
            let pairs = 1 + usize::from(codec.payload_type != source.codec.payload_type);
            common.push((answer_codec(planned.kind, source, codec), pairs));
        }
    }
    let is_event = |(codec, _): &(Codec, usize)| codec.is_telephone_event();
    let (events, codecs): (Vec<_>, Vec<_>) = common.into_iter().partition(is_event);
    let mut room = ROUTE_PAIRS_MAX;
    let mut kept: Vec<Codec> = Vec::new();
    let mut kept_events: Vec<Codec> = Vec::new();
    for (codec, pairs) in codecs {
        let with = |clock_hz: u32| {
            let known = kept_events.iter().any(|event| event.clock_hz == clock_hz);
            let event = events.iter().find(|(event, _)| event.clock_hz == clock_hz);
            event.filter(|_| !known)
        };
        let event = with(codec.clock_hz).or_else(|| {
            let usual = with(TELEPHONE_EVENT_HZ);
            usual.filter(|_| kept.is_empty())
        });
        let needed = pairs + event.map_or(0, |(_, pairs)| *pairs);
        if needed > room {
            continue;
        }
        room -= needed;
        kept.push(codec);
        kept_events.extend(event.map(|(event, _)| event.clone()));
    }
    kept.extend(kept_events);
    kept
}

/// The answering side's format in the offering side's number.
fn answer_codec(kind: MediaKind, source: &PlannedCodec, answered: &Codec) -> Codec {
    let feedback = match kind {
        MediaKind::Video => answered
            .feedback
            .iter()
            .filter(|value| source.codec.feedback.contains(value))
            .cloned()
            .collect(),
        MediaKind::Audio | MediaKind::Other => Vec::new(),
    };
    Codec {
        payload_type: source.source_payload_type,
        name: source.codec.name.clone(),
        clock_hz: source.codec.clock_hz,
        channels: source.codec.channels,
        fmtp: if answered.is_telephone_event() {
            Some(TELEPHONE_EVENTS.into())
        } else {
            answered.fmtp.clone()
        },
        feedback,
    }
}

/// The first real codec and the telephone-event of its clock rate.
fn one_with_telephone_event(codecs: &[Codec]) -> Vec<Codec> {
    let Some(first) = codecs
        .iter()
        .find(|codec| !codec.is_telephone_event())
        .cloned()
    else {
        return Vec::new();
    };
    let event_at = |clock_hz: u32| {
        let mut codecs = codecs.iter();
        codecs.find(|codec| codec.is_telephone_event() && codec.clock_hz == clock_hz)
    };
    let event = event_at(first.clock_hz).or_else(|| event_at(TELEPHONE_EVENT_HZ));
    std::iter::once(first).chain(event.cloned()).collect()
}

/// An m-line of an offer, its index, and the codecs of it that a policy allows.
type Chosen<'a> = (usize, &'a RemoteMedia, Vec<Codec>);

/// The audio and the video of an offer that go on: video alone only if there is no audio.
fn choose_media<'a>(
    offer: &'a RemoteDescription,
    policy: &CodecPolicy,
) -> Result<Vec<Chosen<'a>>, Refusal> {
    let audio = choose_audio(offer, policy);
    if let Err(refusal) = &audio
        && refusal.warning_code != NO_SUCH_MEDIUM
    {
        return Err(refusal.clone());
    }
    let line = audio.as_ref().ok().map(|(_, media, _)| *media);
    let video = choose_video(offer, line, policy);
    match (audio, video) {
        (Ok(audio), video) => Ok(std::iter::once(audio).chain(video).collect()),
        (Err(_), Some(video)) => Ok(vec![video]),
        (Err(refusal), None) => Err(refusal),
    }
}

/// The Warning code of RFC 3261 section 20.43 for a media type that is not available.
const NO_SUCH_MEDIUM: u16 = 304;

/// The first usable audio m-line with a codec that the policy allows.
fn choose_audio<'a>(
    offer: &'a RemoteDescription,
    policy: &CodecPolicy,
) -> Result<Chosen<'a>, Refusal> {
    let mut heard = false;
    for (index, media) in offer.media.iter().enumerate() {
        if !media.usable || media.kind != MediaKind::Audio {
            continue;
        }
        heard = true;
        let codecs = allowed_audio(media, policy);
        if !codecs.is_empty() {
            return Ok((index, media, codecs));
        }
    }
    if heard {
        Err(Refusal::new(488, 305, "no audio codec in common"))
    } else {
        Err(Refusal::new(488, NO_SUCH_MEDIUM, "no usable audio m-line"))
    }
}

fn choose_video<'a>(
    offer: &'a RemoteDescription,
    audio: Option<&RemoteMedia>,
    policy: &CodecPolicy,
) -> Option<Chosen<'a>> {
    offer.media.iter().enumerate().find_map(|(index, media)| {
        let fits = media.usable
            && media.kind == MediaKind::Video
            && audio.is_none_or(|audio| {
                shares_transport(offer, media) && shares_transport(offer, audio)
            });
        let codecs = fits
            .then(|| allowed_video(media, policy))
            .filter(|list| !list.is_empty())?;
        Some((index, media, codecs))
    })
}

/// A browser leg has one transport for all media, so a second m-line must be in the bundle.
fn shares_transport(description: &RemoteDescription, media: &RemoteMedia) -> bool {
    match description.profile {
        LegProfile::WebRtc => description.is_bundled(media),
        LegProfile::Plain => true,
    }
}

fn planned(codecs: &[Codec], target: LegProfile) -> Vec<PlannedCodec> {
    codecs
        .iter()
        .map(|codec| PlannedCodec {
            source_payload_type: codec.payload_type,
            codec: Codec {
                feedback: match target {
                    LegProfile::WebRtc => codec.feedback.clone(),
                    LegProfile::Plain => Vec::new(),
                },
                ..codec.clone()
            },
        })
        .collect()
}

/// In a BUNDLE group a payload type number has one meaning (RFC 9143 section 10.1.2), and with
/// rtcp-mux 64 to 95 look like RTCP (RFC 5761 section 4).
fn make_payload_types_unique(plan: &mut OfferPlan) {
    let muxed = plan.target == LegProfile::WebRtc;
    let codecs = || plan.media.iter().flat_map(|media| &media.codecs);
    let mut taken: Vec<u8> = codecs().map(|planned| planned.codec.payload_type).collect();
    let mut seen: Vec<u8> = Vec::new();
    for planned in plan.media.iter_mut().flat_map(|media| &mut media.codecs) {
        let number = planned.codec.payload_type;
        let wrong = seen.contains(&number) || (muxed && (64..=95).contains(&number));
        if wrong && let Some(free) = free_payload_type(|number| taken.contains(&number)) {
            planned.codec.payload_type = free;
            taken.push(free);
        }
        seen.push(planned.codec.payload_type);
    }
}

/// A dynamic payload type (RFC 3551 section 6) that is not taken; beyond 96 to 127 those that
/// RFC 5761 leaves free.
pub(super) fn free_payload_type(taken: impl Fn(u8) -> bool) -> Option<u8> {
    (96..=127).chain(35..=63).find(|&number| !taken(number))
}

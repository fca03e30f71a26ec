//! The state of offer and answer on one leg, and between the two legs of a call: our last
//! description, the peer's last description, and the formats and directions that follow from both
//! (RFC 3264 sections 5 to 8).

use super::leg::LegSdp;
use super::limits::{ABILITIES_MAX, ROUTE_PAIRS_MAX};
use super::model::{Codec, Direction, MediaKind, RemoteDescription, RemoteMedia};
use super::negotiate::{OfferPlan, PlannedMedia, free_payload_type};
use super::policy::TELEPHONE_EVENT_HZ;
use super::route::{MediaRoute, PayloadPair};

/// The media that are carried.
const KINDS: [MediaKind; 2] = [MediaKind::Audio, MediaKind::Video];

/// One medium of our last description on a leg.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Audio or video.
    pub kind: MediaKind,
    /// The formats with the numbers that we gave them; telephone-event too where the peer takes
    /// digits some other way and the text leaves it out.
    pub codecs: Vec<Codec>,
    /// Our direction.
    pub direction: Direction,
}

/// What the peer of a leg has shown of itself.
#[derive(Clone, Debug, Default)]
pub(super) struct Shown {
    /// The direction that it wants by itself, without the hold of the other side.
    audio: Direction,
    video: Direction,
    /// Every audio format that it has listed, the latest first.
    abilities: Vec<Codec>,
}

impl Shown {
    const fn wish(&self, kind: MediaKind) -> Direction {
        match kind {
            MediaKind::Video => self.video,
            MediaKind::Audio | MediaKind::Other => self.audio,
        }
    }
}

impl LegSdp {
    /// Takes note of the peer's latest description, an offer or the answer to our last one. To be
    /// called before our answer to it is written.
    pub fn hear(&mut self, remote: &RemoteDescription) {
        for kind in KINDS {
            if let Some(media) = remote.of_kind(kind) {
                let wish = self.wish_after(kind, media.direction);
                match kind {
                    MediaKind::Video => self.shown.video = wish,
                    MediaKind::Audio | MediaKind::Other => self.shown.audio = wish,
                }
            }
        }
        let Some(audio) = remote.audio() else { return };
        let mut abilities = audio.codecs.clone();
        for known in &self.shown.abilities {
            if !abilities.iter().any(|codec| codec.matches(known)) {
                abilities.push(known.clone());
            }
        }
        abilities.truncate(ABILITIES_MAX);
        self.shown.abilities = abilities;
    }

    /// The direction that the peer wants by itself: a held peer that does not send where we do not
    /// receive has not asked for that.
    pub const fn wish(&self, kind: MediaKind) -> Direction {
        self.shown.wish(kind)
    }

    /// The wish of the peer, were this its next direction.
    pub fn wish_after(&self, kind: MediaKind, direction: Direction) -> Direction {
        let (said, wish) = (
            self.said(kind).map(|said| said.direction),
            self.shown.wish(kind),
        );
        let said = said.unwrap_or_default();
        let is_wanted = |does: bool, may: bool, wanted: bool| does || (!may && wanted);
        Direction::new(
            is_wanted(direction.sends(), said.receives(), wish.sends()),
            is_wanted(direction.receives(), said.sends(), wish.receives()),
        )
    }

    /// What the peer has agreed to: of its latest description the media and formats that our own
    /// lists too, in the order of the answer.
    pub fn agreed(&self, remote: &RemoteDescription) -> RemoteDescription {
        let mut agreed = remote.clone();
        for media in agreed.media.iter_mut().filter(|media| media.usable) {
            let said = self.said(media.kind);
            media.usable = said.is_some();
            let ours = said.map_or(&[][..], |said| &said.codecs);
            media
                .codecs
                .retain(|codec| ours.iter().any(|other| is_meant(other, codec)));
            if self.is_answer {
                let place = |codec: &Codec| ours.iter().position(|other| is_meant(other, codec));
                media.codecs.sort_by_key(place);
            }
        }
        agreed
    }

    /// Has the peer's answer an audio codec that our offer lists?
    pub fn takes_audio(&self, answer: &RemoteDescription) -> bool {
        let agreed = self.agreed(answer);
        let audio = agreed.audio();
        audio.is_some_and(|audio| audio.codecs.iter().any(|codec| !codec.is_telephone_event()))
    }

    /// What the peer is able to: its latest description with every audio format that it has ever
    /// listed, those that are agreed on first, and with the directions that it wants.
    pub fn able(&self, remote: &RemoteDescription) -> RemoteDescription {
        let mut able = remote.clone();
        let agreed = self.agreed(remote);
        for (media, agreed) in able.media.iter_mut().zip(agreed.media) {
            if !media.usable || media.kind != MediaKind::Audio {
                continue;
            }
            let mut codecs = agreed.codecs;
            for known in media.codecs.iter().chain(&self.shown.abilities) {
                if codecs.iter().any(|codec| codec.matches(known)) {
                    continue;
                }
                let is_taken = |number: u8| codecs.iter().any(|codec| codec.payload_type == number);
                let number = if is_taken(known.payload_type) {
                    free_payload_type(is_taken)
                } else {
                    Some(known.payload_type)
                };
                if let Some(payload_type) = number {
                    codecs.push(Codec {
                        payload_type,
                        ..known.clone()
                    });
                }
            }
            media.codecs = codecs;
        }
        self.freed(able)
    }

    /// A description of the peer with the directions that it wants.
    pub fn freed(&self, mut remote: RemoteDescription) -> RemoteDescription {
        for media in remote.media.iter_mut().filter(|media| media.usable) {
            media.direction = self.shown.wish(media.kind);
        }
        remote
    }

    /// Must the peer be made this offer? Not if our last description says the same, as far as the
    /// peer lets it: `remote` is the peer's own.
    pub fn is_news(&self, plan: &OfferPlan, remote: &RemoteDescription) -> bool {
        let agreed = self.agreed(remote);
        KINDS.into_iter().any(|kind| {
            let planned = plan.media.iter().find(|planned| planned.kind == kind);
            let (said, met) = (self.said(kind), agreed.of_kind(kind));
            let (Some(said), Some(met)) = (said, met) else {
                return false;
            };
            let Some(planned) = planned else {
                return true;
            };
            let narrowed =
                |direction: Direction| direction.intersect(self.shown.wish(kind).reversed());
            let codecs = || planned.codecs.iter().map(|planned| &planned.codec);
            let is_other_format = kind == MediaKind::Audio
                && !is_same_set(codecs(), &met.codecs)
                && !is_same_set(codecs(), &said.codecs);
            narrowed(planned.direction) != narrowed(said.direction) || is_other_format
        })
    }
}

/// Whether both offers say the same of formats and directions, whatever their numbers.
pub fn is_same_offer(one: &OfferPlan, other: &OfferPlan) -> bool {
    let is_same = |(one, other): (&PlannedMedia, &PlannedMedia)| {
        let codecs: Vec<Codec> = other.codecs.iter().map(|p| p.codec.clone()).collect();
        one.kind == other.kind
            && one.direction == other.direction
            && is_same_set(one.codecs.iter().map(|planned| &planned.codec), &codecs)
    };
    one.media.len() == other.media.len() && one.media.iter().zip(&other.media).all(is_same)
}

/// Whether two peers have an audio format in common, telephone-event aside; without audio on either
/// side, a video format.
pub fn share_medium(one: &RemoteDescription, other: &RemoteDescription) -> bool {
    let (one, other) = match (one.audio(), other.audio()) {
        (None, None) => (one.video(), other.video()),
        audio => audio,
    };
    let (Some(one), Some(other)) = (one, other) else {
        return false;
    };
    let mut real = one
        .codecs
        .iter()
        .filter(|codec| !codec.is_telephone_event());
    real.any(|codec| other.codecs.iter().any(|found| found.matches(codec)))
}

/// The routes between two legs, by what is agreed on each. *Source* and *target* are names here:
/// nothing depends on which side has offered. A medium without a format in common has no route.
pub fn join(
    source: (&LegSdp, &RemoteDescription),
    target: (&LegSdp, &RemoteDescription),
) -> Vec<MediaRoute> {
    let (agreed, met) = (source.0.agreed(source.1), target.0.agreed(target.1));
    KINDS
        .into_iter()
        .filter_map(|kind| {
            let (source_index, from) = agreed.place_of(kind)?;
            let (target_index, to) = met.place_of(kind)?;
            let common = common_formats(from, to);
            let (first, _) = common.first()?;
            let mut route = MediaRoute {
                kind,
                source_index,
                target_index,
                codec: first.name.clone(),
                clock_hz: first.clock_hz,
                feedback: common_feedback(source.0, target.0, &common),
                to_target: Vec::new(),
                to_source: Vec::new(),
                source_to_target: from.direction.sends() && to.direction.receives(),
                target_to_source: to.direction.sends() && from.direction.receives(),
            };
            for &(codec, answered) in &common {
                let ours = source.0.number_said(kind, codec);
                pair(&mut route.to_target, ours, answered.payload_type);
                let ours = target.0.number_said(kind, answered);
                pair(&mut route.to_source, ours, codec.payload_type);
            }
            // Peers with numbers of their own also tend to send with them.
            for (codec, answered) in common {
                let theirs = Some(codec.payload_type);
                pair(&mut route.to_target, theirs, answered.payload_type);
                let theirs = Some(answered.payload_type);
                pair(&mut route.to_source, theirs, codec.payload_type);
            }
            route.to_target.truncate(ROUTE_PAIRS_MAX);
            route.to_source.truncate(ROUTE_PAIRS_MAX);
            Some(route)
        })
        .collect()
}

/// The formats of both, in the order of the second, with a telephone-event only beside a codec of
/// its clock rate, or else the usual one. Empty without a codec.
fn common_formats<'a>(from: &'a RemoteMedia, to: &'a RemoteMedia) -> Vec<(&'a Codec, &'a Codec)> {
    let meant = |answered: &'a Codec| {
        let found = from.codecs.iter().find(|codec| is_meant(codec, answered));
        found.map(|codec| (codec, answered))
    };
    let (events, codecs): (Vec<_>, Vec<_>) = to
        .codecs
        .iter()
        .filter_map(meant)
        .partition(|(codec, _)| codec.is_telephone_event());
    let is_used = |hz: u32| codecs.iter().any(|(codec, _)| codec.clock_hz == hz);
    let mut fitting: Vec<_> = events.clone();
    fitting.retain(|(event, _)| is_used(event.clock_hz));
    if fitting.is_empty() && !codecs.is_empty() {
        // Those who know digits at 8000 Hz alone take them beside opus, too.
        let usual = |(event, _): &&(&Codec, &Codec)| event.clock_hz == TELEPHONE_EVENT_HZ;
        fitting.extend(events.iter().find(usual));
    }
    codecs.into_iter().chain(fitting).collect()
}

/// Feedback that both descriptions of ours list for a common format.
fn common_feedback(source: &LegSdp, target: &LegSdp, common: &[(&Codec, &Codec)]) -> Vec<String> {
    let of = |leg: &LegSdp, codec: &Codec| {
        let said = leg.said(MediaKind::Video)?;
        said.codecs
            .iter()
            .find(|ours| is_meant(ours, codec))
            .cloned()
    };
    let mut feedback: Vec<String> = Vec::new();
    for (codec, answered) in common {
        let (Some(one), Some(other)) = (of(source, codec), of(target, answered)) else {
            continue;
        };
        for value in one.feedback.iter().filter(|v| other.feedback.contains(v)) {
            if !feedback.contains(value) {
                feedback.push(value.clone());
            }
        }
    }
    feedback
}

fn pair(pairs: &mut Vec<PayloadPair>, from: Option<u8>, to: u8) {
    let is_known = |from: u8| pairs.iter().any(|pair| pair.from == from);
    if let Some(from) = from.filter(|from| !is_known(*from)) {
        pairs.push(PayloadPair { from, to });
    }
}

/// Formats that are the same, or of one number and name: some answers leave parameters such as the
/// H.264 profile away.
fn is_meant(one: &Codec, other: &Codec) -> bool {
    one.matches(other)
        || (one.payload_type == other.payload_type
            && one.name.eq_ignore_ascii_case(&other.name)
            && one.clock_hz == other.clock_hz)
}

/// Whether both have the same codecs, and telephone-events of their clock rates or not.
fn is_same_set<'a>(one: impl Iterator<Item = &'a Codec> + Clone, other: &[Codec]) -> bool {
    let one: Vec<&Codec> = one.collect();
    let other: Vec<&Codec> = other.iter().collect();
    let holds = |set: &[&Codec], of: &[&Codec]| {
        let is_found = |codec: &&Codec| set.iter().any(|found| is_like(found, codec));
        let is_used = |event: &&&Codec| {
            let is_its =
                |codec: &&Codec| !codec.is_telephone_event() && codec.clock_hz == event.clock_hz;
            !event.is_telephone_event() || of.iter().any(is_its)
        };
        of.iter().filter(is_used).all(is_found)
    };
    holds(&one, &other) && holds(&other, &one)
}

fn is_like(one: &Codec, other: &Codec) -> bool {
    one.matches(other) || (one.is_telephone_event() && other.is_telephone_event())
}

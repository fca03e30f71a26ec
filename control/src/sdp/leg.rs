//! What one leg remembers between descriptions: its own `o=` line, its m-lines, its numbers.

use std::fmt;
use std::net::IpAddr;

use zeroize::ZeroizeOnDrop;

use super::agreement::{Said, Shown};
use super::model::{Codec, LegProfile, MediaKind, RemoteDescription};
use super::negotiate::{AnswerPlan, OfferPlan, free_payload_type};
use super::session::SessionDescription;
use super::write::{self, Content, Slot};

/// Our ICE credentials for a browser leg. Wiped when dropped.
#[derive(Clone, PartialEq, Eq, ZeroizeOnDrop)]
pub struct LocalIce {
    /// User-name fragment, at least 4 ice-chars.
    pub fragment: String,
    /// Password, at least 22 ice-chars. Never printed by `Debug`.
    pub password: String,
}

impl fmt::Debug for LocalIce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalIce")
            .field("fragment", &self.fragment)
            .finish_non_exhaustive()
    }
}

/// Our side of a leg's media transport, as it goes into the description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalTransport {
    /// The advertised address (not the bound one, where a 1:1 NAT stands between).
    pub address: IpAddr,
    /// RTP port of the audio; RTCP is the next port (plain) or the same one (browser).
    pub audio_port: u16,
    /// RTP port of the video; the same as the audio's on a browser leg.
    pub video_port: u16,
    /// Needed on a browser leg.
    pub ice: Option<LocalIce>,
    /// `sha-256 AB:CD:…` of our certificate; needed on a browser leg.
    pub fingerprint: Option<String>,
    /// The SSRC we send audio with.
    pub audio_ssrc: u32,
    /// The SSRC we send video with.
    pub video_ssrc: u32,
    /// RTCP canonical name of both, also the id of the media stream (a token without spaces).
    pub cname: String,
}

impl LocalTransport {
    pub(super) fn port(&self, kind: MediaKind) -> u16 {
        match kind {
            MediaKind::Audio => self.audio_port,
            MediaKind::Video => self.video_port,
            MediaKind::Other => 0,
        }
    }
}

/// The record of one leg. Lives as long as the leg; every description sent on the leg is written
/// through it.
#[derive(Clone)]
pub struct LegSdp {
    profile: LegProfile,
    session_id: u64,
    version: u64,
    /// The last description without its version, and the text that was sent.
    last: Option<(SessionDescription, String)>,
    slots: Vec<Slot>,
    numbers: Vec<(MediaKind, Codec)>,
    next_mid: u32,
    without_events: bool,
    /// The media of the last description.
    said: Vec<Said>,
    /// Whether it was an answer.
    pub(super) is_answer: bool,
    /// The SSRCs that it named, of audio and video.
    streams: (u32, u32),
    pub(super) shown: Shown,
}

impl fmt::Debug for LegSdp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LegSdp")
            .field("profile", &self.profile)
            .field("session_id", &self.session_id)
            .field("version", &self.version)
            .field("slots", &self.slots)
            .finish_non_exhaustive()
    }
}

impl LegSdp {
    /// A leg that has sent nothing yet. `session_id` is random; 62 bits of it are used, so that
    /// every peer can read it as a signed number.
    pub fn new(profile: LegProfile, session_id: u64) -> Self {
        Self {
            profile,
            session_id: session_id >> 2,
            version: 0,
            last: None,
            slots: Vec::new(),
            numbers: Vec::new(),
            next_mid: 0,
            without_events: false,
            said: Vec::new(),
            is_answer: false,
            streams: (0, 0),
            shown: Shown::default(),
        }
    }

    /// The same leg, whose descriptions leave telephone-event out: its peer takes digits some other
    /// way, and [`assume_events`](super::assume_events) has made the other leg agree to them.
    pub fn without_telephone_events(self) -> Self {
        Self {
            without_events: true,
            ..self
        }
    }

    /// Writes our offer to this leg's peer.
    ///
    /// Lines of earlier exchanges keep their place; those without a medium in `plan` get port 0.
    /// The `o=` version rises only if the text differs from the last one.
    pub fn write_offer(&mut self, plan: &OfferPlan, local: &LocalTransport) -> String {
        let said = plan.media.iter().map(|planned| Said {
            kind: planned.kind,
            codecs: planned.codecs.iter().map(|p| p.codec.clone()).collect(),
            direction: planned.direction,
        });
        self.note_said(said.collect(), false, local);
        let mut contents: Vec<Option<Content>> = vec![None; self.slots.len()];
        for planned in &plan.media {
            let codecs: Vec<Codec> = planned
                .codecs
                .iter()
                .map(|planned| planned.codec.clone())
                .filter(|codec| self.writes(codec))
                .collect();
            for codec in &codecs {
                self.remember(planned.kind, codec);
            }
            let index = self.slot_for(planned.kind, &contents);
            contents.resize(self.slots.len(), None);
            if let (Some(slot), Some(codec)) = (self.slots.get_mut(index), codecs.first()) {
                slot.first_format = codec.payload_type.to_string();
            }
            if let Some(content) = contents.get_mut(index) {
                *content = Some(Content {
                    kind: planned.kind,
                    codecs,
                    direction: planned.direction,
                    ptime: planned.ptime,
                });
            }
        }
        for (slot, content) in self.slots.iter_mut().zip(&contents) {
            slot.carried = content.is_some();
        }
        self.send(&contents, local, "actpass", None)
    }

    /// Writes our answer to `offer`, which came from this leg's peer.
    ///
    /// Same number and order of m-lines as the offer. Called again with the same arguments it
    /// gives the same bytes, so that a 183 and a 200 carry one answer.
    pub fn write_answer(
        &mut self,
        offer: &RemoteDescription,
        plan: &AnswerPlan,
        local: &LocalTransport,
    ) -> String {
        let said = offer.media.iter().enumerate().filter_map(|(index, media)| {
            let accepted = plan.accepted(index)?;
            Some(Said {
                kind: media.kind,
                codecs: accepted.codecs.clone(),
                direction: accepted.direction,
            })
        });
        self.note_said(said.collect(), true, local);
        let mut contents = Vec::with_capacity(offer.media.len());
        self.slots.truncate(offer.media.len());
        for (index, media) in offer.media.iter().enumerate() {
            let accepted = plan.accepted(index);
            for codec in &media.codecs {
                self.remember(media.kind, codec);
            }
            let slot = Slot {
                media_type: media.media_type.clone(),
                protocol: media.protocol.clone(),
                mid: media.mid.clone(),
                carried: accepted.is_some(),
                first_format: media
                    .formats
                    .first()
                    .cloned()
                    .unwrap_or_else(|| "0".to_owned()),
            };
            match self.slots.get_mut(index) {
                Some(known) => *known = slot,
                None => self.slots.push(slot),
            }
            contents.push(accepted.map(|accepted| {
                Content {
                    kind: media.kind,
                    codecs: accepted
                        .codecs
                        .iter()
                        .filter(|codec| self.writes(codec))
                        .cloned()
                        .collect(),
                    direction: accepted.direction,
                    ptime: accepted.ptime,
                }
            }));
        }
        self.send(&contents, local, "passive", Some(&offer.bundle))
    }

    /// Takes note of this leg's answer to our offer: which of our m-lines it rejected.
    pub fn note_answer(&mut self, answer: &RemoteDescription) {
        for (slot, media) in self.slots.iter_mut().zip(&answer.media) {
            slot.carried &= media.usable;
        }
    }

    /// Renumbers a plan for a re-offer to this leg: a codec keeps the payload type that this leg
    /// has used for it, and no payload type changes its meaning (RFC 3264 section 8.3.2).
    /// Does nothing on a leg that has exchanged nothing yet.
    pub fn settle(&self, mut plan: OfferPlan) -> OfferPlan {
        let mut used: Vec<u8> = Vec::new();
        for media in &mut plan.media {
            for planned in &mut media.codecs {
                let wanted = planned.codec.payload_type;
                let known = self
                    .numbers
                    .iter()
                    .filter(|(kind, codec)| *kind == media.kind && codec.matches(&planned.codec))
                    .map(|(_, codec)| codec.payload_type)
                    .find(|number| !used.contains(number));
                let foreign = |number: u8| {
                    used.contains(&number)
                        || self
                            .numbers
                            .iter()
                            .any(|(_, codec)| codec.payload_type == number)
                };
                planned.codec.payload_type = match known {
                    Some(number) => number,
                    None if foreign(wanted) => free_payload_type(foreign).unwrap_or(wanted),
                    None => wanted,
                };
                used.push(planned.codec.payload_type);
            }
        }
        plan
    }

    /// Takes back an offer that was refused: `before` is this record as it was before the offer
    /// was written (RFC 3261 section 14.1: the session stays as it was). Numbers that were used
    /// stay used, and the next new text has a version of its own.
    pub fn take_back(&mut self, before: Self) {
        *self = Self {
            version: self.version,
            numbers: std::mem::take(&mut self.numbers),
            next_mid: self.next_mid,
            ..before
        };
    }

    /// What our last description says of a medium; `None` if it has none of the kind.
    pub fn said(&self, kind: MediaKind) -> Option<&Said> {
        self.said.iter().find(|said| said.kind == kind)
    }

    /// Whether the last description names other streams than those that are sent now (RFC 5576):
    /// a browser must be told.
    pub fn names_other_streams(&self, local: &LocalTransport) -> bool {
        self.profile == LegProfile::WebRtc
            && self.last.is_some()
            && self.streams != (local.audio_ssrc, local.video_ssrc)
    }

    /// The number that our last description gives a format; the peer sends with it.
    pub(super) fn number_said(&self, kind: MediaKind, codec: &Codec) -> Option<u8> {
        let codecs = &self.said(kind)?.codecs;
        let ours = codecs.iter().find(|ours| ours.matches(codec))?;
        self.writes(ours).then_some(ours.payload_type)
    }

    fn note_said(&mut self, said: Vec<Said>, is_answer: bool, local: &LocalTransport) {
        self.said = said;
        self.is_answer = is_answer;
        self.streams = (local.audio_ssrc, local.video_ssrc);
    }

    /// What kind of leg this is.
    pub const fn profile(&self) -> LegProfile {
        self.profile
    }

    /// The last description sent on this leg, for a refresh or an offerless re-INVITE.
    pub fn last_sent(&self) -> Option<&str> {
        self.last.as_ref().map(|(_, text)| text.as_str())
    }

    fn send(
        &mut self,
        contents: &[Option<Content>],
        local: &LocalTransport,
        setup: &'static str,
        offered_bundle: Option<&[String]>,
    ) -> String {
        debug_assert!(
            self.profile == LegProfile::Plain
                || (local.ice.is_some() && local.fingerprint.is_some()),
            "a browser leg needs ICE credentials and a fingerprint"
        );
        let mut description = write::description(&write::Request {
            profile: self.profile,
            session_id: self.session_id,
            slots: &self.slots,
            contents,
            local,
            setup,
            offered_bundle,
        });
        if let Some((last, text)) = &self.last
            && *last == description
        {
            return text.clone();
        }
        self.version += 1;
        let unnumbered = description.clone();
        description.origin.session_version = self.version.to_string();
        let text = description.to_string();
        self.last = Some((unnumbered, text.clone()));
        text
    }

    /// The slot a medium of ours is offered in: the one that carries this kind, else a rejected
    /// one of the kind under a new mid (RFC 8829 section 5.2.2), else a new one.
    fn slot_for(&mut self, kind: MediaKind, taken: &[Option<Content>]) -> usize {
        let media_type = write::media_type(kind);
        let find = |slots: &[Slot], carried: bool| {
            slots.iter().enumerate().position(|(index, slot)| {
                slot.media_type == media_type
                    && slot.carried == carried
                    && taken.get(index).is_none_or(Option::is_none)
            })
        };
        if let Some(index) = find(&self.slots, true) {
            return index;
        }
        let mid = self.new_mid();
        let protocol = write::protocol(self.profile).to_owned();
        let slot = Slot {
            media_type: media_type.to_owned(),
            protocol,
            mid,
            carried: true,
            first_format: "0".to_owned(),
        };
        match find(&self.slots, false) {
            Some(index) => {
                if let Some(known) = self.slots.get_mut(index) {
                    *known = slot;
                }
                index
            }
            None => {
                self.slots.push(slot);
                self.slots.len() - 1
            }
        }
    }

    fn new_mid(&mut self) -> Option<String> {
        if self.profile == LegProfile::Plain {
            return None;
        }
        loop {
            let mid = self.next_mid.to_string();
            self.next_mid += 1;
            if self
                .slots
                .iter()
                .all(|slot| slot.mid.as_deref() != Some(mid.as_str()))
            {
                return Some(mid);
            }
        }
    }

    /// Whether a format that was agreed on stands in our descriptions.
    fn writes(&self, codec: &Codec) -> bool {
        !(self.without_events && codec.is_telephone_event())
    }

    fn remember(&mut self, kind: MediaKind, codec: &Codec) {
        if !self
            .numbers
            .iter()
            .any(|(_, known)| known.payload_type == codec.payload_type)
        {
            self.numbers.push((kind, codec.clone()));
        }
    }
}

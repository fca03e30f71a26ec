//! One flow: the media path to one peer.

use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use crypto::keys::SrtpKeys;
use crypto::srtp::{SrtpError, SrtpReceiver, SrtpSender};

use super::digits::FlowDigits;
use super::key_frames::KeyFrames;
use super::moment::{Clock, Moment};
use super::peer::{Browser, Kind};
use super::reports::PeerClock;
use super::route::Medium;
use super::verdict::{DropReason, SocketId};
use crate::link::{Cname, Event, FlowId, FlowTotals, Media};

/// The media of a flow, in the order of their index.
pub(super) const MEDIA: [Media; 2] = [Media::Audio, Media::Video];

/// The video of a flow without any.
static NO_VIDEO: LazyLock<Medium> = LazyLock::new(Medium::default);

/// One flow. A packet touches its first two cache lines, and four of its [`Medium`]: the fields
/// lie as they are written here, and a test holds them to it.
#[repr(C, align(64))]
pub(super) struct Flow {
    pub(super) id: FlowId,
    pub(super) kind: Kind,

    // The second line.
    pub(super) opened_at: Instant,
    /// When the last authentic packet came, or since when the peer is expected to be heard.
    pub(super) heard_at: Instant,
    /// The keys of a browser; `None` before control has them, and towards a trunk.
    pub(super) contexts: Option<Box<SrtpContexts>>,
    /// Made by the first route of video: most calls have none.
    video: Option<Box<Medium>>,
    pub(super) dropped_packets: u64,
    /// Seconds that the peer may be silent; `None`: for ever.
    silent_after_s: Option<NonZeroU16>,
    /// There was one, or a trunk peer was named.
    was_heard: bool,
    /// The present silence has been reported.
    pub(super) silence_reported: bool,
    pub(super) media_started: bool,
    pub(super) pending: Pending,
    /// The slot waits in [`Engine::poll_report`](super::Engine::poll_report).
    pub(super) report_is_due: bool,

    pub(super) audio: Medium,

    // What no packet needs.
    /// When the next report of ours is to be written; `None` before the first.
    pub(super) report_at: Option<Instant>,
    pub(super) peer_clock: PeerClock,
    /// What the peer is told that our streams belong to.
    pub(super) cname: Cname,
    /// `None` until there is a digit.
    pub(super) digits: Option<Box<FlowDigits>>,
}

/// Which events of the packet path wait for control: at most one of each kind.
#[derive(Clone, Copy, Default)]
pub(super) struct Pending {
    pub(super) peer_selected: bool,
    pub(super) media_silent: bool,
}

impl Flow {
    pub(super) fn new(
        now: Instant,
        id: FlowId,
        kind: Kind,
        cname: Cname,
        silent_after: Option<Duration>,
    ) -> Self {
        Self {
            silent_after_s: whole_s(silent_after),
            id,
            kind,
            audio: Medium::default(),
            contexts: None,
            video: None,
            dropped_packets: 0,
            opened_at: now,
            heard_at: now,
            was_heard: false,
            silence_reported: false,
            media_started: false,
            pending: Pending::default(),
            report_at: None,
            report_is_due: false,
            peer_clock: PeerClock::default(),
            cname,
            digits: None,
        }
    }

    pub(super) fn medium(&self, media: Media) -> &Medium {
        match media {
            Media::Audio => &self.audio,
            Media::Video => self.video.as_deref().unwrap_or(&NO_VIDEO),
        }
    }

    pub(super) fn medium_mut(&mut self, media: Media) -> &mut Medium {
        match media {
            Media::Audio => &mut self.audio,
            Media::Video => self.video.get_or_insert_default(),
        }
    }

    /// From now on the peer may be silent for so long.
    pub(super) fn expect(&mut self, now: Instant, silent_after: Option<Duration>) {
        let silent_after_s = whole_s(silent_after);
        if self.silent_after_s != silent_after_s {
            self.silent_after_s = silent_after_s;
            self.heard_at = now;
            self.silence_reported = false;
        }
    }

    /// How long the peer has been silent, if that is too long. A browser may not know our address
    /// yet, as long as it has sent no check; control gives it a time of its own until the keys are
    /// there.
    pub(super) fn overdue(&self, now: Instant) -> Option<Duration> {
        let silent_after = Duration::from_secs(self.silent_after_s?.get().into());
        let silent_for = now.saturating_duration_since(self.heard_at);
        let is_expected = !self.is_browser() || self.was_heard;
        (is_expected && silent_for >= silent_after).then_some(silent_for)
    }

    /// An authentic packet came: a silence, if there was one, is over.
    pub(super) fn heard(&mut self, now: Instant) {
        self.heard_at = now;
        self.was_heard = true;
        self.silence_reported = false;
    }

    /// An authentic packet of media came from here: media follows a browser that has moved. Returns
    /// what control is told.
    pub(super) fn follow(
        &mut self,
        clock: Clock,
        now: Instant,
        source: SocketAddr,
    ) -> Option<Event> {
        let has_moved = match &mut self.kind {
            Kind::Browser(browser) => browser.follow(clock, now, source),
            Kind::Trunk(_) => false,
        };
        self.note_selection(has_moved, source)
    }

    /// What control is told if an address was selected, unless it is told already.
    pub(super) fn note_selection(&mut self, selected: bool, peer: SocketAddr) -> Option<Event> {
        let already_pending = self.pending.peer_selected;
        self.pending.peer_selected |= selected;
        let flow = self.id;
        (selected && !already_pending).then_some(Event::PeerSelected { flow, peer })
    }

    /// What the sender of its video is asked.
    pub(super) fn key_frames(&self) -> &KeyFrames {
        &self.medium(Media::Video).sending.key_frames
    }

    /// The same; `None` where there is no video.
    pub(super) fn key_frames_mut(&mut self) -> Option<&mut KeyFrames> {
        let video = self.video.as_deref_mut();
        video.map(|video| &mut video.sending.key_frames)
    }

    /// The media that there are, audio first.
    pub(super) fn media_mut(&mut self) -> impl Iterator<Item = &mut Medium> {
        std::iter::once(&mut self.audio).chain(self.video.as_deref_mut())
    }

    /// True once media came from the peer or went to it.
    pub(super) fn is_alive(&self) -> bool {
        MEDIA.iter().any(|media| self.medium(*media).is_alive())
    }

    /// A stream that the peer gets, or is to get.
    pub(super) fn sent_ssrc(&self) -> Option<u32> {
        let streams = MEDIA.map(|media| self.medium(media).sending.name());
        streams.into_iter().flatten().next()
    }

    pub(super) fn totals(&self, now: Instant) -> FlowTotals {
        let since_open = now.saturating_duration_since(self.opened_at);
        FlowTotals {
            audio: self.audio.totals(since_open),
            video: self.medium(Media::Video).totals(since_open),
            dropped_packets: self.dropped_packets,
        }
    }

    pub(super) fn browser(&self) -> Option<&Browser> {
        match &self.kind {
            Kind::Browser(browser) => Some(browser),
            Kind::Trunk(_) => None,
        }
    }

    pub(super) fn browser_mut(&mut self) -> Option<&mut Browser> {
        match &mut self.kind {
            Kind::Browser(browser) => Some(browser),
            Kind::Trunk(_) => None,
        }
    }

    pub(super) fn is_browser(&self) -> bool {
        self.browser().is_some()
    }

    /// Takes the protection off a packet from the peer, and returns its length.
    pub(super) fn unprotect(
        &mut self,
        packet: &mut [u8],
        protocol: MediaProtocol,
    ) -> Result<usize, DropReason> {
        if !self.is_browser() {
            return Ok(packet.len());
        }
        let contexts = self.contexts.as_mut().ok_or(DropReason::NoKeys)?;
        let receiver = &mut contexts.receiver;
        match protocol {
            MediaProtocol::Rtp => receiver.unprotect_rtp(packet),
            MediaProtocol::Rtcp => receiver.unprotect_rtcp(packet),
        }
        .map_err(|error| receive_drop_reason(error, protocol))
    }

    /// Protects a packet for the peer. Returns its length, the socket to send from, and the
    /// address to send to.
    pub(super) fn protect(
        &mut self,
        now: Moment,
        buffer: &mut [u8],
        length: usize,
        protocol: MediaProtocol,
    ) -> Result<(usize, SocketId, SocketAddr), DropReason> {
        let slot = self.id.slot;
        match (&mut self.kind, protocol) {
            (Kind::Browser(browser), _) => {
                let to = browser.destination(now).ok_or(DropReason::NoDestination)?;
                let contexts = self.contexts.as_mut();
                let contexts = contexts.ok_or(DropReason::DestinationNoKeys)?;
                let protected = match protocol {
                    MediaProtocol::Rtp => contexts.sender.protect_rtp(buffer, length),
                    MediaProtocol::Rtcp => contexts.sender.protect_rtcp(buffer, length),
                };
                let length = protected.map_err(send_drop_reason)?;
                Ok((length, SocketId::Browser, to))
            }
            (Kind::Trunk(trunk), _) => {
                let to = trunk.destination(protocol);
                let to = to.ok_or(DropReason::NoDestination)?;
                Ok((length, protocol.trunk_socket(slot), to))
            }
        }
    }
}

/// At least one second, and at most 18 hours.
fn whole_s(time: Option<Duration>) -> Option<NonZeroU16> {
    let seconds = u16::try_from(time?.as_secs()).unwrap_or(u16::MAX);
    NonZeroU16::new(seconds.max(1))
}

/// SRTP in both directions.
pub(super) struct SrtpContexts {
    pub(super) sender: SrtpSender,
    pub(super) receiver: SrtpReceiver,
}

impl SrtpContexts {
    pub(super) fn new(keys: &SrtpKeys) -> Result<Box<Self>, SrtpError> {
        let sender = SrtpSender::new(&keys.local)?;
        let receiver = SrtpReceiver::new(&keys.remote)?;
        Ok(Box::new(Self { sender, receiver }))
    }
}

/// The two protocols that carry media.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MediaProtocol {
    Rtp,
    Rtcp,
}

impl MediaProtocol {
    /// The socket of a trunk flow.
    pub(super) const fn trunk_socket(self, slot: u16) -> SocketId {
        match self {
            Self::Rtp => SocketId::TrunkRtp(slot),
            Self::Rtcp => SocketId::TrunkRtcp(slot),
        }
    }
}

fn receive_drop_reason(error: SrtpError, protocol: MediaProtocol) -> DropReason {
    match error {
        SrtpError::TooShort => DropReason::TooShort,
        SrtpError::BadVersion
        | SrtpError::TruncatedCsrcs
        | SrtpError::TruncatedExtension
        | SrtpError::PaddingTooLarge
        | SrtpError::EncryptedHeader => match protocol {
            MediaProtocol::Rtp => DropReason::RtpMalformed,
            MediaProtocol::Rtcp => DropReason::RtcpMalformed,
        },
        SrtpError::Replayed | SrtpError::TooOld => DropReason::Replayed,
        SrtpError::AuthenticationFailed
        | SrtpError::UnknownMki
        | SrtpError::NotEncrypted
        | SrtpError::UnexpectedEncryption
        | SrtpError::KeyExhausted
        | SrtpError::TooManySources
        | SrtpError::NoRoom
        | SrtpError::SourceInUse
        | SrtpError::BadKey
        | SrtpError::BadOptions => DropReason::AuthenticationFailed,
    }
}

fn send_drop_reason(error: SrtpError) -> DropReason {
    match error {
        SrtpError::Replayed | SrtpError::TooOld => DropReason::Replayed,
        SrtpError::TooShort
        | SrtpError::BadVersion
        | SrtpError::TruncatedCsrcs
        | SrtpError::TruncatedExtension
        | SrtpError::PaddingTooLarge
        | SrtpError::EncryptedHeader
        | SrtpError::AuthenticationFailed
        | SrtpError::UnknownMki
        | SrtpError::NotEncrypted
        | SrtpError::UnexpectedEncryption
        | SrtpError::KeyExhausted
        | SrtpError::TooManySources
        | SrtpError::NoRoom
        | SrtpError::SourceInUse
        | SrtpError::BadKey
        | SrtpError::BadOptions => DropReason::ProtectFailed,
    }
}

#[cfg(test)]
mod tests;

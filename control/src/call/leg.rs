//! One side of a call: its dialog, its session description, its flows.

use std::time::{Duration, Instant};

use dataplane::link::{Command, FlowId, Media};

use super::dialog::Dialog;
use super::digit_info::DigitInfos;
use super::digits::dtmf;
use super::session_timer::SessionTimer;
use super::unheard::Heard;
use crate::config::Dtmf;
use crate::edge::address_of_record;
use crate::engine::context::{BROWSER_SIDE_HOST, Context};
use crate::engine::input::Peer;
use crate::limits::FORKS_PER_CALL_MAX;
use crate::media::plan::PlannedFlow;
use crate::sdp::{LegProfile, LegSdp, LocalIce, LocalTransport, OfferPlan, RemoteDescription};
use crate::sip::transaction::{ClientTransactionId, ServerTransactionId};
use crate::sip::{HeaderName, Message, Method, Transport};

/// What is at the other end of a leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// A browser, on a WebSocket connection.
    Browser,
    /// A carrier: index of the trunk.
    Trunk(usize),
}

impl Side {
    pub(crate) const fn profile(self) -> LegProfile {
        match self {
            Self::Browser => LegProfile::WebRtc,
            Self::Trunk(_) => LegProfile::Plain,
        }
    }
}

/// How far the INVITE of a leg has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Invite {
    /// Not sent yet.
    None,
    /// Ours to answer.
    Server(ServerTransactionId),
    /// Waits for a final answer.
    Client(ClientTransactionId),
    /// Answered with 2xx: the dialog lives and must be ended by BYE.
    Accepted,
    /// Answered with a failure, or ended by BYE: nothing more to say.
    Over,
}

/// One side of a call.
#[derive(Debug)]
pub(crate) struct Leg {
    pub(crate) side: Side,
    pub(crate) peer: Peer,
    /// Whose it is, as `user@domain`, where the peer is a browser that calls: its From may hide it.
    pub(crate) user: Option<String>,
    /// Its caller asked that nobody be told who it is (RFC 3323, 3325).
    pub(crate) hides: bool,
    pub(crate) dialog: Dialog,
    pub(crate) invite: Invite,
    pub(crate) sdp: LegSdp,
    pub(crate) local: LocalTransport,
    /// The flow of the audio, and of the video too where they are bundled.
    pub(crate) audio: PlannedFlow,
    /// The flow of the video, on a trunk that has it.
    pub(crate) video: Option<PlannedFlow>,
    /// Flows of video that the call has had and has closed.
    pub(crate) past_flows: Vec<FlowId>,
    /// What the peer said last.
    pub(crate) remote: Option<RemoteDescription>,
    /// Sequence number of the INVITE that made the dialog: its ACK carries it.
    pub(crate) invite_sequence: u32,
    /// True while the peer's ACK is to bring its answer to an offer in our 2xx.
    pub(crate) awaits_answer: bool,
    /// True once the browser's keys are in.
    pub(crate) keyed: bool,
    /// What has come from the peer.
    pub(crate) heard: Heard,
    /// The log has said that media of its peer came from elsewhere than signalled.
    pub(crate) refusal_told: bool,
    /// DTLS associations that the browser has closed before the answer.
    pub(crate) associations: u8,
    /// Other dialogs of our INVITE: those of a forking proxy behind the carrier.
    pub(crate) forks: Vec<Fork>,
    /// The session timer that was agreed on (RFC 4028).
    pub(crate) timer: Option<SessionTimer>,
    /// The shortest interval that the peer takes, in seconds, as far as it has said.
    pub(crate) min_se_s: u32,
    /// True if the peer's `Allow` names UPDATE (RFC 3311).
    pub(crate) takes_update: bool,
    /// Our record as it was when our INVITE had not been answered: each fork begins with it.
    pub(crate) invited: Option<Box<LegSdp>>,
    /// Offers of ours that the peer has refused since anything has changed.
    pub(crate) refused: Vec<OfferPlan>,
    /// Its answer to our last offer could not be used: nobody knows what it believes.
    pub(crate) is_unclear: bool,
    /// Our record before the offer that the peer is to answer in its ACK.
    pub(crate) before_offer: Option<Box<LegSdp>>,
    /// The latest re-INVITE of ours: its 2xx may be repeated.
    pub(crate) reinvite: Option<ClientTransactionId>,
    /// The latest refresh of ours.
    pub(crate) refresh: Option<ClientTransactionId>,
    /// When the last of its digits will have been sent that a worker was asked to send.
    pub(crate) digits_until: Option<Instant>,
    /// Digits that its peer is told by INFO.
    pub(crate) digit_infos: DigitInfos,
}

/// A dialog of the INVITE that is not the leg's.
#[derive(Debug)]
pub(crate) struct Fork {
    pub(crate) dialog: Dialog,
    /// What we have told its peer.
    sdp: LegSdp,
    /// What its peer has answered.
    remote: Option<RemoteDescription>,
    /// It was answered, and has been sent its BYE.
    pub(crate) is_ended: bool,
}

/// The flows of a leg, before the leg exists.
#[derive(Debug)]
pub(crate) struct LegFlows {
    pub(crate) audio: PlannedFlow,
    pub(crate) video: Option<PlannedFlow>,
}

impl Leg {
    /// A leg whose INVITE has not been sent or answered yet.
    pub(crate) fn new(
        context: &mut Context,
        side: Side,
        peer: Peer,
        mut dialog: Dialog,
        flows: LegFlows,
    ) -> Self {
        let local = local_transport(context, side, &flows);
        dialog.stride = context.stride(side);
        let mut sdp = LegSdp::new(side.profile(), context.random.u64());
        if dtmf(context, side) == Some(Dtmf::Info) {
            sdp = sdp.without_telephone_events();
        }
        Self {
            side,
            peer,
            user: None,
            hides: false,
            dialog,
            invite: Invite::None,
            sdp,
            local,
            audio: flows.audio,
            video: flows.video,
            past_flows: Vec::new(),
            remote: None,
            invite_sequence: 0,
            awaits_answer: false,
            keyed: side != Side::Browser,
            heard: Heard::default(),
            refusal_told: false,
            associations: 0,
            forks: Vec::new(),
            timer: None,
            min_se_s: 0,
            takes_update: false,
            invited: None,
            refused: Vec::new(),
            is_unclear: false,
            before_offer: None,
            reinvite: None,
            refresh: None,
            digits_until: None,
            digit_infos: DigitInfos::default(),
        }
    }

    /// A response to our INVITE has come: dialog and descriptions of its fork become the leg's, the
    /// others are kept for what may still come of them (RFC 3261 section 13.2.2.4). True if another
    /// fork speaks than before.
    pub(crate) fn meet_fork(&mut self, response: &Message) -> bool {
        let Some(tag) = response.to_tag() else {
            return false;
        };
        let current = self.dialog.remote_tag.as_deref();
        if current.is_none_or(|known| known == tag) {
            return false;
        }
        let fork = self.fork(tag);
        let left = Fork {
            dialog: std::mem::replace(&mut self.dialog, fork.dialog),
            sdp: std::mem::replace(&mut self.sdp, fork.sdp),
            remote: std::mem::replace(&mut self.remote, fork.remote),
            is_ended: false,
        };
        self.keep_fork(left);
        true
    }

    /// Takes out the fork with this tag, or begins one: it knows our offer and nothing else.
    pub(crate) fn fork(&mut self, tag: &str) -> Fork {
        let is_it = |fork: &Fork| fork.dialog.remote_tag.as_deref() == Some(tag);
        match self.forks.iter().position(is_it) {
            Some(index) => self.forks.swap_remove(index),
            None => Fork {
                dialog: self.dialog.of_fork(self.invite_sequence),
                sdp: self.invited.as_deref().unwrap_or(&self.sdp).clone(),
                remote: None,
                is_ended: false,
            },
        }
    }

    /// Keeps a fork that is not the leg's dialog.
    pub(crate) fn keep_fork(&mut self, fork: Fork) {
        if self.forks.len() >= FORKS_PER_CALL_MAX {
            self.forks.remove(0);
        }
        self.forks.push(fork);
    }

    /// Learns from the peer's INVITE or 2xx which methods it takes.
    pub(crate) fn note_allow(&mut self, message: &Message) {
        if message.header(HeaderName::Allow).is_some() {
            self.takes_update = message.lists_token(HeaderName::Allow, "UPDATE");
        }
    }

    /// Whose it is, as `user@domain`, if the peer is a browser.
    pub(crate) fn user(&self) -> Option<String> {
        let of_peer = || address_of_record(&self.dialog.remote);
        self.user.clone().or_else(of_peer)
    }

    /// The flow that carries a medium.
    pub(crate) fn flow(&self, media: Media) -> FlowId {
        match (media, &self.video) {
            (Media::Video, Some(video)) => video.flow,
            (Media::Audio | Media::Video, _) => self.audio.flow,
        }
    }

    /// All flows.
    pub(crate) fn flows(&self) -> impl Iterator<Item = &PlannedFlow> {
        std::iter::once(&self.audio).chain(&self.video)
    }

    /// Has it a flow for video? A browser's carries all media.
    pub(crate) const fn carries_video(&self) -> bool {
        matches!(self.side, Side::Browser) || self.video.is_some()
    }

    /// The SSRC of what we send to the peer.
    pub(crate) fn ssrc(&self, media: Media) -> u32 {
        match media {
            Media::Audio => self.local.audio_ssrc,
            Media::Video => self.local.video_ssrc,
        }
    }

    /// Our Contact towards the peer.
    pub(crate) fn contact(&self, context: &Context) -> String {
        match self.side {
            Side::Browser => format!("<sip:ringway@{BROWSER_SIDE_HOST};transport=ws>"),
            Side::Trunk(index) => {
                let trunk = context.config.trunks.get(index);
                let account = trunk.and_then(|trunk| trunk.account.as_ref());
                if let Some(account) = account {
                    return format!("<{}>", context.account_uri(account, self.peer));
                }
                let transport = self.peer.on_trunk_side().map_or(Transport::Udp, |(t, _)| t);
                let uri = context.trunk_side_uri("ringway", transport);
                // RFC 3261 section 8.1.1.8: a dialog over sips has it in both Contacts.
                let is_secure = self.dialog.remote_target.starts_with("sips:");
                match uri.strip_prefix("sip:").filter(|_| is_secure) {
                    Some(rest) => format!("<sips:{}>", rest.trim_end_matches(";transport=tls")),
                    None => format!("<{uri}>"),
                }
            }
        }
    }

    /// Sends a request in the dialog.
    pub(crate) fn send(
        &mut self,
        context: &mut Context,
        now: Instant,
        request: Message,
    ) -> ClientTransactionId {
        self.send_within(context, now, request, None)
    }

    /// Sends a request to a peer that may be silent for so long only; `None` for timer B or F.
    pub(crate) fn send_within(
        &mut self,
        context: &mut Context,
        now: Instant,
        request: Message,
        within: Option<Duration>,
    ) -> ClientTransactionId {
        match self.side {
            Side::Browser => context.send_within(now, self.peer, request, within),
            Side::Trunk(trunk) => {
                let target = &self.dialog.remote_target;
                self.peer = context.way_to_trunk(now, trunk, self.peer, target);
                let to = (trunk, self.peer);
                context.send_in_dialog(now, to, request, within, self.dialog.is_ours)
            }
        }
    }

    /// Sends the ACK for a 2xx to the INVITE or re-INVITE that was sent as `invite`: with the
    /// number and the credentials of the one that was answered (RFC 3261 section 13.2.2.4).
    /// `sequence` is its number if it is not known any more.
    pub(crate) fn send_ack(
        &self,
        context: &mut Context,
        now: Instant,
        invite: Option<ClientTransactionId>,
        sequence: u32,
    ) {
        let sent = invite.and_then(|invite| context.transactions.sent_sequence(invite));
        let number = sent.unwrap_or(sequence);
        let mut ack = self.dialog.request_with_sequence(Method::Ack, number);
        if let Some(invite) = invite {
            context.transactions.copy_credentials(invite, &mut ack);
        }
        context.send_ack(now, self.peer, ack);
    }

    /// Sends BYE, with its Reason headers (RFC 3326).
    pub(crate) fn send_bye(&mut self, context: &mut Context, now: Instant, reasons: &[String]) {
        let mut bye = self.dialog.request(Method::Bye);
        for reason in reasons {
            bye.push(HeaderName::Reason, reason.as_str());
        }
        let transaction = self.send(context, now, bye);
        if context.stopping {
            context.goodbyes.push(transaction);
        }
        self.invite = Invite::Over;
    }

    /// What the peer sends goes nowhere.
    pub(crate) fn clear_routes(&self, context: &mut Context) {
        for media in [Media::Audio, Media::Video] {
            let flow = self.flow(media);
            self.command(context, Command::ClearRoute { flow, media });
        }
    }

    /// Asks the worker for something.
    pub(crate) fn command(&self, context: &mut Context, command: Command) {
        context.command(self.audio.flow.worker, command);
    }
}

/// Our addresses, credentials and SSRCs, as the leg's descriptions tell them to the peer.
fn local_transport(context: &mut Context, side: Side, flows: &LegFlows) -> LocalTransport {
    let video = flows.video.as_ref().unwrap_or(&flows.audio);
    LocalTransport {
        address: flows.audio.local.ip(),
        audio_port: flows.audio.local.port(),
        video_port: video.local.port(),
        ice: flows.audio.ice.as_ref().map(local_ice),
        fingerprint: (side == Side::Browser).then(|| context.fingerprint.clone()),
        audio_ssrc: context.random.u32(),
        video_ssrc: context.random.u32(),
        cname: context.token(),
    }
}

/// ICE credentials as text for the SDP.
pub(crate) fn local_ice(ice: &dataplane::link::IceCredentials) -> LocalIce {
    LocalIce {
        fragment: String::from_utf8_lossy(ice.local_fragment.as_bytes()).into_owned(),
        password: String::from_utf8_lossy(ice.local_password.as_bytes()).into_owned(),
    }
}

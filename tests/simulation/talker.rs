//! A peer that offers and answers as RFC 3264 has it, with the formats that it knows and the
//! direction that it wants; and what a description says, as text.

use std::time::Duration;

use control::engine::input::Peer;
use control::sip::{HeaderName, Message, Method};
use dataplane::link::{Command, FlowId, Media};
use tests::world::{World, text};

use crate::peers::{BROWSER_ANSWER, answer_to, trunk};

/// What an m-line of audio says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) sends: bool,
    pub(crate) receives: bool,
    /// Number and `name/clock` of each format.
    pub(crate) formats: Vec<(u8, String)>,
    mid: Option<String>,
}

impl Said {
    /// The names of the formats without telephone-events.
    pub(crate) fn codecs(&self) -> Vec<&str> {
        let names = self.formats.iter().map(|(_, name)| name.as_str());
        names
            .filter(|n| !n.starts_with("telephone-event"))
            .collect()
    }

    pub(crate) fn has_events(&self) -> bool {
        self.formats
            .iter()
            .any(|(_, name)| name.starts_with("telephone-event"))
    }

    pub(crate) const fn direction(&self) -> &'static str {
        direction(self.sends, self.receives)
    }
}

const fn direction(sends: bool, receives: bool) -> &'static str {
    match (sends, receives) {
        (true, true) => "sendrecv",
        (true, false) => "sendonly",
        (false, true) => "recvonly",
        (false, false) => "inactive",
    }
}

/// The m-lines of a description, each with the port and everything below it.
fn sections(sdp: &str) -> Vec<(&str, u16)> {
    let starts: Vec<usize> = sdp.match_indices("m=").map(|(at, _)| at).collect();
    let ends = starts.iter().skip(1).copied().chain([sdp.len()]);
    let sections = starts.iter().zip(ends).map(|(&from, to)| &sdp[from..to]);
    sections
        .map(|section| {
            let port = section.split([' ', '/']).nth(1).unwrap_or_default();
            (section, port.parse().unwrap_or_default())
        })
        .collect()
}

/// The ports of the m-lines of a kind.
pub(crate) fn ports(message: &Message, kind: &str) -> Vec<u16> {
    let text = text(message);
    let is_it = |(section, _): &&(&str, u16)| section.starts_with(&format!("m={kind} "));
    sections(&text)
        .iter()
        .filter(is_it)
        .map(|(_, port)| *port)
        .collect()
}

/// What the audio of a message's description says.
pub(crate) fn audio(message: &Message) -> Said {
    audio_of(&text(message)).unwrap_or_else(|| panic!("no audio: {}", text(message)))
}

pub(crate) fn audio_of(sdp: &str) -> Option<Said> {
    let sections = sections(sdp);
    let is_audio = |(section, port): &&(&str, u16)| section.starts_with("m=audio ") && *port != 0;
    let (section, _) = sections.iter().find(is_audio)?;
    let numbers = section.lines().next()?.split(' ').skip(3);
    let formats = numbers.filter_map(|number| {
        let number: u8 = number.parse().ok()?;
        let map = format!("a=rtpmap:{number} ");
        let line = section
            .lines()
            .find_map(|line| line.strip_prefix(map.as_str()));
        let name = match number {
            0 => "PCMU/8000",
            8 => "PCMA/8000",
            9 => "G722/8000",
            _ => line?,
        };
        Some((number, name.to_owned()))
    });
    let has = |name: &str| section.lines().any(|line| line == format!("a={name}"));
    Some(Said {
        sends: !has("recvonly") && !has("inactive"),
        receives: !has("sendonly") && !has("inactive"),
        formats: formats.collect(),
        mid: section
            .lines()
            .find_map(|line| line.strip_prefix("a=mid:"))
            .map(str::to_owned),
    })
}

/// A peer. What it has agreed to last is in `agreed`.
#[derive(Clone, Debug)]
pub(crate) struct Talker {
    is_browser: bool,
    /// `name/clock` of what it knows, the best first.
    pub(crate) knows: Vec<(u8, &'static str)>,
    pub(crate) sends: bool,
    pub(crate) receives: bool,
    /// Answers with one codec alone.
    pub(crate) is_terse: bool,
    pub(crate) agreed: Option<Said>,
    version: u32,
}

const PCMU: (u8, &str) = (0, "PCMU/8000");
const PCMA: (u8, &str) = (8, "PCMA/8000");
const G722: (u8, &str) = (9, "G722/8000");
const OPUS: (u8, &str) = (111, "opus/48000/2");
const EVENTS: (u8, &str) = (101, "telephone-event/8000");

impl Talker {
    fn new(is_browser: bool, knows: &str) -> Self {
        let all = [PCMU, PCMA, G722, OPUS];
        let named = |name: &str| all.into_iter().find(|(_, known)| known.starts_with(name));
        let mut knows: Vec<_> = knows.split(' ').filter_map(named).collect();
        knows.push(EVENTS);
        Self {
            is_browser,
            knows,
            sends: true,
            receives: true,
            is_terse: !is_browser,
            agreed: None,
            version: 10,
        }
    }

    pub(crate) fn browser(knows: &str) -> Self {
        Self::new(true, knows)
    }

    /// It answers with one codec, as most carriers do.
    pub(crate) fn carrier(knows: &str) -> Self {
        Self::new(false, knows)
    }

    /// An offer of everything that it knows. Nothing is agreed on by it.
    pub(crate) fn offer(&mut self) -> String {
        let formats: Vec<_> = self
            .knows
            .iter()
            .map(|(n, name)| (*n, (*name).to_owned()))
            .collect();
        self.write(&formats, (self.sends, self.receives), None)
    }

    /// The other side has answered its offer.
    pub(crate) fn answered(&mut self, offer: &str, answer: &Message) {
        let (offer, answer) = (audio_of(offer).unwrap(), audio(answer));
        assert!(
            !answer.sends || offer.receives,
            "{}",
            text(&answer_text(&answer))
        );
        assert!(!answer.receives || offer.sends);
        let is_agreed = |(_, name): &&(u8, String)| answer.formats.iter().any(|(_, n)| n == name);
        self.agreed = Some(Said {
            sends: answer.receives && offer.sends,
            receives: answer.sends && offer.receives,
            formats: offer.formats.iter().filter(is_agreed).cloned().collect(),
            mid: None,
        });
    }

    /// Its answer, if it knows any of the formats.
    pub(crate) fn answer(&mut self, offer: &str) -> Option<String> {
        let offer = audio_of(offer)?;
        let is_known = |(_, name): &&(u8, String)| self.knows.iter().any(|(_, n)| n == name);
        let mut formats: Vec<_> = offer.formats.iter().filter(is_known).cloned().collect();
        if self.is_terse {
            let first = formats
                .iter()
                .position(|(_, name)| !name.starts_with("telephone"));
            let first = formats.get(first?).cloned()?;
            formats.retain(|format| *format == first || format.1.starts_with("telephone"));
        }
        let is_codec = |(_, name): &(u8, String)| !name.starts_with("telephone-event");
        formats.iter().find(|format| is_codec(format))?;
        let (sends, receives) = (self.sends && offer.receives, self.receives && offer.sends);
        self.agreed = Some(Said {
            sends,
            receives,
            formats: formats.clone(),
            mid: None,
        });
        Some(self.write(&formats, (sends, receives), offer.mid.as_deref()))
    }

    fn write(
        &mut self,
        formats: &[(u8, String)],
        (sends, receives): (bool, bool),
        mid: Option<&str>,
    ) -> String {
        self.version += 1;
        let numbers: Vec<String> = formats.iter().map(|(n, _)| n.to_string()).collect();
        let numbers = numbers.join(" ");
        let maps: String = formats
            .iter()
            .map(|(number, name)| format!("a=rtpmap:{number} {name}\r\n"))
            .collect();
        let direction = direction(sends, receives);
        let version = self.version;
        if !self.is_browser {
            return format!(
                "v=0\r\no=- 7 {version} IN IP4 198.51.100.7\r\ns=-\r\nc=IN IP4 198.51.100.7\r\n\
                 t=0 0\r\nm=audio 22010 RTP/AVP {numbers}\r\n{maps}a={direction}\r\n"
            );
        }
        let lines = BROWSER_ANSWER.lines().filter_map(|line| match line {
            _ if line.starts_with("a=rtpmap:") => None,
            _ if line.starts_with("m=audio ") => {
                Some(format!("m=audio 9 UDP/TLS/RTP/SAVPF {numbers}\r\n{maps}"))
            }
            "a=sendrecv" => Some(format!("a={direction}\r\n")),
            "a=setup:active" if mid.is_none() => Some("a=setup:actpass\r\n".to_owned()),
            "a=mid:0" => Some(format!("a=mid:{}\r\n", mid.unwrap_or("0"))),
            "a=group:BUNDLE 0" => Some(format!("a=group:BUNDLE {}\r\n", mid.unwrap_or("0"))),
            _ => Some(format!("{line}\r\n")),
        });
        lines.collect()
    }
}

fn answer_text(said: &Said) -> Message {
    let mut message = Message::request(Method::Info, "sip:x");
    message.push("X-Said", format!("{said:?}"));
    message
}

/// The next re-INVITE of ours is there for a peer, which answers it. What it was.
pub(crate) fn obey(world: &mut World, peer: Peer, tag: &str, talker: &mut Talker) -> Message {
    world.advance(Duration::ZERO);
    let invite = world.expect_request(peer, &Method::Invite);
    let answer = talker.answer(&text(&invite)).expect("a format in common");
    world.receive(peer, &answer_to(&invite, 200, tag, Some(&answer)));
    world.expect_request(peer, &Method::Ack);
    world.advance(Duration::ZERO);
    invite
}

/// A request in a dialog with a number and a branch of its own.
pub(crate) fn numbered(mut request: Message, n: u32) -> Message {
    let (method, via) = (
        request.method(),
        request.header(HeaderName::Via).unwrap().to_owned(),
    );
    request.set(HeaderName::Via, format!("{via}n{n}"));
    request.set(HeaderName::CSeq, format!("{n} {method}"));
    if matches!(method, Method::Invite | Method::Update) {
        request.push(HeaderName::Contact, "<sip:peer@198.51.100.20:5060>");
    }
    request
}

/// An ACK to the 2xx of a numbered INVITE.
pub(crate) fn ack_of(request: Message, n: u32, answer: Option<&str>) -> Message {
    let mut ack = numbered(request, n);
    if let Some(answer) = answer {
        ack.set_body("application/sdp", answer.to_owned().into());
    }
    ack
}

/// A flow, where its audio goes, and with which payload types.
pub(crate) type AudioRoute = (FlowId, FlowId, Vec<(u8, u8)>);

/// Where the audio of each flow goes now.
pub(crate) fn audio_routes(world: &World) -> Vec<AudioRoute> {
    let mut routes: Vec<AudioRoute> = Vec::new();
    for command in &world.commands {
        let from = match command {
            Command::SetRoute(route) if route.media == Media::Audio => route.from,
            Command::ClearRoute { flow, media } if *media == Media::Audio => *flow,
            Command::CloseFlow { flow } => *flow,
            Command::OpenFlow(_)
            | Command::SetPeer { .. }
            | Command::SetIceCredentials { .. }
            | Command::InstallKeys { .. }
            | Command::SetRoute(_)
            | Command::SendDigit(_)
            | Command::ExpectMedia { .. }
            | Command::ClearRoute { .. }
            | Command::Stop => continue,
        };
        routes.retain(|(flow, ..)| *flow != from);
        if let Command::SetRoute(route) = command {
            routes.push((from, route.to, route.payload_types.as_slice().to_vec()));
        }
    }
    routes
}

/// Both flows of the only call have a route to the other that takes this payload type.
pub(crate) fn both_hear(world: &World, number: u8) -> bool {
    let routes = audio_routes(world);
    let takes = |(.., pairs): &AudioRoute| pairs.contains(&(number, number));
    routes.len() == 2 && routes.iter().all(takes)
}

/// Nobody is asked anything more.
pub(crate) fn is_quiet(world: &mut World, peers: &[Peer]) {
    world.advance(Duration::from_secs(1));
    for &peer in peers.iter().chain(&[trunk()]) {
        world.expect_silence(peer);
    }
}

//! Messages of browsers and carrier.

use std::net::SocketAddr;

use bytes::Bytes;
use control::sip::{HeaderName, Message, Method};

pub(super) const BROWSER_OFFER: &str =
    include_str!("../../../tests/fixtures/chromium_offer_audio.sdp");
const BROWSER_ANSWER: &str = include_str!("../../../tests/fixtures/chromium_answer_audio.sdp");
/// A carrier's offer and answer of two codecs, at an address that nothing is sent to.
pub(super) const CARRIER_SDP: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\n\
    c=IN IP4 192.0.2.9\r\nt=0 0\r\nm=audio 22010 RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\n\
    a=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n";

/// A side of calls: a browser, or the carrier.
#[derive(Clone, Debug)]
pub(super) struct Side {
    /// Transport and sent-by of its Via.
    via: String,
    /// Its address of record.
    pub(super) user: String,
    contact: String,
    pub(super) offer: &'static str,
    answer: &'static str,
    pub(super) is_reliable: bool,
    /// Makes its names unlike those of others.
    pub(super) name: String,
}

impl Side {
    pub(super) fn browser(number: u16) -> Self {
        Self {
            via: format!("SIP/2.0/WS h{number}.invalid"),
            user: format!("sip:u{number}@example.test"),
            contact: format!("<sip:u{number}@h{number}.invalid;transport=ws>"),
            offer: BROWSER_OFFER,
            answer: BROWSER_ANSWER,
            is_reliable: true,
            name: format!("b{number}"),
        }
    }

    pub(super) fn carrier(address: SocketAddr) -> Self {
        Self {
            via: format!("SIP/2.0/UDP {address}"),
            user: "sip:4711@example.test".to_owned(),
            contact: format!("<sip:4711@{address}>"),
            offer: CARRIER_SDP,
            answer: CARRIER_SDP,
            is_reliable: false,
            name: "c".to_owned(),
        }
    }

    pub(super) fn register(&self) -> Message {
        let mut request = self.request(&Method::Register, "sip:example.test", "r", 1);
        request.push(HeaderName::To, format!("<{}>", self.user));
        request.push(HeaderName::CallId, format!("registration-{}", self.name));
        request.push(HeaderName::Contact, self.contact.as_str());
        request.push(HeaderName::Expires, "3600");
        request
    }

    /// Via, Max-Forwards, From and CSeq.
    fn request(&self, method: &Method, uri: &str, branch: &str, number: u32) -> Message {
        let mut request = Message::request(method.clone(), uri);
        let branch = format!("{};branch=z9hG4bK{}{branch}", self.via, self.name);
        request.push(HeaderName::Via, branch);
        request.push(HeaderName::MaxForwards, "69");
        request.push(
            HeaderName::From,
            format!("<{}>;tag={}", self.user, self.name),
        );
        request.push(HeaderName::CSeq, format!("{number} {method}"));
        request
    }

    pub(super) fn invite(&self, call: u64, uri: &str) -> Message {
        let mut invite = self.request(&Method::Invite, uri, &format!("i{call}"), 1);
        invite.push(HeaderName::To, format!("<{uri}>"));
        invite.push(HeaderName::CallId, format!("{}-{call}", self.name));
        invite.push(HeaderName::Contact, self.contact.as_str());
        invite.set_body("application/sdp", Bytes::from_static(self.offer.as_bytes()));
        invite
    }

    /// A request in the dialog that a 200 has made: ACK or BYE.
    pub(super) fn in_dialog(&self, call: u64, method: &Method, accepted: &Message) -> Message {
        let number = if *method == Method::Ack { 1 } else { 2 };
        let contact = accepted.header(HeaderName::Contact).unwrap_or_default();
        let uri = contact.split(['<', '>']).nth(1).unwrap_or(contact);
        let mut request = self.request(method, uri, &format!("{method}{call}"), number);
        let to = accepted.header(HeaderName::To).unwrap_or_default();
        request.push(HeaderName::To, to);
        request.push(HeaderName::CallId, accepted.call_id());
        request
    }

    /// The ACK to another final response (RFC 3261 section 17.1.1.3).
    pub(super) fn hop_ack(&self, call: u64, uri: &str, refusal: &Message) -> Message {
        let mut ack = self.request(&Method::Ack, uri, &format!("i{call}"), 1);
        let to = refusal.header(HeaderName::To).unwrap_or_default();
        ack.push(HeaderName::To, to);
        ack.push(HeaderName::CallId, refusal.call_id());
        ack
    }

    /// What it answers as who is called, without any state.
    pub(super) fn answers(&self, request: &Message) -> Vec<Bytes> {
        let answer = |status: u16| {
            let mut response = Message::response_to(request, status, None);
            response.set_to_tag(&format!("{}-called", self.name));
            response
        };
        let method = request.method();
        if method == Method::Ack {
            return Vec::new();
        }
        if method != Method::Invite {
            let mut response = answer(200);
            response.copy_from(request, HeaderName::Contact);
            return vec![response.to_bytes()];
        }
        let (mut ringing, mut accepted) = (answer(180), answer(200));
        for response in [&mut ringing, &mut accepted] {
            response.push(HeaderName::Contact, self.contact.as_str());
        }
        accepted.set_body(
            "application/sdp",
            Bytes::from_static(self.answer.as_bytes()),
        );
        vec![ringing.to_bytes(), accepted.to_bytes()]
    }
}

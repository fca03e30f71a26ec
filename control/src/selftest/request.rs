//! The SIP of one call: INVITE with credentials, ACK, BYE (RFC 3261, RFC 7118).

use crypto::random::Random;

use super::plan::Plan;
use crate::sip::digest::{self, Challenge};
use crate::sip::{HeaderName, Message, Method};

/// The caller's side of a call.
pub(crate) struct Dialog<'a> {
    plan: &'a Plan,
    random: Random,
    /// Its own host name in Via and Contact, which nobody resolves (RFC 7118 section 5.2).
    host: String,
    call_id: String,
    tag: String,
    sequence: u32,
    /// The branch of the last INVITE, which its ACK repeats unless it was accepted.
    branch: String,
}

impl<'a> Dialog<'a> {
    pub(crate) fn new(plan: &'a Plan, mut random: Random) -> Self {
        Self {
            plan,
            host: format!("{}.invalid", random.hex_text(12)),
            call_id: random.hex_text(24),
            tag: random.hex_text(12),
            random,
            sequence: 0,
            branch: String::new(),
        }
    }

    /// The INVITE, with credentials if it was challenged.
    pub(crate) fn invite(&mut self, offer: &str, credentials: Option<&str>) -> Message {
        self.sequence += 1;
        self.branch = format!("z9hG4bK{}", self.random.hex_text(20));
        let uri = self.uri_of(&self.plan.echo);
        let mut invite = self.request(&Method::Invite, &uri, &self.branch);
        invite.push(HeaderName::To, format!("<{uri}>"));
        invite.push(HeaderName::Contact, self.contact());
        if let Some(credentials) = credentials {
            invite.push(HeaderName::ProxyAuthorization, credentials);
        }
        invite.set_body("application/sdp", offer.to_owned().into());
        invite
    }

    /// The answer to the challenge of a 407. `None`: it is none that can be answered.
    pub(crate) fn credentials(&mut self, challenged: &Message) -> Option<String> {
        let mut challenges = challenged
            .headers(HeaderName::ProxyAuthenticate)
            .flat_map(digest::split_challenges)
            .filter_map(Challenge::parse);
        let challenge = challenges.find(digest::is_answerable)?;
        let uri = self.uri_of(&self.plan.echo);
        let cnonce = self.random.hex_text(16);
        let (user, password) = (&self.plan.line, self.plan.password.expose());
        let method = Method::Invite;
        let answer = digest::answer(&challenge, user, password, &method, &uri, 1, &cnonce)?;
        Some(answer.to_string())
    }

    /// The ACK to a refusal of the last INVITE (RFC 3261 section 17.1.1.3).
    pub(crate) fn ack_refusal(&self, refusal: &Message) -> Message {
        let uri = self.uri_of(&self.plan.echo);
        let mut ack = self.request(&Method::Ack, &uri, &self.branch);
        ack.copy_from(refusal, HeaderName::To);
        ack
    }

    /// The ACK to a 200, or the BYE: requests in the dialog that it has made.
    pub(crate) fn in_dialog(&mut self, method: &Method, accepted: &Message) -> Message {
        if *method != Method::Ack {
            self.sequence += 1;
        }
        let contact = accepted.header(HeaderName::Contact).unwrap_or_default();
        let uri = contact.split(['<', '>']).nth(1).unwrap_or(contact);
        let branch = format!("z9hG4bK{}", self.random.hex_text(20));
        let mut request = self.request(method, uri, &branch);
        request.copy_from(accepted, HeaderName::To);
        for route in accepted.values(HeaderName::RecordRoute) {
            request.push(HeaderName::Route, route);
        }
        request
    }

    /// Does this response answer the last request that has this method?
    pub(crate) fn is_answer(&self, message: &Message, method: &Method) -> bool {
        let cseq = message.cseq();
        let is_last =
            cseq.is_some_and(|cseq| cseq.number == self.sequence && cseq.method == *method);
        message.status().is_some() && message.call_id() == self.call_id && is_last
    }

    fn uri_of(&self, user: &str) -> String {
        format!("sip:{user}@{}", self.plan.domain)
    }

    fn contact(&self) -> String {
        format!("<sip:{}@{};transport=ws>", self.plan.line, self.host)
    }

    fn request(&self, method: &Method, uri: &str, branch: &str) -> Message {
        let mut request = Message::request(method.clone(), uri);
        let transport = if self.plan.web.secure { "WSS" } else { "WS" };
        let via = format!("SIP/2.0/{transport} {};branch={branch}", self.host);
        request.push(HeaderName::Via, via);
        request.push(HeaderName::MaxForwards, "70");
        let (line, tag) = (self.uri_of(&self.plan.line), &self.tag);
        request.push(HeaderName::From, format!("<{line}>;tag={tag}"));
        request.push(HeaderName::CallId, self.call_id.as_str());
        request.push(HeaderName::CSeq, format!("{} {method}", self.sequence));
        request.push(HeaderName::UserAgent, "ringway selftest");
        request
    }
}

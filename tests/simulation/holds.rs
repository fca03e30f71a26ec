//! Who need not be heard: a side on hold may be silent (RFC 3264 section 8.4).

use std::time::Duration;

use control::engine::input::{Input, Peer};
use control::sip::{HeaderName, Message, Method};
use dataplane::link::{Command, Event, FlowId};
use tests::world::{CONFIG, World};

use crate::calls::talk;
use crate::peers::{
    BROWSER_ANSWER, BROWSER_OFFER, CARRIER_ANSWER, answer_to, carrier_talks_with, in_dialog,
    in_dialog_of_callee, trunk,
};

const SILENT_AFTER: Duration = Duration::from_secs(60);

/// Either description with another direction.
fn directed(sdp: &str, direction: &str) -> String {
    let sdp = sdp.replace("a=sendrecv\r\n", "");
    let at = sdp.find("m=audio").expect("audio");
    let end = sdp.get(at + 1..).and_then(|rest| rest.find("\r\nm="));
    let end = end.map_or(sdp.len(), |end| at + 1 + end + 2);
    format!("{}a={direction}\r\n{}", &sdp[..end], &sdp[end..])
}

/// What the worker was told of how long a flow may be silent.
fn patiences(world: &World, flow: FlowId) -> Vec<Option<Duration>> {
    let mut told = Vec::new();
    for command in &world.commands {
        if let Command::ExpectMedia { flow: of, within } = command
            && *of == flow
        {
            told.push(*within);
        }
    }
    told
}

/// The same, as it was told last.
fn patience(world: &World, flow: FlowId) -> Option<Duration> {
    let told = patiences(world, flow);
    assert!(!told.is_empty(), "the worker was told nothing");
    told.last().copied().flatten()
}

fn fall_silent(world: &mut World, flow: FlowId, silent_for: Duration) {
    world.input(Input::Media(Event::MediaSilent { flow, silent_for }));
}

/// An offer of either side goes through, with this answer of the other one.
fn agree(world: &mut World, (from, to): (Peer, Peer), offer: &Message, answer: &str) -> Message {
    world.receive(from, offer);
    let onward = world.expect_request(to, &Method::Invite);
    world.receive(to, &answer_to(&onward, 200, "tag", Some(answer)));
    world.expect_request(to, &Method::Ack);
    if offer.method() == Method::Invite {
        world.expect_status(from, 100);
    }
    world.expect_status(from, 200)
}

/// A call of Alice's at the carrier, whose flow is given.
struct Talk {
    world: World,
    browser: Peer,
    invite: Message,
    onward: Message,
    accepted: Message,
    flow: FlowId,
    n: u32,
}

impl Talk {
    fn new() -> Self {
        Self::in_world(World::new())
    }

    fn in_world(mut world: World) -> Self {
        let (browser, invite, onward, accepted) = talk(&mut world);
        let flow = world.opened_flows()[1];
        Self {
            world,
            browser,
            invite,
            onward,
            accepted,
            flow,
            n: 0,
        }
    }

    /// The carrier offers this, and the browser answers so.
    fn carrier_offers(&mut self, offer: &str, direction: &str) {
        self.n += 1;
        let mut request = in_dialog_of_callee(&self.onward, "bob1", &Method::Invite);
        request.set(HeaderName::CSeq, format!("{} INVITE", 100 + self.n));
        let via = request.header(HeaderName::Via).unwrap().to_owned();
        request.set(HeaderName::Via, format!("{via}{}", self.n));
        request.push(HeaderName::Contact, "<sip:bob@198.51.100.20:5060>");
        request.set_body("application/sdp", offer.to_owned().into());
        let answer = directed(BROWSER_ANSWER, direction);
        let ways = (trunk(), self.browser);
        agree(&mut self.world, ways, &request, &answer);
        let mut ack = in_dialog_of_callee(&self.onward, "bob1", &Method::Ack);
        ack.set(HeaderName::CSeq, format!("{} ACK", 100 + self.n));
        self.world.receive(trunk(), &ack);
    }

    /// The browser offers this by either method, and the carrier answers so.
    fn browser_offers(&mut self, method: &Method, direction: &str, answer: &str) {
        self.n += 1;
        let mut request = in_dialog(&self.invite, &self.accepted, method, self.n);
        request.push(HeaderName::Contact, "<sip:alicex@x1.invalid;transport=ws>");
        let offer = directed(BROWSER_OFFER, direction);
        request.set_body("application/sdp", offer.into());
        let ways = (self.browser, trunk());
        agree(&mut self.world, ways, &request, answer);
    }

    fn is_borne(&mut self) {
        assert_eq!(patience(&self.world, self.flow), None);
        for minutes in [1, 10, 600] {
            let silent_for = Duration::from_secs(60 * minutes);
            fall_silent(&mut self.world, self.flow, silent_for);
        }
        self.world.expect_silence(trunk());
        self.world.expect_silence(self.browser);
        assert_eq!(self.world.engine.calls(), 1);
    }

    /// The hold is over: a dead carrier is found out.
    fn ends_when_silent(&mut self) {
        assert_eq!(patience(&self.world, self.flow), Some(SILENT_AFTER));
        fall_silent(&mut self.world, self.flow, SILENT_AFTER);
        self.world.expect_request(trunk(), &Method::Bye);
        self.world.expect_request(self.browser, &Method::Bye);
    }
}

#[test]
fn media_f2_a_carrier_that_holds_without_music_may_be_silent_until_it_resumes() {
    for held in [
        directed(CARRIER_ANSWER, "sendonly"),
        directed(CARRIER_ANSWER, "inactive"),
        CARRIER_ANSWER.replace("c=IN IP4 198.51.100.7", "c=IN IP4 0.0.0.0"),
    ] {
        let mut talk = Talk::new();
        assert_eq!(patience(&talk.world, talk.flow), Some(SILENT_AFTER));
        let answer = match held.contains("inactive") {
            true => "inactive",
            false => "recvonly",
        };
        talk.carrier_offers(&held, answer);
        talk.is_borne();
        talk.carrier_offers(CARRIER_ANSWER, "sendrecv");
        talk.ends_when_silent();
    }
}

#[test]
fn media_f2_a_carrier_that_is_held_may_be_silent_whatever_it_answers() {
    for method in [Method::Invite, Method::Update] {
        for answer in [
            directed(CARRIER_ANSWER, "recvonly"),
            directed(CARRIER_ANSWER, "sendrecv"),
            directed(CARRIER_ANSWER, "inactive"),
            CARRIER_ANSWER.to_owned(),
        ] {
            for hold in ["sendonly", "inactive"] {
                let mut talk = Talk::new();
                talk.browser_offers(&method, hold, &answer);
                talk.is_borne();
                talk.browser_offers(&method, "sendrecv", CARRIER_ANSWER);
                talk.ends_when_silent();
            }
        }
    }
}

#[test]
fn media_f2_both_sides_hold_and_only_the_last_resume_counts() {
    let mut talk = Talk::new();
    talk.browser_offers(
        &Method::Invite,
        "sendonly",
        &directed(CARRIER_ANSWER, "recvonly"),
    );
    talk.carrier_offers(&directed(CARRIER_ANSWER, "inactive"), "inactive");
    talk.is_borne();
    talk.carrier_offers(CARRIER_ANSWER, "sendonly");
    talk.is_borne();
    talk.browser_offers(&Method::Invite, "sendrecv", CARRIER_ANSWER);
    talk.ends_when_silent();
}

#[test]
fn media_f2_a_carrier_that_called_may_hold_too() {
    let mut world = World::new();
    let call = carrier_talks_with(&mut world, CARRIER_ANSWER, |_| BROWSER_ANSWER.to_owned());
    let flow = world.opened_flows()[0];
    assert_eq!(patience(&world, flow), Some(SILENT_AFTER));
    for (n, offer, answer, within) in [
        (1, "sendonly", "recvonly", None),
        (2, "sendrecv", "sendrecv", Some(SILENT_AFTER)),
    ] {
        let mut request = in_dialog(&call.invite, &call.accepted, &Method::Update, n);
        let via = format!("SIP/2.0/UDP 198.51.100.20:5060;branch=z9hG4bKhold{n};rport");
        request.set(HeaderName::Via, via);
        request.push(HeaderName::Contact, "<sip:bob@198.51.100.20:5060>");
        request.set_body("application/sdp", directed(CARRIER_ANSWER, offer).into());
        let answer = directed(BROWSER_ANSWER, answer);
        agree(&mut world, (trunk(), call.browser), &request, &answer);
        assert_eq!(patience(&world, flow), within);
    }
}

#[test]
fn media_f2_a_hold_has_a_time_out_of_its_own() {
    let config = CONFIG.replace("[media]\n", "[media]\nheld_silent_after_s = 600\n");
    let mut talk = Talk::in_world(World::with_config(&config));
    talk.carrier_offers(&directed(CARRIER_ANSWER, "sendonly"), "recvonly");
    let held = Duration::from_secs(600);
    assert_eq!(patience(&talk.world, talk.flow), Some(held));
    // It crosses the command that tells the worker of the hold.
    fall_silent(&mut talk.world, talk.flow, SILENT_AFTER);
    assert_eq!(talk.world.engine.calls(), 1);
    fall_silent(&mut talk.world, talk.flow, held);
    talk.world.expect_request(trunk(), &Method::Bye);
    talk.world.expect_request(talk.browser, &Method::Bye);
}

#[test]
fn media_f2_silence_counts_from_the_answer() {
    let talk = Talk::new();
    let told = patiences(&talk.world, talk.flow);
    let last = told.get(told.len() - 2..);
    assert_eq!(last, Some([None, Some(SILENT_AFTER)].as_slice()));
}

//! Transfers between calls of different codecs: whoever has another one is asked for one that
//! both can do (`refer = "local"`).

use std::time::Duration;

use control::engine::input::Peer;
use control::sip::{HeaderName, Message, Method};
use tests::world::{CONFIG, World, text};

use crate::peers::{
    CarrierCall, answer_to, browser_invite, carrier_invite, carrier_talks_with, in_dialog,
    in_dialog_of_callee, log_in, trunk,
};
use crate::talker::{Talker, audio, audio_routes, is_quiet, numbered, obey};

fn world() -> World {
    let domain = "domain = \"carrier.test\"\ncodecs";
    let keys = "domain = \"carrier.test\"\nrefer = \"local\"\ncodecs";
    World::with_config(&CONFIG.replace(domain, keys))
}

/// The carrier talks to Alice in PCMU, Alice to Bob in opus.
struct Consultation {
    world: World,
    carrier: Talker,
    bob: Talker,
    first: CarrierCall,
    bobs: Peer,
    /// Bob's INVITE, ours to him if he was called, or our 200 to him.
    second: Message,
    replaces: String,
    bob_tag: &'static str,
}

impl Consultation {
    /// Alice calls Bob, who has these codecs and answers with the first alone.
    fn called(knows: &str) -> Self {
        let mut world = world();
        let (first, carrier) = carrier_talks(&mut world);
        let bobs = log_in(&mut world, "1002", "secret-two");
        let mut bob = Talker::browser(knows);
        bob.is_terse = true;
        let offer = Talker::browser("opus PCMU PCMA").offer();
        let invite = browser_invite("1001", "lines.test", "1002", &offer);
        world.receive(first.browser, &invite);
        world.expect_status(first.browser, 100);
        let onward = world.expect_request(bobs, &Method::Invite);
        let answer = bob.answer(&text(&onward));
        world.receive(bobs, &answer_to(&onward, 200, "bob9", answer.as_deref()));
        world.expect_request(bobs, &Method::Ack);
        let accepted = world.expect_status(first.browser, 200);
        assert_eq!(audio(&accepted).codecs(), ["opus/48000/2"]);
        let ack = in_dialog(&invite, &accepted, &Method::Ack, 0);
        world.receive(first.browser, &ack);
        world.complete_handshakes();
        let (to, from) = (accepted.to_tag().unwrap(), invite.from_tag().unwrap());
        let replaces = replacing(invite.call_id(), to, from);
        Self {
            world,
            carrier,
            bob,
            bobs,
            replaces,
            first,
            second: onward,
            bob_tag: "bob9",
        }
    }

    fn hold(&mut self) {
        let mut alice = Talker::browser("PCMU");
        alice.receives = false;
        let hold = in_dialog_of_callee(&self.first.onward, "alice1", &Method::Update);
        let mut hold = numbered(hold, 200);
        hold.set_body("application/sdp", alice.offer().into());
        self.world.receive(self.first.browser, &hold);
        obey(&mut self.world, trunk(), "bob1", &mut self.carrier);
        self.world.expect_status(self.first.browser, 200);
    }

    fn refer(&mut self) {
        let refer = in_dialog_of_callee(&self.first.onward, "alice1", &Method::Refer);
        let mut refer = numbered(refer, 300);
        refer.push(HeaderName::ReferTo, self.replaces.clone());
        refer.push(HeaderName::Contact, "<sip:alicex@x1.invalid;transport=ws>");
        self.world.receive(self.first.browser, &refer);
        self.world.expect_status(self.first.browser, 202);
    }

    /// The next message of the transferor with this status of its transfer.
    fn is_told(&mut self, fragment: &str) {
        let notify = self
            .world
            .expect_request(self.first.browser, &Method::Notify);
        assert_eq!(notify.body(), fragment);
        let answer = answer_to(&notify, 200, "x", None);
        self.world.receive(self.first.browser, &answer);
    }
}

fn replacing(call_id: &str, to: &str, from: &str) -> String {
    format!("<sip:1002@lines.test?Replaces={call_id}%3Bto-tag%3D{to}%3Bfrom-tag%3D{from}>")
}

fn carrier_talks(world: &mut World) -> (CarrierCall, Talker) {
    let mut carrier = Talker::carrier("PCMU");
    let offer = carrier.offer();
    let call = carrier_talks_with(world, &offer, |onward| {
        Talker::browser("PCMU PCMA").answer(&text(onward)).unwrap()
    });
    (call, carrier)
}

#[test]
fn ux_g1_calls_of_different_codecs_are_joined_in_one_that_both_can_do() {
    for is_held in [false, true] {
        let mut calls = Consultation::called("opus PCMU PCMA");
        if is_held {
            calls.hold();
        }
        calls.refer();
        let bobs = calls.bobs;
        let told = obey(&mut calls.world, bobs, calls.bob_tag, &mut calls.bob);
        assert_eq!(told.call_id(), calls.second.call_id());
        assert!(
            audio(&told).codecs().contains(&"PCMU/8000"),
            "{}",
            text(&told)
        );
        assert_eq!(audio(&told).direction(), "sendrecv");
        let bye = calls
            .world
            .expect_request(calls.first.browser, &Method::Bye);
        calls
            .world
            .receive(calls.first.browser, &answer_to(&bye, 200, "x", None));
        calls.is_told("SIP/2.0 200 OK\r\n");
        if is_held {
            let told = obey(&mut calls.world, trunk(), "bob1", &mut calls.carrier);
            assert_eq!(audio(&told).direction(), "sendrecv");
            assert_eq!(audio(&told).codecs(), ["PCMU/8000"]);
        }
        is_quiet(&mut calls.world, &[bobs]);
        let routes = audio_routes(&calls.world);
        assert_eq!(routes.len(), 2, "{routes:?}");
        let flows = calls.world.opened_flows();
        let between = |from: usize, to: usize| {
            routes.iter().any(|(f, t, pairs)| {
                (*f, *t) == (flows[from], flows[to]) && pairs.contains(&(0, 0))
            })
        };
        assert!(between(0, 3) && between(3, 0), "{routes:?} {flows:?}");
    }
}

/// The carrier's two calls, at Alice in PCMU and at Bob in PCMA; it transfers the one to the other.
#[test]
fn ux_g1_a_carrier_joins_two_lines_of_different_codecs() {
    let mut world = world();
    let (first, _) = carrier_talks(&mut world);
    let bobs = log_in(&mut world, "1002", "secret-two");
    let offer = Talker::carrier("PCMA").offer();
    let mut invite = carrier_invite("sip:1002@198.51.100.1:5060", &offer);
    invite.set(HeaderName::CallId, "carrier-call-2");
    let via = "SIP/2.0/UDP 198.51.100.20:5060;branch=z9hG4bKcarrier2;rport";
    invite.set(HeaderName::Via, via);
    world.receive(trunk(), &invite);
    world.expect_status(trunk(), 100);
    let onward = world.expect_request(bobs, &Method::Invite);
    let mut bob = Talker::browser("PCMU PCMA");
    let answer = bob.answer(&text(&onward));
    world.receive(bobs, &answer_to(&onward, 200, "bob9", answer.as_deref()));
    world.expect_request(bobs, &Method::Ack);
    let accepted = world.expect_status(trunk(), 200);
    world.receive(trunk(), &in_dialog(&invite, &accepted, &Method::Ack, 0));
    world.complete_handshakes();
    let (to, from) = (accepted.to_tag().unwrap(), invite.from_tag().unwrap());
    let refer = in_dialog(&first.invite, &first.accepted, &Method::Refer, 7);
    let mut refer = numbered(refer, 300);
    refer.push(HeaderName::ReferTo, replacing(invite.call_id(), to, from));
    world.receive(trunk(), &refer);
    world.expect_status(trunk(), 202);
    let mut alice = Talker::browser("PCMU PCMA");
    // Whoever is asked, in whatever order: in the end both talk.
    for _ in 0..4 {
        world.advance(Duration::ZERO);
        let asked = world.sent.iter().find(|(peer, message)| {
            *peer != trunk() && message.is_request() && message.method() == Method::Invite
        });
        match asked.map(|(peer, _)| *peer) {
            Some(peer) if peer == bobs => drop(obey(&mut world, bobs, "bob9", &mut bob)),
            Some(peer) => drop(obey(&mut world, peer, "alice1", &mut alice)),
            None => break,
        }
    }
    let codec = |talker: &Talker| talker.agreed.clone().unwrap().codecs().join(" ");
    assert_eq!(codec(&alice), codec(&bob));
    assert_eq!(audio_routes(&world).len(), 2);
    assert_eq!(world.engine.calls(), 2);
}

/// A blind transfer: the new party takes a codec that the old one is able to, and does not use.
#[test]
fn ux_g1_a_new_party_s_codec_is_asked_of_who_is_transferred() {
    let mut world = world();
    let (first, _) = carrier_talks(&mut world);
    let refer = in_dialog(&first.invite, &first.accepted, &Method::Refer, 7);
    let mut refer = numbered(refer, 300);
    refer.push(HeaderName::ReferTo, "<sip:carol@carrier.test>");
    world.receive(trunk(), &refer);
    world.expect_status(trunk(), 202);
    world.expect_request(trunk(), &Method::Notify);
    let carol = world.expect_request(trunk(), &Method::Invite);
    let mut pcmu = Talker::carrier("PCMU");
    let answer = pcmu.answer(&text(&carol)).expect("what Alice is able to");
    world.receive(trunk(), &answer_to(&carol, 200, "carol1", Some(&answer)));
    world.expect_request(trunk(), &Method::Ack);
    let mut alice = Talker::browser("PCMU PCMA");
    let told = obey(&mut world, first.browser, "alice1", &mut alice);
    assert_eq!(audio(&told).codecs(), ["PCMU/8000"]);
    assert_eq!(audio_routes(&world).len(), 2);
}

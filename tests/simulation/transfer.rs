//! D5: transfers that ringway carries out itself (`refer = "local"`; RFC 3515, 4488, 5589).

use std::time::Duration;

use control::engine::input::Peer;
use control::sip::{HeaderName, Message, Method};
use dataplane::link::{Command, FlowId, Media};
use tests::world::{CONFIG, World, text};

use crate::calls::{talk, talk_by};
use crate::peers::{
    BROWSER_ANSWER, BROWSER_OFFER, CARRIER_ANSWER, CarrierCall, answer_to, browser_invite,
    carrier_talks, in_dialog, in_dialog_of_callee, log_in, trunk,
};

/// A call between a browser and the carrier's Bob.
struct Talk {
    world: World,
    browser: Peer,
    /// The browser's INVITE, our 200 to it, and our INVITE to the carrier.
    invite: Message,
    accepted: Message,
    onward: Message,
}

fn world_with(keys: &str) -> World {
    let domain = "domain = \"carrier.test\"\ncodecs";
    let keys = format!("domain = \"carrier.test\"\nrefer = \"local\"\n{keys}\ncodecs");
    World::with_config(&CONFIG.replace(domain, &keys))
}

fn alice_talks_with(keys: &str) -> Talk {
    let mut world = world_with(keys);
    let call = talk(&mut world);
    Talk::of(world, call)
}

fn alice_talks() -> Talk {
    alice_talks_with("")
}

impl Talk {
    fn of(
        world: World,
        (browser, invite, onward, accepted): (Peer, Message, Message, Message),
    ) -> Self {
        Self {
            world,
            browser,
            invite,
            accepted,
            onward,
        }
    }

    /// A request of the browser in its dialog.
    fn request(&self, method: &Method, n: u32) -> Message {
        in_dialog(&self.invite, &self.accepted, method, n)
    }

    fn refer(&self, refer_to: &str, n: u32) -> Message {
        let mut refer = self.request(&Method::Refer, n);
        refer.push(HeaderName::ReferTo, refer_to);
        refer.push(HeaderName::Contact, "<sip:alicex@x1.invalid;transport=ws>");
        refer
    }

    /// The browser transfers Bob to somebody: it is told that this is tried. The INVITE there.
    fn transfer(&mut self, refer_to: &str, to: Peer) -> Message {
        let refer = self.refer(refer_to, 1);
        self.world.receive(self.browser, &refer);
        self.world.expect_status(self.browser, 202);
        self.told("SIP/2.0 100 Trying\r\n", "active;expires=185");
        self.world.expect_request(to, &Method::Invite)
    }

    /// The browser is told this of its transfer.
    fn told(&mut self, fragment: &str, state: &str) {
        let number = self.invite.cseq().unwrap().number + 1;
        let browser = self.browser;
        expect_report(&mut self.world, browser, number, fragment, state);
    }

    fn told_last(&mut self, fragment: &str) {
        self.told(fragment, "terminated;reason=noresource");
    }

    fn hang_up(&mut self, n: u32) {
        let bye = self.request(&Method::Bye, n);
        self.world.receive(self.browser, &bye);
        self.world.expect_status(self.browser, 200);
    }

    fn is_empty(&mut self) {
        self.world.advance(Duration::from_secs(100));
        assert_eq!(self.world.engine.usage().call_entries, 0);
        assert_eq!(self.world.engine.usage().flows, 0);
        assert_eq!(self.world.engine.usage().trunk_calls, 0);
    }
}

fn expect_report(world: &mut World, peer: Peer, number: u32, fragment: &str, state: &str) {
    let notify = world.expect_request(peer, &Method::Notify);
    let event = format!("refer;id={number}");
    assert_eq!(notify.header(HeaderName::Event), Some(event.as_str()));
    assert_eq!(notify.header(HeaderName::SubscriptionState), Some(state));
    let media_type = notify.header(HeaderName::ContentType);
    assert_eq!(media_type, Some("message/sipfrag;version=2.0"));
    assert_eq!(notify.body(), fragment);
    assert!(notify.header(HeaderName::Contact).is_some());
    world.receive(peer, &Message::response_to(&notify, 200, None));
}

/// Carol's answer: from another address than Bob's.
fn carol_answers() -> String {
    CARRIER_ANSWER.replace("198.51.100.7", "198.51.100.9")
}

/// Where the audio of a flow goes, by its latest route.
fn audio_to(world: &World, from: FlowId) -> Option<(FlowId, u32)> {
    let mut to = None;
    for command in &world.commands {
        match command {
            Command::SetRoute(route) if route.from == from && route.media == Media::Audio => {
                to = Some((route.to, route.outgoing_ssrc.0));
            }
            Command::ClearRoute { flow, media } if *flow == from && *media == Media::Audio => {
                to = None;
            }
            Command::OpenFlow(_)
            | Command::SetPeer { .. }
            | Command::SetIceCredentials { .. }
            | Command::InstallKeys { .. }
            | Command::SetRoute(_)
            | Command::SendDigit(_)
            | Command::ClearRoute { .. }
            | Command::ExpectMedia { .. }
            | Command::CloseFlow { .. }
            | Command::Stop => {}
        }
    }
    to
}

#[test]
fn d5_a_blind_transfer_is_carried_out_here_and_joins_both_carrier_parties() {
    let mut talk = alice_talks();
    let before = audio_to(&talk.world, talk.world.opened_flows()[0]).unwrap();
    let carol = talk.transfer("<sip:carol@carrier.test;transport=ws>", trunk());
    assert_eq!(carol.request_uri(), Some("sip:carol@carrier.test"));
    let said = |name| carol.header(name).unwrap();
    assert!(said(HeaderName::From).contains("<sip:alice@carrier.test>"));
    let by = said(HeaderName::ReferredBy);
    assert_eq!(by, "\"alice\" <sip:alice@carrier.test>");
    assert!(!text(&carol).contains(".invalid"), "{}", text(&carol));
    assert_ne!(carol.call_id(), talk.onward.call_id());
    talk.world
        .receive(trunk(), &answer_to(&carol, 180, "carol1", None));
    talk.told("SIP/2.0 180 Ringing\r\n", "active;expires=185");
    talk.world
        .receive(trunk(), &answer_to(&carol, 180, "carol1", None));
    talk.world.expect_silence(talk.browser);
    let answer = answer_to(&carol, 200, "carol1", Some(&carol_answers()));
    talk.world.receive(trunk(), &answer);
    talk.world.expect_request(trunk(), &Method::Ack);
    talk.told_last("SIP/2.0 200 OK\r\n");
    // Nothing changes for Bob: he needs no re-INVITE.
    talk.world.expect_silence(trunk());
    let [alices, bobs, carols] = talk.world.opened_flows()[..] else {
        panic!("three flows");
    };
    assert_eq!(audio_to(&talk.world, alices), None);
    let (to, ssrc) = audio_to(&talk.world, carols).unwrap();
    assert_eq!((before.0, to), (bobs, bobs));
    // Another source makes another stream.
    assert_ne!(ssrc, before.1);
    assert_eq!(audio_to(&talk.world, bobs).map(|(to, _)| to), Some(carols));

    talk.hang_up(2);
    talk.world.expect_silence(trunk());
    assert_eq!(talk.world.engine.calls(), 1);
    assert_eq!(talk.world.records[0].status, 200);
    // What is left is a call of its own.
    let bye = in_dialog_of_callee(&talk.onward, "bob1", &Method::Bye);
    talk.world.receive(trunk(), &bye);
    talk.world.expect_status(trunk(), 200);
    let bye = talk.world.expect_request(trunk(), &Method::Bye);
    assert_eq!(bye.call_id(), carol.call_id());
    assert_eq!(talk.world.records[1].began.direction, "trunk→trunk");
    assert!(talk.world.records[1].talked.is_some());
    talk.is_empty();
}

#[test]
fn d5_who_was_on_hold_and_uses_another_codec_is_told_by_re_invite() {
    let mut talk = alice_talks();
    let mut hold = talk.request(&Method::Invite, 1);
    hold.push(HeaderName::Contact, "<sip:alicex@x1.invalid;transport=ws>");
    let offer = BROWSER_OFFER.replace("a=sendrecv", "a=sendonly");
    hold.set_body("application/sdp", offer.into());
    talk.world.receive(talk.browser, &hold);
    talk.world.expect_status(talk.browser, 100);
    let held = talk.world.expect_request(trunk(), &Method::Invite);
    // Bob takes more codecs than he uses.
    let both = CARRIER_ANSWER
        .replace("AVP 8 96", "AVP 8 0 96")
        .replace("a=ptime:20", "a=recvonly\r\na=rtpmap:0 PCMU/8000");
    talk.world
        .receive(trunk(), &answer_to(&held, 200, "bob1", Some(&both)));
    talk.world.expect_request(trunk(), &Method::Ack);
    let accepted = talk.world.expect_status(talk.browser, 200);
    let ack = in_dialog(&talk.invite, &accepted, &Method::Ack, 1);
    talk.world.receive(talk.browser, &ack);

    let refer = talk.refer("<sip:carol@carrier.test>", 2);
    talk.world.receive(talk.browser, &refer);
    talk.world.expect_status(talk.browser, 202);
    talk.world.expect_request(talk.browser, &Method::Notify);
    let carol = talk.world.expect_request(trunk(), &Method::Invite);
    assert!(text(&carol).contains("a=sendrecv"), "{}", text(&carol));
    let pcmu = carol_answers().replace("8", "0").replace("0000", "8000");
    let pcmu = pcmu.replace("190.51", "198.51").replace("PCMA", "PCMU");
    let answer = answer_to(&carol, 200, "carol1", Some(&pcmu));
    talk.world.receive(trunk(), &answer);
    talk.world.expect_request(trunk(), &Method::Ack);
    talk.world.advance(Duration::ZERO);
    let told = talk.world.expect_request(trunk(), &Method::Invite);
    assert_eq!(told.call_id(), talk.onward.call_id());
    let offered = text(&told);
    assert!(offered.contains("a=sendrecv"), "{offered}");
    assert!(
        offered.contains("PCMU") && !offered.contains("PCMA"),
        "{offered}"
    );
    // He refuses to change it: the two cannot talk.
    talk.world
        .receive(trunk(), &answer_to(&told, 488, "bob1", None));
    talk.world.expect_request(trunk(), &Method::Ack);
    for _ in 0..2 {
        let bye = talk.world.expect_request(trunk(), &Method::Bye);
        assert!(bye.header(HeaderName::Reason).unwrap().contains("488"));
        talk.world
            .receive(trunk(), &answer_to(&bye, 200, "x", None));
    }
    talk.is_empty();
}

/// Line 1001 talks to the carrier's Bob.
fn line_talks() -> Talk {
    let mut world = world_with("");
    let browser = log_in(&mut world, "1001", "secret-one");
    let invite = browser_invite("1001", "lines.test", "2000", BROWSER_OFFER);
    world.receive(browser, &invite);
    world.expect_status(browser, 100);
    let onward = world.expect_request(trunk(), &Method::Invite);
    let answer = answer_to(&onward, 200, "bob1", Some(CARRIER_ANSWER));
    world.receive(trunk(), &answer);
    world.expect_request(trunk(), &Method::Ack);
    let accepted = world.expect_status(browser, 200);
    world.receive(browser, &in_dialog(&invite, &accepted, &Method::Ack, 0));
    world.complete_handshakes();
    Talk {
        world,
        browser,
        invite,
        accepted,
        onward,
    }
}

/// The answer of a browser to an offer of PCMA with telephone-events as number 96.
fn browser_answers() -> String {
    BROWSER_ANSWER
        .replace("SAVPF 0 8 101", "SAVPF 8 96")
        .replace("a=rtpmap:0 PCMU/8000\r\n", "")
        .replace("101", "96")
}

#[test]
fn d5_a_line_transfers_the_carrier_s_party_to_another_line() {
    let mut talk = line_talks();
    let other = log_in(&mut talk.world, "1002", "secret-two");
    let ringing = talk.transfer("<sip:1002@lines.test>", other);
    let from = ringing.header(HeaderName::From).unwrap();
    assert!(from.contains("sip:2000@"), "{from}");
    let by = ringing.header(HeaderName::ReferredBy).unwrap();
    assert!(by.contains("sip:1001@lines.test"), "{by}");
    let answer = answer_to(&ringing, 200, "dora1", Some(&browser_answers()));
    talk.world.receive(other, &answer);
    talk.world.expect_request(other, &Method::Ack);
    talk.told_last("SIP/2.0 200 OK\r\n");
    talk.world.complete_handshakes();
    talk.hang_up(2);
    talk.world.advance(Duration::from_secs(40));
    talk.world.expect_silence(trunk());
    // The new party hangs up: so does the old one.
    let bye = in_dialog_of_callee(&ringing, "dora1", &Method::Bye);
    talk.world.receive(other, &bye);
    let bye = talk.world.expect_request(trunk(), &Method::Bye);
    assert_eq!(bye.call_id(), talk.onward.call_id());
    talk.world
        .receive(trunk(), &answer_to(&bye, 200, "bob1", None));
    talk.is_empty();
}

#[test]
fn d5_a_new_party_whose_keys_never_come_ends_the_call() {
    let mut talk = line_talks();
    let other = log_in(&mut talk.world, "1002", "secret-two");
    let ringing = talk.transfer("<sip:1002@lines.test>", other);
    let answer = answer_to(&ringing, 200, "dora1", Some(&browser_answers()));
    talk.world.receive(other, &answer);
    talk.world.expect_request(other, &Method::Ack);
    talk.told_last("SIP/2.0 200 OK\r\n");
    talk.hang_up(2);
    talk.world.advance(Duration::from_secs(31));
    talk.world.expect_request(other, &Method::Bye);
    talk.world.expect_request(trunk(), &Method::Bye);
}

#[test]
fn d5_a_transfer_that_fails_leaves_the_call_as_it_was() {
    let mut talk = alice_talks();
    let alices = talk.world.opened_flows()[0];
    let before = audio_to(&talk.world, alices);
    for (n, status, told) in [
        (1, 486, "SIP/2.0 486 Busy Here\r\n"),
        (2, 302, "SIP/2.0 480 Temporarily Unavailable\r\n"),
        (3, 407, "SIP/2.0 403 Forbidden\r\n"),
    ] {
        let refer = talk.refer("<sip:carol@carrier.test>", n);
        talk.world.receive(talk.browser, &refer);
        talk.world.expect_status(talk.browser, 202);
        talk.world.expect_request(talk.browser, &Method::Notify);
        let carol = talk.world.expect_request(trunk(), &Method::Invite);
        let refusal = answer_to(&carol, status, "carol1", None);
        talk.world.receive(trunk(), &refusal);
        talk.world.expect_request(trunk(), &Method::Ack);
        let notify = talk.world.expect_request(talk.browser, &Method::Notify);
        assert_eq!(notify.body(), told);
        let state = notify.header(HeaderName::SubscriptionState);
        assert_eq!(state, Some("terminated;reason=noresource"));
        assert_eq!(talk.world.engine.calls(), 1);
    }
    assert_eq!(audio_to(&talk.world, alices), before);
    let mut info = talk.request(&Method::Info, 4);
    info.set_body("application/media_control+xml", "<media_control/>".into());
    talk.world.receive(talk.browser, &info);
    let info = talk.world.expect_request(trunk(), &Method::Info);
    talk.world
        .receive(trunk(), &answer_to(&info, 200, "bob1", None));
    talk.world.expect_status(talk.browser, 200);
    // Nobody answers at all.
    let refer = talk.refer("<sip:carol@carrier.test>", 5);
    talk.world.receive(talk.browser, &refer);
    talk.world.expect_status(talk.browser, 202);
    talk.world.expect_request(talk.browser, &Method::Notify);
    talk.world.advance(Duration::from_secs(33));
    let notify = talk.world.expect_request(talk.browser, &Method::Notify);
    assert_eq!(notify.body(), "SIP/2.0 408 Request Timeout\r\n");
}

#[test]
fn d5_a_new_party_that_takes_no_codec_of_the_old_one_is_a_488() {
    let mut talk = alice_talks();
    let carol = talk.transfer("<sip:carol@carrier.test>", trunk());
    let opus = CARRIER_ANSWER
        .replace("AVP 8 96", "AVP 111")
        .replace("a=rtpmap:8 PCMA/8000", "a=rtpmap:111 opus/48000/2");
    talk.world
        .receive(trunk(), &answer_to(&carol, 200, "carol1", Some(&opus)));
    talk.world.expect_request(trunk(), &Method::Ack);
    let bye = talk.world.expect_request(trunk(), &Method::Bye);
    assert_eq!(bye.call_id(), carol.call_id());
    talk.told_last("SIP/2.0 488 Not Acceptable Here\r\n");
    talk.world.expect_silence(trunk());
    assert_eq!(talk.world.engine.calls(), 1);
}

#[test]
fn d5_who_wants_no_subscription_is_told_nothing_and_hung_up_on() {
    let mut talk = alice_talks();
    let mut refer = talk.refer("<sip:carol@carrier.test>", 1);
    refer.push(HeaderName::ReferSub, "false");
    refer.push(HeaderName::Require, "norefersub");
    talk.world.receive(talk.browser, &refer);
    let taken = talk.world.expect_status(talk.browser, 202);
    assert_eq!(taken.header(HeaderName::ReferSub), Some("false"));
    let carol = talk.world.expect_request(trunk(), &Method::Invite);
    talk.world
        .receive(trunk(), &answer_to(&carol, 180, "carol1", None));
    talk.world.expect_silence(talk.browser);
    let answer = answer_to(&carol, 200, "carol1", Some(&carol_answers()));
    talk.world.receive(trunk(), &answer);
    let bye = talk.world.expect_request(talk.browser, &Method::Bye);
    talk.world
        .receive(talk.browser, &answer_to(&bye, 200, "caller", None));
    assert_eq!(talk.world.engine.calls(), 1);
}

#[test]
fn d5_a_referrer_that_does_not_hang_up_gets_a_bye_in_ten_seconds() {
    let mut talk = alice_talks();
    let carol = talk.transfer("<sip:carol@carrier.test>", trunk());
    let answer = answer_to(&carol, 200, "carol1", Some(&carol_answers()));
    talk.world.receive(trunk(), &answer);
    talk.told_last("SIP/2.0 200 OK\r\n");
    // Its call has no other side any more.
    for (n, method) in [(2, Method::Info), (3, Method::Refer), (4, Method::Update)] {
        let mut request = talk.request(&method, n);
        request.push(HeaderName::ReferTo, "<sip:dora@carrier.test>");
        talk.world.receive(talk.browser, &request);
        talk.world.expect_status(talk.browser, 480);
    }
    talk.world.advance(Duration::from_secs(9));
    talk.world.expect_silence(talk.browser);
    talk.world.advance(Duration::from_secs(1));
    talk.world.expect_request(talk.browser, &Method::Bye);
    talk.world.expect_request(trunk(), &Method::Ack);
    talk.world.expect_silence(trunk());
    assert_eq!(talk.world.engine.calls(), 1);
}

#[test]
fn d5_a_referrer_that_hangs_up_at_once_leaves_the_transfer_under_way() {
    for rings in [false, true] {
        let mut talk = alice_talks();
        let carol = talk.transfer("<sip:carol@carrier.test>", trunk());
        if rings {
            talk.world
                .receive(trunk(), &answer_to(&carol, 180, "carol1", None));
            talk.told("SIP/2.0 180 Ringing\r\n", "active;expires=185");
        }
        talk.hang_up(2);
        talk.world.expect_silence(trunk());
        let again = talk.request(&Method::Bye, 3);
        talk.world.receive(talk.browser, &again);
        talk.world.expect_status(talk.browser, 481);
        // Bob holds meanwhile: there is nobody to be told.
        let mut hold = in_dialog_of_callee(&talk.onward, "bob1", &Method::Invite);
        hold.push(HeaderName::Contact, "<sip:peer@198.51.100.20:5060>");
        let offer = CARRIER_ANSWER.replace("a=ptime:20", "a=sendonly");
        hold.set_body("application/sdp", offer.into());
        talk.world.receive(trunk(), &hold);
        let held = talk.world.expect(trunk());
        let held = if held.status() == Some(100) {
            talk.world.expect(trunk())
        } else {
            held
        };
        assert_eq!(held.status(), Some(200), "{}", text(&held));
        let mut info = in_dialog_of_callee(&talk.onward, "bob1", &Method::Info);
        info.set(HeaderName::CSeq, "101 INFO");
        talk.world.receive(trunk(), &info);
        talk.world.expect_status(trunk(), 480);
        let answer = answer_to(&carol, 200, "carol1", Some(&carol_answers()));
        talk.world.receive(trunk(), &answer);
        let ack = talk.world.expect_request(trunk(), &Method::Ack);
        assert_eq!(ack.call_id(), carol.call_id());
        talk.world.expect_silence(talk.browser);
        assert_eq!(talk.world.engine.calls(), 1);
        let [_, bobs, carols] = talk.world.opened_flows()[..] else {
            panic!("three flows");
        };
        assert_eq!(audio_to(&talk.world, bobs).map(|(to, _)| to), Some(carols));
    }
}

#[test]
fn d5_who_is_left_alone_by_a_transfer_that_fails_is_hung_up_on() {
    let mut talk = alice_talks();
    let carol = talk.transfer("<sip:carol@carrier.test>", trunk());
    talk.hang_up(2);
    talk.world
        .receive(trunk(), &answer_to(&carol, 486, "carol1", None));
    talk.world.expect_request(trunk(), &Method::Ack);
    let bye = talk.world.expect_request(trunk(), &Method::Bye);
    assert_eq!(bye.call_id(), talk.onward.call_id());
    let reason = bye.header(HeaderName::Reason);
    let busy = "SIP;cause=486;text=\"Busy Here\", Q.850;cause=17";
    assert_eq!(reason, Some(busy));
    talk.world
        .receive(trunk(), &answer_to(&bye, 200, "bob1", None));
    talk.world.expect_silence(talk.browser);
    talk.is_empty();
}

#[test]
fn d5_a_transferred_party_that_hangs_up_ends_the_transfer() {
    let mut talk = alice_talks();
    let carol = talk.transfer("<sip:carol@carrier.test>", trunk());
    talk.world
        .receive(trunk(), &answer_to(&carol, 180, "carol1", None));
    talk.told("SIP/2.0 180 Ringing\r\n", "active;expires=185");
    let bye = in_dialog_of_callee(&talk.onward, "bob1", &Method::Bye);
    talk.world.receive(trunk(), &bye);
    talk.world.expect_status(trunk(), 200);
    talk.told_last("SIP/2.0 487 Request Terminated\r\n");
    let bye = talk.world.expect_request(talk.browser, &Method::Bye);
    talk.world
        .receive(talk.browser, &answer_to(&bye, 200, "caller", None));
    let cancel = talk.world.expect_request(trunk(), &Method::Cancel);
    assert_eq!(cancel.call_id(), carol.call_id());
    talk.world
        .receive(trunk(), &answer_to(&cancel, 200, "carol1", None));
    // The answer has crossed it.
    let answer = answer_to(&carol, 200, "carol1", Some(&carol_answers()));
    talk.world.receive(trunk(), &answer);
    talk.world.expect_request(trunk(), &Method::Ack);
    let bye = talk.world.expect_request(trunk(), &Method::Bye);
    talk.world
        .receive(trunk(), &answer_to(&bye, 200, "carol1", None));
    talk.is_empty();
}

#[test]
fn d5_a_change_that_is_under_way_when_the_new_party_answers_is_withdrawn() {
    let mut talk = alice_talks();
    let carol = talk.transfer("<sip:carol@carrier.test>", trunk());
    let mut hold = talk.request(&Method::Invite, 2);
    hold.push(HeaderName::Contact, "<sip:alicex@x1.invalid;transport=ws>");
    let offer = BROWSER_OFFER.replace("a=sendrecv", "a=sendonly");
    hold.set_body("application/sdp", offer.into());
    talk.world.receive(talk.browser, &hold);
    talk.world.expect_status(talk.browser, 100);
    let held = talk.world.expect_request(trunk(), &Method::Invite);
    talk.world
        .receive(trunk(), &answer_to(&held, 100, "bob1", None));
    let answer = answer_to(&carol, 200, "carol1", Some(&carol_answers()));
    talk.world.receive(trunk(), &answer);
    talk.world.expect_status(talk.browser, 491);
    talk.told_last("SIP/2.0 200 OK\r\n");
    talk.world.expect_request(trunk(), &Method::Ack);
    let cancel = talk.world.expect_request(trunk(), &Method::Cancel);
    talk.world
        .receive(trunk(), &answer_to(&cancel, 200, "bob1", None));
    // Bob had accepted: he is told that he is not on hold.
    let recvonly = CARRIER_ANSWER.replace("a=ptime:20", "a=recvonly");
    talk.world
        .receive(trunk(), &answer_to(&held, 200, "bob1", Some(&recvonly)));
    let ack = talk.world.expect_request(trunk(), &Method::Ack);
    assert_eq!(ack.call_id(), held.call_id());
    talk.world.advance(Duration::from_secs(2));
    let again = talk.world.expect_request(trunk(), &Method::Invite);
    assert_eq!(again.call_id(), talk.onward.call_id());
    assert!(text(&again).contains("a=sendrecv"), "{}", text(&again));
}

#[test]
fn d5_a_transfer_counts_as_a_call_of_the_browser() {
    let mut talk = alice_talks_with("calls_max = 1");
    let refer = talk.refer("<sip:carol@carrier.test>", 1);
    talk.world.receive(talk.browser, &refer);
    let refused = talk.world.expect_status(talk.browser, 503);
    assert!(refused.header(HeaderName::RetryAfter).is_some());
    assert_eq!(refused.method(), Method::Refer);
    talk.world.expect_silence(trunk());
    assert_eq!(talk.world.engine.usage().trunk_calls, 1);

    let mut talk = alice_talks_with("calls_max = 2");
    let carol = talk.transfer("<sip:carol@carrier.test>", trunk());
    assert_eq!(talk.world.engine.usage().trunk_calls, 2);
    let answer = answer_to(&carol, 200, "carol1", Some(&carol_answers()));
    talk.world.receive(trunk(), &answer);
    talk.told_last("SIP/2.0 200 OK\r\n");
    talk.hang_up(2);
    assert_eq!(talk.world.engine.usage().trunk_calls, 2);
    let bye = in_dialog_of_callee(&talk.onward, "bob1", &Method::Bye);
    talk.world.receive(trunk(), &bye);
    assert_eq!(talk.world.engine.usage().trunk_calls, 0);
}

#[test]
fn d5_a_second_transfer_waits_for_the_first() {
    let mut talk = alice_talks();
    talk.transfer("<sip:carol@carrier.test>", trunk());
    let refer = talk.refer("<sip:dora@carrier.test>", 2);
    talk.world.receive(talk.browser, &refer);
    talk.world.expect_status(talk.browser, 491);
    talk.world.expect_silence(trunk());
}

#[test]
fn d5_what_cannot_be_carried_out_is_refused() {
    let cases = [
        ("<sip:>", 400),
        ("<http://carrier.test/>", 416),
        ("<sip:carol@carrier.test;method=SUBSCRIBE>", 603),
        (
            "<sip:carol@carrier.test?Replaces=a%3Bto-tag%3D1&Replaces=b>",
            400,
        ),
        ("<sips:carol@carrier.test>", 480),
    ];
    for (target, status) in cases {
        let mut talk = alice_talks();
        let refer = talk.refer(target, 1);
        talk.world.receive(talk.browser, &refer);
        talk.world.expect_status(talk.browser, status);
        talk.world.expect_silence(trunk());
        assert_eq!(talk.world.engine.calls(), 1);
    }
    let mut talk = alice_talks();
    let mut two = talk.refer("<sip:carol@carrier.test>", 1);
    two.push(HeaderName::ReferTo, "<sip:dora@carrier.test>");
    talk.world.receive(talk.browser, &two);
    talk.world.expect_status(talk.browser, 400);
    let mut odd = talk.refer("<sip:carol@carrier.test>", 2);
    odd.push(HeaderName::Require, "norefersub, multiple-refer");
    talk.world.receive(talk.browser, &odd);
    let refused = talk.world.expect_status(talk.browser, 420);
    let option = refused.header(HeaderName::Unsupported);
    assert_eq!(option, Some("multiple-refer"));
    talk.world.expect_silence(trunk());
}

#[test]
fn d5_a_browser_that_may_not_call_may_not_transfer() {
    // Not registered any more.
    let mut talk = alice_talks();
    let mut gone = World::register_message("alice", "carrier.test", "creg-alice");
    gone.set(HeaderName::CSeq, "2 REGISTER");
    gone.set(HeaderName::Expires, "0");
    let via = "SIP/2.0/WSS x1.invalid;branch=z9hG4bKgone";
    gone.set(HeaderName::Via, via);
    let contact = gone.header(HeaderName::Contact).unwrap();
    let contact = contact.replace("expires=600", "expires=0");
    gone.set(HeaderName::Contact, contact);
    talk.world.receive(talk.browser, &gone);
    let onward = talk.world.expect_request(trunk(), &Method::Register);
    talk.world
        .receive(trunk(), &Message::response_to(&onward, 200, None));
    talk.world.expect_status(talk.browser, 200);
    let refer = talk.refer("<sip:carol@carrier.test>", 1);
    talk.world.receive(talk.browser, &refer);
    talk.world.expect_status(talk.browser, 403);
    // The echo line, and a line that is not there.
    for (target, status) in [("1002", 480), ("9196", 603)] {
        let mut talk = line_talks();
        let refer = talk.refer(&format!("<sip:{target}@lines.test>"), 1);
        talk.world.receive(talk.browser, &refer);
        talk.world.expect_status(talk.browser, status);
    }
}

#[test]
fn d5_a_carrier_s_refer_is_carried_out_by_the_right_of_the_browser() {
    let mut world = world_with("");
    let CarrierCall {
        browser,
        invite,
        onward,
        accepted,
    } = carrier_talks(&mut world);
    let mut refer = in_dialog(&invite, &accepted, &Method::Refer, 1);
    refer.push(HeaderName::ReferTo, "<sip:carol@carrier.test>");
    world.receive(trunk(), &refer);
    let taken = world.expect_status(trunk(), 202);
    assert!(taken.header(HeaderName::Contact).is_some());
    let (active, last) = ("active;expires=185", "terminated;reason=noresource");
    expect_report(&mut world, trunk(), 2, "SIP/2.0 100 Trying\r\n", active);
    let carol = world.expect_request(trunk(), &Method::Invite);
    let from = carol.header(HeaderName::From).unwrap();
    assert!(from.contains("sip:1001@carrier.test"), "{from}");
    let by = carol.header(HeaderName::ReferredBy);
    assert_eq!(by, Some("\"Bob\" <sip:bob@carrier.test>"));
    world.expect_silence(browser);
    let pcmu = CARRIER_ANSWER.replace("AVP 8 96", "AVP 0");
    let pcmu = pcmu.replace("a=rtpmap:8 PCMA/8000", "a=rtpmap:0 PCMU/8000");
    world.receive(trunk(), &answer_to(&carol, 200, "carol1", Some(&pcmu)));
    world.expect_request(trunk(), &Method::Ack);
    expect_report(&mut world, trunk(), 2, "SIP/2.0 200 OK\r\n", last);
    // The browser must know the new stream.
    world.advance(Duration::ZERO);
    let told = world.expect_request(browser, &Method::Invite);
    assert_eq!(told.call_id(), onward.call_id());
    let ssrc = |message: &Message| {
        let text = text(message);
        let line = text.lines().find(|line| line.starts_with("a=ssrc:"));
        line.unwrap().to_owned()
    };
    assert_ne!(ssrc(&told), ssrc(&onward));
    let answer = answer_to(&told, 200, "alice1", Some(BROWSER_ANSWER));
    world.receive(browser, &answer);
    world.expect_request(browser, &Method::Ack);
    world.receive(trunk(), &in_dialog(&invite, &accepted, &Method::Bye, 2));
    world.expect_status(trunk(), 200);
    world.expect_silence(browser);
    let bye = in_dialog_of_callee(&onward, "alice1", &Method::Bye);
    world.receive(browser, &bye);
    world.expect_status(browser, 200);
    let bye = world.expect_request(trunk(), &Method::Bye);
    assert_eq!(bye.call_id(), carol.call_id());
}

#[test]
fn d5_a_re_invite_waits_for_the_end_of_one_that_was_withdrawn() {
    let mut talk = alice_talks();
    let hold = |talk: &mut Talk, n, direction: &str| {
        let mut hold = talk.request(&Method::Invite, n);
        hold.push(HeaderName::Contact, "<sip:alicex@x1.invalid;transport=ws>");
        let offer = BROWSER_OFFER.replace("a=sendrecv", direction);
        hold.set_body("application/sdp", offer.into());
        talk.world.receive(talk.browser, &hold);
        talk.world.expect_status(talk.browser, 100);
        talk.world.expect_request(trunk(), &Method::Invite)
    };
    let held = hold(&mut talk, 1, "a=sendonly");
    let recvonly = CARRIER_ANSWER.replace("a=ptime:20", "a=recvonly");
    let answer = answer_to(&held, 200, "bob1", Some(&recvonly));
    talk.world.receive(trunk(), &answer);
    talk.world.expect_request(trunk(), &Method::Ack);
    let accepted = talk.world.expect_status(talk.browser, 200);
    let ack = in_dialog(&talk.invite, &accepted, &Method::Ack, 1);
    talk.world.receive(talk.browser, &ack);
    let refer = talk.refer("<sip:carol@carrier.test>", 2);
    talk.world.receive(talk.browser, &refer);
    talk.world.expect_status(talk.browser, 202);
    talk.world.expect_request(talk.browser, &Method::Notify);
    let carol = talk.world.expect_request(trunk(), &Method::Invite);
    let resumed = hold(&mut talk, 3, "a=sendrecv");
    talk.world
        .receive(trunk(), &answer_to(&resumed, 100, "bob1", None));
    let answer = answer_to(&carol, 200, "carol1", Some(&carol_answers()));
    talk.world.receive(trunk(), &answer);
    talk.world.expect_request(trunk(), &Method::Ack);
    let cancel = talk.world.expect_request(trunk(), &Method::Cancel);
    talk.world
        .receive(trunk(), &answer_to(&cancel, 200, "bob1", None));
    talk.world.advance(Duration::from_secs(5));
    talk.world.expect_silence(trunk());
    talk.world
        .receive(trunk(), &answer_to(&resumed, 487, "bob1", None));
    talk.world.expect_request(trunk(), &Method::Ack);
    talk.world.advance(Duration::from_secs(1));
    let again = talk.world.expect_request(trunk(), &Method::Invite);
    assert_eq!(again.call_id(), talk.onward.call_id());
}

/// Another call of the browser, to the carrier's Carol.
fn consult(talk: &mut Talk, answer: &str) -> (Message, Message, Message) {
    let call = consult_before_keys(talk, answer);
    talk.world.complete_handshakes();
    call
}

fn consult_before_keys(talk: &mut Talk, answer: &str) -> (Message, Message, Message) {
    let (world, browser) = (&mut talk.world, talk.browser);
    let invite = browser_invite("alice", "carrier.test", "carol", BROWSER_OFFER);
    world.receive(browser, &invite);
    world.expect_status(browser, 100);
    let onward = world.expect_request(trunk(), &Method::Invite);
    let answer = answer_to(&onward, 200, "carol1", Some(answer));
    world.receive(trunk(), &answer);
    world.expect_request(trunk(), &Method::Ack);
    let accepted = world.expect_status(browser, 200);
    world.receive(browser, &in_dialog(&invite, &accepted, &Method::Ack, 0));
    (invite, onward, accepted)
}

fn replacing(call_id: &str, to_tag: &str, from_tag: &str) -> String {
    format!(
        "<sip:carol@carrier.test?Replaces={call_id}%3Bto-tag%3D{to_tag}%3Bfrom-tag%3D{from_tag}>"
    )
}

#[test]
fn d5_an_attended_transfer_joins_two_calls_without_an_invite() {
    // JsSIP writes the tags of its incoming calls the other way round.
    for is_swapped in [false, true] {
        let mut talk = alice_talks();
        let (second, carol, accepted) = consult(&mut talk, &carol_answers());
        let tags = (accepted.to_tag().unwrap(), second.from_tag().unwrap());
        let (to, from) = if is_swapped { (tags.1, tags.0) } else { tags };
        let refer = talk.refer(&replacing(second.call_id(), to, from), 1);
        talk.world.receive(talk.browser, &refer);
        talk.world.expect_status(talk.browser, 202);
        // The dialog that is replaced ends.
        let bye = talk.world.expect_request(talk.browser, &Method::Bye);
        assert_eq!(bye.call_id(), second.call_id());
        talk.world
            .receive(talk.browser, &answer_to(&bye, 200, "x", None));
        talk.told_last("SIP/2.0 200 OK\r\n");
        talk.world.advance(Duration::ZERO);
        talk.world.expect_silence(trunk());
        let [alices, bobs, others, carols] = talk.world.opened_flows()[..] else {
            panic!("four flows");
        };
        assert_eq!(audio_to(&talk.world, bobs).map(|(to, _)| to), Some(carols));
        assert_eq!(audio_to(&talk.world, carols).map(|(to, _)| to), Some(bobs));
        assert_eq!(audio_to(&talk.world, alices), None);
        assert_eq!(audio_to(&talk.world, others), None);
        talk.hang_up(2);
        talk.world.expect_silence(trunk());
        assert_eq!(talk.world.engine.calls(), 1);
        // A 2xx whose ACK was lost comes again, to a leg that is in another call now.
        let again = answer_to(&talk.onward, 200, "bob1", Some(CARRIER_ANSWER));
        talk.world.receive(trunk(), &again);
        let ack = talk.world.expect_request(trunk(), &Method::Ack);
        assert_eq!(ack.call_id(), talk.onward.call_id());
        talk.world.expect_silence(trunk());
        let bye = in_dialog_of_callee(&carol, "carol1", &Method::Bye);
        talk.world.receive(trunk(), &bye);
        talk.world.expect_status(trunk(), 200);
        let bye = talk.world.expect_request(trunk(), &Method::Bye);
        assert_eq!(bye.call_id(), talk.onward.call_id());
        talk.world
            .receive(trunk(), &answer_to(&bye, 200, "bob1", None));
        talk.is_empty();
    }
}

#[test]
fn d5_both_parties_on_hold_are_told_one_after_the_other() {
    let mut talk = alice_talks();
    let (second, carol, accepted) = consult(&mut talk, &carol_answers());
    for (n, call, answered) in [(1, &talk.invite, &talk.accepted), (1, &second, &accepted)] {
        let mut hold = in_dialog(call, answered, &Method::Invite, n);
        hold.push(HeaderName::Contact, "<sip:alicex@x1.invalid;transport=ws>");
        let offer = BROWSER_OFFER.replace("a=sendrecv", "a=sendonly");
        hold.set_body("application/sdp", offer.into());
        talk.world.receive(talk.browser, &hold);
        talk.world.expect_status(talk.browser, 100);
        let held = talk.world.expect_request(trunk(), &Method::Invite);
        let tag = if held.call_id() == carol.call_id() {
            "carol1"
        } else {
            "bob1"
        };
        let answer = CARRIER_ANSWER.replace("a=ptime:20", "a=recvonly");
        talk.world
            .receive(trunk(), &answer_to(&held, 200, tag, Some(&answer)));
        talk.world.expect_request(trunk(), &Method::Ack);
        let done = talk.world.expect_status(talk.browser, 200);
        talk.world
            .receive(talk.browser, &in_dialog(call, &done, &Method::Ack, n));
    }
    let tags = (accepted.to_tag().unwrap(), second.from_tag().unwrap());
    let refer = talk.refer(&replacing(second.call_id(), tags.0, tags.1), 2);
    talk.world.receive(talk.browser, &refer);
    talk.world.expect_status(talk.browser, 202);
    let mut told = Vec::new();
    for _ in 0..2 {
        talk.world.advance(Duration::ZERO);
        let invite = talk.world.expect_request(trunk(), &Method::Invite);
        assert!(text(&invite).contains("a=sendrecv"), "{}", text(&invite));
        talk.world.expect_silence(trunk());
        let is_carol = invite.call_id() == carol.call_id();
        let tag = if is_carol { "carol1" } else { "bob1" };
        talk.world
            .receive(trunk(), &answer_to(&invite, 200, tag, Some(CARRIER_ANSWER)));
        talk.world.expect_request(trunk(), &Method::Ack);
        told.push(is_carol);
    }
    assert_ne!(told[0], told[1]);
    talk.world.advance(Duration::ZERO);
    talk.world.expect_silence(trunk());
}

#[test]
fn d5_an_attended_transfer_is_refused_where_it_cannot_be() {
    let mut talk = alice_talks();
    // Itself.
    let own = (talk.accepted.to_tag().unwrap().to_owned(), "caller");
    let refer = talk.refer(&replacing(talk.invite.call_id(), &own.0, own.1), 1);
    talk.world.receive(talk.browser, &refer);
    talk.world.expect_status(talk.browser, 400);
    // A call of somebody else.
    let mallory = log_in(&mut talk.world, "1001", "secret-one");
    let invite = browser_invite("1001", "lines.test", "2000", BROWSER_OFFER);
    talk.world.receive(mallory, &invite);
    talk.world.expect_status(mallory, 100);
    let onward = talk.world.expect_request(trunk(), &Method::Invite);
    let to_tag = "nobody";
    let refer = talk.refer(&replacing(onward.call_id(), to_tag, "x"), 2);
    talk.world.receive(talk.browser, &refer);
    // Nobody's dialog here: it is the carrier's business.
    talk.world.expect_status(talk.browser, 202);
    let passed = talk.world.expect_request(trunk(), &Method::Invite);
    let replaces = passed.header(HeaderName::Replaces).unwrap();
    assert!(replaces.contains("to-tag=nobody"), "{replaces}");
    talk.world
        .receive(trunk(), &answer_to(&passed, 481, "carol1", None));
    talk.world.sent.clear();
    let answer = answer_to(&onward, 200, "dora1", Some(CARRIER_ANSWER));
    talk.world.receive(trunk(), &answer);
    talk.world.expect_request(trunk(), &Method::Ack);
    let accepted = talk.world.expect_status(mallory, 200);
    let tags = (accepted.to_tag().unwrap(), invite.from_tag().unwrap());
    let refer_to = replacing(invite.call_id(), tags.0, tags.1);
    let refer = talk.refer(&refer_to, 3);
    talk.world.receive(talk.browser, &refer);
    talk.world.expect_status(talk.browser, 403);
    talk.world.expect_silence(trunk());
}

#[test]
fn d5_a_call_that_is_not_answered_cannot_be_joined_yet() {
    let mut talk = alice_talks();
    let invite = browser_invite("alice", "carrier.test", "carol", BROWSER_OFFER);
    talk.world.receive(talk.browser, &invite);
    talk.world.expect_status(talk.browser, 100);
    let carol = talk.world.expect_request(trunk(), &Method::Invite);
    talk.world
        .receive(trunk(), &answer_to(&carol, 180, "carol1", None));
    let ringing = talk.world.expect_status(talk.browser, 180);
    let refer_to = replacing(invite.call_id(), ringing.to_tag().unwrap(), "caller");
    let refer = talk.refer(&refer_to, 1);
    talk.world.receive(talk.browser, &refer);
    talk.world.expect_status(talk.browser, 491);
}

/// As RFC 3325 section 9.3 and RFC 3323 section 4.2 have it.
#[test]
fn d5_who_called_hidden_is_not_named_to_the_new_party() {
    let mut invite = browser_invite("alice", "carrier.test", "bob", BROWSER_OFFER);
    invite.push(HeaderName::Privacy, "id");
    let mut world = world_with("");
    let call = talk_by(&mut world, invite);
    let mut talk = Talk::of(world, call);
    let carol = talk.transfer("<sip:carol@carrier.test>", trunk());
    let from = carol.header(HeaderName::From).unwrap();
    assert!(from.contains("anonymous.invalid"), "{from}");
    assert_eq!(carol.header(HeaderName::ReferredBy), None);
    assert_eq!(carol.header(HeaderName::Privacy), Some("id"));
}

/// RFC 3891 section 3.
#[test]
fn d5_a_call_that_is_answered_is_not_replaced_where_only_an_early_one_may_be() {
    let mut talk = alice_talks();
    let (second, _, accepted) = consult(&mut talk, &carol_answers());
    let tags = (accepted.to_tag().unwrap(), second.from_tag().unwrap());
    let refer_to = replacing(second.call_id(), tags.0, tags.1).replace('>', "%3Bearly-only>");
    let refer = talk.refer(&refer_to, 1);
    talk.world.receive(talk.browser, &refer);
    talk.world.expect_status(talk.browser, 486);
    assert_eq!(talk.world.engine.calls(), 2);
}

#[test]
fn d5_calls_are_joined_before_the_browser_s_keys_are_there() {
    let mut talk = alice_talks();
    let (invite, _, accepted) = consult_before_keys(&mut talk, &carol_answers());
    let tags = (accepted.to_tag().unwrap(), invite.from_tag().unwrap());
    let refer = talk.refer(&replacing(invite.call_id(), tags.0, tags.1), 1);
    talk.world.receive(talk.browser, &refer);
    talk.world.expect_status(talk.browser, 202);
    let bye = talk.world.expect_request(talk.browser, &Method::Bye);
    talk.world
        .receive(talk.browser, &answer_to(&bye, 200, "x", None));
    talk.told_last("SIP/2.0 200 OK\r\n");
    talk.hang_up(2);
    // Both of those that talk have all they need: nobody waits for keys any more.
    talk.world.advance(Duration::from_secs(31));
    talk.world.expect_silence(trunk());
    assert_eq!(talk.world.engine.calls(), 1);
}

#[test]
fn d5_a_new_party_offers_nothing_before_there_is_somebody_to_answer() {
    let mut talk = alice_talks();
    let carol = talk.transfer("<sip:carol@carrier.test>", trunk());
    let early = answer_to(&carol, 183, "carol1", Some(&carol_answers()));
    talk.world.receive(trunk(), &early);
    talk.told("SIP/2.0 183 Session Progress\r\n", "active;expires=185");
    let mut update = in_dialog_of_callee(&carol, "carol1", &Method::Update);
    update.push(HeaderName::Contact, "<sip:carol@198.51.100.9:5060>");
    update.set_body("application/sdp", carol_answers().into());
    talk.world.receive(trunk(), &update);
    talk.world.expect_status(trunk(), 491);
}

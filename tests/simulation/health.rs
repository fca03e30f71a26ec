//! What becomes of calls while a part of the process is missing, and when it is back.

use std::time::Duration;

use control::engine::input::Input;
use control::health::Part;
use control::media::handshake::{HandshakeCommand, HandshakeEvent};
use control::sip::{HeaderName, Method};
use dataplane::link::{Command, Event, FlowId};
use tests::world::World;

use crate::calls::talk;
use crate::peers::{
    BROWSER_OFFER, CARRIER_ANSWER, CARRIER_OFFER, answer_to, browser_invite, carrier_invite,
    in_dialog, log_in, register_at_carrier, trunk,
};

const PARTS: [Part; 7] = [
    Part::Handshakes,
    Part::Workers,
    Part::SipSocket,
    Part::SipListener,
    Part::WebListener,
    Part::Acme,
    Part::Certificates,
];

fn part(world: &mut World, part: Part, is_there: bool) {
    world.input(Input::Part { part, is_there });
}

#[test]
fn media_f1_new_calls_are_refused_while_a_part_is_missing_and_taken_again() {
    for missing in PARTS {
        let mut world = World::new();
        let browser = register_at_carrier(&mut world, "alice");
        let line = log_in(&mut world, "1001", "secret-one");
        part(&mut world, missing, false);
        assert!(!world.engine.is_accepting());
        for (peer, invite) in [
            (
                browser,
                browser_invite("alice", "carrier.test", "bob", BROWSER_OFFER),
            ),
            (
                line,
                browser_invite("1001", "lines.test", "9196", BROWSER_OFFER),
            ),
            (
                trunk(),
                carrier_invite("sip:alice@198.51.100.1:5060", CARRIER_OFFER),
            ),
        ] {
            world.receive(peer, &invite);
            world.expect_status(peer, 100);
            let refused = world.expect_status(peer, 503);
            let retry_after = refused.header(HeaderName::RetryAfter);
            assert_eq!(retry_after, Some("5"), "{missing}");
        }
        part(&mut world, missing, true);
        assert!(world.engine.is_accepting());
        assert_eq!(world.engine.calls(), 0);
        let invite = browser_invite("alice", "carrier.test", "carol", BROWSER_OFFER);
        world.receive(browser, &invite);
        world.expect_status(browser, 100);
        world.expect_request(trunk(), &Method::Invite);
    }
}

#[test]
fn media_f1_a_call_that_is_up_goes_on_without_the_handshake_thread_and_can_be_ended() {
    let mut world = World::new();
    let (browser, invite, _, accepted) = talk(&mut world);
    part(&mut world, Part::Handshakes, false);
    let commands = world.handshakes.len();
    part(&mut world, Part::Handshakes, true);
    assert_eq!(world.handshakes.len(), commands, "it has its keys");
    assert_eq!(world.engine.calls(), 1);
    world.receive(browser, &in_dialog(&invite, &accepted, &Method::Bye, 1));
    world.expect_status(browser, 200);
    world.expect_request(trunk(), &Method::Bye);
}

fn opened(commands: &[HandshakeCommand]) -> Vec<(FlowId, bool)> {
    let names = |command: &HandshakeCommand| match command {
        HandshakeCommand::Open { flow } => Some((*flow, false)),
        HandshakeCommand::Expect { flow, .. } => Some((*flow, true)),
        HandshakeCommand::Close { .. } => None,
    };
    commands.iter().filter_map(names).collect()
}

#[test]
fn media_f1_a_restarted_handshake_thread_hears_of_every_flow_that_waits_for_keys() {
    let mut world = World::new();
    let browser = register_at_carrier(&mut world, "alice");
    let invite = browser_invite("alice", "carrier.test", "bob", BROWSER_OFFER);
    world.receive(browser, &invite);
    world.expect_status(browser, 100);
    let onward = world.expect_request(trunk(), &Method::Invite);
    let [flow] = world.handshake_flows()[..] else {
        panic!("{:?}", world.handshakes);
    };
    part(&mut world, Part::Handshakes, false);
    world.handshakes.clear();
    part(&mut world, Part::Handshakes, true);
    assert_eq!(opened(&world.handshakes), [(flow, false), (flow, true)]);

    // It is answered, has media, and needs the thread no more.
    let answer = answer_to(&onward, 200, "bob1", Some(CARRIER_ANSWER));
    world.receive(trunk(), &answer);
    world.expect_request(trunk(), &Method::Ack);
    let accepted = world.expect_status(browser, 200);
    world.receive(browser, &in_dialog(&invite, &accepted, &Method::Ack, 0));
    world.complete_handshakes();
    world.handshakes.clear();
    part(&mut world, Part::Handshakes, false);
    part(&mut world, Part::Handshakes, true);
    assert_eq!(opened(&world.handshakes), []);
}

#[test]
fn media_f1_a_handshake_that_the_thread_has_lost_ends_its_call_alone() {
    let mut world = World::new();
    let (_, _, _, _) = talk(&mut world);
    let line = log_in(&mut world, "1001", "secret-one");
    let invite = browser_invite("1001", "lines.test", "9196", BROWSER_OFFER);
    world.receive(line, &invite);
    world.expect_status(line, 100);
    let accepted = world.expect_status(line, 200);
    world.receive(line, &in_dialog(&invite, &accepted, &Method::Ack, 0));
    let flow = *world.handshake_flows().last().expect("a flow");
    part(&mut world, Part::Handshakes, false);
    world.input(Input::Handshake(HandshakeEvent::Failed {
        flow,
        reason: "the handshake thread was started again".to_owned(),
    }));
    world.expect_request(line, &Method::Bye);
    world.handshakes.clear();
    part(&mut world, Part::Handshakes, true);
    assert_eq!(opened(&world.handshakes), [], "the call ends");
}

#[test]
fn media_f1_the_calls_of_a_lost_worker_end_and_others_do_not() {
    let lost = |worker| {
        let why = "it panicked: on purpose".to_owned();
        Input::Media(Event::WorkerLost { worker, why })
    };
    let mut world = World::new();
    let (browser, _, _, _) = talk(&mut world);
    let line = log_in(&mut world, "1001", "secret-one");
    let invite = browser_invite("1001", "lines.test", "+4930555", BROWSER_OFFER);
    world.receive(line, &invite);
    world.expect_status(line, 100);
    let onward = world.expect_request(trunk(), &Method::Invite);
    let busy = world.opened_flows();

    // A worker that has none of them,
    world.input(lost(1));
    world.expect_silence(browser);
    assert_eq!(world.engine.calls(), 2);

    // and theirs: who talks is told, who waits is answered, and the flows are closed.
    world.commands.clear();
    world.input(lost(0));
    let reason = "SIP;cause=503;text=\"Media worker failed\", Q.850;cause=41";
    for (peer, method) in [
        (browser, Method::Bye),
        (trunk(), Method::Bye),
        (trunk(), Method::Cancel),
    ] {
        if method == Method::Cancel {
            world.receive(trunk(), &answer_to(&onward, 180, "c", None));
        }
        let request = world.expect_request(peer, &method);
        let told: Vec<&str> = request.headers(HeaderName::Reason).collect();
        assert_eq!(told, [reason], "{method:?}");
    }
    world.expect_status(line, 503);
    world.receive(trunk(), &answer_to(&onward, 487, "c", None));
    for flow in busy {
        let closings = world.commands.iter().filter(
            |command| matches!(command, Command::CloseFlow { flow: closed } if *closed == flow),
        );
        assert_eq!(closings.count(), 1, "{flow}");
    }
    world.advance(Duration::from_secs(64));
    let usage = world.engine.usage();
    assert_eq!((usage.calls, usage.flows, usage.port_pairs), (0, 0, 0));

    // The next call goes through.
    world.receive(
        line,
        &browser_invite("1001", "lines.test", "9196", BROWSER_OFFER),
    );
    world.expect_status(line, 100);
    world.expect_status(line, 200);
}

#[test]
fn media_f1_a_flow_whose_end_a_lost_worker_did_not_report_is_asked_for_again() {
    let mut world = World::new();
    let (browser, invite, _, accepted) = talk(&mut world);
    world.workers_answer = false;
    world.receive(browser, &in_dialog(&invite, &accepted, &Method::Bye, 1));
    world.expect_status(browser, 200);
    world.advance(Duration::from_secs(64));
    assert_eq!(world.engine.usage().flows, 2, "nobody has closed them");
    world.workers_answer = true;
    world.input(Input::Media(Event::WorkerLost {
        worker: 0,
        why: String::new(),
    }));
    assert_eq!(world.engine.usage().flows, 0);
}

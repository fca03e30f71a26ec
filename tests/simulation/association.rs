//! A browser that begins a new DTLS association within a call (RFC 8842): another page, another
//! peer connection.

use control::media::handshake::HandshakeCommand;
use control::sip::Method;
use dataplane::link::Command;
use tests::world::{World, text};

use crate::calls::talk;
use crate::peers::{
    BROWSER_ANSWER, BROWSER_OFFER, CARRIER_ANSWER, answer_to, in_dialog, in_dialog_of_callee, trunk,
};
use crate::talker::{is_quiet, numbered};

const PRINT: &str = "a=fingerprint:sha-256 3F:9A";
const OTHER: &str = "a=fingerprint:sha-256 4F:9A";

/// Sessions that were opened, and the number of fingerprints that each was told to expect.
fn sessions(world: &World) -> (usize, Vec<usize>) {
    let opened = |command: &&HandshakeCommand| matches!(command, HandshakeCommand::Open { .. });
    let expected = world.handshakes.iter().filter_map(|command| match command {
        HandshakeCommand::Expect { fingerprints, .. } => Some(fingerprints.len()),
        HandshakeCommand::Open { .. } | HandshakeCommand::Close { .. } => None,
    });
    (
        world.handshakes.iter().filter(opened).count(),
        expected.collect(),
    )
}

fn restarts(world: &World) -> usize {
    let is_ice = |c: &&Command| matches!(c, Command::SetIceCredentials { .. });
    world.commands.iter().filter(is_ice).count()
}

fn other_browser(sdp: &str) -> String {
    let other = sdp
        .replace(PRINT, OTHER)
        .replace("ice-ufrag:Wm3x", "ice-ufrag:Zz9y");
    assert_ne!(other, sdp);
    other
}

#[test]
fn media_f12_a_new_association_by_reinvite_or_update_is_taken() {
    for method in [Method::Invite, Method::Update] {
        let mut world = World::new();
        let (browser, invite, _, accepted) = talk(&mut world);
        world.commands.clear();
        world.handshakes.clear();
        let mut offer = in_dialog(&invite, &accepted, &method, 1);
        offer.push("Contact", "<sip:alicex@x1.invalid;transport=ws>");
        offer.set_body("application/sdp", other_browser(BROWSER_OFFER).into());
        world.receive(browser, &offer);
        if method == Method::Invite {
            world.expect_status(browser, 100);
        }
        let answer = text(&world.expect_status(browser, 200));
        assert!(answer.contains("a=setup:passive"), "{answer}");
        let fragment = |text: &str| {
            let line = text.lines().find(|line| line.starts_with("a=ice-ufrag:"));
            line.map(str::to_owned)
        };
        assert_ne!(fragment(&answer), fragment(&text(&accepted)));
        assert_eq!(sessions(&world), (1, vec![1]));
        assert_eq!(restarts(&world), 1);
        // The call does not wait for the keys: the old ones serve until then.
        world.complete_handshakes();
        is_quiet(&mut world, &[]);
        assert_eq!(world.engine.calls(), 1);
    }
}

#[test]
fn media_f12_the_same_certificate_is_the_same_association() {
    let line = BROWSER_OFFER.lines().find(|line| line.starts_with(PRINT));
    let line = format!("{}\r\n", line.unwrap());
    let sha_512 = format!("a=fingerprint:sha-512 {}\r\n", vec!["A0"; 64].join(":"));
    let both = [format!("{line}{sha_512}"), format!("{sha_512}{line}")];
    let mut world = World::new();
    let (browser, invite, _, accepted) = talk(&mut world);
    world.handshakes.clear();
    for (n, lines) in [(1, &both[0]), (2, &both[1]), (3, &line)] {
        let mut offer = in_dialog(&invite, &accepted, &Method::Update, n);
        let sdp = BROWSER_OFFER.replace(&line, lines);
        offer.set_body("application/sdp", sdp.into());
        world.receive(browser, &offer);
        world.expect_status(browser, 200);
        assert_eq!(sessions(&world).0, 0);
    }
}

#[test]
fn media_f12_another_tls_id_is_another_association() {
    let mut world = World::new();
    let (browser, invite, _, accepted) = talk(&mut world);
    world.handshakes.clear();
    for (n, id, opened) in [(1, "first", 0), (2, "first", 0), (3, "second", 1)] {
        let mut offer = in_dialog(&invite, &accepted, &Method::Update, n);
        let tls_id = format!("a=tls-id:{id}-association\r\n{PRINT}");
        let sdp = BROWSER_OFFER.replace(PRINT, &tls_id);
        offer.set_body("application/sdp", sdp.into());
        world.receive(browser, &offer);
        world.expect_status(browser, 200);
        assert_eq!(sessions(&world).0, opened);
    }
}

#[test]
fn media_f12_an_answer_may_begin_a_new_association() {
    let mut world = World::new();
    let (browser, _, onward, _) = talk(&mut world);
    world.commands.clear();
    world.handshakes.clear();
    let mut hold = numbered(in_dialog_of_callee(&onward, "bob1", &Method::Update), 101);
    let held = format!("{CARRIER_ANSWER}a=sendonly\r\n");
    hold.set_body("application/sdp", held.into());
    world.receive(trunk(), &hold);
    let told = world.expect_request(browser, &Method::Invite);
    let answer = other_browser(&BROWSER_ANSWER.replace("a=sendrecv", "a=recvonly"));
    world.receive(browser, &answer_to(&told, 200, "caller", Some(&answer)));
    world.expect_request(browser, &Method::Ack);
    world.expect_status(trunk(), 200);
    assert_eq!(sessions(&world), (1, vec![1]));
    // Its fragment is learnt; ours stay those of the offer that it has answered.
    assert_eq!(restarts(&world), 1);
    is_quiet(&mut world, &[browser]);
    assert_eq!(world.engine.calls(), 1);
}

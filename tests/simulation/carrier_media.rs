//! Carriers whose media comes from, or goes to, somewhere else than they signal.

use control::engine::input::Input;
use control::sip::Method;
use dataplane::link::{Command, Event, FlowId, PeerPolicy};
use tests::world::{CONFIG, World};

use crate::calls::talk;
use crate::peers::{BROWSER_ANSWER, CARRIER_OFFER, answer_to, carrier_invite, log_in, trunk};

const KEYS: &str = "media_networks = [\"198.51.100.0/24\", \"2001:db8::/32\"]\n\
                    media_asymmetric = true\n";

/// Of the carrier of the calls, or of another one.
fn with_keys(of_the_carrier: bool) -> World {
    let other = format!(
        "[[trunk]]\nname = \"other\"\ntarget = \"203.0.113.77:5060\"\n{}[[realm]]",
        if of_the_carrier { "" } else { KEYS }
    );
    let own = if of_the_carrier { KEYS } else { "" };
    let config = CONFIG
        .replace("codecs =", &format!("{own}codecs ="))
        .replacen("[[realm]]", &other, 1);
    World::with_config(&config)
}

/// What the worker was told last of a flow.
fn policy(world: &World, flow: FlowId) -> PeerPolicy {
    let told = world.commands.iter().rev().find_map(|command| {
        let Command::SetPeer {
            flow: of, policy, ..
        } = command
        else {
            return None;
        };
        (*of == flow).then(|| policy.clone())
    });
    told.expect("the worker was told")
}

fn is_trusted(policy: &PeerPolicy) -> bool {
    let networks: Vec<_> = policy.networks.iter().map(ToString::to_string).collect();
    policy.asymmetric && networks == ["198.51.100.0/24", "2001:db8::/32"]
}

#[test]
fn media_f9_f10_the_worker_is_told_what_the_trunk_of_the_call_allows() {
    for of_the_carrier in [true, false] {
        let mut world = with_keys(of_the_carrier);
        talk(&mut world);
        let flow = world.opened_flows()[1];
        let policy = policy(&world, flow);
        assert_eq!(is_trusted(&policy), of_the_carrier);
        assert_eq!(policy == PeerPolicy::default(), !of_the_carrier);
    }
}

#[test]
fn media_f9_f10_it_holds_for_calls_of_the_carrier_too() {
    let mut world = with_keys(true);
    let line = log_in(&mut world, "1001", "secret-one");
    let invite = carrier_invite("sip:1001@198.51.100.1:5060", CARRIER_OFFER);
    world.receive(trunk(), &invite);
    world.expect_status(trunk(), 100);
    let onward = world.expect_request(line, &Method::Invite);
    world.receive(line, &answer_to(&onward, 200, "t", Some(BROWSER_ANSWER)));
    world.expect_status(trunk(), 200);
    let flows = world.opened_flows();
    let told = |command: &Command| {
        matches!(command, Command::SetPeer { flow, policy, .. }
            if flows.contains(flow) && is_trusted(policy))
    };
    assert!(world.commands.iter().any(told));
}

#[test]
fn media_f9_the_log_says_once_where_refused_media_comes_from_and_which_key_allows_it() {
    let mut world = World::new();
    talk(&mut world);
    let flows = world.opened_flows();
    let lines = |world: &World| {
        let is_refusal = |line: &&String| line.starts_with("MediaRefused");
        let lines = world.logged.iter().filter(is_refusal);
        lines.cloned().collect::<Vec<_>>()
    };
    for flow in [flows[0], flows[1], flows[1]] {
        world.input(Input::Media(Event::MediaRefused {
            flow,
            source: "192.0.2.66:7000".parse().unwrap(),
            signalled: "198.51.100.20:4000".parse().unwrap(),
        }));
    }
    let lines = lines(&world);
    assert_eq!(lines.len(), 1, "{lines:?}");
    for part in ["\"carrier\"", "192.0.2.66:7000", "198.51.100.20:4000"] {
        assert!(lines[0].contains(part), "{lines:?}");
    }
}

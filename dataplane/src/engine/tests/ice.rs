use super::*;
use crate::limits::{
    ADDRESS_HELD_FOR, CONSENT_EXPIRES_AFTER, DTLS_DATAGRAMS_PER_SWEEP_MAX, SWEEP_PERIOD,
    VALIDATED_PEERS_MAX,
};
use crate::wire::stun::tests::read_answer;

const DTLS: [u8; 20] = [22; 20];

#[test]
fn answers_an_authentic_check_and_selects_the_nominated_pair_once() {
    let mut world = World::new();
    world.open_browser(0, "us00");
    let plain = TestCheck {
        use_candidate: false,
        ..check("us00:them")
    };
    let (verdict, answer) = world.packet(SocketId::Browser, address(BROWSER), &plain.bytes());
    let Verdict::Reply(transmit) = verdict else {
        panic!("{verdict:?}")
    };
    assert_eq!(
        (transmit.socket, transmit.to),
        (SocketId::Browser, address(BROWSER))
    );
    assert_eq!(read_answer(&answer, PASSWORD), (0x0101, 0, true));
    assert!(world.events().is_empty(), "not nominated yet");
    for _ in 0..2 {
        assert!(matches!(
            world.check(BROWSER, &check("us00:them")),
            Verdict::Reply(_)
        ));
    }
    assert!(world.only_event("PeerSelected"));
    // Another one is nominated: media follows when it is proven (see `moving`).
    assert!(matches!(
        world.check("203.0.113.9:1", &check("us00:them")),
        Verdict::Reply(_)
    ));
    assert!(world.events().is_empty());
}

#[test]
fn one_event_of_a_kind_waits_and_names_the_latest_address() {
    let mut world = World::new();
    world.open_browser(0, "us00");
    assert!(matches!(
        world.check(BROWSER, &check("us00:them")),
        Verdict::Reply(_)
    ));
    let ice = credentials("new0", Some("new1"));
    world.command(Command::SetIceCredentials { flow: flow(0), ice });
    assert!(matches!(
        world.check("203.0.113.9:2", &check("new0:new1")),
        Verdict::Reply(_)
    ));
    let events = world.events();
    assert_eq!(events.len(), 1, "one pending event of a kind");
    assert!(
        events[0].contains("203.0.113.9:2"),
        "the latest counts: {events:?}"
    );
}

#[test]
fn a_stranger_gets_no_answer() {
    let mut world = World::new();
    world.open_browser(0, "us00");
    for (username, password, reason) in [
        (
            "us00:them",
            "another+password+24+long",
            DropReason::StunIntegrity,
        ),
        ("us01:them", PASSWORD, DropReason::StunUnknownUser),
        ("us00:evil", PASSWORD, DropReason::StunUnknownUser),
        ("us00", PASSWORD, DropReason::StunUnknownUser),
    ] {
        let bytes = TestCheck {
            password,
            ..check(username)
        }
        .bytes();
        assert_eq!(world.dropped(SocketId::Browser, BROWSER, &bytes), reason);
    }
    let mut indication = check("us00:them").bytes();
    indication[1] = 0x11;
    let reason = world.dropped(SocketId::Browser, BROWSER, &indication);
    assert_eq!(reason, DropReason::StunUnknownUser);
    assert_eq!(
        world.dropped(SocketId::Browser, BROWSER, &[0; 20]),
        DropReason::StunMalformed
    );
    assert_eq!(
        world.dropped(SocketId::Browser, BROWSER, &DTLS),
        DropReason::UnknownSource
    );
    assert!(world.events().is_empty());
}

#[test]
fn answers_487_and_420_without_believing_the_address() {
    let mut world = World::new();
    world.open_browser(0, "us00");
    let controlled = TestCheck {
        role: Role::Controlled,
        ..check("us00:them")
    };
    let unknown = TestCheck {
        unknown_attribute: true,
        ..check("us00:them")
    };
    for (check, code) in [(controlled, 487), (unknown, 420)] {
        let (verdict, answer) = world.packet(SocketId::Browser, address(BROWSER), &check.bytes());
        assert!(matches!(verdict, Verdict::Reply(_)));
        assert_eq!(read_answer(&answer, PASSWORD), (0x0111, code, true));
    }
    assert_eq!(
        world.dropped(SocketId::Browser, BROWSER, &DTLS),
        DropReason::UnknownSource
    );
    assert!(world.events().is_empty());
}

#[test]
fn dtls_passes_only_from_and_to_validated_addresses() {
    let mut world = World::new();
    world.open_browser(0, "us00");
    world.open_browser(1, "us01");
    let plain = TestCheck {
        use_candidate: false,
        ..check("us00:them")
    };
    assert!(matches!(world.check(BROWSER, &plain), Verdict::Reply(_)));
    let (verdict, _) = world.packet(SocketId::Browser, address(BROWSER), &DTLS);
    assert_eq!(verdict, Verdict::ToControl(flow(0)));
    let reason = world.dropped(SocketId::Browser, "203.0.113.9:50113", &DTLS);
    assert_eq!(reason, DropReason::UnknownSource);
    let datagram = |slot, to| Datagram::new(flow(slot), address(to), &DTLS).unwrap();
    let transmit = world
        .engine
        .outgoing_datagram(world.now, &datagram(0, BROWSER))
        .unwrap();
    let expected = Transmit::new(SocketId::Browser, address(BROWSER), 20);
    assert_eq!(transmit, expected);
    for (slot, to) in [(0, "203.0.113.9:50113"), (1, BROWSER), (5, BROWSER)] {
        assert_eq!(
            world
                .engine
                .outgoing_datagram(world.now, &datagram(slot, to)),
            None
        );
    }
}

#[test]
fn a_browser_that_floods_dtls_leaves_room_for_the_others() {
    let mut world = World::new();
    let other = "203.0.113.10:50112";
    world.connect_browser(0, "us00", BROWSER);
    world.connect_browser(1, "us01", other);
    let flood = |world: &mut World| {
        for _ in 0..DTLS_DATAGRAMS_PER_SWEEP_MAX {
            let (verdict, _) = world.packet(SocketId::Browser, address(BROWSER), &DTLS);
            assert_eq!(verdict, Verdict::ToControl(flow(0)));
        }
        let reason = world.dropped(SocketId::Browser, BROWSER, &DTLS);
        assert_eq!(reason, DropReason::DtlsFlood);
    };
    flood(&mut world);
    let (verdict, _) = world.packet(SocketId::Browser, address(other), &DTLS);
    assert_eq!(verdict, Verdict::ToControl(flow(1)));
    world.pass(SWEEP_PERIOD);
    flood(&mut world);
}

#[test]
fn consent_ends_without_checks_and_nothing_more_is_sent() {
    let mut world = World::new();
    let mut peer = world.connect_browser(0, "us00", BROWSER);
    world.command(Command::SetRoute(route(0, Media::Audio, 0, (0, 0), 9)));
    world.pass(Duration::from_secs(25));
    assert!(world.only_event("MediaSilent"));
    assert!(matches!(
        world.check(BROWSER, &check("us00:them")),
        Verdict::Reply(_)
    ));
    world.pass(CONSENT_EXPIRES_AFTER - Duration::from_secs(1));
    let packet = peer.protect(&rtp(0, 1, 0, 5));
    world.forwarded(SocketId::Browser, address(BROWSER), &packet);
    world.pass(Duration::from_secs(1));
    let packet = peer.protect(&rtp(0, 2, 160, 5));
    let reason = world.dropped(SocketId::Browser, BROWSER, &packet);
    assert_eq!(reason, DropReason::UnknownSource);
    let datagram = Datagram::new(flow(0), address(BROWSER), &DTLS).unwrap();
    assert_eq!(world.engine.outgoing_datagram(world.now, &datagram), None);
    assert_eq!(world.engine.table.names_count(), (1, 0));
}

#[test]
fn keeps_a_bounded_number_of_addresses_and_never_evicts_the_selected() {
    let mut world = World::new();
    world.open_browser(0, "us00");
    assert!(matches!(
        world.check(BROWSER, &check("us00:them")),
        Verdict::Reply(_)
    ));
    let plain = TestCheck {
        use_candidate: false,
        ..check("us00:them")
    };
    for port in 1..=20 {
        world.now += Duration::from_millis(10);
        let source = format!("203.0.113.9:{port}");
        assert!(matches!(world.check(&source, &plain), Verdict::Reply(_)));
    }
    assert_eq!(world.engine.table.names_count(), (1, VALIDATED_PEERS_MAX));
    let passes = |world: &mut World, source: &str| {
        world.packet(SocketId::Browser, address(source), &DTLS).0 == Verdict::ToControl(flow(0))
    };
    assert!(passes(&mut world, BROWSER) && passes(&mut world, "203.0.113.9:20"));
    assert!(!passes(&mut world, "203.0.113.9:1"));
}

#[test]
fn an_address_is_not_taken_from_a_living_flow() {
    let mut world = World::new();
    world.open_browser(0, "us00");
    world.open_browser(1, "us01");
    assert!(matches!(
        world.check(BROWSER, &check("us00:them")),
        Verdict::Reply(_)
    ));
    let reason = world.dropped(SocketId::Browser, BROWSER, &check("us01:them").bytes());
    assert_eq!(reason, DropReason::UnknownSource);
    world.now += ADDRESS_HELD_FOR;
    assert!(matches!(
        world.check(BROWSER, &check("us01:them")),
        Verdict::Reply(_)
    ));
    let (verdict, _) = world.packet(SocketId::Browser, address(BROWSER), &DTLS);
    assert_eq!(verdict, Verdict::ToControl(flow(1)));
}

#[test]
fn a_restart_keeps_the_old_credentials_until_the_new_ones_are_used() {
    let mut world = World::new();
    world.open_browser(0, "us00");
    let ice = credentials("new0", Some("new1"));
    world.command(Command::SetIceCredentials { flow: flow(0), ice });
    assert!(matches!(
        world.check(BROWSER, &check("us00:them")),
        Verdict::Reply(_)
    ));
    assert!(matches!(
        world.check(BROWSER, &check("new0:new1")),
        Verdict::Reply(_)
    ));
    let reason = world.dropped(SocketId::Browser, BROWSER, &check("us00:them").bytes());
    assert_eq!(reason, DropReason::StunUnknownUser);
    assert_eq!(world.engine.table.names_count(), (1, 1));
}

#[test]
fn learns_the_remote_fragment_later() {
    let mut world = World::new();
    let kind = FlowKind::Browser(BrowserFlow {
        ice: credentials("us00", None),
    });
    world.command(Command::OpenFlow(OpenFlow {
        flow: flow(0),
        kind,
    }));
    assert!(matches!(
        world.check(BROWSER, &check("us00:any0")),
        Verdict::Reply(_)
    ));
    let ice = credentials("us00", Some("them"));
    world.command(Command::SetIceCredentials { flow: flow(0), ice });
    let reason = world.dropped(SocketId::Browser, BROWSER, &check("us00:any0").bytes());
    assert_eq!(reason, DropReason::StunUnknownUser);
    assert!(matches!(
        world.check(BROWSER, &check("us00:them")),
        Verdict::Reply(_)
    ));
}

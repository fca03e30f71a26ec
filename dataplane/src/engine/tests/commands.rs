use super::*;

fn open_browser(slot: u16, local: &str) -> Command {
    let kind = FlowKind::Browser(BrowserFlow {
        ice: credentials(local, None),
    });
    Command::OpenFlow(OpenFlow {
        flow: flow(slot),
        kind,
    })
}

#[test]
fn refuses_what_does_not_fit_and_says_why() {
    let mut world = World::new();
    world.open_browser(0, "us00");
    world.open_trunk(1, TRUNK);
    let unknown = flow(2);
    let rtp = address(TRUNK);
    let peer = PeerAddresses { rtp, rtcp: rtp };
    let (keys, _) = keys(1);
    let elsewhere = OpenFlow {
        flow: FlowId {
            worker: 4,
            ..unknown
        },
        kind: FlowKind::Trunk(TrunkFlow { rtp_port: 1 }),
    };
    for (command, reason) in [
        (open_browser(0, "us09"), RefuseReason::SlotTaken),
        (open_browser(99, "us09"), RefuseReason::SlotTaken),
        (open_browser(2, "us00"), RefuseReason::FragmentTaken),
        (Command::OpenFlow(elsewhere), RefuseReason::UnknownFlow),
        (
            Command::SetPeer {
                flow: flow(0),
                peer,
                policy: PeerPolicy::default(),
            },
            RefuseReason::WrongKind,
        ),
        (
            Command::SetPeer {
                flow: unknown,
                peer,
                policy: PeerPolicy::default(),
            },
            RefuseReason::UnknownFlow,
        ),
        (
            Command::InstallKeys {
                flow: flow(1),
                keys,
            },
            RefuseReason::WrongKind,
        ),
        (
            Command::SetRoute(route(0, Media::Audio, 2, (0, 0), 1)),
            RefuseReason::UnknownFlow,
        ),
        (
            Command::SetRoute(route(2, Media::Audio, 0, (0, 0), 1)),
            RefuseReason::UnknownFlow,
        ),
    ] {
        world.command(command);
        assert!(world.only_event(&format!("reason: {reason:?}")));
    }
    world.engine.refuse(unknown, RefuseReason::PortUnavailable);
    assert!(world.only_event("PortUnavailable"));
}

#[test]
fn a_closed_flow_leaves_nothing_and_its_name_is_stale() {
    let mut world = World::new();
    let mut peer = world.connect_browser(0, "us00", BROWSER);
    assert!(world.engine.is_open(flow(0)) && !world.engine.is_slot_free(flow(0)));
    assert!(world.engine.poll_timeout().is_some());
    world.command(Command::CloseFlow { flow: flow(0) });
    assert!(world.only_event("FlowClosed"));
    assert_eq!(world.engine.table.names_count(), (0, 0));
    assert_eq!(world.engine.poll_timeout(), None);
    assert_eq!(world.counters.snapshot().open_flows, 0);
    let packet = peer.protect(&rtp(0, 1, 0, 5));
    let reason = world.dropped(SocketId::Browser, BROWSER, &packet);
    assert_eq!(reason, DropReason::UnknownSource);
    let next = FlowId {
        generation: 2,
        ..flow(0)
    };
    assert!(world.engine.is_slot_free(next));
    let kind = FlowKind::Browser(BrowserFlow {
        ice: credentials("us00", None),
    });
    world.command(Command::OpenFlow(OpenFlow { flow: next, kind }));
    assert!(world.only_event("FlowOpened"));
    world.command(Command::CloseFlow { flow: flow(0) });
    assert!(world.only_event("reason: Lost"));
    assert!(world.engine.is_open(next));
}

#[test]
fn stop_reports_every_flow() {
    let mut world = World::new();
    world.open_browser(0, "us00");
    world.open_trunk(5, TRUNK);
    world.command(Command::Stop);
    let events = world.events();
    assert_eq!(events.len(), 2);
    assert!(
        events
            .iter()
            .all(|event| event.contains("FlowClosed") && event.contains("Stopped"))
    );
}

#[test]
fn a_browser_that_has_not_come_yet_is_not_silent() {
    let mut world = World::new();
    world.open_browser(0, "us00");
    // It rings, and the browser learns our address only with the answer.
    world.pass(2 * SILENT_AFTER);
    assert!(world.events().is_empty());
    assert!(matches!(
        world.check(BROWSER, &check("us00:them")),
        Verdict::Reply(_)
    ));
    assert!(world.only_event("PeerSelected"));
    world.pass(SILENT_AFTER + Duration::from_secs(1));
    assert!(world.only_event("MediaSilent"));
}

/// The world lets `within` pass for a flow that says nothing.
fn expect_media(world: &mut World, within: Option<Duration>) {
    let flow = flow(0);
    world.command(Command::ExpectMedia { flow, within });
}

#[test]
fn media_f2_a_held_peer_may_be_silent_and_the_clock_begins_anew_after_the_hold() {
    let mut world = World::new();
    world.open_trunk(0, TRUNK);
    world.pass(SILENT_AFTER / 2);
    expect_media(&mut world, None);
    world.pass(10 * SILENT_AFTER);
    assert!(world.events().is_empty());
    let resumed = Some(SILENT_AFTER);
    expect_media(&mut world, resumed);
    world.pass(SILENT_AFTER - Duration::from_secs(2));
    assert!(world.events().is_empty());
    // The same again is no news.
    expect_media(&mut world, resumed);
    world.pass(Duration::from_secs(3));
    assert!(world.only_event("MediaSilent"));
}

#[test]
fn media_f2_a_silence_that_was_reported_during_a_hold_is_reported_again_after_it() {
    let mut world = World::new();
    world.open_trunk(0, TRUNK);
    expect_media(&mut world, Some(3 * SILENT_AFTER));
    world.pass(3 * SILENT_AFTER - Duration::from_secs(2));
    assert!(world.events().is_empty());
    world.pass(Duration::from_secs(3));
    assert!(world.only_event("MediaSilent"));
    expect_media(&mut world, Some(SILENT_AFTER));
    world.pass(SILENT_AFTER + Duration::from_secs(1));
    assert!(world.only_event("MediaSilent"));
}

#[test]
fn reports_silence_once_and_again_only_after_a_sign_of_life() {
    let mut world = World::new();
    world.open_trunk(0, TRUNK);
    world.pass(SILENT_AFTER - Duration::from_secs(2));
    assert!(world.events().is_empty());
    world.pass(Duration::from_secs(3));
    assert!(world.only_event("MediaSilent"));
    world.pass(2 * SILENT_AFTER);
    assert!(world.events().is_empty());
    let verdict = world
        .packet(SocketId::TrunkRtp(0), address(TRUNK), &rtp(0, 1, 0, 5))
        .0;
    assert_eq!(verdict, Verdict::Drop(DropReason::NoRoute));
    assert!(world.only_event("MediaStarted"));
    world.pass(SILENT_AFTER + Duration::from_secs(1));
    assert!(world.only_event("MediaSilent"));
}

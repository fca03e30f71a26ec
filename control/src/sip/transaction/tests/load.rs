//! Bounds of the table: who is refused first, what is forgotten first, and what a finished
//! transaction still does.

use super::*;

fn small(live: usize, finished: usize) -> World {
    let mut world = World::new();
    let limits = TransactionLimits { live, finished };
    world.table = Transactions::new(TimerConfig::default(), [3; 32]).with_limits(limits);
    world
}

/// The same request in another transaction and call.
fn numbered(method: &str, number: usize, to_tag: &str) -> String {
    let text = request(method, &format!("z9hG4bK{method}{number}"), to_tag);
    text.replace("Call-ID: call", &format!("Call-ID: call{number}"))
}

/// Our own request, in a dialog if there is a tag.
fn send_own(world: &mut World, method: &str, to_tag: &str) -> bool {
    let mut own = Message::request(method, "sip:bob@example.com");
    own.push(HeaderName::From, "<sip:alice@example.com>;tag=a");
    own.push(HeaderName::To, format!("<sip:bob@example.com>{to_tag}"));
    own.push(HeaderName::CallId, "own");
    own.push(HeaderName::CSeq, format!("1 {method}"));
    let via = ViaParameters {
        transport: "UDP",
        sent_by: "x".to_owned(),
    };
    let id = world.table.send_request(world.now, udp(1), own, &via);
    let failed = world.events().into_iter().any(
        |event| matches!(event, TransactionEvent::TransportFailed { transaction, .. } if transaction == id),
    );
    world.sent_lines();
    !failed
}

#[test]
fn suite_s14_new_calls_are_refused_first_then_other_requests_and_no_bye() {
    for peer in [udp(1), WEB] {
        let mut world = small(8, 100);
        for number in 0..4 {
            world.receive(peer, &numbered("INVITE", number, ""));
        }
        assert_eq!(world.sent_lines(), ["100"; 4]);
        world.receive(peer, &numbered("INVITE", 4, ""));
        let refusal = world.sent().unwrap();
        assert_eq!(refusal.status(), Some(503));
        assert_eq!(refusal.header(HeaderName::RetryAfter), Some("5"));
        assert!(refusal.to_tag().is_some());
        // Others go on until three quarters.
        for number in 0..3 {
            world.receive(peer, &numbered("MESSAGE", number, ""));
        }
        assert_eq!(world.sent_lines(), ["503"]);
        // Requests in dialogs until the end, and what ends a call beyond it.
        for number in 0..3 {
            world.receive(peer, &numbered("INFO", number, ";tag=b"));
        }
        assert_eq!(world.sent_lines(), ["503"]);
        assert_eq!(world.table.counts().live, 8);
        world.events();
        for method in ["BYE", "PRACK"] {
            let (id, message) = world.begin(peer, &numbered(method, 7, ";tag=b"));
            assert!(world.respond(id, &message, 200));
        }
        world.sent_lines();
        // Its branch is that of the INVITE.
        let cancel = numbered("INVITE", 1, "").replace("INVITE sip", "CANCEL sip");
        world.receive(peer, &cancel.replace("1 INVITE", "1 CANCEL"));
        assert_eq!(world.sent_lines(), ["200"]);
        let events = world.events();
        assert!(
            matches!(events[..], [TransactionEvent::Cancel { .. }]),
            "{events:?}"
        );
        let counts = world.table.counts();
        assert_eq!((counts.refused_calls, counts.refused_others), (1, 2));
    }
}

#[test]
fn suite_s14_our_own_bye_leaves_whatever_the_table_holds() {
    let mut world = small(4, 100);
    for number in 0..2 {
        world.receive(udp(1), &numbered("INVITE", number, ""));
    }
    // The calls that were taken go on.
    assert!(send_own(&mut world, "INVITE", ""));
    assert!(!send_own(&mut world, "OPTIONS", ""), "three quarters");
    assert!(send_own(&mut world, "INVITE", ";tag=b"));
    assert!(!send_own(&mut world, "INVITE", ";tag=b"), "full");
    for _ in 0..9 {
        assert!(send_own(&mut world, "BYE", ";tag=b"));
    }
}

#[test]
fn suite_s14_a_refused_call_costs_no_state_and_its_repetition_gets_the_same_answer() {
    for peer in [udp(1), WEB] {
        let mut world = small(8, 100);
        world.table.take_calls(false);
        let text = numbered("INVITE", 1, "");
        let answers: Vec<Message> = (0..3)
            .map(|_| {
                world.receive(peer, &text);
                world.sent().unwrap()
            })
            .collect();
        for answer in &answers {
            assert_eq!(answer.status(), Some(503));
            assert_eq!(
                answer.to_tag(),
                answers[0].to_tag(),
                "RFC 3261 section 8.2.7"
            );
        }
        assert!(world.table.is_empty() && world.table.poll_timeout().is_none());
        let tag = answers[0].to_tag().unwrap().to_owned();
        let ack = numbered("INVITE", 1, &format!(";tag={tag}"));
        world.receive(
            peer,
            &ack.replace("INVITE sip", "ACK sip")
                .replace("1 INVITE", "1 ACK"),
        );
        assert!(world.sent_lines().is_empty(), "an ACK is never answered");
        assert!(world.table.is_empty());
        // In a dialog it is no new call.
        world.events();
        world.begin(peer, &numbered("INVITE", 2, ";tag=b"));
    }
}

#[test]
fn suite_s14_an_invite_that_was_taken_goes_on_when_no_more_are() {
    let mut world = small(8, 100);
    let (id, message) = world.begin(udp(1), &invite());
    world.table.take_calls(false);
    world.sent_lines();
    world.receive(udp(1), &invite());
    assert_eq!(world.sent_lines(), ["100"], "it is repeated");
    assert!(world.respond(id, &message, 486));
    world.receive(udp(1), &invite());
    assert_eq!(world.sent_lines(), ["486", "486"]);
}

#[test]
fn suite_s14_finished_transactions_leave_room_for_live_ones() {
    let mut world = small(2, 100);
    for number in 0..50 {
        let (id, message) = world.begin(udp(1), &numbered("INVITE", number, ""));
        world.respond(id, &message, 200);
        let ack = numbered("INVITE", number, ";tag=local").replace("INVITE", "ACK");
        world.receive(udp(1), &ack);
        world.events();
        world.sent_lines();
    }
    let counts = world.table.counts();
    assert_eq!((counts.live, counts.finished, counts.forgotten), (0, 50, 0));
    assert!(world.pass(T1 * 64 - Duration::from_millis(1)).is_empty());
    assert_eq!(world.table.len(), 50);
    world.pass(Duration::from_secs(1));
    assert!(world.table.is_empty() && world.table.poll_timeout().is_none());
    assert!(world.table.index.is_empty(), "no key is left");
}

#[test]
fn suite_s14_beyond_the_bound_the_oldest_finished_one_is_forgotten_and_counted() {
    let mut world = small(100, 3);
    let (live, kept) = world.begin(udp(1), &invite());
    for number in 0..5 {
        let (id, message) = world.begin(udp(1), &numbered("OPTIONS", number, ""));
        world.respond(id, &message, 200);
        world.pass(Duration::from_millis(10));
    }
    world.sent_lines();
    let counts = world.table.counts();
    assert_eq!((counts.live, counts.finished, counts.forgotten), (1, 3, 2));
    for number in 2..5 {
        world.receive(udp(1), &numbered("OPTIONS", number, ""));
    }
    assert_eq!(world.sent_lines(), ["200"; 3], "those that are kept");
    assert!(world.events().is_empty());
    // A forgotten one is a new request.
    world.begin(udp(1), &numbered("OPTIONS", 0, ""));
    assert!(
        world.respond(live, &kept, 486),
        "a live one is never forgotten"
    );
}

#[test]
fn suite_s14_finished_client_transactions_still_do_their_part() {
    let mut world = small(4, 100);
    // Timer M: each 2xx goes to the owner, with the number of the INVITE for its ACK.
    let (id, sent) = world.send(udp(1), "INVITE");
    world.answer(udp(1), &sent, 200);
    world.answer(udp(1), &sent, 200);
    world.answer(WEB, &sent, 200);
    let events = world.events();
    assert_eq!(events.len(), 3);
    for event in &events[..2] {
        assert!(
            matches!(event, TransactionEvent::Response { transaction, .. } if *transaction == id)
        );
    }
    assert!(matches!(events[2], TransactionEvent::StrayResponse { .. }));
    assert_eq!(world.table.sent_sequence(id), Some(5));
    assert!(!world.table.is_pending(id));
    world.table.cancel(world.now, id, &[]);
    assert!(world.sent_lines().is_empty(), "too late to cancel");
    // Timer D: a repeated error has its ACK again, and nothing else.
    let (id, sent) = world.send(udp(1), "INVITE");
    world.answer(udp(1), &sent, 486);
    world.sent_lines();
    world.answer(udp(1), &sent, 486);
    world.answer(udp(1), &sent, 180);
    world.answer(udp(1), &sent, 200);
    assert_eq!(statuses(&world.events()), [486]);
    assert_eq!(world.sent_lines(), ["ACK"]);
    assert_eq!(world.table.sent_sequence(id), Some(5));
    assert_eq!(world.table.counts().live, 0);
}

#[test]
fn suite_s14_credentials_of_an_answered_invite_are_kept_for_its_ack() {
    let mut world = small(4, 100);
    let mut invite = Message::request("INVITE", "sip:bob@example.com");
    invite.push(HeaderName::From, "<sip:alice@example.com>;tag=a");
    invite.push(HeaderName::To, "<sip:bob@example.com>");
    invite.push(HeaderName::CallId, "call");
    invite.push(HeaderName::CSeq, "5 INVITE");
    invite.push(
        HeaderName::ProxyAuthorization,
        "Digest username=\"a\", realm=\"b\"",
    );
    let via = ViaParameters {
        transport: "UDP",
        sent_by: "x".to_owned(),
    };
    let id = world.table.send_request(world.now, udp(1), invite, &via);
    let sent = world.sent().unwrap();
    let ack_of = |world: &World| {
        let mut ack = Message::request("ACK", "sip:bob@example.com");
        world.table.copy_credentials(id, &mut ack);
        ack.header(HeaderName::ProxyAuthorization)
            .map(str::to_owned)
    };
    let before = ack_of(&world);
    assert!(before.is_some());
    world.answer(udp(1), &sent, 200);
    assert_eq!(world.table.counts().live, 0);
    assert_eq!(ack_of(&world), before);
}

#[test]
fn suite_s14_a_late_cancel_has_the_tag_of_the_answer() {
    let mut world = small(4, 100);
    let (id, message) = world.begin(udp(1), &invite());
    world.respond(id, &message, 200);
    world.receive(udp(1), &request("ACK", "z9hG4bKack", ";tag=local"));
    world.sent_lines();
    world.events();
    world.receive(udp(1), &request("CANCEL", "z9hG4bKinv", ""));
    let answer = world.sent().unwrap();
    assert_eq!(
        (answer.status(), answer.to_tag()),
        (Some(200), Some("local"))
    );
    assert!(world.events().is_empty());
    // The merged INVITE and the repeated ACK find it, too.
    world.receive(udp(1), &request("INVITE", "z9hG4bKother", ""));
    assert_eq!(world.sent_lines(), ["482"]);
    world.receive(udp(1), &request("ACK", "z9hG4bKack2", ";tag=local"));
    assert!(matches!(
        world.events()[..],
        [TransactionEvent::Ack { transaction: Some(t), .. }] if t == id
    ));
}

#[test]
fn suite_s14_what_differs_in_one_part_of_the_key_is_another_transaction() {
    let mut world = small(100, 100);
    let text = request("OPTIONS", "z9hG4bKone", "");
    let variants = [
        text.clone(),
        text.replace("z9hG4bKone", "z9hG4bKon"),
        text.replace("192.0.2.1:5062", "192.0.2.1:5063"),
        // A part of one field is no part of the next.
        text.replace("z9hG4bKone", "z9hG4bKone1")
            .replace("192.0.2.1:5062", "92.0.2.1:5062"),
        text.replace("OPTIONS", "MESSAGE"),
        text.replace("OPTIONS", "options"),
    ];
    for variant in &variants {
        let (id, message) = world.begin(udp(1), variant);
        world.respond(id, &message, 200);
    }
    world.begin(WEB, &text);
    world.begin(Peer::WebSocket(ConnectionId(10)), &text);
    assert_eq!(world.table.counts().finished, variants.len());
    world.sent_lines();
    for variant in &variants {
        world.receive(udp(1), variant);
    }
    assert_eq!(world.sent_lines().len(), variants.len());
    assert!(world.events().is_empty());
}

#[test]
fn suite_s14_fingerprints_depend_on_the_secret_and_on_what_they_are_of() {
    let one = Identifiers::new([1; 32]);
    let two = Identifiers::new([2; 32]);
    let message = Message::parse(Bytes::from(invite().replace('\n', "\r\n"))).unwrap();
    let server = ServerKey::of_request(udp(1), &message).unwrap();
    let again = ServerKey::of_request(udp(2), &message).unwrap();
    assert_eq!(
        server.fingerprint(one.secret()),
        again.fingerprint(one.secret())
    );
    assert_ne!(
        server.fingerprint(one.secret()),
        server.fingerprint(two.secret())
    );
    let merge = MergeKey::of(&message).unwrap();
    assert_ne!(
        server.fingerprint(one.secret()),
        merge.fingerprint(one.secret())
    );
}

#[test]
fn suite_s16_tables_give_back_what_a_burst_took() {
    let mut world = small(100_000, 100_000);
    for number in 0..20_000 {
        let (id, message) = world.begin(udp(1), &numbered("OPTIONS", number, ""));
        world.respond(id, &message, 200);
        world.sent_lines();
    }
    assert!(world.table.index.capacity() >= 20_000);
    world.pass(T1 * 64 + Duration::from_secs(1));
    assert!(world.table.is_empty());
    assert!(
        world.table.index.capacity() < 2048,
        "{}",
        world.table.index.capacity()
    );
    assert!(world.table.servers.capacity() < 2048);
    assert!(world.table.finished.capacity() < 2048);
}

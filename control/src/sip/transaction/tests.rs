use super::*;

mod load;

use crate::engine::input::ConnectionId;

const T1: Duration = Duration::from_millis(500);

fn udp(last: u8) -> Peer {
    Peer::Udp(([192, 0, 2, last], 5062).into())
}

const WEB: Peer = Peer::WebSocket(ConnectionId(9));

/// A table with a fake clock.
struct World {
    table: Transactions,
    now: Instant,
}

impl World {
    #[expect(
        clippy::disallowed_methods,
        reason = "any origin will do; the clock never runs"
    )]
    fn new() -> Self {
        let table = Transactions::new(TimerConfig::default(), [3; 32]);
        Self {
            table,
            now: Instant::now(),
        }
    }

    fn receive(&mut self, peer: Peer, text: &str) {
        let bytes = Bytes::from(text.replace('\n', "\r\n"));
        self.table
            .handle_message(self.now, peer, Message::parse(bytes).unwrap());
    }

    /// Lets time pass, timer by timer; returns when something was sent, in milliseconds.
    fn pass(&mut self, duration: Duration) -> Vec<u128> {
        let (start, end) = (self.now, self.now + duration);
        let mut sent = Vec::new();
        while let Some(at) = self.table.poll_timeout().filter(|at| *at <= end) {
            assert!(at >= self.now, "time goes forward");
            self.now = at;
            self.table.handle_timeout(at);
            while self.table.poll_transmit().is_some() {
                sent.push((at - start).as_millis());
            }
        }
        self.now = end;
        sent
    }

    fn sent(&mut self) -> Option<Message> {
        let (_, bytes) = self.table.poll_transmit()?;
        Some(Message::parse(bytes).unwrap())
    }

    /// What was sent, as first words and status.
    fn sent_lines(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.sent())
            .map(|m| {
                m.status()
                    .map_or_else(|| m.method().to_string(), |s| s.to_string())
            })
            .collect()
    }

    fn events(&mut self) -> Vec<TransactionEvent> {
        std::iter::from_fn(|| self.table.poll_event()).collect()
    }

    fn send(&mut self, peer: Peer, method: &str) -> (ClientTransactionId, Message) {
        let mut request = Message::request(method, "sip:bob@example.com");
        request.push(HeaderName::Route, "<sip:192.0.2.9;lr>");
        request.push(HeaderName::From, "<sip:alice@example.com>;tag=a");
        request.push(HeaderName::To, "<sip:bob@example.com>");
        request.push(HeaderName::CallId, "call");
        request.push(HeaderName::CSeq, format!("5 {method}"));
        let transport = if peer.is_reliable() { "WSS" } else { "UDP" };
        let via = ViaParameters {
            transport,
            sent_by: "edge.example.com:5060".to_owned(),
        };
        let id = self.table.send_request(self.now, peer, request, &via);
        (id, self.sent().unwrap())
    }

    fn answer(&mut self, peer: Peer, request: &Message, status: u16) {
        let mut response = Message::response_to(request, status, None);
        response.set_to_tag("b");
        self.table.handle_message(self.now, peer, response);
    }

    /// Receives a request and returns its transaction and message; drops what was sent.
    fn begin(&mut self, peer: Peer, text: &str) -> (ServerTransactionId, Message) {
        self.receive(peer, text);
        match self.events().pop() {
            Some(TransactionEvent::Request {
                transaction,
                message,
                ..
            }) => (transaction, message),
            other => panic!("{other:?}"),
        }
    }

    fn respond(&mut self, id: ServerTransactionId, request: &Message, status: u16) -> bool {
        let mut response = Message::response_to(request, status, None);
        response.set_to_tag("local");
        self.table.send_response(self.now, id, &response)
    }
}

fn request(method: &str, branch: &str, to_tag: &str) -> String {
    format!(
        "{method} sip:bob@example.com SIP/2.0
Via: SIP/2.0/UDP 192.0.2.1:5062;branch={branch}
From: <sip:alice@example.com>;tag=a
To: <sip:bob@example.com>{to_tag}
Call-ID: call
CSeq: 1 {method}
Max-Forwards: 70

"
    )
}

fn invite() -> String {
    request("INVITE", "z9hG4bKinv", "")
}

fn statuses(events: &[TransactionEvent]) -> Vec<u16> {
    let status = |event: &TransactionEvent| {
        let TransactionEvent::Response { message, .. } = event else {
            panic!("{event:?}")
        };
        message.status().unwrap()
    };
    events.iter().map(status).collect()
}

#[test]
fn c3_repeats_invite_over_udp_with_timer_a_until_timer_b() {
    let mut world = World::new();
    let (id, _) = world.send(udp(1), "INVITE");
    let sent = world.pass(Duration::from_secs(60));
    assert_eq!(sent, [500, 1500, 3500, 7500, 15500, 31500]);
    let events = world.events();
    assert!(
        matches!(events[..], [TransactionEvent::Timeout { transaction, .. }] if transaction == id)
    );
    assert!(world.table.is_empty() && world.table.poll_timeout().is_none());
}

#[test]
fn c3_repeats_other_requests_with_timer_e_until_timer_f() {
    let mut world = World::new();
    world.send(udp(1), "OPTIONS");
    let sent = world.pass(Duration::from_secs(40));
    assert_eq!(
        sent,
        [
            500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500
        ]
    );
    assert!(matches!(
        world.events()[..],
        [TransactionEvent::Timeout { .. }]
    ));
    let (_, sent) = world.send(udp(1), "OPTIONS");
    world.answer(udp(1), &sent, 100);
    assert_eq!(
        world.pass(Duration::from_secs(9)),
        [500, 4500, 8500],
        "T2 after a 1xx"
    );
}

#[test]
fn w11_repeats_nothing_over_a_websocket_but_still_gives_up() {
    let mut world = World::new();
    for method in ["INVITE", "BYE"] {
        world.send(WEB, method);
        assert!(world.pass(T1 * 63).is_empty());
        assert!(world.events().is_empty());
        world.pass(T1);
        assert!(matches!(
            world.events()[..],
            [TransactionEvent::Timeout { .. }]
        ));
    }
}

#[test]
fn c3_stops_repeating_after_a_provisional_response() {
    let mut world = World::new();
    let (_, sent) = world.send(udp(1), "INVITE");
    assert_eq!(world.pass(T1), [500]);
    world.answer(udp(1), &sent, 180);
    world.answer(udp(1), &sent, 180);
    assert!(world.pass(Duration::from_secs(100)).is_empty());
    assert_eq!(statuses(&world.events()), [180, 180]);
}

#[test]
fn c11_acknowledges_each_repetition_of_a_final_error() {
    let mut world = World::new();
    let (_, sent) = world.send(udp(1), "INVITE");
    world.answer(udp(1), &sent, 486);
    world.answer(udp(1), &sent, 486);
    assert_eq!(statuses(&world.events()), [486], "delivered once");
    let ack = world.sent().unwrap();
    assert_eq!(ack.header(HeaderName::Via), sent.header(HeaderName::Via));
    assert_eq!(ack.header(HeaderName::CSeq), Some("5 ACK"));
    assert_eq!(ack.to_tag(), Some("b"));
    assert_eq!(ack.header(HeaderName::Route), Some("<sip:192.0.2.9;lr>"));
    assert_eq!(ack.header(HeaderName::MaxForwards), Some("70"));
    assert_eq!(world.sent_lines(), ["ACK"]);
    world.pass(T1 * 64 - Duration::from_millis(1));
    assert_eq!(world.table.len(), 1, "timer D");
    world.pass(Duration::from_millis(1));
    assert!(world.table.is_empty());
}

#[test]
fn w11_ends_at_once_on_a_final_error_over_a_websocket() {
    let mut world = World::new();
    let (_, sent) = world.send(WEB, "INVITE");
    world.answer(WEB, &sent, 603);
    assert_eq!(world.sent_lines(), ["ACK"]);
    assert!(world.table.is_empty());
}

#[test]
fn c4_passes_each_2xx_to_the_owner_until_timer_m() {
    let mut world = World::new();
    let (_, sent) = world.send(udp(1), "INVITE");
    for _ in 0..3 {
        world.answer(udp(1), &sent, 200);
    }
    assert_eq!(statuses(&world.events()), [200, 200, 200]);
    assert!(
        world.sent_lines().is_empty(),
        "the ACK to a 2xx is the owner's"
    );
    world.pass(T1 * 64);
    assert!(world.table.is_empty());
    world.answer(udp(1), &sent, 200);
    assert!(matches!(
        world.events()[..],
        [TransactionEvent::StrayResponse { .. }]
    ));
}

#[test]
fn c11_sends_the_ack_to_a_2xx_with_a_branch_of_its_own() {
    let mut world = World::new();
    let (_, sent) = world.send(udp(1), "INVITE");
    let mut ack = Message::request("ACK", "sip:bob@192.0.2.1");
    for name in [HeaderName::From, HeaderName::To, HeaderName::CallId] {
        ack.copy_from(&sent, name);
    }
    ack.push(HeaderName::CSeq, "5 ACK");
    let via = ViaParameters {
        transport: "UDP",
        sent_by: "edge.example.com".to_owned(),
    };
    world.table.send_ack_2xx(udp(1), ack, &via, None);
    let ack = world.sent().unwrap();
    assert!(
        ack.header(HeaderName::Via)
            .unwrap()
            .contains(";branch=z9hG4bK")
    );
    assert_ne!(ack.header(HeaderName::Via), sent.header(HeaderName::Via));
}

#[test]
fn c3_absorbs_repeated_responses_to_other_requests_until_timer_k() {
    let mut world = World::new();
    let (_, sent) = world.send(udp(1), "OPTIONS");
    world.answer(udp(1), &sent, 200);
    world.answer(udp(1), &sent, 200);
    assert_eq!(statuses(&world.events()), [200]);
    assert!(world.pass(Duration::from_secs(5)).is_empty());
    assert!(world.table.is_empty());
}

#[test]
fn c3_holds_no_copy_of_a_request_that_has_its_final_response() {
    let mut world = World::new();
    let (id, request) = world.send(udp(2), "OPTIONS");
    world.answer(udp(2), &request, 100);
    assert_eq!(
        world.table.sent_sequence(id),
        Some(5),
        "it may be sent again"
    );
    world.answer(udp(2), &request, 200);
    assert_eq!(world.table.sent_sequence(id), None);
    assert_eq!(world.table.len(), 1, "Timer K runs");
    let (id, request) = world.send(udp(2), "INVITE");
    world.answer(udp(2), &request, 486);
    assert_eq!(world.table.sent_sequence(id), Some(5), "its owner asks");
    assert_eq!(world.table.counts().live, 0);
}

#[test]
fn c10_holds_cancel_back_until_a_provisional_response() {
    let mut world = World::new();
    let (id, sent) = world.send(udp(1), "INVITE");
    let reasons = ["SIP;cause=200".to_owned()];
    world.table.cancel(world.now, id, &reasons);
    assert!(world.sent_lines().is_empty());
    world.answer(udp(1), &sent, 100);
    let cancel = world.sent().unwrap();
    assert_eq!(cancel.method(), Method::Cancel);
    assert_eq!(cancel.request_uri(), sent.request_uri());
    assert_eq!(cancel.header(HeaderName::Via), sent.header(HeaderName::Via));
    assert_eq!(cancel.header(HeaderName::CSeq), Some("5 CANCEL"));
    assert_eq!(cancel.header(HeaderName::Reason), Some("SIP;cause=200"));
    world.answer(udp(1), &cancel, 200);
    world.answer(udp(1), &sent, 487);
    assert_eq!(
        statuses(&world.events()),
        [100, 487],
        "the 200 to CANCEL stays inside"
    );
    assert_eq!(world.sent_lines(), ["ACK"]);
}

#[test]
fn c10_gives_up_32_seconds_after_a_cancel_without_an_answer() {
    let mut world = World::new();
    let (id, sent) = world.send(udp(1), "INVITE");
    world.answer(udp(1), &sent, 180);
    world.pass(Duration::from_secs(10));
    world.events();
    world.table.cancel(world.now, id, &[]);
    world.table.cancel(world.now, id, &[]);
    assert_eq!(world.sent_lines(), ["CANCEL"], "once");
    world.pass(T1 * 64);
    assert!(
        matches!(world.events()[..], [TransactionEvent::Timeout { transaction, .. }] if transaction == id)
    );
    assert!(world.table.is_empty());
}

#[test]
fn c10_a_2xx_may_win_the_race_against_cancel() {
    let mut world = World::new();
    let (id, sent) = world.send(udp(1), "INVITE");
    world.answer(udp(1), &sent, 180);
    world.table.cancel(world.now, id, &[]);
    world.answer(udp(1), &sent, 200);
    assert_eq!(statuses(&world.events()), [180, 200]);
    world.sent_lines();
    world.table.cancel(world.now, id, &[]);
    assert!(world.sent_lines().is_empty(), "too late");
}

#[test]
fn c3_timer_c_cancels_an_invite_that_rings_for_ever() {
    let mut world = World::new();
    let (_, sent) = world.send(WEB, "INVITE");
    world.answer(WEB, &sent, 180);
    world.pass(Duration::from_secs(100));
    world.answer(WEB, &sent, 180);
    assert!(world.pass(Duration::from_secs(184)).is_empty());
    world.pass(Duration::from_millis(999));
    world.answer(WEB, &sent, 100);
    assert_eq!(
        world.pass(Duration::from_secs(1)),
        [1],
        "a 100 does not count"
    );
    world.events();
    world.pass(T1 * 64);
    assert!(matches!(
        world.events()[..],
        [TransactionEvent::Timeout { .. }]
    ));
}

#[test]
fn c5_sends_100_at_once_and_repeats_the_latest_response_to_a_repeated_invite() {
    let mut world = World::new();
    let (id, message) = world.begin(udp(1), &invite());
    assert_eq!(world.sent_lines(), ["100"]);
    world.receive(udp(1), &invite());
    assert_eq!(world.sent_lines(), ["100"]);
    world.respond(id, &message, 180);
    world.receive(udp(1), &invite());
    assert_eq!(world.sent_lines(), ["180", "180"]);
    assert!(world.events().is_empty(), "repetitions are absorbed");
}

#[test]
fn c3_repeats_a_final_error_with_timer_g_until_its_ack() {
    let mut world = World::new();
    let (id, message) = world.begin(udp(1), &invite());
    world.respond(id, &message, 486);
    assert!(!world.respond(id, &message, 200), "one final response");
    assert_eq!(world.sent_lines(), ["100", "486"]);
    assert_eq!(world.pass(Duration::from_secs(4)), [500, 1500, 3500]);
    world.receive(udp(1), &request("ACK", "z9hG4bKinv", ";tag=local"));
    world.receive(udp(1), &request("ACK", "z9hG4bKinv", ";tag=local"));
    assert!(world.events().is_empty(), "the ACK is hop by hop");
    assert!(world.pass(Duration::from_millis(4999)).is_empty());
    assert_eq!(world.table.len(), 1, "timer I");
    world.pass(Duration::from_millis(1));
    assert!(world.table.is_empty());
}

#[test]
fn c3_reports_a_final_error_without_ack() {
    let mut world = World::new();
    let (id, message) = world.begin(WEB, &invite());
    world.respond(id, &message, 486);
    world.sent_lines();
    assert!(
        world.pass(T1 * 64).is_empty(),
        "no timer G over a WebSocket"
    );
    assert!(matches!(
        world.events()[..],
        [TransactionEvent::ServerTimeout { .. }]
    ));
}

#[test]
fn c4_repeats_the_2xx_on_any_transport_until_its_ack() {
    for peer in [udp(1), WEB] {
        let mut world = World::new();
        let (id, message) = world.begin(peer, &invite());
        world.respond(id, &message, 200);
        world.sent_lines();
        world.receive(peer, &invite());
        assert!(world.sent_lines().is_empty(), "RFC 6026 absorbs the INVITE");
        assert_eq!(
            world.pass(Duration::from_secs(12)),
            [500, 1500, 3500, 7500, 11500]
        );
        world.receive(peer, &request("ACK", "z9hG4bKack", ";tag=local"));
        world.receive(peer, &request("ACK", "z9hG4bKack", ";tag=local"));
        let events = world.events();
        assert_eq!(events.len(), 2);
        for event in events {
            assert!(matches!(event, TransactionEvent::Ack { transaction: Some(t), .. } if t == id));
        }
        assert!(world.pass(Duration::from_secs(60)).is_empty());
        assert!(world.table.is_empty() && world.events().is_empty());
    }
}

#[test]
fn c11_takes_the_ack_to_a_2xx_from_another_connection() {
    let mut world = World::new();
    let (id, message) = world.begin(WEB, &invite());
    world.respond(id, &message, 200);
    world.sent_lines();
    let other = Peer::WebSocket(ConnectionId(10));
    world.receive(other, &request("ACK", "z9hG4bKack", ";tag=local"));
    assert!(
        matches!(world.events()[..], [TransactionEvent::Ack { transaction: Some(t), .. }] if t == id)
    );
    assert!(world.pass(Duration::from_secs(20)).is_empty());
}

#[test]
fn c4_reports_a_2xx_without_ack() {
    let mut world = World::new();
    let (id, message) = world.begin(udp(1), &invite());
    world.respond(id, &message, 200);
    world.receive(udp(1), &request("ACK", "z9hG4bKack", ";tag=other"));
    assert!(matches!(
        world.events()[..],
        [TransactionEvent::Ack {
            transaction: None,
            ..
        }]
    ));
    world.pass(T1 * 64);
    assert!(
        matches!(world.events()[..], [TransactionEvent::AckMissing { transaction }] if transaction == id)
    );
}

#[test]
fn c10_answers_cancel_and_tells_the_owner() {
    let mut world = World::new();
    let (id, message) = world.begin(udp(1), &invite());
    world.respond(id, &message, 180);
    world.sent_lines();
    world.receive(udp(1), &request("CANCEL", "z9hG4bKinv", ""));
    world.receive(udp(1), &request("CANCEL", "z9hG4bKinv", ""));
    let answer = world.sent().unwrap();
    assert_eq!(answer.header(HeaderName::CSeq), Some("1 CANCEL"));
    assert_eq!(
        (answer.status(), answer.to_tag()),
        (Some(200), Some("local"))
    );
    assert_eq!(
        world.sent_lines(),
        ["200"],
        "the repeated CANCEL gets the same answer"
    );
    assert!(
        matches!(world.events()[..], [TransactionEvent::Cancel { transaction, .. }] if transaction == id)
    );
    world.respond(id, &message, 487);
    assert_eq!(world.sent_lines(), ["487"]);
}

#[test]
fn c10_a_cancel_that_comes_too_late_changes_nothing() {
    let mut world = World::new();
    let (id, message) = world.begin(udp(1), &invite());
    world.respond(id, &message, 200);
    world.sent_lines();
    world.receive(udp(1), &request("CANCEL", "z9hG4bKinv", ""));
    assert_eq!(world.sent_lines(), ["200"]);
    assert!(world.events().is_empty());
}

#[test]
fn c10_refuses_a_cancel_of_something_unknown_or_of_another_connection() {
    let mut world = World::new();
    world.begin(WEB, &invite());
    world.sent_lines();
    for peer in [udp(1), Peer::WebSocket(ConnectionId(10))] {
        world.receive(peer, &request("CANCEL", "z9hG4bKinv", ""));
        assert_eq!(world.sent_lines(), ["481"]);
    }
    assert!(world.events().is_empty());
}

#[test]
fn c3_absorbs_repeated_requests_and_repeats_their_answer_until_timer_j() {
    let mut world = World::new();
    let text = request("OPTIONS", "z9hG4bKopt", "");
    let (id, message) = world.begin(udp(1), &text);
    world.receive(udp(1), &text);
    assert!(world.sent_lines().is_empty(), "no 100 to a non-INVITE");
    world.respond(id, &message, 200);
    world.receive(udp(1), &text);
    assert_eq!(world.sent_lines(), ["200", "200"]);
    world.pass(T1 * 64);
    assert!(world.table.is_empty() && world.events().is_empty());
}

#[test]
fn c2_refuses_a_merged_invite_but_not_other_methods() {
    let mut world = World::new();
    world.begin(udp(1), &invite());
    world.sent_lines();
    world.receive(udp(1), &request("INVITE", "z9hG4bKother", ""));
    assert_eq!(world.sent_lines(), ["482"]);
    assert!(world.events().is_empty());
    world.begin(udp(1), &request("MESSAGE", "z9hG4bKm1", ""));
    world.begin(udp(1), &request("MESSAGE", "z9hG4bKm2", ""));
}

#[test]
fn c21_fills_in_received_and_rport_over_udp_and_answers_where_the_rfc_says() {
    let mut world = World::new();
    let text = request("OPTIONS", "z9hG4bK1", "");
    let via = |branch: &str, tail: &str| text.replace("z9hG4bK1", &format!("{branch}{tail}"));
    let (id, message) = world.begin(udp(7), &via("z9hG4bK2", ";rport;x=\"y\""));
    let expected =
        "SIP/2.0/UDP 192.0.2.1:5062;branch=z9hG4bK2;rport=5062;x=\"y\";received=192.0.2.7";
    assert_eq!(message.header(HeaderName::Via), Some(expected));
    world.respond(id, &message, 200);
    assert_eq!(world.table.poll_transmit().unwrap().0, udp(7));
    // Without rport the answer goes to the port of sent-by, at the address of the source.
    let text = via("z9hG4bK3", "").replace("192.0.2.1:5062", "host.example.com");
    let (id, message) = world.begin(udp(7), &text);
    assert!(
        message
            .header(HeaderName::Via)
            .unwrap()
            .ends_with(";received=192.0.2.7")
    );
    world.respond(id, &message, 200);
    let target = Peer::Udp(([192, 0, 2, 7], 5060).into());
    assert_eq!(world.table.poll_transmit().unwrap().0, target);
    let (_, message) = world.begin(udp(1), &via("z9hG4bK4", ""));
    assert!(
        !message
            .header(HeaderName::Via)
            .unwrap()
            .contains("received")
    );
}

#[test]
fn c21_echoes_the_via_of_a_browser_byte_for_byte() {
    let mut world = World::new();
    let via = "Via: SIP/2.0/WSS  df7jal23ls0d.invalid ;rport ; branch=z9hG4bKweb\n";
    let text =
        request("OPTIONS", "x", "").replace("Via: SIP/2.0/UDP 192.0.2.1:5062;branch=x\n", via);
    let (id, message) = world.begin(WEB, &text);
    world.respond(id, &message, 200);
    let (peer, bytes) = world.table.poll_transmit().unwrap();
    assert_eq!(peer, WEB);
    assert!(String::from_utf8_lossy(&bytes).contains(via.trim_end()));
}

#[test]
fn w23_ends_what_a_closed_connection_leaves_behind() {
    let mut world = World::new();
    let (client, _) = world.send(WEB, "INVITE");
    let (kept, _) = world.send(udp(1), "OPTIONS");
    let (server, _) = world.begin(WEB, &invite());
    let (done, message) = world.begin(WEB, &request("INFO", "z9hG4bKinfo", ""));
    world.respond(done, &message, 200);
    world
        .table
        .connection_closed(world.now, Peer::WebSocket(ConnectionId(9)));
    let events = world.events();
    assert!(matches!(
        events[..],
        [
            TransactionEvent::TransportFailed { transaction: c, .. },
            TransactionEvent::ServerTransportFailed { transaction: s },
        ] if c == client && s == server
    ));
    assert_eq!(world.table.len(), 1);
    assert!(world.table.is_pending(kept) && !world.table.is_pending(client));
    assert!(!world.respond(server, &message, 200));
}

#[test]
fn does_not_take_a_response_from_another_connection() {
    let mut world = World::new();
    let (_, sent) = world.send(WEB, "INVITE");
    world.answer(Peer::WebSocket(ConnectionId(10)), &sent, 200);
    world.answer(udp(1), &sent, 200);
    let events = world.events();
    assert_eq!(events.len(), 2);
    assert!(
        events
            .iter()
            .all(|e| matches!(e, TransactionEvent::StrayResponse { .. }))
    );
}

#[test]
fn c2_recognises_the_transactions_of_rfc_2543_clients() {
    let mut world = World::new();
    let text = invite().replace(";branch=z9hG4bKinv", "");
    let (id, message) = world.begin(udp(1), &text);
    world.respond(id, &message, 404);
    world.receive(udp(1), &text);
    assert_eq!(world.sent_lines(), ["100", "404", "404"]);
    let ack = request("ACK", "", ";tag=local").replace(";branch=", "");
    world.receive(udp(1), &ack);
    assert!(world.pass(Duration::from_secs(10)).is_empty());
    assert!(world.events().is_empty() && world.table.is_empty());
}

#[test]
fn c2_branches_are_unique_and_depend_on_the_seed() {
    let mut one = Identifiers::new([1; 32]);
    let mut two = Identifiers::new([2; 32]);
    let branches: BTreeSet<String> = (0..100)
        .flat_map(|_| [one.branch(), two.branch()])
        .collect();
    assert_eq!(branches.len(), 200);
    assert!(branches.iter().all(|branch| branch.len() == 7 + 32));
}

#[test]
fn w11_over_a_websocket_other_requests_leave_nothing_behind() {
    // Timers J and K are zero where nothing is repeated.
    let mut world = World::new();
    let (id, message) = world.begin(WEB, &request("MESSAGE", "z9hG4bKm", ""));
    world.respond(id, &message, 200);
    assert!(world.table.is_empty());
    assert_eq!(world.sent_lines(), ["200"]);
    let (_, onward) = world.send(WEB, "MESSAGE");
    world.answer(WEB, &onward, 200);
    assert!(world.table.is_empty());
    assert_eq!(world.table.poll_timeout(), None);
}

#[test]
fn c3_timer_d_waits_for_repeated_errors_over_udp_only() {
    for (peer, left) in [(udp(1), 1), (WEB, 0)] {
        let mut world = World::new();
        let (_, invite) = world.send(peer, "INVITE");
        world.answer(peer, &invite, 486);
        world.sent_lines();
        assert_eq!(world.table.len(), left);
        world.pass(T1 * 64);
        assert!(world.table.is_empty());
    }
}

#[test]
fn c4_timer_l_absorbs_repeated_invites_after_the_ack() {
    let mut world = World::new();
    let (id, message) = world.begin(udp(1), &invite());
    world.respond(id, &message, 200);
    world.receive(udp(1), &request("ACK", "z9hG4bKack", ";tag=local"));
    world.sent_lines();
    world.events();
    assert!(world.pass(T1 * 64 - Duration::from_millis(1)).is_empty());
    world.receive(udp(1), &invite());
    assert!(world.sent_lines().is_empty() && world.events().is_empty());
    world.pass(Duration::from_millis(1));
    assert!(world.table.is_empty());
}

#[test]
fn o4_an_abandoned_request_is_never_answered() {
    let mut world = World::new();
    let (id, message) = world.begin(udp(1), &request("MESSAGE", "z9hG4bKm", ""));
    world.table.abandon(id);
    assert!(world.table.is_empty());
    assert!(!world.respond(id, &message, 408));
    // An INVITE always gets its final response.
    let (id, message) = world.begin(udp(1), &invite());
    world.table.abandon(id);
    assert!(world.respond(id, &message, 480));
}

#[test]
fn c17_sends_nothing_twice_on_tcp_and_tls() {
    let address = ([192, 0, 2, 1], 5060).into();
    for peer in [Peer::Tcp(address), Peer::Tls(address)] {
        let mut world = World::new();
        world.send(peer, "INVITE");
        world.send(peer, "OPTIONS");
        assert!(world.pass(Duration::from_secs(31)).is_empty());
        let (server, message) = world.begin(peer, &invite());
        world.respond(server, &message, 486);
        while world.sent().is_some() {}
        assert!(world.pass(Duration::from_secs(31)).is_empty(), "timer G");
    }
}

#[test]
fn c17_ends_what_a_lost_tcp_connection_leaves_behind_at_once() {
    let mut world = World::new();
    let address = ([192, 0, 2, 1], 5060).into();
    let (client, _) = world.send(Peer::Tcp(address), "INVITE");
    let (over_tls, _) = world.send(Peer::Tls(address), "INVITE");
    let (over_udp, _) = world.send(Peer::Udp(address), "INVITE");
    world.table.connection_closed(world.now, Peer::Tcp(address));
    let events = world.events();
    assert!(matches!(
        events[..],
        [TransactionEvent::TransportFailed { transaction, .. }] if transaction == client
    ));
    assert!(world.table.is_pending(over_tls) && world.table.is_pending(over_udp));
}

#[test]
fn c17_takes_a_response_of_the_trunk_side_on_another_connection() {
    let mut world = World::new();
    let (client, sent) = world.send(Peer::Tcp(([192, 0, 2, 1], 5060).into()), "INVITE");
    world.answer(Peer::Tcp(([192, 0, 2, 1], 40_000).into()), &sent, 200);
    assert!(matches!(
        world.events()[..],
        [TransactionEvent::Response { transaction, .. }] if transaction == client
    ));
}

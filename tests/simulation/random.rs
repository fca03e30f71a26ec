//! Messages and events in any order, valid and not: nothing panics, every call ends, and in the
//! end nothing is left. A failure names its seed; `RINGWAY_SEED=n` runs that one alone.

use std::collections::BTreeSet;
use std::time::Duration;

use control::engine::Usage;
use control::engine::input::{Input, Peer};
use control::media::handshake::HandshakeEvent;
use control::sip::{HeaderName, Message, Method};
use crypto::keys::SrtpProfile;
use crypto::random::Random;
use dataplane::link::{CloseReason, Command, Event, FlowId, FlowTotals, RefuseReason};
use tests::world::{CONFIG, World};

use crate::peers::{
    BROWSER_ANSWER, BROWSER_OFFER, BROWSER_VIDEO_OFFER, CARRIER_ANSWER, CARRIER_OFFER, answer_to,
    browser_invite, carrier_invite, in_dialog, in_dialog_of_callee, log_in, register_at_carrier,
    trunk,
};

const RUNS: u64 = 150;
const STEPS: u32 = 150;

/// Of the trunk in every second run.
const LIMITS: &str = "calls_max = 2\ncalls_per_second = 1";
const TRUNK_CALLS_MAX: usize = 2;

#[test]
fn no_order_of_messages_and_events_breaks_the_brain() {
    let only = std::env::var("RINGWAY_SEED")
        .ok()
        .and_then(|text| text.parse().ok());
    let seeds = only.map_or(0..RUNS, |seed: u64| seed..seed + 1);
    let mut reached = Reached::default();
    for seed in seeds {
        let run = std::panic::catch_unwind(|| Chaos::new(seed).run());
        let run = run.unwrap_or_else(|_| panic!("with RINGWAY_SEED={seed}"));
        reached.answered += run.answered;
        reached.reinvites += run.reinvites;
        reached.refused += run.refused;
        reached.transferred += run.transferred;
    }
    // Chaos that never gets anywhere would prove nothing.
    let enough = reached.answered > 100
        && reached.reinvites > 20
        && reached.refused > 20
        && reached.transferred > 10;
    assert!(enough || only.is_some(), "{reached:?}");
}

/// How deep the runs went.
#[derive(Debug, Default)]
struct Reached {
    /// Calls that were answered.
    answered: usize,
    /// Re-INVITEs that reached the other side.
    reinvites: usize,
    /// Calls that were made of others, by a transfer.
    transferred: usize,
    /// Calls beyond the limits of the trunk.
    refused: u64,
}

/// A world, and what its peers have seen.
struct Chaos {
    world: World,
    random: Random,
    /// Each with its user.
    browsers: Vec<(Peer, &'static str)>,
    /// Requests of ours that the engine got, with their sender.
    asked: Vec<(Peer, Message)>,
    /// Requests of the engine, with who got them.
    received: Vec<(Peer, Message)>,
    /// Responses of the engine, with who got them.
    answered: Vec<(Peer, Message)>,
    number: u32,
    is_limited: bool,
}

impl Chaos {
    fn new(seed: u64) -> Self {
        let narrow = CONFIG.replace(
            "[media]",
            "[media]\nrtp_port_min = 30000\nrtp_port_max = 30011",
        );
        let narrow = match seed % 2 {
            0 => narrow,
            _ => narrow.replace("[[trunk]]\n", &format!("[[trunk]]\n{LIMITS}\n")),
        };
        let narrow = match seed % 3 {
            0 => narrow,
            _ => narrow.replace("[[trunk]]\n", "[[trunk]]\nrefer = \"local\"\n"),
        };
        let mut world = World::with_config(&narrow);
        let browsers = vec![
            (log_in(&mut world, "1001", "secret-one"), "1001"),
            (log_in(&mut world, "1002", "secret-two"), "1002"),
            (register_at_carrier(&mut world, "alice"), "alice"),
        ];
        let random = Random::seeded(seed);
        let (asked, received, answered) = (Vec::new(), Vec::new(), Vec::new());
        Self {
            world,
            random,
            browsers,
            asked,
            received,
            answered,
            number: 0,
            is_limited: seed % 2 == 1,
        }
    }

    fn run(mut self) -> Reached {
        for _ in 0..STEPS {
            self.step();
            self.sort();
            let usage = self.world.engine.usage();
            // One that was transferred has both its legs at the trunk.
            assert!(usage.trunk_calls <= 2 * usage.calls);
            assert!(!self.is_limited || usage.trunk_calls <= TRUNK_CALLS_MAX);
        }
        let reinvite = |(_, request): &&(Peer, Message)| {
            request.method() == Method::Invite && request.to_tag().is_some()
        };
        let reinvites = self.received.iter().filter(reinvite).count();
        let of_trunk = self.world.engine.trunk_usage();
        let refused = of_trunk
            .iter()
            .map(|t| t.refused_by_calls + t.refused_by_rate);
        let refused = refused.sum();
        let is_transferred = |(_, request): &&(Peer, Message)| {
            request.method() == Method::Notify && request.body().starts_with(b"SIP/2.0 200")
        };
        let transferred = self.received.iter().filter(is_transferred).count();
        let answered = self.finish();
        Reached {
            answered,
            reinvites,
            transferred,
            refused,
        }
    }

    /// Puts what the engine has sent where it is looked for.
    fn sort(&mut self) {
        for (peer, message) in std::mem::take(&mut self.world.sent) {
            let seen = if message.is_request() {
                &mut self.received
            } else {
                &mut self.answered
            };
            seen.push((peer, message));
        }
    }

    /// A call that goes as it should, so that what follows finds one: the browser, its INVITE, and
    /// what that was answered with.
    fn talk(&mut self) -> Option<(Peer, Message, Message)> {
        let mut browsers = self.browsers.iter();
        let (browser, _) = *browsers.find(|(_, user)| *user == "alice")?;
        let mut invite = browser_invite("alice", "carrier.test", "bob", BROWSER_OFFER);
        self.make_new(&mut invite, "WSS x1.invalid");
        self.ask(browser, invite.clone());
        self.sort();
        self.answer("one");
        let (_, accepted) = self.answered.last().cloned()?;
        accepted.header(HeaderName::Contact)?;
        self.ask(browser, in_dialog(&invite, &accepted, &Method::Ack, 0));
        self.world.complete_handshakes();
        Some((browser, invite, accepted))
    }

    /// Whoever got the last request accepts it.
    fn answer(&mut self, tag: &str) {
        let Some((to, request)) = self.received.last().cloned() else {
            return;
        };
        let answer = answer_to(&request, 200, tag, Some(CARRIER_ANSWER));
        self.world.receive(to, &answer);
        self.sort();
    }

    /// A call whose other side is transferred; it may be answered at once.
    fn transfer(&mut self) {
        let Some((browser, invite, accepted)) = self.talk() else {
            return;
        };
        let mut refer = in_dialog(&invite, &accepted, &Method::Refer, 1);
        let refer_to = self.refer_to();
        refer.push(HeaderName::ReferTo, refer_to);
        self.number += 1;
        let via = format!("SIP/2.0/WSS x1.invalid;branch=z9hG4bK{}", self.number);
        refer.set(HeaderName::Via, via);
        self.ask(browser, refer);
        self.sort();
        if self.below(2) == 0 {
            self.answer("three");
        }
    }

    fn step(&mut self) {
        match self.below(17) {
            0 => self.call_from_browser(),
            1 => drop(self.talk()),
            15 => self.transfer(),
            2 => self.call_from_carrier(),
            3..=6 => self.respond(),
            7 | 8 => self.speak_as_caller(),
            9 | 10 => self.speak_as_callee(),
            11 => self.cancel(),
            12 => self.media(),
            13 => self.repeat(),
            14 => self.weather(),
            _ => {
                let by = Duration::from_millis(u64::from(self.below(12_000)));
                self.world.advance(by);
            }
        }
    }

    /// Everything ends: by a stop, or because everybody is gone.
    fn finish(mut self) -> usize {
        let began = self
            .world
            .logged
            .iter()
            .filter(|line| line.starts_with("CallBegan"))
            .count();
        self.world.workers_answer = true;
        self.world.refuse_opens.clear();
        for (browser, _) in std::mem::take(&mut self.browsers) {
            self.world.disconnect(browser);
        }
        if self.below(2) == 0 {
            self.world.input(Input::Stop);
        } else {
            for flow in self.world.opened_flows() {
                let silent_for = Duration::from_secs(60);
                self.world
                    .input(Input::Media(Event::MediaSilent { flow, silent_for }));
            }
        }
        self.world.advance(Duration::from_secs(900));
        // Workers that were asked while they did not answer have done it all the same.
        let closed: BTreeSet<FlowId> = self.world.commands.iter().filter_map(closed_flow).collect();
        for flow in closed {
            let (reason, totals) = (CloseReason::Asked, FlowTotals::default());
            self.world.input(Input::Media(Event::FlowClosed {
                flow,
                reason,
                totals,
            }));
        }
        assert_eq!(self.world.engine.usage(), Usage::default());
        assert_eq!(self.world.records.len(), began, "each call has its record");
        self.world
            .records
            .iter()
            .filter(|record| record.talked.is_some())
            .count()
    }

    fn call_from_browser(&mut self) {
        let Some((browser, user)) = self.pick_browser() else {
            return;
        };
        let from = if self.below(8) == 0 { "nobody" } else { user };
        let own = if user == "alice" {
            "carrier.test"
        } else {
            "lines.test"
        };
        let domain = if self.below(8) == 0 { "x.test" } else { own };
        let to = *self.pick(&["9196", "1001", "1002", "bob", "+15551"]);
        let body = self.offer(browser);
        let mut invite = browser_invite(from, domain, to, &body);
        self.make_new(&mut invite, "WSS x1.invalid");
        if self.below(8) == 0 {
            invite.push(HeaderName::Require, "100rel");
        }
        self.ask(browser, invite);
    }

    fn call_from_carrier(&mut self) {
        let number = *self.pick(&["1001", "1002", "1999", "alice~0"]);
        let body = self.offer(trunk());
        let mut invite = carrier_invite(&format!("sip:{number}@198.51.100.1:5060"), &body);
        self.make_new(&mut invite, "UDP 198.51.100.20:5060");
        self.ask(trunk(), invite);
    }

    /// A name of its own for a new request; now and then the same Call-ID again.
    fn make_new(&mut self, request: &mut Message, sent_by: &str) {
        self.number += 1;
        let number = self.number;
        let same = self.below(6) == 0;
        let call = if same { self.below(number) } else { number };
        request.set(HeaderName::CallId, format!("call-{call}"));
        request.set(
            HeaderName::Via,
            format!("SIP/2.0/{sent_by};rport;branch=z9hG4bK{number}"),
        );
        request.set(
            HeaderName::CSeq,
            format!("{} {}", number + 7, request.method()),
        );
    }

    fn respond(&mut self) {
        let Some((peer, request)) = self.recent(&self.received.clone()) else {
            return;
        };
        if request.method() == Method::Ack {
            return;
        }
        const STATUSES: [u16; 20] = [
            100, 180, 183, 183, 200, 200, 200, 200, 200, 202, 302, 401, 407, 408, 481, 486, 487,
            491, 503, 603,
        ];
        let status = *self.pick(&STATUSES);
        let tag = *self.pick(&["one", "one", "one", "two"]);
        let body = match (self.below(8), peer) {
            (0, _) => None,
            (1, _) => Some(self.offer(peer)),
            (_, Peer::WebSocket(_)) => Some(BROWSER_ANSWER.to_owned()),
            (_, Peer::Udp(_) | Peer::Tcp(_) | Peer::Tls(_)) => Some(CARRIER_ANSWER.to_owned()),
        };
        let mut response = answer_to(&request, status, tag, body.as_deref());
        if self.below(6) == 0 {
            response.push(
                HeaderName::RecordRoute,
                "<sip:proxy.test;lr>, <sip:second.test;lr>",
            );
        }
        if self.below(6) == 0 {
            let number = self.below(4) + 1;
            response.push(HeaderName::Require, "100rel");
            response.push(HeaderName::RSeq, number.to_string());
        }
        if self.below(6) == 0 {
            let refresher = *self.pick(&["uac", "uas"]);
            response.push(
                HeaderName::SessionExpires,
                format!("90;refresher={refresher}"),
            );
            response.push(HeaderName::MinSe, "120");
        }
        if self.below(8) == 0 {
            response.push(HeaderName::PEarlyMedia, "inactive");
        }
        self.world.receive(peer, &response);
    }

    /// A request in a dialog that an INVITE of ours made.
    fn speak_as_caller(&mut self) {
        let Some((peer, answer)) = self.recent(&self.answered.clone()) else {
            return;
        };
        if answer.to_tag().is_none() || answer.header(HeaderName::Contact).is_none() {
            return;
        }
        let invite = self.asked.iter().find(|(_, request)| {
            request.call_id() == answer.call_id() && request.method() == Method::Invite
        });
        let Some((_, invite)) = invite.cloned() else {
            return;
        };
        let method = self.method();
        let mut request = in_dialog(&invite, &answer, &method, 0);
        self.fill(peer, &mut request);
    }

    /// A request in a dialog that an INVITE of the engine made.
    fn speak_as_callee(&mut self) {
        let Some((peer, invite)) = self.recent(&self.received.clone()) else {
            return;
        };
        if invite.method() != Method::Invite {
            return;
        }
        let tag = *self.pick(&["one", "one", "two"]);
        let mut request = in_dialog_of_callee(&invite, tag, &self.method());
        self.fill(peer, &mut request);
    }

    fn fill(&mut self, peer: Peer, request: &mut Message) {
        self.number += 1;
        let (number, method) = (self.number, request.method());
        let via = request
            .header(HeaderName::Via)
            .unwrap_or_default()
            .to_owned();
        request.set(HeaderName::Via, format!("{via}n{number}"));
        if method != Method::Ack || self.below(8) == 0 {
            request.set(HeaderName::CSeq, format!("{} {method}", number + 200));
        }
        if self.below(3) != 0 {
            request.push(HeaderName::Contact, "<sip:x@y.invalid>");
        }
        let chance = if method == Method::Ack { 8 } else { 1 };
        if self.below(chance) == 0 {
            let mut body = self.offer(peer);
            if self.below(2) == 0 {
                let line = "a=sendrecv\r\n";
                body = format!("{}a=sendonly\r\n", body.replace(line, ""));
            }
            request.set_body("application/sdp", body.into());
        }
        if method == Method::Refer {
            let refer_to = self.refer_to();
            request.push(HeaderName::ReferTo, refer_to);
        }
        if method == Method::Prack {
            let mut answered = self.answered.iter().rev();
            let last = answered.find(|(_, m)| m.header(HeaderName::RSeq).is_some());
            let number = last
                .and_then(|(_, m)| m.header(HeaderName::RSeq))
                .unwrap_or("1");
            let cseq = last
                .and_then(|(_, m)| m.cseq())
                .map_or(1, |cseq| cseq.number);
            request.push(HeaderName::RAck, format!("{number} {cseq} INVITE"));
        }
        let peer = if self.below(10) == 0 {
            self.any_peer()
        } else {
            peer
        };
        self.ask(peer, request.clone());
    }

    /// Whom to transfer somebody to: now and then to who is in another call.
    fn refer_to(&mut self) -> String {
        let to = *self.pick(&["carol@carrier.test", "1002@lines.test", "9196@lines.test"]);
        let answer = self.recent(&self.answered.clone());
        let dialog = answer.and_then(|(_, answer)| {
            let (ours, theirs) = (answer.to_tag()?, answer.from_tag()?);
            let call = answer.call_id();
            Some(format!("{call}%3Bto-tag%3D{ours}%3Bfrom-tag%3D{theirs}"))
        });
        match dialog.filter(|_| self.below(2) == 0) {
            Some(dialog) => format!("<sip:{to}?Replaces={dialog}>"),
            None => format!("<sip:{to}>"),
        }
    }

    fn cancel(&mut self) {
        let Some((peer, invite)) = self.recent(&self.asked.clone()) else {
            return;
        };
        let Some(uri) = invite.request_uri() else {
            return;
        };
        let mut cancel = Message::request(Method::Cancel, uri);
        for name in [
            HeaderName::Via,
            HeaderName::From,
            HeaderName::To,
            HeaderName::CallId,
        ] {
            cancel.copy_from(&invite, name);
        }
        let number = invite.cseq().map_or(1, |cseq| cseq.number);
        cancel.push(HeaderName::CSeq, format!("{number} CANCEL"));
        self.world.receive(peer, &cancel);
    }

    /// What workers and handshakes may report at any time.
    fn media(&mut self) {
        let flows = self.world.opened_flows();
        if flows.is_empty() {
            return;
        }
        let flow = *self.pick(&flows);
        let silent_for = Duration::from_secs(60);
        let profile = SrtpProfile::AeadAes256Gcm;
        let reason = "fingerprint does not match".to_owned();
        let input = match self.below(12) {
            0 => Input::Media(Event::MediaSilent { flow, silent_for }),
            1 => Input::Media(Event::MediaStarted { flow }),
            2 => Input::Media(Event::FlowOpened { flow }),
            3 => Input::Media(Event::Refused {
                flow,
                reason: RefuseReason::UnknownFlow,
            }),
            4 => Input::Handshake(HandshakeEvent::Failed { flow, reason }),
            5 => Input::Handshake(HandshakeEvent::Completed { flow, profile }),
            _ => return self.world.complete_handshakes(),
        };
        self.world.input(input);
    }

    /// A message again, from anybody, perhaps damaged.
    fn repeat(&mut self) {
        let pool = if self.below(2) == 0 {
            self.asked.clone()
        } else {
            self.received.clone()
        };
        let Some((peer, message)) = self.recent(&pool) else {
            return;
        };
        let peer = if self.below(4) == 0 {
            self.any_peer()
        } else {
            peer
        };
        let mut bytes = message.to_bytes().to_vec();
        for _ in 0..self.below(4) {
            let at = self.below(u32::try_from(bytes.len()).unwrap_or(1)) as usize;
            bytes[at] = self.random.u32().to_le_bytes()[0];
        }
        self.world.receive_bytes(peer, bytes);
    }

    /// Connections come and go; workers are slow or refuse.
    fn weather(&mut self) {
        match self.below(7) {
            6 => self.world.input(Input::Media(Event::WorkerLost {
                worker: 0,
                why: "it panicked".to_owned(),
            })),
            0 => {
                if let Some((browser, _)) = self.pick_browser() {
                    self.browsers.retain(|(other, _)| *other != browser);
                    self.world.disconnect(browser);
                }
            }
            1 | 2 => {
                let browser = self.world.browser();
                let user = *self.pick(&["1001", "1002", "alice"]);
                self.browsers.push((browser, user));
                let domain = if user == "alice" {
                    "carrier.test"
                } else {
                    "lines.test"
                };
                let mut request = World::register_message(user, domain, "again");
                self.make_new(&mut request, "WSS x1.invalid");
                self.world.receive(browser, &request);
            }
            3 => self.world.workers_answer = !self.world.workers_answer,
            4 => self
                .world
                .refuse_opens
                .push_back(RefuseReason::PortUnavailable),
            _ => self
                .world
                .refuse_opens
                .push_back(RefuseReason::FragmentTaken),
        }
    }

    fn ask(&mut self, peer: Peer, request: Message) {
        self.world.receive(peer, &request);
        self.asked.push((peer, request));
    }

    fn offer(&mut self, from: Peer) -> String {
        let fitting = match from {
            Peer::WebSocket(_) => [BROWSER_OFFER, BROWSER_OFFER, BROWSER_VIDEO_OFFER],
            Peer::Udp(_) | Peer::Tcp(_) | Peer::Tls(_) => [CARRIER_OFFER; 3],
        };
        let any = [BROWSER_OFFER, BROWSER_ANSWER, CARRIER_OFFER];
        let pool = if self.below(8) == 0 { any } else { fitting };
        let offer = (*self.pick(&pool)).to_owned();
        match self.below(10) {
            0 => String::new(),
            1 => "v=0\r\n".to_owned(),
            2 => offer.replace("a=sendrecv", "a=inactive"),
            3 | 4 => offer.replace("a=sendrecv", "a=sendonly"),
            5 => offer.replace("ice-ufrag:Wm3x", "ice-ufrag:Zz9y"),
            _ => offer,
        }
    }

    fn method(&mut self) -> Method {
        let methods = [
            Method::Ack,
            Method::Ack,
            Method::Ack,
            Method::Bye,
            Method::Invite,
            Method::Invite,
            Method::Invite,
            Method::Invite,
            Method::Update,
            Method::Update,
            Method::Info,
            Method::Message,
            Method::Options,
            Method::Prack,
            Method::Refer,
            Method::Notify,
        ];
        self.pick(&methods).clone()
    }

    fn any_peer(&mut self) -> Peer {
        match self.below(3) {
            0 => trunk(),
            1 => Peer::Udp(std::net::SocketAddr::from(([203, 0, 113, 66], 5060))),
            _ => self.pick_browser().map_or(trunk(), |(browser, _)| browser),
        }
    }

    fn pick_browser(&mut self) -> Option<(Peer, &'static str)> {
        if self.browsers.is_empty() {
            return None;
        }
        let browsers = self.browsers.clone();
        Some(*self.pick(&browsers))
    }

    /// One of the latest, mostly: what is long over interests nobody.
    fn recent(&mut self, pool: &[(Peer, Message)]) -> Option<(Peer, Message)> {
        let back = self.below(12) as usize;
        pool.iter().rev().nth(back).or(pool.last()).cloned()
    }

    fn pick<'p, T>(&mut self, pool: &'p [T]) -> &'p T {
        let index = self.below(u32::try_from(pool.len()).unwrap_or(1)) as usize;
        &pool[index]
    }

    fn below(&mut self, bound: u32) -> u32 {
        self.random.u32() % bound.max(1)
    }
}

fn closed_flow(command: &Command) -> Option<FlowId> {
    match command {
        Command::CloseFlow { flow } => Some(*flow),
        Command::OpenFlow(_)
        | Command::SetPeer { .. }
        | Command::SetIceCredentials { .. }
        | Command::InstallKeys { .. }
        | Command::SetRoute(_)
        | Command::SendDigit(_)
        | Command::ClearRoute { .. }
        | Command::ExpectMedia { .. }
        | Command::Stop => None,
    }
}

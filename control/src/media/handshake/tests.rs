//! A browser's side made of `DtlsClient`, against the table.

use std::time::Duration;

use crypto::dtls::DtlsClient;
use crypto::srtp::{SrtpReceiver, SrtpSender};

use super::*;

const FLOW: FlowId = FlowId {
    worker: 1,
    slot: 2,
    generation: 3,
};

#[expect(
    clippy::disallowed_methods,
    reason = "an instant to start from; nothing waits"
)]
fn start() -> Instant {
    Instant::now()
}

fn peer() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], 5000))
}

struct Bench {
    now: Instant,
    handshakes: Handshakes,
    certificate: Certificate,
    browser: DtlsClient,
    browser_certificate: Certificate,
    browser_keys: Option<SrtpKeys>,
    /// Everything but datagrams.
    outputs: Vec<HandshakeOutput>,
}

impl Bench {
    fn new(sessions_max: usize) -> Self {
        let now = start();
        let certificate = Certificate::generate().unwrap();
        let browser_certificate = Certificate::generate().unwrap();
        let mut browser = DtlsClient::new(&browser_certificate, now).unwrap();
        browser.expect(vec![certificate.fingerprint()]).unwrap();
        Self {
            now,
            handshakes: Handshakes::new(certificate.clone(), sessions_max),
            certificate,
            browser,
            browser_certificate,
            browser_keys: None,
            outputs: Vec::new(),
        }
    }

    fn command(&mut self, command: HandshakeCommand) {
        self.handshakes.handle_command(self.now, command);
    }

    fn open(&mut self, flow: FlowId) {
        self.command(HandshakeCommand::Open { flow });
    }

    fn expect(&mut self, fingerprint: Fingerprint) {
        let fingerprints = vec![fingerprint];
        self.command(HandshakeCommand::Expect {
            flow: FLOW,
            fingerprints,
        });
    }

    /// Carries datagrams both ways until nobody has any.
    fn exchange(&mut self) {
        loop {
            let mut idle = true;
            while let Some(output) = self.browser.poll_output() {
                idle = false;
                match output {
                    DtlsOutput::Datagram(bytes) => {
                        let datagram = Datagram::new(FLOW, peer(), &bytes).unwrap();
                        self.handshakes.handle_datagram(self.now, &datagram);
                    }
                    DtlsOutput::Keys(keys) => self.browser_keys = Some(keys),
                    DtlsOutput::Closed => {}
                }
            }
            while let Some(output) = self.handshakes.poll_output() {
                idle = false;
                if let HandshakeOutput::Send(datagram) = output {
                    assert_eq!((datagram.flow, datagram.peer), (FLOW, peer()));
                    self.browser
                        .handle_datagram(self.now, datagram.bytes())
                        .unwrap();
                } else {
                    self.outputs.push(output);
                }
            }
            if idle {
                return;
            }
        }
    }

    fn assert_completed(&self) {
        let [
            HandshakeOutput::InstallKeys { flow: first, keys },
            HandshakeOutput::Event(HandshakeEvent::Completed {
                flow: second,
                profile,
            }),
        ] = &self.outputs[..]
        else {
            panic!("{:?}", self.outputs);
        };
        assert_eq!((*first, *second), (FLOW, FLOW));
        assert_eq!(*profile, keys.local.profile());
        let mut packet = vec![0x80; 12];
        packet.resize(28, 0);
        let mut sender = SrtpSender::new(&keys.local).unwrap();
        let length = sender.protect_rtp(&mut packet, 12).unwrap();
        let browser = self.browser_keys.as_ref().unwrap();
        let mut receiver = SrtpReceiver::new(&browser.remote).unwrap();
        assert_eq!(receiver.unprotect_rtp(&mut packet[..length]), Ok(12));
    }

    fn assert_failed(&self, flow: FlowId) {
        let [
            HandshakeOutput::Event(HandshakeEvent::Failed {
                flow: failed,
                reason,
            }),
        ] = &self.outputs[..]
        else {
            panic!("{:?}", self.outputs);
        };
        assert_eq!(*failed, flow);
        assert!(!reason.is_empty());
    }
}

#[test]
fn keys_come_before_completed_when_the_fingerprint_was_known_first() {
    let mut bench = Bench::new(10);
    bench.open(FLOW);
    bench.expect(bench.browser_certificate.fingerprint());
    bench.exchange();
    bench.assert_completed();
    assert_eq!(bench.handshakes.sessions(), 1);
    assert_eq!(bench.handshakes.poll_timeout(), None);
}

#[test]
fn keys_wait_for_the_fingerprint_when_the_handshake_was_faster() {
    let mut bench = Bench::new(10);
    bench.open(FLOW);
    bench.exchange();
    assert!(bench.outputs.is_empty());
    bench.expect(bench.browser_certificate.fingerprint());
    bench.exchange();
    bench.assert_completed();
}

#[test]
fn a_wrong_fingerprint_fails_the_flow_once_and_gives_no_keys() {
    let mut bench = Bench::new(10);
    bench.open(FLOW);
    bench.exchange();
    bench.expect(bench.certificate.fingerprint());
    bench.exchange();
    bench.assert_failed(FLOW);
    assert_eq!(bench.handshakes.sessions(), 0);
    bench.expect(bench.browser_certificate.fingerprint());
    bench.command(HandshakeCommand::Close { flow: FLOW });
    bench.exchange();
    bench.assert_failed(FLOW);
}

#[test]
fn datagrams_of_unknown_flows_are_dropped_and_counted() {
    let mut bench = Bench::new(10);
    bench.exchange();
    assert_eq!(bench.handshakes.counters().unknown_flow_datagrams, 1);
    bench.open(FLOW);
    bench.command(HandshakeCommand::Close { flow: FLOW });
    let late = Datagram::new(FLOW, peer(), &[22; 50]).unwrap();
    bench.handshakes.handle_datagram(bench.now, &late);
    assert_eq!(bench.handshakes.counters().unknown_flow_datagrams, 2);
    assert!(bench.handshakes.poll_output().is_none());
}

#[test]
fn sessions_are_bounded_and_a_closed_one_makes_room() {
    let mut bench = Bench::new(1);
    let second = FlowId { slot: 9, ..FLOW };
    bench.open(FLOW);
    bench.open(second);
    bench.exchange();
    bench.assert_failed(second);
    bench.outputs.clear();
    bench.command(HandshakeCommand::Close { flow: FLOW });
    bench.open(second);
    bench.exchange();
    assert!(bench.outputs.is_empty());
    assert_eq!(bench.handshakes.sessions(), 1);
}

#[test]
fn a_lost_flight_is_sent_again_when_its_time_has_come() {
    let mut bench = Bench::new(10);
    bench.open(FLOW);
    bench.expect(bench.browser_certificate.fingerprint());
    let mut lost = 0;
    // The server's first two flights get lost.
    while lost < 2 {
        while let Some(output) = bench.browser.poll_output() {
            if let DtlsOutput::Datagram(bytes) = output {
                let datagram = Datagram::new(FLOW, peer(), &bytes).unwrap();
                bench.handshakes.handle_datagram(bench.now, &datagram);
            }
        }
        while let Some(output) = bench.handshakes.poll_output() {
            assert!(matches!(output, HandshakeOutput::Send(_)));
        }
        lost += 1;
        bench.now += Duration::from_millis(250);
        bench.browser.handle_timeout(bench.now).unwrap();
        bench.handshakes.handle_timeout(bench.now);
    }
    bench.exchange();
    bench.assert_completed();
}

#[test]
fn a_browser_that_falls_silent_fails_the_flow() {
    let mut bench = Bench::new(10);
    bench.open(FLOW);
    let mut hello = None;
    while let Some(output) = bench.browser.poll_output() {
        if let DtlsOutput::Datagram(bytes) = output {
            hello = Some(bytes);
        }
    }
    let datagram = Datagram::new(FLOW, peer(), &hello.unwrap()).unwrap();
    bench.handshakes.handle_datagram(bench.now, &datagram);
    let began = bench.now;
    while let Some(at) = bench.handshakes.poll_timeout() {
        bench.now = at;
        bench.handshakes.handle_timeout(at);
        assert!(bench.now - began < Duration::from_secs(60));
    }
    while let Some(output) = bench.handshakes.poll_output() {
        if !matches!(output, HandshakeOutput::Send(_)) {
            bench.outputs.push(output);
        }
    }
    bench.assert_failed(FLOW);
    assert_eq!(bench.handshakes.sessions(), 0);
}

#[test]
fn ux_g5_a_browser_that_closes_ends_the_session_and_is_told_of_only_without_keys() {
    for fingerprint_known in [true, false] {
        let mut bench = Bench::new(1);
        bench.open(FLOW);
        if fingerprint_known {
            bench.expect(bench.browser_certificate.fingerprint());
        }
        bench.exchange();
        bench.browser.close(bench.now).unwrap();
        bench.exchange();
        if fingerprint_known {
            bench.assert_completed();
        } else {
            let [HandshakeOutput::Event(HandshakeEvent::Closed { flow })] = &bench.outputs[..]
            else {
                panic!("{:?}", bench.outputs);
            };
            assert_eq!(*flow, FLOW);
        }
        let ended = u64::from(fingerprint_known);
        assert_eq!(bench.handshakes.counters().ended_after_completion, ended);
        assert_eq!(bench.handshakes.sessions(), 0);
    }
}

#[test]
fn opening_again_starts_a_new_association() {
    let mut bench = Bench::new(1);
    bench.open(FLOW);
    bench.expect(bench.browser_certificate.fingerprint());
    bench.exchange();
    bench.assert_completed();
    bench.outputs.clear();
    bench.browser = DtlsClient::new(&bench.browser_certificate, bench.now).unwrap();
    bench
        .browser
        .expect(vec![bench.certificate.fingerprint()])
        .unwrap();
    bench.open(FLOW);
    bench.expect(bench.browser_certificate.fingerprint());
    bench.exchange();
    bench.assert_completed();
}

#[test]
fn media_f1_a_panic_in_the_library_fails_one_flow_and_is_counted() {
    let now = start();
    // The library panics on a private key that is none.
    let broken = Certificate::from_der(vec![0x30, 0], vec![1, 2, 3]);
    let mut handshakes = Handshakes::new(broken, 10);
    handshakes.handle_command(now, HandshakeCommand::Open { flow: FLOW });
    let Some(HandshakeOutput::Event(HandshakeEvent::Failed { flow, reason })) =
        handshakes.poll_output()
    else {
        panic!("nobody is told");
    };
    assert_eq!(flow, FLOW);
    assert!(reason.contains("panicked"), "{reason}");
    assert_eq!(handshakes.counters().panicked, 1);
    assert_eq!(handshakes.sessions(), 0);
}

#[test]
fn media_f1_after_a_panic_handshakes_under_way_fail_and_the_others_can_be_opened_again() {
    let mut bench = Bench::new(10);
    bench.open(FLOW);
    let Some(DtlsOutput::Datagram(hello)) = bench.browser.poll_output() else {
        panic!("no ClientHello");
    };
    let silent = FlowId { slot: 9, ..FLOW };
    bench.open(silent);
    let hello = Datagram::new(FLOW, peer(), &hello).unwrap();
    bench.handshakes.handle_datagram(bench.now, &hello);
    while bench.handshakes.poll_output().is_some() {}
    bench.handshakes.forget_all("it was started again");
    let Some(HandshakeOutput::Event(HandshakeEvent::Failed { flow, reason })) =
        bench.handshakes.poll_output()
    else {
        panic!("nobody is told");
    };
    assert_eq!((flow, &*reason), (FLOW, "it was started again"));
    assert!(bench.handshakes.poll_output().is_none());
    assert_eq!(bench.handshakes.sessions(), 0);
    assert_eq!(bench.handshakes.poll_timeout(), None);
    // A new browser on the other flow.
    bench.open(silent);
    assert_eq!(bench.handshakes.sessions(), 1);
}

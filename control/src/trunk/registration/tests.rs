use super::*;
use crate::sip::transaction::{TimerConfig, Transactions, ViaParameters};
use crate::sip::{HeaderName, Message, Method};

const HOUR: Duration = Duration::from_secs(3600);

#[expect(
    clippy::disallowed_methods,
    reason = "a starting point for a fake clock"
)]
fn start() -> Instant {
    Instant::now()
}

/// A registration at two targets, and the names of transactions.
struct Carrier {
    registrations: Registrations,
    transactions: Transactions,
    now: Instant,
}

fn peer(last: u8) -> Peer {
    Peer::Udp(([192, 0, 2, last], 5060).into())
}

impl Carrier {
    fn new() -> Self {
        let now = start();
        let mut registrations = Registrations::default();
        registrations.add(0, ["c".to_owned(), "t".to_owned()], HOUR, now);
        Self {
            registrations,
            transactions: Transactions::new(TimerConfig::default(), [1; 32]),
            now,
        }
    }

    /// Lets the time come, and sends what is due.
    fn send(&mut self) -> Option<(ClientTransactionId, Peer)> {
        self.now = self.registrations.poll_timeout()?.max(self.now);
        assert_eq!(self.registrations.due(self.now), [0]);
        let route = || Attempt::of([peer(1), peer(2)], Duration::from_secs(6));
        let (peer, _) = self.registrations.next(0, route)?;
        let mut message = Message::request(Method::Register, "sip:a");
        message.push(HeaderName::CSeq, "1 REGISTER");
        let via = ViaParameters {
            transport: "UDP",
            sent_by: "h".to_owned(),
        };
        let transaction = self
            .transactions
            .send_request(self.now, peer, message, &via);
        self.registrations.sent(0, transaction, peer);
        Some((transaction, peer))
    }

    fn answer(
        &mut self,
        sent: Option<(ClientTransactionId, Peer)>,
        outcome: Outcome,
    ) -> Option<bool> {
        let (transaction, _) = sent?;
        self.registrations
            .answered(self.now, transaction, outcome, 500)
    }

    fn due_in(&self) -> Duration {
        self.registrations.poll_timeout().unwrap() - self.now
    }
}

#[test]
fn a_grant_is_refreshed_before_it_ends() {
    let mut carrier = Carrier::new();
    let sent = carrier.send();
    assert_eq!(carrier.answer(sent, Outcome::Granted(HOUR)), Some(true));
    assert_eq!(carrier.due_in(), HOUR / 2);
    assert_eq!(carrier.registrations.granted(carrier.now), [0]);
    let sent = carrier.send();
    assert_eq!(
        carrier.answer(sent, Outcome::Granted(HOUR)),
        None,
        "no news"
    );
    assert_eq!(
        carrier.registrations.get(0).unwrap().sequence,
        2 * SEQUENCE_STRIDE
    );
}

#[test]
fn another_target_is_tried_at_once_and_all_of_them_later() {
    let mut carrier = Carrier::new();
    let sent = carrier.send();
    assert_eq!(carrier.answer(sent, Outcome::Unavailable), None);
    assert_eq!(carrier.due_in(), Duration::ZERO);
    let sent = carrier.send();
    assert_eq!(sent.unwrap().1, peer(2));
    assert_eq!(carrier.answer(sent, Outcome::Unavailable), Some(false));
    assert_eq!(carrier.due_in(), REGISTER_PAUSE * 3 / 4);
    assert_eq!(carrier.send().unwrap().1, peer(1), "from the first again");
}

#[test]
fn pauses_double_up_to_a_bound_and_end_with_a_grant() {
    let mut carrier = Carrier::new();
    let mut pauses = Vec::new();
    for _ in 0..20 {
        let sent = carrier.send();
        carrier.answer(sent, Outcome::Refused(None));
        pauses.push(carrier.due_in());
    }
    assert_eq!(pauses[1], pauses[0] * 2);
    assert_eq!(pauses[19], REGISTER_PAUSE_MAX * 3 / 4);
    let sent = carrier.send();
    carrier.answer(sent, Outcome::Granted(HOUR));
    let sent = carrier.send();
    carrier.answer(sent, Outcome::Refused(Some(Duration::from_secs(100))));
    assert_eq!(carrier.due_in(), Duration::from_secs(100), "Retry-After");
}

#[test]
fn a_423_raises_what_is_asked_for_once_for_each_value() {
    let mut carrier = Carrier::new();
    let sent = carrier.send();
    assert_eq!(carrier.answer(sent, Outcome::TooBrief(7200)), None);
    assert_eq!(carrier.registrations.get(0).unwrap().asked_s, 7200);
    assert_eq!(carrier.due_in(), Duration::ZERO);
    for seconds in [7200, u32::MAX] {
        let sent = carrier.send();
        carrier.answer(sent, Outcome::TooBrief(seconds));
        assert!(carrier.due_in() > Duration::ZERO, "{seconds} leads nowhere");
    }
}

#[test]
fn it_is_lost_when_refreshes_fail_until_it_expires() {
    let mut carrier = Carrier::new();
    let sent = carrier.send();
    let brief = Duration::from_secs(60);
    carrier.answer(sent, Outcome::Granted(brief));
    let sent = carrier.send();
    assert_eq!(carrier.answer(sent, Outcome::Refused(None)), None);
    assert_eq!(carrier.registrations.granted(carrier.now), [0], "still");
    let sent = carrier.send();
    let known = carrier.answer(sent, Outcome::Refused(None));
    let sent = carrier.send();
    let later = carrier.answer(sent, Outcome::Refused(None));
    assert_eq!(known.or(later), Some(false));
    assert!(carrier.registrations.granted(carrier.now).is_empty());
    let sent = carrier.send();
    assert_eq!(carrier.answer(sent, Outcome::Granted(HOUR)), Some(true));
}

#[test]
fn a_connection_that_closes_is_registered_over_again() {
    let mut carrier = Carrier::new();
    let sent = carrier.send();
    carrier.answer(sent, Outcome::Granted(HOUR));
    carrier.registrations.stream_closed(carrier.now, peer(2));
    assert_eq!(carrier.due_in(), HOUR / 2, "another connection");
    carrier.registrations.stream_closed(carrier.now, peer(1));
    assert_eq!(carrier.due_in(), Duration::ZERO);
}

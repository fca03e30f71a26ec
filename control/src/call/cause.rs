//! Why calls end: one table of what the log, a caller that waits and the peers are told (RFC 3326).

use super::Party;
use crate::sip::status::reason_phrase;
use crate::sip::{HeaderName, Message};

/// Why ringway itself ends a call, or one of its dialogs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// The DTLS handshake of a browser failed.
    Dtls(String),
    /// A browser has closed its DTLS association, and has not hung up.
    MediaClosed(Party),
    /// A side has sent nothing for too long.
    Silent(Party),
    /// No keys within the time after the answer.
    NoMediaPath,
    /// Media workers have no flow for the call, or do not say so.
    NoFlow(&'static str),
    /// The media worker of the call failed, and its flows are gone.
    WorkerLost,
    /// Nobody has answered within the longest time of ringing.
    NoAnswer,
    /// The process stops.
    Stopping,
    /// The connection of a side that has no dialog yet is gone.
    ConnectionLost(Party),
    /// A description in an answer cannot be used.
    UnusableAnswer(String),
    /// A 2xx had no ACK (RFC 3261 section 13.3.1.4).
    NotAcknowledged,
    /// A reliable provisional response had no PRACK (RFC 3262 section 3).
    NotPracked,
    /// A request of ours found no dialog or no answer (RFC 3261 section 12.2.1.2).
    NoSuchCall,
    /// The session was not refreshed with this side (RFC 4028 section 10).
    SessionExpired(Party),
    /// Offers within the call lead to nothing that both sides take.
    Unsettled(&'static str),
    /// The other side was transferred, and is in another call.
    Transferred(&'static str),
    /// Nobody was reached by a transfer whose referrer has gone.
    TransferFailed(u16),
    /// The call ended in which somebody was to be transferred.
    TransferAbandoned,
    /// The caller's INVITE has expired (RFC 3261 section 13.3.1).
    Expired,
    /// Another fork of the INVITE has answered.
    CompletedElsewhere,
    /// What was asked for is not wanted any more: it was withdrawn with this status.
    Withdrawn(u16),
    /// A side hung up, and said no more.
    HungUp(&'static str),
}

/// What the table says of a cause.
struct Facts {
    /// What a caller that has had no answer is answered; below 300 for calls that are answered.
    status: u16,
    /// The cause in SIP's numbers, and in those of Q.850.
    sip: u16,
    q850: u8,
    /// What the peers are told: fixed text, nothing of the other side's.
    text: &'static str,
}

const fn facts(status: u16, sip: u16, q850: u8, text: &'static str) -> Facts {
    Facts {
        status,
        sip,
        q850,
        text,
    }
}

impl Why {
    fn facts(&self) -> Facts {
        match self {
            Self::Dtls(_) => facts(488, 488, 58, "DTLS handshake failed"),
            Self::MediaClosed(_) => facts(200, 480, 27, "Media connection closed"),
            Self::Silent(_) => facts(200, 408, 102, "Media timeout"),
            Self::NoMediaPath => facts(200, 408, 102, "No media path"),
            Self::NoFlow(_) => facts(503, 503, 47, "No media resources"),
            Self::WorkerLost => facts(503, 503, 41, "Media worker failed"),
            Self::NoAnswer => facts(408, 408, 19, "No answer"),
            Self::Expired => facts(487, 487, 19, "Invitation expired"),
            Self::Stopping => facts(503, 503, 41, "Gateway stops"),
            Self::ConnectionLost(Party::Caller) => facts(487, 487, 31, "Caller connection lost"),
            Self::ConnectionLost(Party::Callee) => facts(480, 480, 27, "Callee connection lost"),
            Self::UnusableAnswer(_) => facts(488, 488, 88, "Unusable answer"),
            Self::NotAcknowledged => facts(200, 408, 102, "Answer not acknowledged"),
            Self::NotPracked => facts(504, 504, 102, "Provisional response not acknowledged"),
            Self::NoSuchCall => facts(200, 481, 31, "No such call at the other side"),
            Self::SessionExpired(_) => facts(200, 408, 102, "Session not refreshed"),
            Self::Unsettled(_) => facts(200, 488, 88, "Session cannot be agreed on"),
            Self::Transferred(_) => facts(200, 200, 16, "Transferred"),
            Self::TransferFailed(status) => {
                facts(200, *status, q850_of(*status), reason_phrase(*status))
            }
            Self::TransferAbandoned => facts(487, 487, 16, "Transferred call has ended"),
            Self::CompletedElsewhere => facts(200, 200, 26, "Call completed elsewhere"),
            Self::Withdrawn(status) => {
                facts(*status, *status, q850_of(*status), reason_phrase(*status))
            }
            Self::HungUp(_) => facts(200, 200, 16, "Normal call clearing"),
        }
    }

    /// What the log says.
    fn log_text(&self) -> String {
        match self {
            Self::Dtls(reason) => format!("DTLS: {reason}"),
            Self::MediaClosed(party) => format!("{} closed its media connection", name(*party)),
            Self::Silent(party) => format!("media timeout: {} is silent", name(*party)),
            Self::NoMediaPath => "no media path".to_owned(),
            Self::WorkerLost => "media worker failed".to_owned(),
            Self::NoAnswer => "no answer".to_owned(),
            Self::NoFlow(text)
            | Self::Unsettled(text)
            | Self::Transferred(text)
            | Self::HungUp(text) => (*text).to_owned(),
            Self::Expired => "no answer before the INVITE expired".to_owned(),
            Self::Stopping => "gateway stops".to_owned(),
            Self::ConnectionLost(party) => format!("{}'s connection closed", name(*party)),
            Self::UnusableAnswer(text) => text.clone(),
            Self::NotAcknowledged => "caller did not acknowledge the answer".to_owned(),
            Self::NotPracked => "caller did not acknowledge a provisional response".to_owned(),
            Self::NoSuchCall => "the other side has no such call".to_owned(),
            Self::SessionExpired(party) => {
                format!("session expired: no refresh with the {}", name(*party))
            }
            Self::TransferFailed(status) => format!("transferred, and not answered: {status}"),
            Self::TransferAbandoned => "the call that was transferred has ended".to_owned(),
            Self::CompletedElsewhere => "another fork has answered".to_owned(),
            Self::Withdrawn(_) => "the change was withdrawn".to_owned(),
        }
    }

    /// The Reason of a BYE or CANCEL: SIP's numbers, which browsers read, and those of Q.850, which
    /// carriers hand on (RFC 3326 section 2).
    pub(crate) fn reasons(&self) -> Vec<String> {
        let facts = self.facts();
        let q850 = format!("Q.850;cause={}", facts.q850);
        if let Self::HungUp(_) = self {
            return vec![format!("{q850};text=\"{}\"", facts.text)];
        }
        let (sip, text) = (facts.sip, facts.text);
        vec![format!("SIP;cause={sip};text=\"{text}\", {q850}")]
    }
}

/// Why a call ends.
#[derive(Clone, Debug)]
pub(crate) struct Cause {
    /// What the caller is answered, if it has not been; 200 for a call that was answered.
    pub(crate) status: u16,
    /// For the log.
    pub(crate) text: String,
    /// Who hung up: that side is told nothing more.
    pub(crate) by: Option<Party>,
    /// Reason headers of our BYE and CANCEL; never empty.
    pub(crate) reasons: Vec<String>,
}

impl Cause {
    /// A failure with a status, which says it all.
    pub(crate) fn of(status: u16, text: impl Into<String>) -> Self {
        Self {
            status,
            text: text.into(),
            by: None,
            reasons: Why::Withdrawn(status).reasons(),
        }
    }

    /// What the table says.
    pub(crate) fn because(why: &Why) -> Self {
        Self {
            status: why.facts().status,
            text: why.log_text(),
            by: None,
            reasons: why.reasons(),
        }
    }

    /// A side hung up: what it says of it passes, all of it.
    pub(crate) fn said_by(party: Party, text: &'static str, bye: &Message) -> Self {
        let why = Why::HungUp(text);
        let mut cause = Self::because(&why);
        cause.by = Some(party);
        cause.reasons = reasons_in(Some(bye)).unwrap_or(cause.reasons);
        cause
    }
}

/// The Reason headers of a peer's request, if it has any.
pub(crate) fn reasons_in(request: Option<&Message>) -> Option<Vec<String>> {
    let values = request?.headers(HeaderName::Reason).map(str::to_owned);
    let values: Vec<String> = values.collect();
    (!values.is_empty()).then_some(values)
}

/// The cause of Q.850 for a status (RFC 3398 section 8.2.6.1 and 7.2.4.1, read backwards).
const fn q850_of(status: u16) -> u8 {
    match status {
        404 | 485 | 604 => 1,
        410 => 22,
        486 | 600 => 17,
        480 => 18,
        401 | 402 | 403 | 407 | 603 => 21,
        408 | 504 => 102,
        484 => 28,
        487 => 16,
        488 | 606 => 88,
        500 | 503 => 41,
        502 => 38,
        _ => 31,
    }
}

const fn name(party: Party) -> &'static str {
    match party {
        Party::Caller => "caller",
        Party::Callee => "callee",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_f15_each_cause_has_a_number_of_sip_and_one_of_q850() {
        let dtls = Why::Dtls("no cipher".to_owned()).reasons();
        assert_eq!(
            dtls,
            ["SIP;cause=488;text=\"DTLS handshake failed\", Q.850;cause=58"]
        );
        let elsewhere = Why::CompletedElsewhere.reasons();
        assert!(
            elsewhere
                .iter()
                .any(|value| value.starts_with("SIP;cause=200;text=\"Call completed elsewhere\"")),
            "{elsewhere:?}"
        );
        let hung_up = Why::HungUp("caller hung up").reasons();
        assert_eq!(hung_up, ["Q.850;cause=16;text=\"Normal call clearing\""]);
    }
}

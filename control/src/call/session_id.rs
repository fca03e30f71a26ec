//! Session-ID (RFC 7989): one pair of identifiers that names a call on both of its legs, whatever
//! their Call-IDs.

use super::Party;
use crate::sip::header::header_param;
use crate::sip::{HeaderName, Message};

/// Stands for a side whose identifier is not known yet (section 5).
const NIL: &str = "00000000000000000000000000000000";

/// The identifiers of the two peers. A peer that has none of its own gets one here.
#[derive(Clone, Debug)]
pub(crate) struct SessionIds {
    caller: String,
    callee: String,
    /// False until the callee has answered something.
    callee_has_spoken: bool,
}

impl SessionIds {
    /// `spare` are two random identifiers, for peers that say none.
    pub(crate) fn new(invite: &Message, spare: [u128; 2]) -> Self {
        let [caller, callee] = spare.map(|id| format!("{:032x}", as_version_4(id)));
        Self {
            caller: local(invite).unwrap_or(caller),
            callee,
            callee_has_spoken: false,
        }
    }

    /// Learns from a response of the callee.
    pub(crate) fn learn(&mut self, response: &Message) {
        self.callee_has_spoken = true;
        if let Some(id) = local(response).filter(|id| id != NIL) {
            self.callee = id;
        }
    }

    /// What messages to the caller say.
    pub(crate) fn to_caller(&self) -> String {
        format!("{};remote={}", self.callee, self.caller)
    }

    /// What messages to the callee say.
    pub(crate) fn to_callee(&self) -> String {
        let remote = if self.callee_has_spoken {
            &self.callee
        } else {
            NIL
        };
        format!("{};remote={remote}", self.caller)
    }

    /// That of one side, for the messages of its own.
    pub(crate) fn of(&self, party: Party) -> &str {
        match party {
            Party::Caller => &self.caller,
            Party::Callee => &self.callee,
        }
    }

    /// Somebody else is on this side now.
    pub(crate) fn replace(&mut self, party: Party, id: String) {
        match party {
            Party::Caller => self.caller = id,
            Party::Callee => self.callee = id,
        }
    }

    /// For the log: the caller's.
    pub(crate) fn of_call(&self) -> &str {
        &self.caller
    }
}

/// The identifier of who has sent this: 32 hexadecimal digits, in small letters (section 5).
fn local(message: &Message) -> Option<String> {
    let value = message.header(HeaderName::SessionId)?;
    let id = value.split(';').next()?.trim().to_ascii_lowercase();
    let is_sound = id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    // RFC 7329 had the same form without `remote`.
    let remote = header_param(value, "remote");
    (is_sound && remote.is_none_or(|remote| remote.len() == 32)).then_some(id)
}

/// Sets version and variant of a random UUID (RFC 9562 section 5.4).
const fn as_version_4(id: u128) -> u128 {
    let versioned = id & !(0xf << 76) | 0x4 << 76;
    versioned & !(0x3 << 62) | 0x2 << 62
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(session_id: &str) -> Message {
        let mut message = Message::request(crate::sip::Method::Invite, "sip:a@b");
        if !session_id.is_empty() {
            message.push(HeaderName::SessionId, session_id);
        }
        message
    }

    #[test]
    fn a_peer_that_says_none_gets_a_random_uuid() {
        let mut ids = SessionIds::new(&message(""), [0, u128::MAX]);
        let caller = "00000000000040008000000000000000";
        assert_eq!(ids.to_callee(), format!("{caller};remote={NIL}"));
        ids.learn(&message("not an identifier"));
        let callee = "ffffffffffff4fffbfffffffffffffff";
        assert_eq!(ids.to_callee(), format!("{caller};remote={callee}"));
        assert_eq!(ids.to_caller(), format!("{callee};remote={caller}"));
    }

    #[test]
    fn what_peers_say_is_kept() {
        let (a, b) = ("A".repeat(32), "b".repeat(32));
        let mut ids = SessionIds::new(&message(&format!("{a};remote={NIL}")), [1, 2]);
        ids.learn(&message(&format!("{b};remote={a}")));
        let a = a.to_ascii_lowercase();
        assert_eq!(ids.to_caller(), format!("{b};remote={a}"));
        assert_eq!(ids.of_call(), a);
    }
}

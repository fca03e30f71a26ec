//! Connectivity checks as a full ICE agent sends them to us (RFC 8445 section 7.2): we are lite and
//! send none in calls; self-tests and measurements do.

use super::{
    BINDING_REQUEST, BINDING_SUCCESS, HEADER_BYTES, ICE_CONTROLLING, MAGIC_COOKIE, PRIORITY,
    USE_CANDIDATE, USERNAME, Writer, check_header, read_u16, write,
};

/// Room for a check with the longest user name (RFC 8445 section 5.3).
const CHECK_BYTES_MAX: usize = 640;
/// Priority of a peer-reflexive candidate (RFC 8445 section 5.1.2.1).
const PEER_REFLEXIVE_PRIORITY: u32 = 0x6E7F_00FF;

/// A nominating check.
#[derive(Clone, Copy, Debug)]
pub struct Check<'a> {
    /// Names the transaction: its answer repeats it.
    pub transaction: [u8; 12],
    /// The user fragment of the peer, as its description has it.
    pub remote_fragment: &'a str,
    /// Our own user fragment.
    pub local_fragment: &'a str,
    /// The password of the peer.
    pub remote_password: &'a str,
    /// Which of two controlling agents stays so (RFC 8445 section 7.3.1.1).
    pub tie_breaker: u64,
}

impl Check<'_> {
    /// The Binding request; `None` if the texts are too long for one.
    #[must_use]
    pub fn to_bytes(self) -> Option<Vec<u8>> {
        let mut buffer = vec![0; CHECK_BYTES_MAX];
        write(&mut buffer, 4, &MAGIC_COOKIE.to_be_bytes())?;
        write(&mut buffer, 8, &self.transaction)?;
        let mut writer = Writer::new(&mut buffer, BINDING_REQUEST)?;
        let (remote, local) = (self.remote_fragment, self.local_fragment);
        writer.attribute(USERNAME, &[remote.as_bytes(), b":", local.as_bytes()])?;
        writer.attribute(PRIORITY, &[&PEER_REFLEXIVE_PRIORITY.to_be_bytes()])?;
        writer.attribute(ICE_CONTROLLING, &[&self.tie_breaker.to_be_bytes()])?;
        writer.attribute(USE_CANDIDATE, &[])?;
        let length = writer.finish(self.remote_password.as_bytes())?;
        buffer.truncate(length);
        Some(buffer)
    }
}

/// The transaction that this success answer names; `None` for anything else. Whoever can see the
/// check can forge the answer: keys are agreed on behind it.
#[must_use]
pub fn answered_transaction(packet: &[u8]) -> Option<[u8; 12]> {
    check_header(packet)?;
    let is_success = read_u16(packet, 0)? == BINDING_SUCCESS;
    let transaction = *packet.get(8..HEADER_BYTES)?.first_chunk()?;
    is_success.then_some(transaction)
}

#[cfg(test)]
mod tests {
    use super::super::{BindingRequest, Role, write_success};
    use super::*;

    const CHECK: Check<'_> = Check {
        transaction: *b"transaction!",
        remote_fragment: "us00",
        local_fragment: "them",
        remote_password: "a-password-of-24-letters",
        tie_breaker: 7,
    };

    #[test]
    fn a_check_is_read_as_it_was_meant_and_its_answer_is_known() {
        let mut bytes = CHECK.to_bytes().unwrap();
        let request = BindingRequest::parse(&bytes).unwrap();
        let fragments = (b"us00".as_slice(), b"them".as_slice());
        assert_eq!(request.fragments(), Some(fragments));
        assert!(request.use_candidate && request.unknown.is_empty());
        assert_eq!(request.role, Some(Role::Controlling));
        assert!(request.is_authentic(b"a-password-of-24-letters"));
        assert_eq!(answered_transaction(&bytes), None, "no answer");

        bytes.resize(200, 0);
        let mapped = ([192, 0, 2, 1], 9).into();
        let length = write_success(&mut bytes, mapped, b"a-password-of-24-letters").unwrap();
        let answer = &bytes[..length];
        assert_eq!(answered_transaction(answer), Some(*b"transaction!"));
        assert_eq!(answered_transaction(&answer[..19]), None);
        assert_eq!(answered_transaction(&[1, 1]), None);
    }

    #[test]
    fn texts_that_do_not_fit_are_no_check() {
        let long = "f".repeat(CHECK_BYTES_MAX);
        let check = Check {
            remote_fragment: &long,
            ..CHECK
        };
        assert_eq!(check.to_bytes(), None);
    }
}

use super::*;

/// A check as a browser makes it; tests alter the parts.
#[derive(Clone, Copy)]
pub(crate) struct TestCheck<'a> {
    pub(crate) username: &'a str,
    pub(crate) password: &'a str,
    pub(crate) use_candidate: bool,
    pub(crate) role: Role,
    pub(crate) unknown_attribute: bool,
}

impl TestCheck<'_> {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut buffer = vec![0; 300];
        buffer[4..8].copy_from_slice(&MAGIC_COOKIE.to_be_bytes());
        buffer[8..20].copy_from_slice(b"transaction!");
        let mut writer = Writer::new(&mut buffer, BINDING_REQUEST).unwrap();
        writer
            .attribute(USERNAME, &[self.username.as_bytes()])
            .unwrap();
        writer.attribute(PRIORITY, &[&[0x6E, 0, 1, 0xFF]]).unwrap();
        let role = match self.role {
            Role::Controlling => ICE_CONTROLLING,
            Role::Controlled => ICE_CONTROLLED,
        };
        writer.attribute(role, &[&[7; 8]]).unwrap();
        if self.use_candidate {
            writer.attribute(USE_CANDIDATE, &[]).unwrap();
        }
        if self.unknown_attribute {
            writer.attribute(0x7ABC, &[&[1]]).unwrap();
        }
        let length = writer.finish(self.password.as_bytes()).unwrap();
        buffer.truncate(length);
        buffer
    }
}

/// The answer's type, error code (0 if none), and whether integrity and fingerprint are right.
pub(crate) fn read_answer(answer: &[u8], password: &str) -> (u16, u16, bool) {
    let mut offset = HEADER_BYTES;
    let (mut code, mut authentic, mut fingerprinted) = (0, false, false);
    check_header(answer).unwrap();
    while offset < answer.len() {
        let kind = read_u16(answer, offset).unwrap();
        let length = usize::from(read_u16(answer, offset + 2).unwrap());
        let value = &answer[offset + 4..offset + 4 + length];
        match kind {
            ERROR_CODE => code = 100 * u16::from(value[2]) + u16::from(value[3]),
            MESSAGE_INTEGRITY => {
                authentic = verify_message_integrity(password.as_bytes(), &answer[..offset], value);
            }
            FINGERPRINT => {
                let right = fingerprint_crc32(&answer[..offset]).unwrap();
                fingerprinted = value == right.to_be_bytes();
            }
            _ => {}
        }
        offset += 4 + length.next_multiple_of(4);
    }
    (
        read_u16(answer, 0).unwrap(),
        code,
        authentic && fingerprinted,
    )
}

const CHECK: TestCheck<'_> = TestCheck {
    username: "us00:them",
    password: "a-password-of-24-letters",
    use_candidate: true,
    role: Role::Controlling,
    unknown_attribute: false,
};

/// RFC 5769 section 2.1.
const RFC_5769_REQUEST: &[u8] = b"\x00\x01\x00\x58\x21\x12\xa4\x42\xb7\xe7\xa7\x01\xbc\x34\xd6\x86\
\xfa\x87\xdf\xae\x80\x22\x00\x10\x53\x54\x55\x4e\x20\x74\x65\x73\x74\x20\x63\x6c\x69\x65\x6e\x74\
\x00\x24\x00\x04\x6e\x00\x01\xff\x80\x29\x00\x08\x93\x2f\xf9\xb1\x51\x26\x3b\x36\x00\x06\x00\x09\
\x65\x76\x74\x6a\x3a\x68\x36\x76\x59\x20\x20\x20\x00\x08\x00\x14\x9a\xea\xa7\x0c\xbf\xd8\xcb\x56\
\x78\x1e\xf2\xb5\xb2\xd3\xf2\x49\xc1\xb5\x71\xa2\x80\x28\x00\x04\xe5\x7a\x3b\xcf";

#[test]
fn reads_the_sample_request_of_rfc_5769() {
    let request = BindingRequest::parse(RFC_5769_REQUEST).unwrap();
    assert_eq!(
        request.fragments(),
        Some((b"evtj".as_slice(), b"h6vY".as_slice()))
    );
    assert_eq!(request.priority, Some(0x6E00_01FF));
    assert_eq!(request.role, Some(Role::Controlled));
    assert!(!request.use_candidate && request.unknown.is_empty());
    assert!(request.is_authentic(b"VOkJxbRl1RmTxUk/WvJxBt"));
    assert!(!request.is_authentic(b"VOkJxbRl1RmTxUk/WvJxBT"));
}

#[test]
fn refuses_a_wrong_fingerprint_and_every_cut() {
    let mut damaged = RFC_5769_REQUEST.to_vec();
    damaged[30] ^= 1;
    assert_eq!(
        BindingRequest::parse(&damaged).unwrap_err(),
        StunError::Malformed
    );
    for length in 0..RFC_5769_REQUEST.len() {
        let cut = &RFC_5769_REQUEST[..length];
        assert_eq!(
            BindingRequest::parse(cut).unwrap_err(),
            StunError::Malformed
        );
    }
}

#[test]
fn ignores_what_follows_the_integrity() {
    let mut message = CHECK.bytes();
    message.truncate(message.len() - 8);
    message.extend([0x00, 0x25, 0, 0]);
    let body = u16::try_from(message.len() - HEADER_BYTES).unwrap();
    message[2..4].copy_from_slice(&body.to_be_bytes());
    let use_candidate_before = BindingRequest::parse(&message).unwrap().use_candidate;
    assert!(use_candidate_before);
    let without = TestCheck {
        use_candidate: false,
        ..CHECK
    }
    .bytes();
    let mut message = without[..without.len() - 8].to_vec();
    message.extend([0x00, 0x25, 0, 0]);
    let body = u16::try_from(message.len() - HEADER_BYTES).unwrap();
    message[2..4].copy_from_slice(&body.to_be_bytes());
    let request = BindingRequest::parse(&message).unwrap();
    assert!(request.is_authentic(CHECK.password.as_bytes()));
    assert!(
        !request.use_candidate,
        "added behind MESSAGE-INTEGRITY by a stranger"
    );
}

#[test]
fn takes_no_indication_for_a_request() {
    let mut indication = CHECK.bytes();
    indication[1] = 0x11;
    indication[0] = 0;
    assert_eq!(
        BindingRequest::parse(&indication).unwrap_err(),
        StunError::NotBindingRequest
    );
}

#[test]
fn answers_with_the_xored_address_of_either_family() {
    for (address, family, bytes) in [
        ("192.0.2.1:32853", 1, [0xE1, 0x12, 0xA6, 0x43].as_slice()),
        ("[::ffff:192.0.2.1]:32853", 1, &[0xE1, 0x12, 0xA6, 0x43]),
        ("[2001:db8::1]:32853", 2, &[0x01, 0x13, 0xA9, 0xFA]),
    ] {
        let mut buffer = CHECK.bytes();
        buffer.resize(200, 0);
        let length = write_success(
            &mut buffer,
            address.parse().unwrap(),
            CHECK.password.as_bytes(),
        );
        let answer = &buffer[..length.unwrap()];
        assert_eq!(
            read_answer(answer, CHECK.password),
            (BINDING_SUCCESS, 0, true)
        );
        assert_eq!(answer[8..20], *b"transaction!");
        assert_eq!(answer[25], family);
        assert_eq!(answer[26..28], [0xA1, 0x47]);
        assert_eq!(answer[28..32], *bytes);
    }
}

#[test]
fn names_unknown_attributes_in_420() {
    let bytes = TestCheck {
        unknown_attribute: true,
        ..CHECK
    }
    .bytes();
    let unknown = BindingRequest::parse(&bytes).unwrap().unknown;
    assert!(!unknown.is_empty());
    let mut buffer = bytes;
    buffer.resize(200, 0);
    let error = ErrorAnswer::UnknownAttribute(unknown);
    let length = write_error(&mut buffer, &error, CHECK.password.as_bytes()).unwrap();
    let answer = &buffer[..length];
    assert_eq!(
        read_answer(answer, CHECK.password),
        (BINDING_ERROR, 420, true)
    );
    assert!(
        answer
            .windows(6)
            .any(|w| w == [0x00, 0x0A, 0, 2, 0x7A, 0xBC])
    );
}

#[test]
fn writes_no_answer_into_too_small_a_buffer() {
    let mut buffer = [0; 60];
    assert_eq!(
        write_success(&mut buffer, "192.0.2.1:1".parse().unwrap(), b"password"),
        None
    );
}

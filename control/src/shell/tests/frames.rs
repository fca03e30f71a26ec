//! WebSocket frames byte by byte: the cases of the Autobahn test suite (sections 1 to 7, 9 and 10;
//! 12 and 13 are about compression, which is not offered), against the stand-in of the brain that
//! says what it hears.
//!
//! One thing differs from Autobahn's echo: a message of nothing, or of line ends, is a keep-alive of
//! SIP and is not said again (RFC 7118 section 6).

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{PATIENCE, Server, configuration, start, start_with};

const CONTINUATION: u8 = 0x0;
const TEXT: u8 = 0x1;
const BINARY: u8 = 0x2;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xA;
const FIN: u8 = 0x80;

/// A client that writes frames as it is told, right or wrong.
struct Raw(TcpStream);

/// A frame of a client: `first` is FIN, RSV and opcode.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [0x37, 0xFA, 0x21, 0x3D];
    let mut bytes = vec![first];
    match payload.len() {
        length @ 0..=125 => bytes.push(0x80 | u8::try_from(length).unwrap()),
        length @ 126..=65_535 => {
            bytes.push(0x80 | 126);
            bytes.extend(u16::try_from(length).unwrap().to_be_bytes());
        }
        length => {
            bytes.push(0x80 | 127);
            bytes.extend(u64::try_from(length).unwrap().to_be_bytes());
        }
    }
    bytes.extend(mask);
    bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(b, m)| b ^ m));
    bytes
}

/// A Close with a status.
fn close(code: u16, reason: &[u8]) -> Vec<u8> {
    frame(FIN | CLOSE, &[&code.to_be_bytes(), reason].concat())
}

impl Raw {
    async fn open(address: SocketAddr) -> Self {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let request = format!(
            "GET /ws HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Protocol: sip\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            answer.push(stream.read_u8().await.unwrap());
        }
        assert!(answer.starts_with(b"HTTP/1.1 101 "));
        Self(stream)
    }

    async fn send(&mut self, bytes: &[u8]) {
        // The server may have closed already, which is what is looked at next.
        drop(self.0.write_all(bytes).await);
    }

    /// Sends byte by byte.
    async fn drip(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.send(&[*byte]).await;
            tokio::task::yield_now().await;
        }
    }

    /// First byte and payload of the next frame; `None` at the end of the connection.
    async fn next(&mut self) -> Option<(u8, Vec<u8>)> {
        timeout(PATIENCE, self.read()).await.expect("an answer")
    }

    async fn read(&mut self) -> Option<(u8, Vec<u8>)> {
        let first = self.0.read_u8().await.ok()?;
        let second = self.0.read_u8().await.ok()?;
        assert_eq!(second & 0x80, 0, "a server must not mask");
        assert_eq!(first & 0x70, 0, "no extension was agreed on");
        let length = match second {
            126 => u64::from(self.0.read_u16().await.ok()?),
            127 => self.0.read_u64().await.ok()?,
            length => u64::from(length),
        };
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        self.0.read_exact(&mut payload).await.ok()?;
        Some((first, payload))
    }

    /// The message is said again.
    async fn expect(&mut self, opcode: u8, payload: &[u8]) {
        let (first, heard) = self.next().await.expect("a frame");
        assert_eq!(first, FIN | opcode);
        assert!(heard == payload, "{} bytes came back", heard.len());
    }

    /// The server closes with this status, after whatever else, and ends the connection.
    async fn expect_close(&mut self, code: u16, case: &str) {
        loop {
            let Some((first, payload)) = self.next().await else {
                panic!("{case}: ended without a Close");
            };
            if first == FIN | CLOSE {
                let said = payload.first_chunk().map(|code| u16::from_be_bytes(*code));
                assert_eq!(said, Some(code), "{case}");
                break;
            }
        }
        drop(self.0.shutdown().await);
        assert_eq!(self.next().await, None, "{case}");
    }
}

/// Every case has a connection of its own, and they come as fast as they can.
async fn server() -> Server {
    let text = "[web]\nhandshakes_per_second_per_source = 100000";
    start(&configuration(text), None).await
}

async fn raw(server: &Server) -> Raw {
    Raw::open(server.address).await
}

/// Each of these ends the connection with this status.
async fn all_close(server: &Server, code: u16, cases: &[(&str, Vec<u8>)]) {
    for (case, bytes) in cases {
        let mut client = raw(server).await;
        client.send(bytes).await;
        client.expect_close(code, case).await;
    }
}

#[tokio::test]
async fn w6_w9_frames_of_every_length_come_back_as_text_or_binary() {
    let server = server().await;
    let mut client = raw(&server).await;
    for length in [1, 125, 126, 127, 128, 65_535, 65_536] {
        let text = vec![b'*'; length];
        client.send(&frame(FIN | TEXT, &text)).await;
        client.expect(TEXT, &text).await;
        let binary = vec![0xFE; length];
        client.send(&frame(FIN | BINARY, &binary)).await;
        client.expect(BINARY, &binary).await;
    }
    // In pieces of the stream (1.1.8, 1.2.8), and with a length of more bytes than are needed.
    let text = vec![b'*'; 65_536];
    for piece in frame(FIN | TEXT, &text).chunks(997) {
        client.send(piece).await;
    }
    client.expect(TEXT, &text).await;
    // Nothing is a keep-alive (1.1.1, 1.2.1).
    client.send(&frame(FIN | TEXT, b"")).await;
    client.send(&frame(FIN | BINARY, b"")).await;
    client.send(&frame(FIN | TEXT, b"after")).await;
    client.expect(TEXT, b"after").await;
}

#[tokio::test]
async fn w18_pings_are_answered_with_their_payload_and_pongs_are_not() {
    let server = server().await;
    let mut client = raw(&server).await;
    let binary: Vec<u8> = (0..125).map(|n| n ^ 0xFF).collect();
    for payload in [
        &b""[..],
        b"Hello, world!",
        b"\x00\xFF\xFE\xFD\xFC\xFB\x00\xFF",
        &binary,
    ] {
        client.send(&frame(FIN | PING, payload)).await;
        client.expect(PONG, payload).await;
        client.drip(&frame(FIN | PING, payload)).await;
        client.expect(PONG, payload).await;
    }
    // Unasked Pongs (2.7 to 2.9).
    client.send(&frame(FIN | PONG, b"")).await;
    client.send(&frame(FIN | PONG, b"unsolicited")).await;
    client.send(&frame(FIN | PING, b"real")).await;
    client.expect(PONG, b"real").await;
    // Many at once (2.10).
    let many: Vec<u8> = (0..10).flat_map(|n| frame(FIN | PING, &[n])).collect();
    client.send(&many).await;
    for n in 0..10 {
        client.expect(PONG, &[n]).await;
    }
    let long = ("2.5", frame(FIN | PING, &[0xFE; 126]));
    all_close(&server, 1002, &[long]).await;
}

#[tokio::test]
async fn w9_reserved_bits_opcodes_and_unmasked_frames_close_with_1002() {
    let server = server().await;
    let mut cases = Vec::new();
    for rsv in 1..=7 {
        for opcode in [TEXT, BINARY, PING, CLOSE] {
            cases.push(("3.x RSV", frame(FIN | (rsv << 4) | opcode, b"Hello")));
        }
    }
    for opcode in (3..=7).chain(0xB..=0xF) {
        cases.push(("4.x opcode", frame(FIN | opcode, b"")));
        cases.push(("4.x opcode", frame(FIN | opcode, b"x")));
    }
    cases.push(("unmasked", vec![FIN | TEXT, 2, b'h', b'i']));
    cases.push(("unmasked Ping", vec![FIN | PING, 0]));
    cases.push(("a control frame of 126", frame(FIN | PONG, &[0; 126])));
    all_close(&server, 1002, &cases).await;
}

#[tokio::test]
async fn w7_fragments_are_put_together_with_control_frames_between() {
    let server = server().await;
    let mut client = raw(&server).await;
    for drip in [false, true] {
        let bytes = [
            frame(TEXT, b"frag"),
            frame(FIN | PING, b"1"),
            frame(CONTINUATION, b""),
            frame(CONTINUATION, b"ment"),
            frame(FIN | PONG, b"x"),
            frame(FIN | PING, b"2"),
            frame(FIN | CONTINUATION, b"s"),
        ]
        .concat();
        if drip {
            client.drip(&bytes).await;
        } else {
            client.send(&bytes).await;
        }
        client.expect(PONG, b"1").await;
        client.expect(PONG, b"2").await;
        client.expect(TEXT, b"fragments").await;
    }
    // 9.3, 9.4, 10.1: a large message in small pieces.
    let text = vec![b'*'; 65_536];
    let mut bytes = Vec::new();
    let chunks: Vec<&[u8]> = text.chunks(1300).collect();
    for (index, chunk) in chunks.iter().enumerate() {
        let opcode = if index == 0 { TEXT } else { CONTINUATION };
        let fin = if index + 1 == chunks.len() { FIN } else { 0 };
        bytes.extend(frame(fin | opcode, chunk));
    }
    client.send(&bytes).await;
    client.expect(TEXT, &text).await;

    let begun = frame(TEXT, b"a");
    let cases = [
        ("5.1 a Ping in fragments", frame(PING, b"a")),
        ("5.2 a Pong in fragments", frame(PONG, b"a")),
        ("a Close in fragments", frame(CLOSE, b"")),
        ("5.9 nothing to continue", frame(FIN | CONTINUATION, b"x")),
        ("5.12 nothing to continue", frame(CONTINUATION, b"x")),
        (
            "5.15 continued after the end",
            [
                begun.clone(),
                frame(FIN | CONTINUATION, b"b"),
                frame(CONTINUATION, b"c"),
            ]
            .concat(),
        ),
        (
            "5.18 a new message inside",
            [begun.clone(), frame(FIN | TEXT, b"b")].concat(),
        ),
        (
            "a binary message inside",
            [begun, frame(BINARY, b"b")].concat(),
        ),
    ];
    all_close(&server, 1002, &cases).await;
}

#[tokio::test]
async fn w6_text_that_is_not_utf_8_closes_with_1007() {
    let server = server().await;
    let mut client = raw(&server).await;
    // 6.2 to 6.22: good text, also cut inside a character.
    for text in [
        "Hello-µ@ßöäüàá-UTF-8!!",
        "κόσμε",
        "\u{0}\u{7F}\u{80}\u{7FF}\u{800}\u{FFFF}\u{10000}\u{10FFFF}",
        "\u{D7FF}\u{E000}\u{FFFD}\u{FFFE}\u{1FFFE}",
    ] {
        client.send(&frame(FIN | TEXT, text.as_bytes())).await;
        client.expect(TEXT, text.as_bytes()).await;
        let bytes = text.as_bytes();
        let mut pieces = frame(TEXT, b"");
        for byte in bytes {
            pieces.extend(frame(CONTINUATION, &[*byte]));
        }
        pieces.extend(frame(FIN | CONTINUATION, b""));
        client.send(&pieces).await;
        client.expect(TEXT, bytes).await;
    }
    let bad: [&[u8]; 20] = [
        b"\xCE\xBA\xE1\xBD\xB9\xCF\x83\xCE\xBC\xCE\xB5\xED\xA0\x80edited",
        b"\xF8\x88\x80\x80\x80",
        b"\xFC\x84\x80\x80\x80\x80",
        b"\xF7\xBF\xBF\xBF",
        b"\xF4\x90\x80\x80",
        b"\x80",
        b"\xBF",
        b"\x80\xBF\x80",
        b"\xC0 ",
        b"\xC0",
        b"\xE0\x80",
        b"\xF0\x80\x80",
        b"\xDF",
        b"\xEF\xBF",
        b"\xFE",
        b"\xFF",
        b"\xC0\xAF",
        b"\xE0\x80\xAF",
        b"\xED\xA0\x80",
        b"\xED\xBF\xBF",
    ];
    let mut cases: Vec<(&str, Vec<u8>)> = Vec::new();
    for bytes in bad {
        cases.push(("6.x", frame(FIN | TEXT, bytes)));
        let (first, second) = bytes.split_at(bytes.len() / 2);
        let fragments = [frame(TEXT, first), frame(FIN | CONTINUATION, second)];
        cases.push(("6.x in fragments", fragments.concat()));
    }
    all_close(&server, 1007, &cases).await;
}

#[tokio::test]
async fn w9_a_close_is_answered_with_its_status() {
    let server = server().await;
    for (bytes, status) in [
        (close(1000, b""), 1000),
        (close(1000, b"Hello World!"), 1000),
        (close(1000, &[b'*'; 123]), 1000),
    ] {
        let mut client = raw(&server).await;
        client.send(&bytes).await;
        client.expect_close(status, "7.3").await;
    }
    for code in [
        1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999,
    ] {
        let mut client = raw(&server).await;
        client.send(&close(code, b"")).await;
        client.expect_close(code, "7.7").await;
    }
    // Without a status (7.3.1), and what follows a Close is not heard (7.1.2 to 7.1.5).
    let mut client = raw(&server).await;
    let bytes = [
        frame(FIN | CLOSE, b""),
        frame(FIN | TEXT, b"after"),
        frame(FIN | PING, b"after"),
    ];
    client.send(&bytes.concat()).await;
    assert_eq!(client.next().await, Some((FIN | CLOSE, Vec::new())));
    drop(client.0.shutdown().await);
    assert_eq!(client.next().await, None);
}

#[tokio::test]
async fn w9_a_close_that_may_not_be_closes_with_1002_or_1007() {
    let server = server().await;
    let mut cases = vec![
        ("7.3.2 half a status", frame(FIN | CLOSE, b"\x03")),
        ("7.3.6 too long", close(1000, &[b'*'; 124])),
    ];
    for code in [
        0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999, 5000, 65_535,
    ] {
        cases.push(("7.9 status", close(code, b"")));
        cases.push(("7.9 status", close(code, b"reason")));
    }
    all_close(&server, 1002, &cases).await;
    let reason = ("7.5.1 reason", close(1000, b"\xCE\xBA\xED\xA0\x80"));
    all_close(&server, 1007, &[reason]).await;
}

#[tokio::test]
async fn w10_a_message_or_frame_over_the_limit_closes_with_1009() {
    let server = server().await;
    let half = vec![b'*'; 40_000];
    let cases = [
        ("one frame", frame(FIN | TEXT, &[b'*'; 65_537])),
        (
            "fragments",
            [frame(TEXT, &half), frame(FIN | CONTINUATION, &half)].concat(),
        ),
        // Only announced: nothing is kept for it.
        (
            "2^62 bytes",
            [
                &[FIN | BINARY, 0xFF][..],
                &(1_u64 << 62).to_be_bytes(),
                &[0; 4],
            ]
            .concat(),
        ),
    ];
    all_close(&server, 1009, &cases).await;
}

#[tokio::test]
async fn w10_a_message_that_is_begun_and_not_ended_closes_with_1008() {
    let within = Duration::from_millis(50);
    let server = start_with(&configuration(""), None, |web| web.message_within = within).await;
    let mut patient = raw(&server).await;
    patient.send(&frame(FIN | TEXT, b"whole")).await;
    patient.expect(TEXT, b"whole").await;
    let fragment = frame(TEXT, b"begun");
    for begun in [&fragment[..], &fragment[..1], &fragment[..7]] {
        let mut client = raw(&server).await;
        // Complete messages give time to no other.
        client.send(&frame(FIN | TEXT, b"before")).await;
        client.expect(TEXT, b"before").await;
        client.send(begun).await;
        client.expect_close(1008, "begun").await;
    }
    // Pings between the fragments are answered, and are no end of the message.
    let mut client = raw(&server).await;
    client.send(&fragment).await;
    let mut pings = 0;
    loop {
        client.send(&frame(FIN | PING, b"still here")).await;
        match client.next().await {
            Some((first, payload)) if first == FIN | PONG => {
                assert_eq!(payload, b"still here");
                pings += 1;
            }
            Some((first, payload)) => {
                assert_eq!(first, FIN | CLOSE);
                assert_eq!(payload[..2], 1008_u16.to_be_bytes());
                break;
            }
            None => panic!("ended without a Close"),
        }
    }
    assert!(pings > 0);
    // Who has begun nothing has all the time.
    patient.send(&frame(FIN | TEXT, b"later")).await;
    patient.expect(TEXT, b"later").await;
}

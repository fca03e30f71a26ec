//! The media of the call: a browser's offer, what of the answer counts, and packets of sound.

use crypto::dtls::Fingerprint;
use crypto::random::Random;

use crate::sdp::SessionDescription;

/// Packets of 20 ms that are sent: a second of sound.
pub(crate) const ECHO_PACKETS: u16 = 50;
/// Room for one of them with its SRTP trailer.
pub(crate) const PACKET_BYTES_MAX: usize = HEADER_BYTES + PAYLOAD_BYTES + 32;
const HEADER_BYTES: usize = 12;
/// 20 ms of PCMU.
const PAYLOAD_BYTES: usize = 160;
const PCMU: u8 = 0;

/// Our side of the media.
pub(crate) struct LocalMedia {
    pub(crate) fragment: String,
    pub(crate) tie_breaker: u64,
    password: String,
    ssrc: u32,
}

impl LocalMedia {
    pub(crate) fn new(random: &mut Random) -> Self {
        let mut bytes = [0; 12];
        random.fill(&mut bytes);
        let [ssrc @ .., a, b, c, d, e, f, g, h] = bytes;
        Self {
            fragment: random.hex_text(8),
            password: random.hex_text(32),
            tie_breaker: u64::from_be_bytes([a, b, c, d, e, f, g, h]),
            ssrc: u32::from_be_bytes(ssrc),
        }
    }

    /// The offer, as a browser's that speaks PCMU alone. It names no candidate: ringway waits for
    /// checks (ICE-lite).
    pub(crate) fn offer(&self, fingerprint: &Fingerprint) -> String {
        let Self {
            fragment,
            password,
            ssrc,
            ..
        } = self;
        format!(
            "v=0\r\no=- {ssrc} 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n\
             m=audio 9 UDP/TLS/RTP/SAVPF 0\r\nc=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 0.0.0.0\r\n\
             a=ice-ufrag:{fragment}\r\na=ice-pwd:{password}\r\na=fingerprint:{fingerprint}\r\n\
             a=setup:actpass\r\na=mid:0\r\na=sendrecv\r\na=rtcp-mux\r\na=rtpmap:0 PCMU/8000\r\n\
             a=ssrc:{ssrc} cname:selftest\r\n"
        )
    }

    /// A packet with this sequence number; its payload is unlike that of any other `index`.
    pub(crate) fn packet(&self, sequence: u16, index: u16) -> [u8; HEADER_BYTES + PAYLOAD_BYTES] {
        let mut packet = [0; HEADER_BYTES + PAYLOAD_BYTES];
        let (header, payload) = packet.split_at_mut(HEADER_BYTES);
        let [sequence_high, sequence_low] = sequence.to_be_bytes();
        let timestamp = (u32::from(sequence) * 160).to_be_bytes();
        let fields = [
            [0x80, PCMU, sequence_high, sequence_low],
            timestamp,
            self.ssrc.to_be_bytes(),
        ];
        header.copy_from_slice(fields.as_flattened());
        payload.fill(pattern(index));
        packet
    }
}

/// A sample that is unlike that of the packets before and after.
const fn pattern(index: u16) -> u8 {
    (index % 251) as u8
}

/// The media of ringway's side, as its answer says.
pub(crate) struct RemoteMedia {
    pub(crate) port: u16,
    pub(crate) fragment: String,
    pub(crate) password: String,
    pub(crate) fingerprints: Vec<Fingerprint>,
}

impl RemoteMedia {
    /// Reads the answer; the error says what it lacks.
    pub(crate) fn read(answer: &[u8]) -> Result<Self, String> {
        let lacks = |what: &str| format!("the answer has no {what}");
        let answer = SessionDescription::parse(answer).map_err(|error| error.to_string())?;
        let audio = answer.media.first().filter(|media| media.port != 0);
        let audio = audio.ok_or_else(|| lacks("audio"))?;
        let all = || audio.attributes.iter().chain(&answer.attributes);
        let values = |name: &'static str| {
            let named = all().filter(move |attribute| attribute.name == name);
            named.filter_map(|attribute| attribute.value.as_deref())
        };
        let one = |name, what: &str| values(name).next().ok_or_else(|| lacks(what));
        let fingerprints: Vec<Fingerprint> = values("fingerprint")
            .filter_map(|text| text.parse().ok())
            .collect();
        if fingerprints.is_empty() {
            return Err(lacks("fingerprint that counts"));
        }
        let port = values("candidate").find_map(udp_port);
        Ok(Self {
            port: port.ok_or_else(|| lacks("candidate"))?,
            fragment: one("ice-ufrag", "ICE user fragment")?.to_owned(),
            password: one("ice-pwd", "ICE password")?.to_owned(),
            fingerprints,
        })
    }
}

/// The port of a candidate over UDP (RFC 8839 section 5.1). Its address is what others are told,
/// which this machine may not reach.
fn udp_port(candidate: &str) -> Option<u16> {
    let mut fields = candidate.split(' ').skip(2);
    let is_udp = fields.next()?.eq_ignore_ascii_case("udp");
    let port = fields.nth(2)?.parse().ok()?;
    is_udp.then_some(port)
}

/// Packets that have come back.
#[derive(Debug, Default)]
pub(crate) struct Echo {
    seen: std::collections::BTreeSet<u8>,
}

impl Echo {
    /// Takes a packet in the clear; the number of the packet that it is the echo of, once.
    pub(crate) fn take(&mut self, packet: &[u8]) -> Option<u16> {
        let payload = packet.get(HEADER_BYTES..)?;
        let sample = *payload.first()?;
        let is_whole = payload.len() == PAYLOAD_BYTES && payload.iter().all(|at| *at == sample);
        let is_ours = packet.get(1).map(|at| at & 0x7F) == Some(PCMU);
        let index = u16::from(sample);
        let counts = is_whole && is_ours && index < ECHO_PACKETS && self.seen.insert(sample);
        counts.then_some(index)
    }

    pub(crate) fn count(&self) -> usize {
        self.seen.len()
    }
}

const _: () = assert!(ECHO_PACKETS < 251, "patterns are told apart");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sdp::read_webrtc;

    #[test]
    fn an_echo_counts_once_and_only_if_it_is_whole() {
        let local = LocalMedia::new(&mut Random::seeded(1));
        let mut echo = Echo::default();
        let mut packet = local.packet(7, 3);
        assert_eq!(echo.take(&packet), Some(3));
        assert_eq!(echo.take(&packet), None, "twice");
        packet[100] ^= 1;
        assert_eq!(echo.take(&packet), None, "damaged");
        assert_eq!(echo.take(&local.packet(8, 4)[..171]), None, "cut");
        assert_eq!(echo.take(&local.packet(8, 4)), Some(4));
        assert_eq!(echo.count(), 2);
    }

    #[test]
    fn the_offer_is_one_that_ringway_reads_and_the_port_is_that_of_the_answer() {
        let local = LocalMedia::new(&mut Random::seeded(1));
        let certificate = crypto::dtls::Certificate::generate().unwrap();
        let offer = local.offer(&certificate.fingerprint());
        let read = read_webrtc(offer.as_bytes()).unwrap();
        let audio = read.audio().unwrap();
        assert_eq!(audio.codecs.len(), 1);
        assert!(RemoteMedia::read(offer.as_bytes()).is_err(), "no candidate");

        let answer = offer.replace("a=setup:actpass", "a=setup:passive").replace(
            "a=mid:0",
            "a=candidate:1 1 TCP 1 192.0.2.1 9 typ host tcptype passive\r\n\
             a=candidate:1 1 udp 2130706431 203.0.113.9 20000 typ host\r\na=mid:0",
        );
        let remote = RemoteMedia::read(answer.as_bytes()).unwrap();
        assert_eq!((remote.port, remote.fragment), (20_000, local.fragment));
        assert_eq!(remote.fingerprints, [certificate.fingerprint()]);
    }
}

//! Which telephone-events one leg may send the other (RFC 4733 section 2.4.1).

use super::model::{Codec, MediaKind, RemoteDescription, RemoteMedia};
use super::negotiate::free_payload_type;
use super::policy::{TELEPHONE_EVENT_HZ, TELEPHONE_EVENTS};

/// The telephone-event, as `target` wants to receive it, of what `source` sends: both sides know
/// it at the clock rate of the codec that is in use, or else at the usual one, and the audio may flow
/// that way.
pub fn event_towards<'a>(
    source: &RemoteDescription,
    target: &'a RemoteDescription,
    clock_hz: u32,
) -> Option<&'a Codec> {
    let (from, to) = (source.audio()?, target.audio()?);
    if !from.direction.sends() || !to.direction.receives() {
        return None;
    }
    [clock_hz, TELEPHONE_EVENT_HZ].into_iter().find_map(|hz| {
        let is_it = |codec: &&Codec| codec.is_telephone_event() && codec.clock_hz == hz;
        from.codecs.iter().find(is_it)?;
        to.codecs.iter().find(is_it)
    })
}

/// Makes a peer that takes digits some other way look as if it knew telephone-event, at the clock
/// rate of each of its codecs and at the usual one: so the other leg agrees to it. Our own descriptions for the peer
/// leave it out ([`LegSdp::without_telephone_events`](super::LegSdp::without_telephone_events)),
/// and nothing is sent with the numbers that it gets here.
pub fn assume_events(peer: &mut RemoteDescription) {
    let is_audio = |media: &&mut RemoteMedia| media.usable && media.kind == MediaKind::Audio;
    for media in peer.media.iter_mut().filter(is_audio) {
        let mut clocks: Vec<u32> = media.codecs.iter().map(|codec| codec.clock_hz).collect();
        if !clocks.is_empty() {
            clocks.push(TELEPHONE_EVENT_HZ);
        }
        clocks.sort_unstable();
        clocks.dedup();
        for clock_hz in clocks {
            let is_it = |codec: &Codec| codec.is_telephone_event() && codec.clock_hz == clock_hz;
            let is_taken = |number: u8| {
                media
                    .codecs
                    .iter()
                    .any(|codec| codec.payload_type == number)
            };
            if !media.codecs.iter().any(is_it)
                && let Some(payload_type) = free_payload_type(is_taken)
            {
                media.codecs.push(Codec {
                    payload_type,
                    name: "telephone-event".to_owned(),
                    clock_hz,
                    channels: 1,
                    fmtp: Some(TELEPHONE_EVENTS.to_owned()),
                    feedback: Vec::new(),
                });
            }
        }
    }
}

impl Codec {
    /// Whether a telephone-event codec lists this event: "the sender […] MUST restrict the set of
    /// events it sends to those listed" (RFC 4733 section 2.5.1.1), which are 0 to 15 where nothing
    /// is.
    pub fn takes_event(&self, event: u8) -> bool {
        let Some(list) = self.fmtp.as_deref().map(str::trim) else {
            return event <= 15;
        };
        // Some write it as the media type has it.
        let list = list.strip_prefix("events=").unwrap_or(list);
        list.split(',').any(|item| {
            let (first, last) = item.split_once('-').unwrap_or((item, item));
            let bounds = first
                .trim()
                .parse::<u8>()
                .ok()
                .zip(last.trim().parse().ok());
            bounds.is_some_and(|(first, last)| (first..=last).contains(&event))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(fmtp: Option<&str>) -> Codec {
        Codec {
            payload_type: 101,
            name: "telephone-event".to_owned(),
            clock_hz: 8000,
            channels: 1,
            fmtp: fmtp.map(str::to_owned),
            feedback: Vec::new(),
        }
    }

    #[test]
    fn d8_only_events_that_the_receiver_lists_are_sent() {
        let all = events(None);
        assert!(all.takes_event(0) && all.takes_event(15) && !all.takes_event(16));
        let some = events(Some("0-9, 11,16"));
        assert!(some.takes_event(9) && some.takes_event(11) && some.takes_event(16));
        assert!(!some.takes_event(10) && !some.takes_event(12));
        assert!(events(Some("events=0-15")).takes_event(15));
        for strange in ["", "-", "300", "9-0", "x"] {
            assert!(!events(Some(strange)).takes_event(5), "{strange}");
        }
    }

    #[test]
    fn d8_a_peer_seems_to_know_an_event_of_each_clock_under_a_free_number() {
        let text = "v=0\r\no=- 1 1 IN IP4 192.0.2.7\r\ns=-\r\nc=IN IP4 192.0.2.7\r\nt=0 0\r\n\
                    m=audio 4000 RTP/AVP 0 96 97\r\na=rtpmap:96 opus/48000/2\r\n\
                    a=rtpmap:97 telephone-event/8000\r\n";
        let mut peer = super::super::read_plain(text.as_bytes()).expect("a description");
        assume_events(&mut peer);
        let codecs = &peer.audio().expect("audio").codecs;
        let events: Vec<(u8, u32)> = codecs
            .iter()
            .filter(|codec| codec.is_telephone_event())
            .map(|codec| (codec.payload_type, codec.clock_hz))
            .collect();
        assert_eq!(events, [(97, 8000), (98, 48_000)]);
    }
}

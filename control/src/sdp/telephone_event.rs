//! Which telephone-events one leg may send the other (RFC 4733 section 2.4.1).

use super::model::{Codec, RemoteDescription};

/// The telephone-event, as `target` wants to receive it, of what `source` sends: both sides know
/// it at the clock rate of the codec that is in use, and the audio may flow that way.
pub fn event_towards<'a>(
    source: &RemoteDescription,
    target: &'a RemoteDescription,
    clock_hz: u32,
) -> Option<&'a Codec> {
    let (from, to) = (source.audio()?, target.audio()?);
    if !from.direction.sends() || !to.direction.receives() {
        return None;
    }
    let is_it = |codec: &&Codec| codec.is_telephone_event() && codec.clock_hz == clock_hz;
    from.codecs.iter().find(is_it)?;
    to.codecs.iter().find(is_it)
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
}

//! Digits in INFO: `application/dtmf-relay` and `application/dtmf`. Neither has an RFC; this is
//! what telephones, JsSIP and SIP.js write.

use std::fmt;
use std::time::Duration;

/// Media type of a digit with a duration: what we write.
pub const DTMF_RELAY: &str = "application/dtmf-relay";
/// Media type of a digit alone.
const DTMF: &str = "application/dtmf";
/// What a digit lasts that does not say, as in JsSIP and SIP.js.
const DURATION_DEFAULT: Duration = Duration::from_millis(100);
/// The digits in the order of their events (RFC 4733 section 3.2).
const SIGNALS: [&str; 16] = [
    "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "*", "#", "A", "B", "C", "D",
];
/// The event of a hook flash (RFC 4733 section 3.2): no digit, and not always understood.
const FLASH: u8 = 16;

/// A digit of DTMF.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digit {
    /// 0 to 9, 10 for `*`, 11 for `#`, 12 to 15 for A to D, 16 for a hook flash (RFC 4733 section
    /// 3.2).
    pub event: u8,
    /// How long the key was pressed.
    pub duration: Duration,
}

/// The body of an INFO that is to be a digit is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadDigit;

impl fmt::Display for BadDigit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the body is no single digit of DTMF")
    }
}

impl std::error::Error for BadDigit {}

impl Digit {
    /// Reads the body of an INFO; `None` if the media type is not one of digits.
    ///
    /// `Signal` (`5`, `*`; `10` for `*` and so on is understood too) and `Duration` in milliseconds
    /// stand on a line each; of `application/dtmf`, the whole body may be the signal.
    #[must_use]
    pub fn parse(media_type: &str, body: &[u8]) -> Option<Result<Self, BadDigit>> {
        let kind = media_type.split(';').next()?.trim();
        let is_bare = kind.eq_ignore_ascii_case(DTMF);
        if !is_bare && !kind.eq_ignore_ascii_case(DTMF_RELAY) {
            return None;
        }
        let text = std::str::from_utf8(body).map_err(|_| BadDigit);
        Some(text.and_then(|text| {
            if is_bare && !text.contains('=') {
                Self::of(text, DURATION_DEFAULT)
            } else {
                Self::of_lines(text)
            }
        }))
    }

    /// The body of an INFO of the media type [`DTMF_RELAY`]; `None` if it is no digit.
    #[must_use]
    pub fn body(&self) -> Option<String> {
        let signal = SIGNALS.get(usize::from(self.event))?;
        let duration_ms = self.duration.as_millis();
        Some(format!("Signal={signal}\r\nDuration={duration_ms}\r\n"))
    }

    fn of_lines(text: &str) -> Result<Self, BadDigit> {
        let value = |wanted: &str| {
            let mut pairs = text.lines().filter_map(|line| line.split_once('='));
            let found = pairs.find(|(key, _)| key.trim().eq_ignore_ascii_case(wanted));
            found.map(|(_, value)| value.trim())
        };
        let duration = match value("Duration") {
            None => DURATION_DEFAULT,
            Some(text) => Duration::from_millis(text.parse::<u32>().map_err(|_| BadDigit)?.into()),
        };
        Self::of(value("Signal").ok_or(BadDigit)?, duration)
    }

    fn of(signal: &str, duration: Duration) -> Result<Self, BadDigit> {
        let signal = signal.trim();
        let by_name = |name: &&str| name.eq_ignore_ascii_case(signal);
        let event = match SIGNALS.iter().position(by_name) {
            Some(position) => u8::try_from(position).ok(),
            None if signal == "!" || signal.eq_ignore_ascii_case("flash") => Some(FLASH),
            None if signal.bytes().all(|byte| byte.is_ascii_digit()) => signal.parse().ok(),
            None => None,
        };
        match event {
            Some(event) if event <= FLASH => Ok(Self { event, duration }),
            Some(_) | None => Err(BadDigit),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn relay(body: &str) -> Result<(u8, u128), BadDigit> {
        let digit = Digit::parse("application/dtmf-relay", body.as_bytes()).unwrap()?;
        Ok((digit.event, digit.duration.as_millis()))
    }

    #[test]
    fn d8_reads_what_telephones_and_browsers_write() {
        assert_eq!(relay("Signal=5\r\nDuration=160"), Ok((5, 160)));
        assert_eq!(relay("signal= *\nDURATION= 250 \n"), Ok((10, 250)));
        assert_eq!(relay("Signal=#\r\n"), Ok((11, 100)));
        assert_eq!(relay("Duration=70\r\nX=Y\r\nSignal=d\r\n"), Ok((15, 70)));
        assert_eq!(relay("Signal=11\r\nDuration=0\r\n"), Ok((11, 0)));
        assert_eq!(relay("Signal=!\r\n"), Ok((16, 100)));
        let bare = |body: &[u8]| Digit::parse("application/DTMF; x=y", body).unwrap();
        assert_eq!(bare(b" A\r\n").unwrap().event, 12);
        assert_eq!(bare(b"Signal=3\r\n").unwrap().event, 3);
        assert_eq!(Digit::parse("application/sdp", b"5"), None);
        assert_eq!(Digit::parse("application/dtmf-relay2", b"Signal=5"), None);
    }

    #[test]
    fn d8_refuses_what_is_no_single_digit() {
        for body in [
            "",
            "5",
            "Signal=\r\n",
            "Signal=123\r\n",
            "Signal=17\r\n",
            "Signal=-1\r\n",
            "Signal=E\r\n",
            "Duration=160\r\n",
            "Signal=5\r\nDuration=long\r\n",
            "Signal=5\r\nDuration=99999999999\r\n",
        ] {
            assert_eq!(relay(body), Err(BadDigit), "{body:?}");
        }
        let bare = |body: &[u8]| Digit::parse("application/dtmf", body).unwrap();
        assert_eq!(bare(b""), Err(BadDigit));
        assert_eq!(bare(b"12345"), Err(BadDigit));
        assert_eq!(bare(&[0xFF, 0xFE]), Err(BadDigit));
    }

    #[test]
    fn d8_writes_what_it_reads() {
        for event in 0..16 {
            let duration = Duration::from_millis(200);
            let digit = Digit { event, duration };
            let body = digit.body().unwrap();
            assert_eq!(Digit::parse(DTMF_RELAY, body.as_bytes()), Some(Ok(digit)));
        }
        let flash = Digit {
            event: FLASH,
            duration: Duration::ZERO,
        };
        assert_eq!(flash.body(), None);
    }
}

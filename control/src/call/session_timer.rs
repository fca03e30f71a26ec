//! Session timers (RFC 4028), each leg its own: what is asked for, what is granted, who refreshes.

use std::time::Duration;

use crate::limits::{SESSION_EXPIRES_MAX_S, SESSION_EXPIRES_MIN_S};
use crate::sip::header::header_param;
use crate::sip::{HeaderName, Message};

/// A timer that both sides of a dialog have agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SessionTimer {
    /// The session interval, in seconds.
    pub(crate) interval_s: u32,
    /// True if the refreshes are ours to send.
    pub(crate) we_refresh: bool,
}

/// What we want of the timers of one kind of leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimerPolicy {
    /// The interval that we ask for, in seconds; 0 asks for none.
    pub(crate) wanted_s: u32,
    /// The shortest interval that we take, in seconds.
    pub(crate) min_s: u32,
    /// Whether we may be the one who refreshes.
    pub(crate) may_refresh: bool,
}

/// The interval of a request is shorter than we take: 422 (RFC 4028 section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooBrief;

impl SessionTimer {
    /// When the refresh is due, counted from the last one: at half of the interval (RFC 4028
    /// section 10).
    pub(crate) fn refresh_after(self) -> Duration {
        Duration::from_secs(u64::from(self.interval_s / 2))
    }

    /// When a session that was not refreshed ends: the lesser of 32 seconds and a third of the
    /// interval before its end (RFC 4028 section 10).
    pub(crate) fn expires_after(self) -> Duration {
        let early_s = (self.interval_s / 3).min(32);
        Duration::from_secs(u64::from(self.interval_s - early_s))
    }

    /// Says in a request of ours who refreshes: we are its UAC.
    pub(crate) fn propose(self, request: &mut Message) {
        let refresher = if self.we_refresh { "uac" } else { "uas" };
        let value = format!("{};refresher={refresher}", self.interval_s);
        request.set(HeaderName::SessionExpires, value);
    }

    /// Learns from a 2xx to a request of ours what was granted. `None`: the session has no timer
    /// (section 7.2).
    pub(crate) fn granted(response: &Message) -> Option<Self> {
        let value = response.header(HeaderName::SessionExpires)?;
        let interval_s = seconds(value)?;
        // What no peer may say (section 4) would have us refresh all the time.
        if interval_s < SESSION_EXPIRES_MIN_S {
            return None;
        }
        let we_refresh = !names(value, "uas");
        Some(Self {
            interval_s: interval_s.min(SESSION_EXPIRES_MAX_S),
            we_refresh,
        })
    }

    /// Decides what a request of the peer is granted (section 9, table 2), and says so in its 2xx.
    pub(crate) fn grant(
        request: &Message,
        answer: &mut Message,
        policy: TimerPolicy,
    ) -> Option<Self> {
        let knows_timers = knows_timers(request);
        let asked = request.header(HeaderName::SessionExpires);
        let min_s = min_se(request).unwrap_or(0);
        let (interval_s, we_refresh) = match asked {
            Some(value) => (
                seconds(value).filter(|asked| *asked >= SESSION_EXPIRES_MIN_S)?,
                !knows_timers || names(value, "uas"),
            ),
            None if policy.wanted_s == 0 => return None,
            None => (policy.wanted_s.max(min_s), !knows_timers),
        };
        if we_refresh && !policy.may_refresh {
            return None;
        }
        let timer = Self {
            interval_s: interval_s.min(SESSION_EXPIRES_MAX_S),
            we_refresh,
        };
        let refresher = if we_refresh { "uas" } else { "uac" };
        let value = format!("{};refresher={refresher}", timer.interval_s);
        answer.push(HeaderName::SessionExpires, value);
        if !we_refresh {
            answer.push(HeaderName::Require, "timer");
        }
        Some(timer)
    }
}

/// Is the interval that a request asks for one that we take? Who does not know timers cannot be
/// told (RFC 4028 section 9).
pub(crate) fn check(request: &Message, policy: TimerPolicy) -> Result<(), TooBrief> {
    let asked = request
        .header(HeaderName::SessionExpires)
        .and_then(seconds)
        .filter(|_| knows_timers(request));
    if asked.is_some_and(|asked| asked < policy.min_s) {
        return Err(TooBrief);
    }
    Ok(())
}

/// The value of Min-SE, in seconds.
pub(crate) fn min_se(message: &Message) -> Option<u32> {
    seconds(message.header(HeaderName::MinSe)?)
}

fn knows_timers(request: &Message) -> bool {
    [HeaderName::Supported, HeaderName::Require]
        .into_iter()
        .any(|name| request.lists_token(name, "timer"))
}

fn seconds(value: &str) -> Option<u32> {
    value.split(';').next()?.trim().parse().ok()
}

fn names(value: &str, refresher: &str) -> bool {
    header_param(value, "refresher").is_some_and(|who| who.eq_ignore_ascii_case(refresher))
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: TimerPolicy = TimerPolicy {
        wanted_s: 1800,
        min_s: 90,
        may_refresh: true,
    };

    type Headers = &'static [(&'static str, &'static str)];

    fn request(headers: &[(&str, &str)]) -> Message {
        let mut request = Message::request(crate::sip::Method::Invite, "sip:a@b");
        for (name, value) in headers {
            request.push(*name, *value);
        }
        request
    }

    /// RFC 4028 table 2, and what we add where nothing is asked for.
    #[test]
    fn the_refresher_is_who_the_table_says() {
        const TIMER: (&str, &str) = ("Supported", "timer");
        let table: [(Headers, Option<&str>); 8] = [
            (
                &[TIMER, ("Session-Expires", "300")],
                Some("300;refresher=uac"),
            ),
            (
                &[TIMER, ("Session-Expires", "300;refresher=uac")],
                Some("300;refresher=uac"),
            ),
            (
                &[TIMER, ("x", "300;refresher=UAS")],
                Some("300;refresher=uas"),
            ),
            (&[("Session-Expires", "300")], Some("300;refresher=uas")),
            (&[TIMER], Some("1800;refresher=uac")),
            (&[], Some("1800;refresher=uas")),
            (&[TIMER, ("Min-SE", "3600")], Some("3600;refresher=uac")),
            (&[TIMER, ("Session-Expires", "soon")], None),
        ];
        for (headers, granted) in table {
            let mut answer = request(&[]);
            let timer = SessionTimer::grant(&request(headers), &mut answer, POLICY);
            assert_eq!(
                answer.header(HeaderName::SessionExpires),
                granted,
                "{headers:?}"
            );
            let ours = granted.is_some_and(|value| value.ends_with("uas"));
            assert_eq!(timer.is_some_and(|timer| timer.we_refresh), ours);
            let required = answer.lists_token(HeaderName::Require, "timer");
            assert_eq!(required, granted.is_some() && !ours, "{headers:?}");
        }
    }

    #[test]
    fn an_interval_below_the_minimum_is_too_brief_only_for_who_knows_timers() {
        let brief = ("Session-Expires", "60");
        assert!(check(&request(&[brief]), POLICY).is_ok());
        assert!(check(&request(&[brief, ("Supported", "timer")]), POLICY).is_err());
    }

    #[test]
    fn a_session_ends_before_its_interval_does() {
        let after = |interval_s| {
            let timer = SessionTimer {
                interval_s,
                we_refresh: false,
            };
            timer.expires_after().as_secs()
        };
        assert_eq!((after(90), after(1800)), (60, 1768));
    }

    #[test]
    fn no_interval_of_a_peer_is_beyond_the_clock() {
        let timer = SessionTimer::granted(&request(&[("Session-Expires", "4294967295")]));
        assert_eq!(timer.unwrap().interval_s, SESSION_EXPIRES_MAX_S);
        assert_eq!(
            SessionTimer::granted(&request(&[("Session-Expires", "1")])),
            None
        );
    }
}

//! The log: text or JSON on standard error, one line when a call begins and one when it ends.

use std::fmt;
use std::sync::OnceLock;

use tracing::level_filters::LevelFilter;
use tracing::{debug, error, info, warn};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};

use crate::config::{LogConfig, LogFormat, LogLevel};
use crate::engine::input::Peer;
use crate::engine::output::{CallBegan, CallEnded, LogLine, MediaRefusal};
use crate::limits::MEDIA_HEARD_WITHIN;
use crate::trunk::TargetStatus;
use crate::trunk::health::Condition;
use crate::trunk::hop::Hop;
use crate::trunk::limits::LimitStatus;
use crate::trunk::sites::{Relocation, SiteState};

/// Who reads the log: programs want each field each time, people only those that say something.
static FORMAT: OnceLock<LogFormat> = OnceLock::new();

/// The time for people: UTC, to the second.
struct Seconds;

impl FormatTime for Seconds {
    fn format_time(&self, out: &mut Writer<'_>) -> fmt::Result {
        let mut text = String::new();
        SystemTime.format_time(&mut Writer::new(&mut text))?;
        out.write_str(&in_seconds(&text))
    }
}

/// `2026-12-01T04:51:07.123456Z` as `2026-12-01 04:51:07`; as it is where it is no such text.
fn in_seconds(time: &str) -> String {
    const SECONDS: std::ops::Range<usize> = 0.."2026-12-01T04:51:07".len();
    time.get(SECONDS).unwrap_or(time).replace('T', " ")
}

/// Starts the log; the first call counts.
pub(super) fn start(config: &LogConfig) {
    let format = *FORMAT.get_or_init(|| config.format);
    let level = match config.level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    let builder = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .with_target(false);
    let started = match format {
        LogFormat::Text => builder.with_timer(Seconds).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    if let Err(error) = started {
        return debug!(%error, "the log was started before");
    }
    // One line for each, in the format of the others.
    std::panic::set_hook(Box::new(|panic| {
        let thread = std::thread::current();
        let thread = thread.name().unwrap_or_default();
        let at = panic.location().map(ToString::to_string);
        let text = panic.payload_as_str().unwrap_or("no message");
        error!(thread, at, "panic: {text}");
    }));
}

/// Writes what the brain wants to be logged.
pub(super) fn write(line: &LogLine) {
    match line {
        LogLine::CallBegan(began) => call_began(began),
        LogLine::CallEnded(ended) => call_ended(ended),
        LogLine::Registration {
            address_of_record,
            status,
            registrar,
        } => info!(
            status,
            registrar, address_of_record, "registration answered"
        ),
        LogLine::ContactMissing { trunk } => info!(
            trunk,
            "the registrar does not list the Contact that it was sent: what was asked for counts"
        ),
        LogLine::TrunkRegistration {
            trunk,
            is_registered: true,
            status,
        } => info!(trunk, status, "registered at the trunk"),
        LogLine::TrunkRegistration {
            trunk,
            is_registered: false,
            status,
        } => warn!(trunk, status, "not registered at the trunk"),
        LogLine::Unheard(unheard) => warn!(
            session_id = unheard.session_id,
            from = unheard.from,
            "no media {} s after the answer: {}; is UDP port {} open?",
            MEDIA_HEARD_WITHIN.as_secs(),
            unheard.what_came,
            unheard.port
        ),
        LogLine::MediaRefused(refusal) => media_refused(refusal),
        LogLine::CallRefused { .. } | LogLine::LoginFailed { .. } | LogLine::Refused { .. } => {
            refused(line);
        }
        LogLine::DigitsLost { count, reason } => warn!(count, reason, "digits lost"),
        LogLine::Target(TargetStatus {
            trunk,
            peer,
            condition,
        }) => match condition {
            Condition::Up => info!(trunk, ?peer, "target is up"),
            Condition::Down => warn!(trunk, ?peer, "target is down"),
            Condition::Refuses => warn!(trunk, ?peer, "target asks for a pause"),
        },
        LogLine::Relocated(relocation) => relocated(relocation),
        LogLine::Limit(LimitStatus {
            trunk,
            limit,
            refused,
        }) => {
            let limit = limit.key();
            match refused {
                None => warn!(trunk, limit, "limit reached: calls are refused"),
                Some(refused) => info!(trunk, limit, refused, "limit kept again"),
            }
        }
        LogLine::Overload {
            calls,
            transactions,
        } => warn!(calls, transactions, "no room: new calls are refused first"),
        LogLine::OverloadOver {
            refused_calls,
            refused_others,
        } => info!(refused_calls, refused_others, "room again"),
        LogLine::Warning(text) => warn!("{text}"),
    }
}

fn refused(line: &LogLine) {
    if let LogLine::CallRefused {
        peer,
        status,
        reason,
        left_out,
    } = line
    {
        info!(?peer, status, reason, left_out, "call refused");
    } else if let LogLine::LoginFailed {
        user,
        remote,
        status,
        left_out,
    } = line
    {
        info!(user, ?remote, status, left_out, "login failed");
    } else if let LogLine::Refused { peer, reason } = line {
        debug!(?peer, reason, "message refused");
    }
}

fn relocated(relocation: &Relocation) {
    let Relocation {
        trunk,
        target,
        state,
        hops,
    } = relocation;
    match state {
        SiteState::Unknown => {}
        SiteState::Located => {
            let peers: Vec<Peer> = hops.iter().map(Hop::peer).collect();
            info!(trunk, target, ?peers, "target is found");
        }
        SiteState::Stale(reason) => warn!(
            trunk,
            target, reason, "target cannot be looked up: what is known of it is used"
        ),
        SiteState::Lost(reason) => warn!(trunk, target, reason, "target cannot be found"),
        SiteState::Off => warn!(trunk, target, "target does not exist, says its domain"),
    }
}

fn media_refused(refusal: &MediaRefusal) {
    let MediaRefusal {
        session_id,
        trunk,
        source,
        signalled,
    } = refusal;
    warn!(
        session_id,
        trunk,
        %source,
        %signalled,
        "media is dropped: it comes from an address that was not signalled; `media_networks` of \
         the trunk would allow it"
    );
}

fn call_began(began: &CallBegan) {
    info!(
        session_id = began.session_id,
        call_id_a = began.call_id_a,
        call_id_b = began.call_id_b,
        direction = began.direction,
        trunk = began.trunk,
        "call began"
    );
}

fn call_ended(ended: &CallEnded) {
    match FORMAT.get() {
        Some(LogFormat::Json) => call_ended_for_programs(ended),
        Some(LogFormat::Text) | None => call_ended_for_people(ended),
    }
}

/// Counters at zero are left out, and so is what the line of the call's beginning has.
fn call_ended_for_people(ended: &CallEnded) {
    let (a, b) = (&ended.leg_a, &ended.leg_b);
    info!(
        session_id = ended.began.session_id,
        direction = ended.began.direction,
        trunk = ended.began.trunk,
        talked_s = ended.talked.map(|talked| talked.as_secs()),
        status = ended.status,
        reason = ended.reason,
        codec = ended.codec,
        a_received_packets = unless_zero(a.received_packets),
        a_sent_packets = unless_zero(a.sent_packets),
        a_lost_packets = unless_zero(a.lost_packets),
        a_remote_lost_packets = unless_zero(a.remote_lost_packets),
        a_dropped_packets = unless_zero(a.dropped_packets),
        b_received_packets = unless_zero(b.received_packets),
        b_sent_packets = unless_zero(b.sent_packets),
        b_lost_packets = unless_zero(b.lost_packets),
        b_remote_lost_packets = unless_zero(b.remote_lost_packets),
        b_dropped_packets = unless_zero(b.dropped_packets),
        "call ended"
    );
}

fn unless_zero<N: Default + PartialEq>(count: N) -> Option<N> {
    (count != N::default()).then_some(count)
}

fn call_ended_for_programs(ended: &CallEnded) {
    let (a, b) = (&ended.leg_a, &ended.leg_b);
    info!(
        session_id = ended.began.session_id,
        call_id_a = ended.began.call_id_a,
        call_id_b = ended.began.call_id_b,
        direction = ended.began.direction,
        trunk = ended.began.trunk,
        duration_ms = milliseconds(ended.duration),
        talked_ms = ended.talked.map(milliseconds),
        status = ended.status,
        reason = ended.reason,
        codec = ended.codec,
        a_received_packets = a.received_packets,
        a_sent_packets = a.sent_packets,
        a_lost_packets = a.lost_packets,
        a_jitter_us = a.jitter_us,
        a_remote_lost_packets = a.remote_lost_packets,
        a_remote_jitter_us = a.remote_jitter_us,
        a_round_trip_us = a.round_trip_us,
        a_dropped_packets = a.dropped_packets,
        b_received_packets = b.received_packets,
        b_sent_packets = b.sent_packets,
        b_lost_packets = b.lost_packets,
        b_jitter_us = b.jitter_us,
        b_remote_lost_packets = b.remote_lost_packets,
        b_remote_jitter_us = b.remote_jitter_us,
        b_round_trip_us = b.round_trip_us,
        b_dropped_packets = b.dropped_packets,
        "call ended"
    );
}

fn milliseconds(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ux_start_times_are_for_people() {
        let time = in_seconds("2026-12-01T04:51:07.123456Z");
        assert_eq!(time, "2026-12-01 04:51:07");
        assert_eq!(in_seconds("soon"), "soon");
    }

    #[test]
    fn ux_start_counters_at_zero_are_left_out() {
        assert_eq!(unless_zero(0_u64), None);
        assert_eq!(unless_zero(-1_i64), Some(-1));
    }
}

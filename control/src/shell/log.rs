//! The log: text or JSON on standard error, one line when a call begins and one when it ends.

use tracing::level_filters::LevelFilter;
use tracing::{debug, info, warn};

use crate::config::{LogConfig, LogFormat, LogLevel};
use crate::engine::input::Peer;
use crate::engine::output::{CallBegan, CallEnded, LogLine};
use crate::trunk::TargetStatus;
use crate::trunk::health::Condition;
use crate::trunk::hop::Hop;
use crate::trunk::limits::LimitStatus;
use crate::trunk::sites::{Relocation, SiteState};

/// Starts the log; the first call counts.
pub(super) fn start(config: &LogConfig) {
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
    let started = match config.format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    if let Err(error) = started {
        debug!(%error, "the log was started before");
    }
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
        } => {
            info!(status, registrar, "registration answered");
            debug!(
                status,
                registrar, address_of_record, "registration answered"
            );
        }
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
        LogLine::Refused { peer, reason } => debug!(?peer, reason, "message refused"),
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
        LogLine::Warning(text) => warn!("{text}"),
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

//! `[server]`

use super::Source;
use super::file::{self, At};
use crate::config::{ConfigError, ServerConfig};
use crate::limits::{CALLS_DEFAULT, CALLS_MAX};
use crate::sip::limits::{
    FINISHED_TRANSACTIONS_DEFAULT, FINISHED_TRANSACTIONS_MAX, FINISHED_TRANSACTIONS_MIN,
    TRANSACTIONS_DEFAULT, TRANSACTIONS_MAX, TRANSACTIONS_MIN,
};
use crate::sip::transaction::TransactionLimits;

/// Live transactions that a call may need at a time: two INVITEs, and what ends it on both sides.
const TRANSACTIONS_PER_CALL: usize = 4;

pub(super) fn server(
    server: &file::Server,
    source: &Source<'_>,
) -> Result<ServerConfig, ConfigError> {
    let name = match &server.name {
        Some(at) => source.word("name", at)?,
        None => "ringway".to_owned(),
    };
    let calls = (1, CALLS_DEFAULT, CALLS_MAX);
    let calls_max = count("calls_max", &server.calls_max, calls, source)?;
    let live = TRANSACTIONS_DEFAULT.max(calls_max * TRANSACTIONS_PER_CALL);
    let live = (TRANSACTIONS_MIN, live, TRANSACTIONS_MAX);
    let finished = (
        FINISHED_TRANSACTIONS_MIN,
        FINISHED_TRANSACTIONS_DEFAULT,
        FINISHED_TRANSACTIONS_MAX,
    );
    let key = "finished_transactions_max";
    let transactions = TransactionLimits {
        live: count("transactions_max", &server.transactions_max, live, source)?,
        finished: count(key, &server.finished_transactions_max, finished, source)?,
    };
    Ok(ServerConfig {
        name,
        calls_max,
        transactions,
    })
}

/// A count between these; its default is in the middle.
fn count(
    key: &str,
    value: &At<usize>,
    (min, default, max): (usize, usize, usize),
    source: &Source<'_>,
) -> Result<usize, ConfigError> {
    match value {
        None => Ok(default),
        Some(at) if (min..=max).contains(at.get_ref()) => Ok(*at.get_ref()),
        Some(at) => {
            let what = format!("`{key}` is {}", at.get_ref());
            Err(source.error(at, what, &format!("it must be {min} to {max}")))
        }
    }
}

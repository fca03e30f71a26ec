//! Whom a carrier's call is for.

use super::numbers::meant;
use crate::config::TrunkConfig;
use crate::sip::{HeaderName, Message, NameAddr, Uri};

/// The numbers that were called, the likeliest first: one number, as it may be written. A carrier
/// that we are registered at calls our Contact, and says who is meant in P-Called-Party-ID (RFC 7315
/// section 4.2) or in To (RFC 3261 section 16.6: it stays).
pub(crate) fn called_numbers(trunk: &TrunkConfig, request: &Message, uri: &Uri) -> Vec<String> {
    let asked = uri.numbers();
    let is_account = |numbers: &[String]| {
        let account = trunk.account.as_ref();
        account.is_some_and(|account| numbers.contains(&account.username))
    };
    if !is_account(&asked) {
        return meant(&trunk.numbers, asked);
    }
    let named = [HeaderName::from("P-Called-Party-ID"), HeaderName::To]
        .into_iter()
        .filter_map(|name| Some(NameAddr::parse(request.header(name)?)?.uri.numbers()))
        .find(|numbers| !numbers.is_empty() && !is_account(numbers));
    if let Some(named) = named {
        return meant(&trunk.numbers, named);
    }
    let line = trunk.account.as_ref().and_then(|a| a.calls_to.clone());
    line.map_or(asked, |line| vec![line])
}

//! Whom a carrier's call is for.

use crate::config::TrunkConfig;
use crate::sip::{HeaderName, Message, NameAddr, Uri};

/// The number that was called. A carrier that we are registered at calls our Contact, and says who
/// is meant in P-Called-Party-ID (RFC 7315 section 4.2) or in To (RFC 3261 section 16.6: it stays).
pub(crate) fn called_number(trunk: Option<&TrunkConfig>, request: &Message, uri: &Uri) -> String {
    let asked = uri.user_decoded().unwrap_or_default();
    let account = trunk.and_then(|trunk| trunk.account.as_ref());
    let Some(account) = account.filter(|account| account.username == asked) else {
        return asked;
    };
    let named = [HeaderName::from("P-Called-Party-ID"), HeaderName::To]
        .into_iter()
        .filter_map(|name| NameAddr::parse(request.header(name)?)?.uri.user_decoded())
        .find(|number| !number.is_empty() && *number != asked);
    named.or_else(|| account.calls_to.clone()).unwrap_or(asked)
}

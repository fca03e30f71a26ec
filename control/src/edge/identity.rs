//! Who a browser's request is from: its flow knows (RFC 3325, RFC 3323).

use super::address_of_record;
use super::binding::Binding;
use crate::sip::{HeaderName, Message, Uri};

/// Replaces what a browser says about its own identity by what its registration proves: the
/// preferred one if it is among the user's, else its address of record (RFC 3325 section 5).
pub(crate) fn assert(request: &mut Message, binding: &Binding) {
    let preferred = request
        .values(HeaderName::PPreferredIdentity)
        .filter_map(address_of_record)
        .find(|identity| binding.is_identity(identity));
    let identity = preferred.unwrap_or_else(|| binding.address_of_record.clone());
    strip(request);
    if let Some((user, domain)) = identity.rsplit_once('@') {
        let uri = Uri::sip(Some(user), domain, None);
        request.push(HeaderName::PAssertedIdentity, format!("<{uri}>"));
    }
}

/// Removes every claim of an identity: only the trusted side may assert one.
pub(crate) fn strip(request: &mut Message) {
    request.remove(HeaderName::PAssertedIdentity);
    request.remove(HeaderName::PPreferredIdentity);
}

/// Does the sender ask that its asserted identity be kept from untrusted peers (RFC 3325
/// section 9.3)? Browsers are untrusted.
pub(crate) fn wants_privacy(request: &Message) -> bool {
    request
        .headers(HeaderName::Privacy)
        .flat_map(|value| value.split(';'))
        .any(|word| word.trim().eq_ignore_ascii_case("id"))
}

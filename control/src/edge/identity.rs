//! Who a browser's request is from: its flow knows (RFC 3325, RFC 3323).

use super::address_of_record;
use super::binding::Binding;
use crate::sip::{HeaderName, Message, NameAddr, Uri};

/// Replaces what a browser says about its own identity by what its registration proves: the
/// preferred one if it is among the user's, else its address of record (RFC 3325 section 5).
pub(crate) fn assert(request: &mut Message, binding: &Binding) {
    let preferred = preferred(request, binding);
    let identity = preferred.unwrap_or_else(|| binding.address_of_record.clone());
    strip(request);
    if let Some((user, domain)) = identity.rsplit_once('@') {
        let uri = Uri::sip(Some(user), domain, None);
        request.push(HeaderName::PAssertedIdentity, format!("<{uri}>"));
    }
}

/// Who the user wants to be among those that it is, as `user@domain`.
pub(crate) fn preferred(request: &Message, binding: &Binding) -> Option<String> {
    request
        .values(HeaderName::PPreferredIdentity)
        .filter_map(address_of_record)
        .find(|identity| binding.is_identity(identity))
}

/// Removes every claim of an identity: only the trusted side may assert one.
pub(crate) fn strip(request: &mut Message) {
    request.remove(HeaderName::PAssertedIdentity);
    request.remove(HeaderName::PPreferredIdentity);
}

/// Who calls, where that is to be hidden (RFC 3323 section 4.1.1.3).
pub(crate) const ANONYMOUS: &str = "\"Anonymous\" <sip:anonymous@anonymous.invalid>";

/// Is this nobody's address: that of a sender who does not want to be known?
pub(crate) fn is_anonymous(uri: &Uri) -> bool {
    uri.host.eq_ignore_ascii_case("anonymous.invalid")
}

/// Does the sender of a request hide who it is: by an anonymous From, or because it asks that it be
/// hidden (RFC 3323 section 4.2, `user`; RFC 3325 section 9.3, `id`)?
pub(crate) fn hides_sender(request: &Message) -> bool {
    let from = request.header(HeaderName::From).and_then(NameAddr::parse);
    from.is_none_or(|from| is_anonymous(&from.uri)) || asks_for(request, &["id", "user"])
}

/// Does the sender of a request want a privacy service to hide it (RFC 3323 section 4.2, `user`)?
pub(crate) fn wants_to_be_hidden(request: &Message) -> bool {
    asks_for(request, &["user"])
}

/// Adds `Privacy: id` to a request that hides its sender and asserts its identity; `none` is the
/// sender's last word (RFC 3323 section 4.2).
pub(crate) fn keep_private(request: &mut Message) {
    if asks_for(request, &["id", "none"]) {
        return;
    }
    let asked: Vec<&str> = request.headers(HeaderName::Privacy).collect();
    let value = asked.iter().chain([&"id"]).copied().collect::<Vec<_>>();
    let value = value.join(";");
    request.set(HeaderName::Privacy, value);
}

/// Does the sender ask that its asserted identity be kept from untrusted peers (RFC 3325
/// section 9.3)? Browsers are untrusted.
pub(crate) fn wants_privacy(request: &Message) -> bool {
    asks_for(request, &["id"])
}

/// Is one of these words in Privacy?
fn asks_for(message: &Message, words: &[&str]) -> bool {
    message
        .headers(HeaderName::Privacy)
        .flat_map(|value| value.split([';', ',']))
        .any(|asked| {
            words
                .iter()
                .any(|word| asked.trim().eq_ignore_ascii_case(word))
        })
}

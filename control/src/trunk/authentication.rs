//! Digest answered by ringway itself, where it has an account at a carrier (RFC 3261 section 22,
//! RFC 8760).
//!
//! What a trunk has asked for once is answered in advance from then on, with a rising nonce count,
//! so that most requests need one round trip; a nonce that has grown old is one more challenge.

use std::collections::BTreeMap;

use crate::config::AccountConfig;
use crate::limits::{CHALLENGE_TRIES_MAX, CHALLENGES_PER_TRUNK_MAX};
use crate::sip::digest::{self, Challenge, Credentials};
use crate::sip::transaction::Account;
use crate::sip::{HeaderName, Message, Method};

/// Who asks: a registrar or user agent (401), or a proxy on the way (407).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Asker {
    Server,
    Proxy,
}

impl Asker {
    const ALL: [Self; 2] = [Self::Server, Self::Proxy];

    const fn challenge(self) -> HeaderName {
        match self {
            Self::Server => HeaderName::WwwAuthenticate,
            Self::Proxy => HeaderName::ProxyAuthenticate,
        }
    }

    const fn credentials(self) -> HeaderName {
        match self {
            Self::Server => HeaderName::Authorization,
            Self::Proxy => HeaderName::ProxyAuthorization,
        }
    }
}

/// A challenge that is being answered.
#[derive(Debug)]
struct Session {
    challenge: Challenge,
    /// How often its nonce was used.
    uses: u32,
}

/// What the carriers have asked for.
#[derive(Debug, Default)]
pub(crate) struct Authenticator {
    /// By trunk, who asks, and realm; at most [`CHALLENGES_PER_TRUNK_MAX`] of each trunk.
    sessions: BTreeMap<(usize, Asker, String), Session>,
}

impl Authenticator {
    /// Puts credentials for all that a trunk has asked for so far into a request to it. `cnonce`
    /// is random text.
    pub(crate) fn authorize(
        &mut self,
        trunk: usize,
        account: &AccountConfig,
        request: &mut Message,
        cnonce: &str,
    ) {
        if matches!(request.method(), Method::Ack | Method::Cancel) {
            return;
        }
        let method = request.method();
        let uri = request.request_uri().unwrap_or_default().to_owned();
        for ((of, asker, realm), session) in &mut self.sessions {
            if *of != trunk {
                continue;
            }
            session.uses = session.uses.saturating_add(1);
            let credentials = digest::answer(
                &session.challenge,
                &account.auth_username,
                account.password.expose(),
                &method,
                &uri,
                session.uses,
                cnonce,
            );
            if let Some(credentials) = credentials {
                remove_credentials(request, asker.credentials(), realm);
                request.push(asker.credentials(), credentials.to_string());
            }
        }
    }

    /// Takes the challenges of a 401 or 407 to `request`, which had been sent again so many times
    /// before, with the account that answers them. True if it makes sense to send it once more: the password has not been refused yet.
    pub(crate) fn challenged(
        &mut self,
        (of, account): (Account, &AccountConfig),
        request: &Message,
        response: &Message,
        tries: u32,
    ) -> bool {
        if tries >= CHALLENGE_TRIES_MAX {
            return false;
        }
        let trunk = of.number;
        let knows_all = !of.known_realms_only || account.realm.is_some();
        let mut any = false;
        for asker in Asker::ALL {
            for (realm, challenge) in answerable(asker, account, response) {
                if !knows_all && !self.knows(trunk, &realm) {
                    continue;
                }
                let was_answered = tries > 0 && has_credentials(request, asker, &realm);
                if was_answered && !challenge.stale {
                    // Wrong, then, whatever else is asked for.
                    return false;
                }
                any |= self.learn(trunk, asker, realm, challenge);
            }
        }
        any
    }

    /// Has a trunk asked for this realm before?
    fn knows(&self, trunk: usize, realm: &str) -> bool {
        let mut known = self.sessions.keys();
        known.any(|(of, _, name)| *of == trunk && name == realm)
    }

    fn learn(&mut self, trunk: usize, asker: Asker, realm: String, challenge: Challenge) -> bool {
        let key = (trunk, asker, realm);
        let of_trunk = self.sessions.keys().filter(|(of, _, _)| *of == trunk);
        if of_trunk.count() >= CHALLENGES_PER_TRUNK_MAX && !self.sessions.contains_key(&key) {
            return false;
        }
        self.sessions.insert(key, Session { challenge, uses: 0 });
        true
    }
}

/// The first challenge of each realm that can be answered: the server lists the best one first
/// (RFC 8760 section 2.3).
fn answerable(
    asker: Asker,
    account: &AccountConfig,
    response: &Message,
) -> Vec<(String, Challenge)> {
    let mut found: Vec<(String, Challenge)> = Vec::new();
    for challenge in response
        .headers(asker.challenge())
        .flat_map(digest::split_challenges)
        .filter_map(Challenge::parse)
    {
        let is_ours = account
            .realm
            .as_ref()
            .is_none_or(|realm| *realm == challenge.realm);
        let is_new = found.iter().all(|(realm, _)| *realm != challenge.realm);
        if is_ours && is_new && digest::is_answerable(&challenge) {
            found.push((challenge.realm.clone(), challenge));
        }
    }
    found
}

fn has_credentials(request: &Message, asker: Asker, realm: &str) -> bool {
    let mut all = request.headers(asker.credentials());
    all.any(|value| Credentials::parse(value).is_some_and(|given| given.realm == realm))
}

/// Takes out the credentials for one realm; those for others are somebody else's.
fn remove_credentials(request: &mut Message, name: HeaderName, realm: &str) {
    let is_other = |value: &&str| Credentials::parse(value).is_none_or(|c| c.realm != realm);
    let kept: Vec<String> = request
        .headers(&name)
        .filter(is_other)
        .map(str::to_owned)
        .collect();
    request.remove(&name);
    for value in kept {
        request.push(&name, value);
    }
}

#[cfg(test)]
mod tests;

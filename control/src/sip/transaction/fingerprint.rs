//! Keys of transactions as 128 bits of a keyed hash: the tables hold no text of the messages.
//!
//! Two keys with one fingerprint would mix two transactions. Nobody can look for such a pair
//! without our key, and the chance of a pair in a full table is below 2^-90.

use std::hash::{Hash, Hasher};

use aws_lc_rs::hmac;

use super::key::{ClientKey, DialogKey, MergeKey, ServerKey};

/// A key of a transaction; keys of different kinds never have the same one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Fingerprint([u8; 16]);

/// A key, and what it is the key of.
#[derive(Hash)]
enum Key<'a> {
    Client(&'a ClientKey),
    Server(&'a ServerKey),
    Dialog(&'a DialogKey),
    Merge(&'a MergeKey),
}

impl ClientKey {
    pub(super) fn fingerprint(&self, secret: &hmac::Key) -> Fingerprint {
        of(secret, &Key::Client(self))
    }
}

impl ServerKey {
    pub(super) fn fingerprint(&self, secret: &hmac::Key) -> Fingerprint {
        of(secret, &Key::Server(self))
    }
}

impl DialogKey {
    pub(super) fn fingerprint(&self, secret: &hmac::Key) -> Fingerprint {
        of(secret, &Key::Dialog(self))
    }
}

impl MergeKey {
    pub(super) fn fingerprint(&self, secret: &hmac::Key) -> Fingerprint {
        of(secret, &Key::Merge(self))
    }
}

fn of(secret: &hmac::Key, key: &Key<'_>) -> Fingerprint {
    let mut text = Collector(Vec::with_capacity(COLLECTED_BYTES));
    // What begins otherwise is signed with the same secret elsewhere: branches and tags.
    text.write(b"transaction ");
    key.hash(&mut text);
    let tag = hmac::sign(secret, &text.0);
    let mut bytes = [0; 16];
    for (byte, from) in bytes.iter_mut().zip(tag.as_ref()) {
        *byte = *from;
    }
    Fingerprint(bytes)
}

/// What most keys take.
const COLLECTED_BYTES: usize = 192;

/// Takes down what is hashed: `Hash` separates the fields of a key from each other.
struct Collector(Vec<u8>);

impl Hasher for Collector {
    fn write(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// Never asked for: the fingerprint is made of everything that was written.
    fn finish(&self) -> u64 {
        0
    }
}

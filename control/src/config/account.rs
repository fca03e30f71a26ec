//! Who ringway is at a carrier.

use std::time::Duration;

use super::Secret;

/// The keys of a `[[trunk]]` by which ringway has an account at the carrier.
#[derive(Clone, Debug)]
pub struct AccountConfig {
    /// User part of its address of record at the trunk's domain.
    pub username: String,
    /// User name in credentials. Default: `username`.
    pub auth_username: String,
    /// Its digest password.
    pub password: Secret,
    /// The only realm that it is told to. Default `None`: to any realm of the trunk.
    pub realm: Option<String>,
    /// The number of the line that calls to the account ring at when they name nobody else. Default
    /// `None`: they are refused.
    pub calls_to: Option<String>,
    /// The interval that its own registration asks for. Default `None`: it does not register.
    pub register_expires: Option<Duration>,
}

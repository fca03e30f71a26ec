//! `[[trunk]]`

use std::time::Duration;

use dataplane::link::PeerPolicy;

use super::{AccountConfig, Dtmf, LimitsConfig, NumbersConfig, ReferPolicy, TargetConfig, Trust};
use crate::limits::{SESSION_EXPIRES_DEFAULT_S, SESSION_EXPIRES_MIN_S};
use crate::sip::transaction::TimerConfig;
use crate::sip::{HeaderName, Transport};

/// `[[trunk]]`: a carrier, reached over SIP.
#[derive(Clone, Debug)]
pub struct TrunkConfig {
    /// Its name in realms and logs; unique.
    pub name: String,
    /// How it is spoken to. Default: UDP.
    pub transport: Transport,
    /// True if its domain chooses instead among what `[sip]` listens for (RFC 3263 section 4.1):
    /// `transport = "auto"`. Then `transport` is UDP: what holds where the domain says nothing.
    pub transport_by_dns: bool,
    /// True if a request that is larger than 1300 bytes, which would go over UDP, goes over TCP
    /// (RFC 3261 section 18.1.1), to the same address and port; over UDP if no connection can be
    /// had. Default false.
    pub tcp_for_large: bool,
    /// True if requests of browsers to `sips` URIs go to it as requests to `sip` URIs where it is
    /// not spoken to over TLS. Default false: they are refused with 480 (RFC 5630 section 5.3).
    pub sips_as_sip: bool,
    /// Authorities for its certificate; only for TLS.
    pub trust: Trust,
    /// Where it is; the default port is 5060, over TLS 5061. None if it takes calls only, at
    /// `call_route`: then it has no registrar.
    pub targets: Vec<TargetConfig>,
    /// The next hop that requests are sent to, when that is not a target.
    pub route: Option<TargetConfig>,
    /// The next hop that calls alone are sent to; everything else goes to `route` or a target. Then
    /// the account, unless it registers, is one of that place and told to nobody else. Default
    /// `None`: calls go where everything goes.
    pub call_route: Option<TargetConfig>,
    /// User part of From and P-Asserted-Identity of calls to it. Default `None`: who calls.
    pub caller_number: Option<String>,
    /// User part of Request-URI and To of calls to it. Default `None`: what was dialled.
    pub called_number: Option<String>,
    /// How long a target may leave an INVITE without any answer before the next one is tried, at
    /// most 32 s, which the last one has (timer B). Default 6 s.
    pub failover_after: Duration,
    /// How long a target that did not answer is tried after all others. Default 30 s.
    pub down_for: Duration,
    /// Mean time between OPTIONS to each target, at least 10 s. Default `None`: it is not asked.
    pub probe: Option<Duration>,
    /// Host of From and To towards it. Default: the host of the first target, or of `call_route`.
    pub domain: String,
    /// Audio codecs that it may be offered, as in `rtpmap`. Default: all of
    /// [`super::CODECS`].
    pub codecs: Vec<String>,
    /// True if it may be offered video. Default false.
    pub video: bool,
    /// True if it takes DTMF as RFC 4733 `telephone-event`. Default true.
    pub telephone_event: bool,
    /// What holds for calls through it.
    pub calls: CallPolicy,
    /// Who ringway is there. Default `None`: challenges pass through to the browsers.
    pub account: Option<AccountConfig>,
    /// Base values of the timers of requests to it.
    pub timers: TimerConfig,
    /// How many calls it takes.
    pub limits: LimitsConfig,
    /// How it writes telephone numbers. Default: numbers stay as they are.
    pub numbers: NumbersConfig,
}

impl TrunkConfig {
    /// True if calls to it have other numbers than the caller wrote, so that no signature over those
    /// holds (RFC 8224).
    #[must_use]
    pub const fn renumbers_calls(&self) -> bool {
        self.caller_number.is_some() || self.called_number.is_some()
    }
}

/// The keys of a `[[trunk]]` that are about calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallPolicy {
    /// The session interval that calls ask for, in seconds, at least 90 (RFC 4028); 0 asks for
    /// none. Default 1800.
    pub session_expires_s: u32,
    /// The shortest session interval that the carrier may ask for, in seconds, at least 90.
    /// Default 90.
    pub min_se_s: u32,
    /// Headers of INVITEs and their responses that pass both ways beside the usual ones. Default
    /// none.
    pub pass_headers: Vec<HeaderName>,
    /// Whether calls to it carry `P-Asserted-Identity` (RFC 3325) with who calls, as we know it.
    /// Default true.
    pub assert_identity: bool,
    /// How digits of browsers reach it. Default [`Dtmf::Rfc4733`].
    pub dtmf: Dtmf,
    /// Who carries out transfers. Default [`ReferPolicy::Relay`].
    pub refer: ReferPolicy,
    /// Where its media may come from and goes to, beside what it signals. Default: only from the
    /// signalled address, and to where it comes from there.
    pub media: PeerPolicy,
}

impl Default for CallPolicy {
    fn default() -> Self {
        Self {
            session_expires_s: SESSION_EXPIRES_DEFAULT_S,
            min_se_s: SESSION_EXPIRES_MIN_S,
            pass_headers: Vec::new(),
            assert_identity: true,
            dtmf: Dtmf::default(),
            refer: ReferPolicy::default(),
            media: PeerPolicy::default(),
        }
    }
}

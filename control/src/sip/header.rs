//! Names of header fields, and views of single header values.

use std::fmt;
use std::hash::{Hash, Hasher};

pub mod cseq;
pub mod params;
pub mod via;

pub use params::{Params, header_param};

use params::is_token;

/// The name of a header field that [`HeaderName`] does not list; compared without case.
#[derive(Clone, Debug)]
pub struct OtherName(Box<str>);

impl PartialEq for OtherName {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for OtherName {}

impl Hash for OtherName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for byte in self.0.bytes() {
            state.write_u8(byte.to_ascii_lowercase());
        }
    }
}

macro_rules! header_names {
    ($($variant:ident => $text:literal $(| $compact:literal)?),* $(,)?) => {
        /// The name of a header field (RFC 3261 section 7.3), compact forms included.
        ///
        /// Made from text with `HeaderName::from("X-Name")`; case does not matter.
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub enum HeaderName {
            $(#[doc = $text] $variant,)*
            /// Any other name, printed in the case that it was made with.
            Other(OtherName),
        }

        const KNOWN: &[(&str, HeaderName)] = &[
            $(($text, HeaderName::$variant), $(($compact, HeaderName::$variant),)?)*
        ];

        /// Where in [`KNOWN`] each name is looked for first: by [`hash`], then in the slots behind.
        const SLOTS: [u8; SLOT_COUNT] = slots();

        impl HeaderName {
            /// Returns the long form of the name.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $text,)*
                    Self::Other(name) => &name.0,
                }
            }
        }
    };
}

header_names! {
    Via => "Via" | "v",
    From => "From" | "f",
    To => "To" | "t",
    CallId => "Call-ID" | "i",
    CSeq => "CSeq",
    MaxForwards => "Max-Forwards",
    Contact => "Contact" | "m",
    ContentLength => "Content-Length" | "l",
    ContentType => "Content-Type" | "c",
    ContentEncoding => "Content-Encoding" | "e",
    ContentDisposition => "Content-Disposition",
    ContentLanguage => "Content-Language",
    Route => "Route",
    RecordRoute => "Record-Route",
    Path => "Path",
    ServiceRoute => "Service-Route",
    Allow => "Allow",
    AllowEvents => "Allow-Events" | "u",
    Supported => "Supported" | "k",
    Require => "Require",
    ProxyRequire => "Proxy-Require",
    Unsupported => "Unsupported",
    Accept => "Accept",
    AcceptEncoding => "Accept-Encoding",
    AcceptLanguage => "Accept-Language",
    AlertInfo => "Alert-Info",
    CallInfo => "Call-Info",
    ErrorInfo => "Error-Info",
    InReplyTo => "In-Reply-To",
    Authorization => "Authorization",
    ProxyAuthorization => "Proxy-Authorization",
    WwwAuthenticate => "WWW-Authenticate",
    ProxyAuthenticate => "Proxy-Authenticate",
    AuthenticationInfo => "Authentication-Info",
    Expires => "Expires",
    MinExpires => "Min-Expires",
    Event => "Event" | "o",
    SubscriptionState => "Subscription-State",
    SipEtag => "SIP-ETag",
    SipIfMatch => "SIP-If-Match",
    SessionExpires => "Session-Expires" | "x",
    MinSe => "Min-SE",
    RSeq => "RSeq",
    RAck => "RAck",
    ReferTo => "Refer-To" | "r",
    ReferredBy => "Referred-By" | "b",
    ReferSub => "Refer-Sub",
    Replaces => "Replaces",
    Reason => "Reason",
    RetryAfter => "Retry-After",
    Warning => "Warning",
    Subject => "Subject" | "s",
    Date => "Date",
    Timestamp => "Timestamp",
    UserAgent => "User-Agent",
    Server => "Server",
    Organization => "Organization",
    Priority => "Priority",
    MimeVersion => "MIME-Version",
    Privacy => "Privacy",
    PAssertedIdentity => "P-Asserted-Identity",
    PPreferredIdentity => "P-Preferred-Identity",
    PAssociatedUri => "P-Associated-URI",
    PEarlyMedia => "P-Early-Media",
    PChargingFunctionAddresses => "P-Charging-Function-Addresses",
    PChargingVector => "P-Charging-Vector",
    PAccessNetworkInfo => "P-Access-Network-Info",
    Diversion => "Diversion",
    HistoryInfo => "History-Info",
    Identity => "Identity" | "y",
    IdentityInfo => "Identity-Info",
    SessionId => "Session-ID",
    UserToUser => "User-to-User",
    FlowTimer => "Flow-Timer",
    AcceptContact => "Accept-Contact" | "a",
    RejectContact => "Reject-Contact" | "j",
    RequestDisposition => "Request-Disposition" | "d",
    SecurityClient => "Security-Client",
    SecurityServer => "Security-Server",
    SecurityVerify => "Security-Verify",
}

impl HeaderName {
    /// Tells whether a comma in the value separates several values (RFC 3261 section 7.3.1).
    ///
    /// True for unknown names. False for single values and for challenges and credentials, whose
    /// commas separate parameters.
    #[must_use]
    pub fn is_list(&self) -> bool {
        !matches!(
            self,
            Self::From
                | Self::To
                | Self::CallId
                | Self::CSeq
                | Self::MaxForwards
                | Self::ContentLength
                | Self::ContentType
                | Self::ContentDisposition
                | Self::Authorization
                | Self::ProxyAuthorization
                | Self::WwwAuthenticate
                | Self::ProxyAuthenticate
                | Self::AuthenticationInfo
                | Self::Expires
                | Self::MinExpires
                | Self::Event
                | Self::SubscriptionState
                | Self::SipEtag
                | Self::SipIfMatch
                | Self::SessionExpires
                | Self::MinSe
                | Self::RSeq
                | Self::RAck
                | Self::ReferTo
                | Self::ReferredBy
                | Self::Replaces
                | Self::RetryAfter
                | Self::Subject
                | Self::Date
                | Self::Timestamp
                | Self::UserAgent
                | Self::Server
                | Self::Organization
                | Self::Priority
                | Self::MimeVersion
                | Self::SessionId
        )
    }
}

impl HeaderName {
    /// Makes a name of what stands in front of a colon; `None` if it is not a token.
    pub(super) fn from_token(text: &[u8]) -> Option<Self> {
        // The names above are tokens.
        Self::known(text).or_else(|| {
            let text = std::str::from_utf8(text).ok()?;
            is_token(text).then(|| Self::Other(OtherName(text.into())))
        })
    }

    /// Finds a name that is listed above.
    fn known(text: &[u8]) -> Option<Self> {
        let mut slot = hash(text);
        loop {
            let index = *SLOTS.get(slot)?;
            let (name, known) = KNOWN.get(usize::from(index))?;
            // Most names come as they are listed.
            let name = name.as_bytes();
            if name == text || name.eq_ignore_ascii_case(text) {
                return Some(known.clone());
            }
            slot = (slot + 1) % SLOT_COUNT;
        }
    }
}

/// Four times the count of names: a name that is not listed meets an empty slot at once, mostly.
const SLOT_COUNT: usize = 512;
const EMPTY: u8 = u8::MAX;
const _: () = assert!(KNOWN.len() < 255 && KNOWN.len() * 2 < SLOT_COUNT);

/// A slot number from length, first, third and last letter; the same in either case.
const fn hash(name: &[u8]) -> usize {
    let [first, .., last] = name else {
        return if name.is_empty() {
            0
        } else {
            mix(name.len(), name[0], 0, 0)
        };
    };
    let middle = if name.len() > 4 { name[4] } else { 0 };
    mix(name.len(), *first, middle, *last)
}

const fn mix(length: usize, first: u8, middle: u8, last: u8) -> usize {
    // Factors under which hardly any two of the names above meet.
    let letters = (first | 0x20) as usize * 257 + (middle | 0x20) as usize * 111;
    (letters + (last | 0x20) as usize * 371 + length * 261) % SLOT_COUNT
}

const fn slots() -> [u8; SLOT_COUNT] {
    let mut slots = [EMPTY; SLOT_COUNT];
    let mut index = 0;
    while index < KNOWN.len() {
        let mut slot = hash(KNOWN[index].0.as_bytes());
        while slots[slot] != EMPTY {
            slot = (slot + 1) % SLOT_COUNT;
        }
        #[expect(clippy::cast_possible_truncation, reason = "fewer than 255 names")]
        let entry = index as u8;
        slots[slot] = entry;
        index += 1;
    }
    slots
}

impl From<&str> for HeaderName {
    fn from(text: &str) -> Self {
        Self::known(text.as_bytes()).unwrap_or_else(|| Self::Other(OtherName(text.into())))
    }
}

impl From<&Self> for HeaderName {
    fn from(name: &Self) -> Self {
        name.clone()
    }
}

impl fmt::Display for HeaderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

//! Names of header fields, and views of single header values.

use std::fmt;
use std::hash::{Hash, Hasher};

pub mod cseq;
mod lookup;
pub mod params;
pub mod via;

pub use params::{Params, header_param};

use super::chars::is_token;
use lookup::Entry;

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

        static ENTRIES: &[Entry] = &[$(
            Entry::new($text, HeaderName::$variant),
            $(Entry::new($compact, HeaderName::$variant),)?
        )*];

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
    #[inline]
    pub(super) fn from_token(text: &[u8]) -> Option<Self> {
        // The names above are tokens.
        lookup::known(text).or_else(|| Self::other(text))
    }

    #[cold]
    fn other(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        is_token(text).then(|| Self::Other(OtherName(text.into())))
    }
}

impl From<&str> for HeaderName {
    fn from(text: &str) -> Self {
        lookup::known(text.as_bytes()).unwrap_or_else(|| Self::Other(OtherName(text.into())))
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

//! The keys of a `[[trunk]]` that are about calls.

use std::net::IpAddr;
use std::sync::Arc;

use dataplane::link::PeerPolicy;
use ipnet::IpNet;

use super::Source;
use crate::config::{CallPolicy, ConfigError, file};
use crate::limits::{
    MEDIA_NETWORKS_MAX, PASS_HEADERS_MAX, SESSION_EXPIRES_DEFAULT_S, SESSION_EXPIRES_MAX_S,
    SESSION_EXPIRES_MIN_S,
};
use crate::sip::HeaderName;

pub(super) fn policy(trunk: &file::Trunk, source: &Source<'_>) -> Result<CallPolicy, ConfigError> {
    let (session_expires_s, min_se_s) = session_timers(trunk, source)?;
    Ok(CallPolicy {
        session_expires_s,
        min_se_s,
        pass_headers: pass_headers(trunk, source)?,
        assert_identity: trunk.assert_identity,
        dtmf: trunk.dtmf.unwrap_or_default(),
        refer: trunk.refer.unwrap_or_default(),
        media: PeerPolicy {
            networks: media_networks(trunk, source)?,
            asymmetric: trunk.media_asymmetric,
        },
    })
}

/// Networks of the carrier's media relays.
fn media_networks(trunk: &file::Trunk, source: &Source<'_>) -> Result<Arc<[IpNet]>, ConfigError> {
    let Some(at) = &trunk.media_networks else {
        return Ok(Arc::default());
    };
    if at.get_ref().len() > MEDIA_NETWORKS_MAX {
        let what = "`media_networks` is too long";
        let remedy = format!("at most {MEDIA_NETWORKS_MAX} networks");
        return Err(source.error(at, what, &remedy));
    }
    let network = |text: &String| {
        let net = text.parse::<IpNet>().ok();
        net.or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
            .filter(|net| net.prefix_len() > 0)
            .ok_or_else(|| {
                let what = format!("`media_networks` has no address or network in `{text}`");
                source.error(
                    at,
                    what,
                    "write for example `198.51.100.0/24`; not everybody",
                )
            })
    };
    at.get_ref().iter().map(network).collect()
}

/// Headers that belong to one leg, or that only we can vouch for.
const NEVER_PASSED: [HeaderName; 46] = [
    HeaderName::Via,
    HeaderName::From,
    HeaderName::To,
    HeaderName::CallId,
    HeaderName::CSeq,
    HeaderName::MaxForwards,
    HeaderName::Contact,
    HeaderName::ContentLength,
    HeaderName::ContentType,
    HeaderName::ContentEncoding,
    HeaderName::ContentDisposition,
    HeaderName::ContentLanguage,
    HeaderName::Route,
    HeaderName::RecordRoute,
    HeaderName::Path,
    HeaderName::ServiceRoute,
    HeaderName::Allow,
    HeaderName::AllowEvents,
    HeaderName::Supported,
    HeaderName::Require,
    HeaderName::ProxyRequire,
    HeaderName::Unsupported,
    HeaderName::Accept,
    HeaderName::AcceptEncoding,
    HeaderName::Authorization,
    HeaderName::ProxyAuthorization,
    HeaderName::WwwAuthenticate,
    HeaderName::ProxyAuthenticate,
    HeaderName::AuthenticationInfo,
    HeaderName::Expires,
    HeaderName::SessionExpires,
    HeaderName::MinSe,
    HeaderName::RSeq,
    HeaderName::RAck,
    HeaderName::ReferTo,
    HeaderName::Replaces,
    HeaderName::Warning,
    HeaderName::Timestamp,
    HeaderName::MimeVersion,
    HeaderName::PAssertedIdentity,
    HeaderName::PEarlyMedia,
    HeaderName::PChargingVector,
    HeaderName::PChargingFunctionAddresses,
    HeaderName::SessionId,
    HeaderName::FlowTimer,
    HeaderName::SecurityVerify,
];

fn pass_headers(trunk: &file::Trunk, source: &Source<'_>) -> Result<Vec<HeaderName>, ConfigError> {
    let Some(at) = &trunk.pass_headers else {
        return Ok(Vec::new());
    };
    if at.get_ref().len() > PASS_HEADERS_MAX {
        let what = "`pass_headers` is too long";
        let remedy = format!("list at most {PASS_HEADERS_MAX}");
        return Err(source.error(at, what, &remedy));
    }
    let mut names = Vec::new();
    for text in at.get_ref() {
        let token = |b: u8| b.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&b);
        if text.is_empty() || !text.bytes().all(token) {
            let what = format!("`pass_headers` has `{text}`, which is no name of a header");
            return Err(source.error(at, what, "write for example `X-Account`"));
        }
        let name = HeaderName::from(text.as_str());
        if NEVER_PASSED.contains(&name) {
            let what = format!("`pass_headers` has `{name}`, which belongs to one side");
            return Err(source.error(at, what, "take it out"));
        }
        if !names.contains(&name) {
            names.push(name);
        }
    }
    Ok(names)
}

/// `session_expires_s` and `min_se_s` (RFC 4028).
fn session_timers(trunk: &file::Trunk, source: &Source<'_>) -> Result<(u32, u32), ConfigError> {
    const RANGE: std::ops::RangeInclusive<u32> = SESSION_EXPIRES_MIN_S..=SESSION_EXPIRES_MAX_S;
    let (min, max) = (RANGE.start(), RANGE.end());
    let remedy = format!("it must be {min} to {max} seconds (RFC 4028)");
    let min_se_s = match &trunk.min_se_s {
        None => SESSION_EXPIRES_MIN_S,
        Some(at) if RANGE.contains(at.get_ref()) => *at.get_ref(),
        Some(at) => {
            let what = format!("`min_se_s` is {}", at.get_ref());
            return Err(source.error(at, what, &remedy));
        }
    };
    let session_expires_s = match &trunk.session_expires_s {
        None => SESSION_EXPIRES_DEFAULT_S.max(min_se_s),
        Some(at) if *at.get_ref() == 0 || RANGE.contains(at.get_ref()) => *at.get_ref(),
        Some(at) => {
            let what = format!("`session_expires_s` is {}", at.get_ref());
            return Err(source.error(at, what, &format!("{remedy}, or 0 for none")));
        }
    };
    if let Some(at) = &trunk.session_expires_s
        && session_expires_s != 0
        && session_expires_s < min_se_s
    {
        let what = format!("`session_expires_s` is {session_expires_s}, `min_se_s` {min_se_s}");
        return Err(source.error(at, what, "the interval must not be below the minimum"));
    }
    Ok((session_expires_s, min_se_s))
}

#[cfg(test)]
mod tests {
    use dataplane::link::PeerPolicy;

    use crate::config::{CallPolicy, Config, Dtmf, ReferPolicy};
    use crate::limits::MEDIA_NETWORKS_MAX;
    use crate::sip::HeaderName;

    fn check(keys: &str) -> Result<CallPolicy, String> {
        let trunk = "[[trunk]]\nname = \"a\"\ntarget = \"192.0.2.2\"\n";
        let text = format!("[sip]\nlisten = \"192.0.2.1:5060\"\n{trunk}{keys}");
        let config = Config::parse("test.toml", &text, &|_| None);
        let config = config.map_err(|error| error.to_string())?;
        Ok(config.trunks.first().expect("a trunk").calls.clone())
    }

    #[test]
    fn d2_intervals_are_those_that_the_rfc_allows() {
        assert_eq!(check(""), Ok(CallPolicy::default()));
        let policy = check("session_expires_s = 0\nmin_se_s = 300").expect("valid");
        assert_eq!((policy.session_expires_s, policy.min_se_s), (0, 300));
        assert_eq!(
            check("min_se_s = 3600").expect("valid").session_expires_s,
            3600
        );
        for keys in [
            "session_expires_s = 89",
            "min_se_s = 0",
            "min_se_s = 86401",
            "session_expires_s = 90\nmin_se_s = 91",
        ] {
            assert!(check(keys).is_err(), "{keys}");
        }
    }

    #[test]
    fn c20_headers_of_one_leg_cannot_be_passed() {
        let policy = check("pass_headers = [\"X-A\", \"x-a\", \"y\"]").expect("valid");
        assert_eq!(
            policy.pass_headers,
            ["X-A", "Identity"].map(HeaderName::from)
        );
        for keys in [
            "pass_headers = [\"Via\"]",
            "pass_headers = [\"m\"]",
            "pass_headers = [\"P-Asserted-Identity\"]",
            "pass_headers = [\"p-charging-vector\"]",
            "pass_headers = [\"X A\"]",
            "pass_headers = [\"\"]",
        ] {
            let error = check(keys).expect_err(keys);
            assert!(error.contains("pass_headers"), "{error}");
        }
    }

    #[test]
    fn media_f9_f10_media_is_strict_and_symmetric_unless_said_otherwise() {
        assert_eq!(check("").expect("valid").media, PeerPolicy::default());
        let keys =
            "media_networks = [\"198.51.100.0/24\", \"2001:db8::1\"]\nmedia_asymmetric = true";
        let media = check(keys).expect("valid").media;
        assert!(media.asymmetric);
        let networks: Vec<_> = media.networks.iter().map(ToString::to_string).collect();
        assert_eq!(networks, ["198.51.100.0/24", "2001:db8::1/128"]);
        let many = vec!["\"10.0.0.0/8\""; MEDIA_NETWORKS_MAX + 1].join(", ");
        for keys in [
            "media_networks = [\"relay.example\"]",
            "media_networks = [\"10.0.0.0/33\"]",
            "media_networks = [\"0.0.0.0/0\"]",
            "media_networks = [\"::/0\"]",
            &format!("media_networks = [{many}]"),
        ] {
            let error = check(keys).expect_err(keys);
            assert!(error.contains("media_networks"), "{error}");
        }
    }

    #[test]
    fn d8_digits_become_telephone_events_unless_said_otherwise() {
        assert_eq!(check("").expect("valid").dtmf, Dtmf::Rfc4733);
        assert_eq!(check("dtmf = \"relay\"").expect("valid").dtmf, Dtmf::Relay);
        assert_eq!(check("dtmf = \"info\"").expect("valid").dtmf, Dtmf::Info);
        assert!(check("dtmf = \"inband\"").is_err());
    }

    #[test]
    fn d5_refer_passes_unless_said_otherwise() {
        assert_eq!(check("").expect("valid").refer, ReferPolicy::Relay);
        let local = check("refer = \"local\"").expect("valid");
        assert_eq!(local.refer, ReferPolicy::Local);
        assert!(check("refer = \"never\"").is_err());
    }
}

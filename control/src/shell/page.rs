//! What plain HTTP requests get: the web phone, its settings, and health.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Response, StatusCode};
use serde_json::json;

use super::upgrade;
use crate::config::Config;
use crate::health::Part;
use crate::limits::RETRY_AFTER_S;
use crate::phone;

/// How the process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    /// Everything runs.
    Whole,
    /// It takes no more calls, and ends soon.
    Draining,
    /// It takes no calls until this is there again.
    Missing(Part),
}

/// The answer to one HTTP request.
pub(super) type Answer = Response<Full<Bytes>>;

macro_rules! content_policy {
    () => {
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
         media-src 'self' blob: data:; font-src 'self'; worker-src 'self'; manifest-src 'self'; \
         frame-ancestors 'none'; base-uri 'none'; form-action 'none'; "
    };
}

/// On every answer. The page loads nothing from elsewhere and nobody may frame it; it needs the
/// microphone and the camera.
const SECURITY_HEADERS: [(HeaderName, &str); 6] = [
    (
        header::CONTENT_SECURITY_POLICY,
        concat!(content_policy!(), "connect-src 'self'"),
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (
        HeaderName::from_static("permissions-policy"),
        "microphone=(self), camera=(self)",
    ),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
];

/// The pages of one process.
#[derive(Debug)]
pub(super) struct Pages {
    settings: Bytes,
    /// With the passwords of the demo's lines.
    settings_of_demo: Option<Bytes>,
}

impl Pages {
    pub(super) fn new(config: &Config) -> Self {
        let settings = |passwords: bool| Bytes::from(settings(config, passwords).to_string());
        Self {
            settings: settings(false),
            settings_of_demo: config.demo.then(|| settings(true)),
        }
    }

    /// Answers a request that is no WebSocket handshake. `local`: both ends are on loopback.
    pub(super) fn answer(
        &self,
        method: &Method,
        path: &str,
        headers: &HeaderMap,
        local: bool,
        condition: Condition,
    ) -> Answer {
        if method != Method::GET && method != Method::HEAD {
            let mut answer = text(StatusCode::METHOD_NOT_ALLOWED, "GET and HEAD only\n");
            answer
                .headers_mut()
                .insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            return answer;
        }
        let mut answer = match path {
            "/health" => health(condition),
            "/config.json" => self.settings(local && is_local_host(headers)),
            path => match phone::asset(path) {
                Some(asset) => file(asset, headers),
                None => text(StatusCode::NOT_FOUND, "not found\n"),
            },
        };
        if let Some(policy) = policy_for(headers) {
            answer
                .headers_mut()
                .insert(header::CONTENT_SECURITY_POLICY, policy);
        }
        answer
    }

    fn settings(&self, local: bool) -> Answer {
        let demo = self.settings_of_demo.as_ref().filter(|_| local);
        let body = demo.unwrap_or(&self.settings).clone();
        let mut answer = with_body(StatusCode::OK, "application/json", body);
        answer
            .headers_mut()
            .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        answer
    }
}

/// The domain that the phone logs in at unless the user says otherwise.
fn domain(config: &Config) -> &str {
    let carrier = || {
        let realm = config.realms.first().map(|realm| realm.domain.as_str());
        realm.or_else(|| config.trunks.first().map(|trunk| trunk.domain.as_str()))
    };
    let own = config.lines.domain.as_str();
    if config.lines.entries.is_empty() {
        carrier().unwrap_or(own)
    } else {
        own
    }
}

fn settings(config: &Config, passwords: bool) -> serde_json::Value {
    let line = |line: &crate::config::LineConfig| json!({ "number": line.number, "password": line.password.expose(), "name": line.name });
    let lines: Vec<_> = config
        .lines
        .entries
        .iter()
        .filter(|_| passwords)
        .map(line)
        .collect();
    // Without lines of our own the number leads to the carrier.
    let echo = config.lines.echo.as_ref();
    let echo = echo.filter(|_| !config.lines.entries.is_empty());
    json!({
        "demo": config.demo,
        "lines": lines,
        "domain": domain(config),
        "echo": echo,
        "echo_domain": config.lines.domain,
        "video": video(config),
        "websocket_path": config.web.path,
    })
}

/// Whether calls of a domain's users may have pictures, by domain; `*` stands for all others.
fn video(config: &Config) -> serde_json::Value {
    let takes_video = |trunk: usize| config.trunks.get(trunk).is_none_or(|trunk| trunk.video);
    let realms = config.realms.iter();
    let mut video: serde_json::Map<String, serde_json::Value> = realms
        .map(|realm| (realm.domain.clone(), takes_video(realm.trunk).into()))
        .collect();
    if !config.lines.entries.is_empty() {
        video.insert(config.lines.domain.to_ascii_lowercase(), true.into());
    }
    let others = config.trunk_of_domain("*").is_none_or(takes_video);
    video.insert("*".to_owned(), others.into());
    video.into()
}

/// Lets the page open a WebSocket to the host that it came from and to no other: not every browser
/// takes 'self' for that.
fn policy_for(headers: &HeaderMap) -> Option<HeaderValue> {
    let host = headers.get(header::HOST)?.to_str().ok()?;
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b);
    if host.is_empty() || !host.bytes().all(is_plain) {
        return None;
    }
    let policy = content_policy!();
    let policy = format!("{policy}connect-src 'self' ws://{host} wss://{host}");
    HeaderValue::from_str(&policy).ok()
}

/// True if the browser came here by a name of this machine itself. A page of a stranger whose name
/// leads to 127.0.0.1 (DNS rebinding) has that name in `Host`.
fn is_local_host(headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST);
    host.and_then(|value| value.to_str().ok())
        .is_some_and(upgrade::is_loopback)
}

fn file(asset: &'static phone::Asset, headers: &HeaderMap) -> Answer {
    let known = headers
        .get(header::IF_NONE_MATCH)
        .and_then(|value| value.to_str().ok());
    let etag = HeaderValue::from_static(asset.etag);
    let unchanged = known.is_some_and(|known| {
        known
            .split(',')
            .any(|tag| tag.trim().trim_start_matches("W/") == asset.etag)
    });
    let mut answer = if unchanged {
        with_body(StatusCode::NOT_MODIFIED, asset.content_type, Bytes::new())
    } else {
        with_body(
            StatusCode::OK,
            asset.content_type,
            Bytes::from_static(asset.bytes),
        )
    };
    answer.headers_mut().insert(header::ETAG, etag);
    // Asked for every time, so that a new version of the server has its own phone at once.
    answer
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    answer
}

/// A short answer for people.
/// 200 while calls are taken, else 503.
fn health(condition: Condition) -> Answer {
    let unavailable = StatusCode::SERVICE_UNAVAILABLE;
    let mut answer = match condition {
        Condition::Whole => return text(StatusCode::OK, "ok\n"),
        Condition::Draining => text(unavailable, "draining\n"),
        Condition::Missing(part) => with_body(
            unavailable,
            "text/plain; charset=utf-8",
            format!("{part} is missing\n").into(),
        ),
    };
    let retry_after = HeaderValue::from(RETRY_AFTER_S);
    answer
        .headers_mut()
        .insert(header::RETRY_AFTER, retry_after);
    answer
}

pub(super) fn text(status: StatusCode, text: &'static str) -> Answer {
    with_body(
        status,
        "text/plain; charset=utf-8",
        Bytes::from_static(text.as_bytes()),
    )
}

fn with_body(status: StatusCode, content_type: &'static str, body: Bytes) -> Answer {
    let mut answer = Response::new(Full::new(body));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    for (name, value) in SECURITY_HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    answer
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const CARRIER: &str = "[web]\nlisten = \"127.0.0.1:8443\"\n[sip]\nlisten = \"127.0.0.1:5060\"\n\
        [[trunk]]\nname = \"carrier\"\ntarget = \"127.0.0.2:5060\"\ndomain = \"Example.com\"\n";

    fn settings_of(more: &str) -> serde_json::Value {
        let text = format!("{CARRIER}{more}");
        settings(
            &Config::parse("test.toml", &text, &|_| None).unwrap(),
            false,
        )
    }

    #[test]
    fn ux_p14_the_page_offers_what_a_carrier_without_lines_can_do() {
        let alone = settings_of("");
        assert_eq!(alone["echo"], json!(null));
        assert_eq!(alone["video"], json!({ "*": false }));
        assert_eq!(settings_of("video = true\n")["video"], json!({ "*": true }));

        let line = "[[line]]\nnumber = \"1001\"\npassword = \"a long one\"\n";
        let with_line = settings_of(line);
        assert_eq!(with_line["echo"], "9196");
        assert_eq!(with_line["echo_domain"], "ringway.local");
        let video = json!({ "*": false, "ringway.local": true });
        assert_eq!(with_line["video"], video);

        let realm = "[[realm]]\ndomain = \"Example.com\"\ntrunk = \"carrier\"\n";
        let with_realm = settings_of(realm);
        assert_eq!(
            with_realm["video"],
            json!({ "*": true, "example.com": false })
        );
    }
}

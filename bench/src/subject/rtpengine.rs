//! rtpengine in user space: the daemon as Debian ships it, with one thread a worker.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::process::{Child, Command, Stdio};

use super::ng::{Client, Value};
use super::{OpenCall, OpenedCall, Processing, Subject, SubjectArguments, Usage, usage};
use crate::Failure;

const NG_PORT: u16 = 22_222;
/// Far beyond any measurement: calls without media must stay, as those of the others do.
const TIMEOUT_SECONDS: &str = "36000";

pub(super) struct Rtpengine {
    daemon: Child,
    client: Client,
    address: Ipv4Addr,
}

impl Rtpengine {
    pub(super) fn start(arguments: &SubjectArguments) -> Result<Self, Failure> {
        let cores: Vec<_> = arguments.cores.iter().map(ToString::to_string).collect();
        let ng = SocketAddr::from((Ipv4Addr::LOCALHOST, NG_PORT));
        let mut daemon = Command::new("taskset");
        daemon
            .args([
                "-c",
                &cores.join(","),
                "rtpengine",
                "--foreground",
                "--log-stderr",
            ])
            .args(["--config-file=none", "--table=-1", "--log-level=1"])
            .arg(format!("--interface={}", arguments.address))
            .arg(format!("--listen-ng={ng}"))
            .arg(format!("--num-threads={}", cores.len()))
            .args(["--port-min=20000", "--port-max=59999"])
            .arg(format!("--timeout={TIMEOUT_SECONDS}"))
            .arg(format!("--silent-timeout={TIMEOUT_SECONDS}"))
            .arg(format!("--offer-timeout={TIMEOUT_SECONDS}"))
            .args(["--delete-delay=0", "--pidfile=/dev/null"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let daemon = daemon
            .spawn()
            .map_err(|why| format!("rtpengine does not start ({why}): tests/install.sh bench"))?;
        let mut rtpengine = Self {
            daemon,
            client: Client::new(ng)?,
            address: arguments.address,
        };
        let ping = Value::dictionary(&[("command", "ping")]);
        rtpengine
            .client
            .ask(ping)
            .map_err(|why| format!("{why}; is it installed, as tests/install.sh bench does?"))?;
        Ok(rtpengine)
    }

    /// Asks with a session description, and returns that of the answer.
    fn exchange(&mut self, call: u16, entries: &[(&str, &str)]) -> Result<String, Failure> {
        let id = format!("call-{call}");
        let mut question = Value::dictionary(entries);
        question.extend(Value::dictionary(&[("call-id", &id), ("ICE", "remove")]));
        // Each message comes and goes without rtcp-mux, as the carrier's would.
        question.insert("rtcp-mux".to_owned(), Value::list(&["demux"]));
        let answer = self.client.ask(question)?;
        let sdp = answer.text("sdp").ok_or("rtpengine answers without SDP")?;
        Ok(sdp.to_owned())
    }
}

impl Subject for Rtpengine {
    fn open(&mut self, call: &OpenCall) -> Result<OpenedCall, Failure> {
        let crypto = format!(
            "a=crypto:1 {} inline:{}",
            call.suite,
            base64(&call.browser_key)
        );
        let offer = sdp(call.browser, "RTP/SAVP", &crypto);
        let to_trunk = self.exchange(
            call.call,
            &[
                ("command", "offer"),
                ("from-tag", "browser"),
                ("transport-protocol", "RTP/AVP"),
                ("sdp", &offer),
            ],
        )?;
        let answer = sdp(call.trunk, "RTP/AVP", "");
        let to_browser = self.exchange(
            call.call,
            &[
                ("command", "answer"),
                ("from-tag", "browser"),
                ("to-tag", "trunk"),
                ("transport-protocol", "RTP/SAVP"),
                ("sdp", &answer),
            ],
        )?;
        let suite = &call.suite;
        let key = crypto_key(&to_browser, suite).ok_or("rtpengine answers without a key")?;
        Ok(OpenedCall {
            for_browser: SocketAddrV4::new(self.address, port(&to_browser)?),
            for_trunk: SocketAddrV4::new(self.address, port(&to_trunk)?),
            media: Processing::Forwarded {
                gateway_key: key,
                ssrc_rewritten: false,
            },
            ice: None,
        })
    }

    fn close(&mut self, call: u16) -> Result<(), Failure> {
        let id = format!("call-{call}");
        let question = [
            ("command", "delete"),
            ("call-id", &id),
            ("from-tag", "browser"),
        ];
        self.client.ask(Value::dictionary(&question))?;
        Ok(())
    }

    fn usage(&mut self) -> Result<Usage, Failure> {
        if self.daemon.try_wait()?.is_some() {
            return Err("rtpengine has ended".into());
        }
        Ok(usage::of(self.daemon.id(), ""))
    }
}

impl Drop for Rtpengine {
    fn drop(&mut self) {
        let _gone = self.daemon.kill();
        let _ended = self.daemon.wait();
    }
}

fn sdp(address: SocketAddrV4, protocol: &str, more: &str) -> String {
    let (ip, port) = (address.ip(), address.port());
    let lines = [
        "v=0",
        &format!("o=- 1 1 IN IP4 {ip}"),
        "s=-",
        &format!("c=IN IP4 {ip}"),
        "t=0 0",
        &format!("m=audio {port} {protocol} 0"),
        "a=rtpmap:0 PCMU/8000",
        "a=sendrecv",
        more,
    ];
    let lines = lines.into_iter().filter(|line| !line.is_empty());
    lines.flat_map(|line| [line, "\r\n"]).collect()
}

fn port(sdp: &str) -> Result<u16, Failure> {
    let line = sdp.lines().find_map(|line| line.strip_prefix("m=audio "));
    let port = line.and_then(|line| line.split(' ').next());
    Ok(port.ok_or("rtpengine answers without a port")?.parse()?)
}

/// The key of the `a=crypto` line with this suite (RFC 4568 section 9.1).
fn crypto_key(sdp: &str, suite: &str) -> Option<Vec<u8>> {
    let lines = sdp
        .lines()
        .filter_map(|line| line.strip_prefix("a=crypto:"));
    let mut keys = lines.filter_map(|line| line.split_once(suite)?.1.split_once("inline:"));
    let key = keys.next()?.1;
    unbase64(key.split(['|', ' ']).next()?)
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn base64(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let word = chunk
            .iter()
            .fold(0_u32, |word, byte| word << 8 | u32::from(*byte));
        let word = word << (8 * (3 - chunk.len()));
        for digit in 0..=chunk.len() {
            let index = usize::try_from(word >> (18 - 6 * digit) & 63).unwrap_or_default();
            text.push(char::from(BASE64.get(index).copied().unwrap_or_default()));
        }
        text.extend(std::iter::repeat_n('=', 3 - chunk.len()));
    }
    text
}

fn unbase64(text: &str) -> Option<Vec<u8>> {
    let (mut word, mut bits, mut bytes) = (0_u32, 0_u32, Vec::new());
    for digit in text.trim_end_matches('=').bytes() {
        let value = BASE64.iter().position(|known| *known == digit)?;
        word = word << 6 | u32::try_from(value).ok()?;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from(word >> bits & 0xff).ok()?);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_rfc_4648() {
        let vectors = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
        ];
        for (plain, coded) in vectors {
            assert_eq!(base64(plain.as_bytes()), coded);
            assert_eq!(unbase64(coded).unwrap(), plain.as_bytes());
        }
        assert_eq!(unbase64("Z!"), None);
    }

    #[test]
    fn finds_port_and_key_in_an_answer() {
        let answer = "v=0\r\nm=audio 30010 RTP/SAVP 0\r\n\
            a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:Zm9v|2^31\r\n";
        assert_eq!(port(answer).unwrap(), 30_010);
        assert_eq!(
            crypto_key(answer, "AES_CM_128_HMAC_SHA1_80").unwrap(),
            b"foo"
        );
        assert_eq!(crypto_key(answer, "AEAD_AES_128_GCM"), None);
    }
}

//! Where a connection really comes from: what a trusted hop in front of us says, by the PROXY
//! protocol (versions 1 and 2) or by X-Forwarded-For. Nobody else is believed.

use std::io;
use std::net::{IpAddr, SocketAddr};

use hyper::header::HeaderMap;
use ppp::{HeaderResult, v1, v2};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::config::ProxiesConfig;
use crate::limits::PROXY_HEADER_BYTES_MAX;

/// First bytes of version 2.
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// Fixed part of version 2: signature, version, family, length.
const V2_FIXED_BYTES: usize = 16;
/// Longest line of version 1, CRLF included.
const V1_LINE_BYTES_MAX: usize = 107;

/// Reads the header that a trusted hop puts in front of everything, and not a byte more. `None` if
/// the hop speaks for itself (a health check), or for no TCP connection.
///
/// # Errors
/// There is no such header, it is malformed, or longer than [`PROXY_HEADER_BYTES_MAX`].
pub(super) async fn read_proxy_header<S>(stream: &mut S) -> io::Result<Option<SocketAddr>>
where
    S: AsyncRead + Unpin,
{
    let mut header = vec![0; SIGNATURE.len()];
    stream.read_exact(&mut header).await?;
    if header == SIGNATURE {
        read_more(stream, &mut header, V2_FIXED_BYTES).await?;
        let length = header.get(14..V2_FIXED_BYTES).unwrap_or_default();
        let length = length.iter().fold(0, |sum, b| sum * 256 + usize::from(*b));
        let total = V2_FIXED_BYTES + length;
        if total > PROXY_HEADER_BYTES_MAX {
            return Err(malformed());
        }
        read_more(stream, &mut header, total).await?;
    } else if header.starts_with(b"PROXY ") {
        while header.last() != Some(&b'\n') {
            if header.len() >= V1_LINE_BYTES_MAX {
                return Err(malformed());
            }
            let next = header.len() + 1;
            read_more(stream, &mut header, next).await?;
        }
    } else {
        return Err(malformed());
    }
    source_in(&header).ok_or_else(malformed)
}

async fn read_more<S>(stream: &mut S, header: &mut Vec<u8>, total: usize) -> io::Result<()>
where
    S: AsyncRead + Unpin,
{
    let known = header.len();
    header.resize(total, 0);
    let rest = header.get_mut(known..).unwrap_or_default();
    stream.read_exact(rest).await.map(|_| ())
}

fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "no PROXY protocol header")
}

/// The outer `None`: malformed.
fn source_in(header: &[u8]) -> Option<Option<SocketAddr>> {
    match HeaderResult::parse(header) {
        HeaderResult::V1(Ok(header)) => Some(match header.addresses {
            v1::Addresses::Tcp4(ip) => Some((ip.source_address, ip.source_port).into()),
            v1::Addresses::Tcp6(ip) => Some((ip.source_address, ip.source_port).into()),
            v1::Addresses::Unknown => None,
        }),
        HeaderResult::V2(Ok(header)) => {
            let source = match header.addresses {
                v2::Addresses::IPv4(ip) => Some((ip.source_address, ip.source_port).into()),
                v2::Addresses::IPv6(ip) => Some((ip.source_address, ip.source_port).into()),
                v2::Addresses::Unspecified | v2::Addresses::Unix(_) => None,
            };
            Some(source.filter(|_| header.command == v2::Command::Proxy))
        }
        HeaderResult::V1(Err(_)) | HeaderResult::V2(Err(_)) => None,
    }
}

/// The client by X-Forwarded-For of a request that came from a trusted hop: the last address that
/// is no trusted hop itself. What stands before it was written by the client.
pub(super) fn forwarded_for(
    headers: &HeaderMap,
    proxies: &ProxiesConfig,
    hop: SocketAddr,
) -> SocketAddr {
    let mut source = hop;
    let lines: Vec<&str> = headers
        .get_all("x-forwarded-for")
        .iter()
        .map(|line| line.to_str().unwrap_or_default())
        .collect();
    for entry in lines.iter().flat_map(|line| line.split(',')).rev() {
        let Some(address) = address_in(entry.trim()) else {
            break;
        };
        source = address;
        if !proxies.trusts(address.ip()) {
            break;
        }
    }
    source
}

/// An address, alone or with a port.
fn address_in(text: &str) -> Option<SocketAddr> {
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Some(address);
    }
    let ip = text.trim_start_matches('[').trim_end_matches(']');
    ip.parse::<IpAddr>()
        .ok()
        .map(|ip| SocketAddr::new(ip.to_canonical(), 0))
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;
    use crate::config::Config;

    async fn read(mut bytes: &[u8]) -> (Option<Option<String>>, usize) {
        let source = read_proxy_header(&mut bytes).await.ok();
        (source.map(|s| s.map(|s| s.to_string())), bytes.len())
    }

    #[tokio::test]
    async fn w25_reads_version_1_and_not_a_byte_more() {
        let header = b"PROXY TCP4 203.0.113.7 192.0.2.1 56324 443\r\nGET /";
        let client = Some(Some("203.0.113.7:56324".to_owned()));
        assert_eq!(read(header).await, (client, 5));
        let header = b"PROXY TCP6 2001:db8::7 2001:db8::1 56324 443\r\n";
        let client = Some(Some("[2001:db8::7]:56324".to_owned()));
        assert_eq!(read(header).await, (client, 0));
        assert_eq!(read(b"PROXY UNKNOWN\r\n\x16").await, (Some(None), 1));
        let endless = [b"PROXY TCP4 ".as_slice(), &[b'1'; 200]].concat();
        for broken in [
            &b"PROXY TCP4 203.0.113.7 192.0.2.1 99999 443\r\n"[..],
            b"PROXY TCP4 203.0.113.7\r\n",
            b"PROXY TCP4 2001:db8::7 2001:db8::1 1 2\r\n",
            b"GET / HTTP/1.1\r\n",
            b"PROXY TCP4 203",
            &endless,
        ] {
            assert_eq!(read(broken).await.0, None, "{broken:?}");
        }
    }

    fn v2(version_command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [SIGNATURE, &[version_command, family], &length, rest].concat()
    }

    #[tokio::test]
    async fn w25_reads_version_2_with_its_extensions() {
        let ends = [203, 0, 113, 7, 192, 0, 2, 1, 0xDC, 4, 1, 187];
        let client = Some(Some("203.0.113.7:56324".to_owned()));
        let with_tlv = [&ends[..], &[4, 0, 1, 0]].concat();
        for rest in [&ends[..], &with_tlv] {
            let bytes = [&v2(0x21, 0x11, rest)[..], b"\x16\x03"].concat();
            assert_eq!(read(&bytes).await, (client.clone(), 2));
        }
        // LOCAL: the hop asks for itself.
        assert_eq!(read(&v2(0x20, 0x11, &ends)).await, (Some(None), 0));
        assert_eq!(read(&v2(0x20, 0x00, &[])).await, (Some(None), 0));
        for broken in [
            v2(0x31, 0x11, &ends),
            v2(0x21, 0x11, &ends[..4]),
            v2(0x21, 0x11, &[0; PROXY_HEADER_BYTES_MAX]),
            v2(0x21, 0x11, &ends)[..20].to_vec(),
        ] {
            assert_eq!(read(&broken).await.0, None, "{broken:?}");
        }
    }

    #[test]
    fn w25_believes_x_forwarded_for_back_to_the_first_stranger() {
        let text = "[web]\ntrusted_proxies = [\"10.0.0.0/8\", \"2001:db8::1\"]";
        let config = Config::parse("test.toml", text, &|_| None).unwrap();
        let proxies = config.web.proxies.unwrap();
        let source = |lines: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append("x-forwarded-for", HeaderValue::from_static(line));
            }
            let hop = SocketAddr::from(([10, 0, 0, 1], 5000));
            forwarded_for(&headers, &proxies, hop).ip().to_string()
        };
        assert_eq!(source(&[]), "10.0.0.1");
        assert_eq!(source(&["203.0.113.7"]), "203.0.113.7");
        assert_eq!(source(&["198.51.100.1, 203.0.113.7"]), "203.0.113.7");
        assert_eq!(
            source(&["198.51.100.1", "203.0.113.7:99,10.9.9.9"]),
            "203.0.113.7"
        );
        assert_eq!(source(&["[2001:db8::9]:7, 2001:db8::1"]), "2001:db8::9");
        assert_eq!(source(&["198.51.100.1, nonsense, 10.0.0.2"]), "10.0.0.2");
        assert_eq!(source(&["::ffff:203.0.113.7"]), "203.0.113.7");
    }
}

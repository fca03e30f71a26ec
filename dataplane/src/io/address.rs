//! Socket addresses as the kernel lays them out (`sockaddr_in`, `sockaddr_in6`).

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

/// Room for the longer of the two: `sizeof(struct sockaddr_in6)`.
pub(super) const ADDRESS_BYTES: usize = size_of::<libc::sockaddr_in6>();
/// The same, as the kernel takes it.
pub(super) const ADDRESS_BYTES_U32: u32 = ADDRESS_V6_BYTES;
const ADDRESS_V4_BYTES: u32 = 16;
const ADDRESS_V6_BYTES: u32 = 28;

const _: () = assert!(size_of::<libc::sockaddr_in>() == 16 && ADDRESS_BYTES == 28);

/// Reads what the kernel wrote as the source of a packet.
pub(super) fn read(raw: &[u8]) -> Option<SocketAddr> {
    let family = i32::from(u16::from_ne_bytes(*raw.first_chunk()?));
    let port = u16::from_be_bytes(*raw.get(2..)?.first_chunk()?);
    match family {
        libc::AF_INET => {
            let ip: [u8; 4] = *raw.get(4..)?.first_chunk()?;
            Some(SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::from(ip), port)))
        }
        libc::AF_INET6 => {
            let flow_info = u32::from_ne_bytes(*raw.get(4..)?.first_chunk()?);
            let ip: [u8; 16] = *raw.get(8..)?.first_chunk()?;
            let scope = u32::from_ne_bytes(*raw.get(24..)?.first_chunk()?);
            Some(SocketAddr::V6(SocketAddrV6::new(
                Ipv6Addr::from(ip),
                port,
                flow_info,
                scope,
            )))
        }
        _ => None,
    }
}

/// Writes the destination of a packet; returns how many bytes of `raw` are used.
pub(super) fn write(address: SocketAddr, raw: &mut [u8; ADDRESS_BYTES]) -> u32 {
    // The constants of the two families are 2 and 10: the low byte of the field holds them.
    let family = |family: i32| u16::try_from(family).unwrap_or_default().to_ne_bytes();
    raw[2..4].copy_from_slice(&address.port().to_be_bytes());
    match address {
        SocketAddr::V4(v4) => {
            raw[..2].copy_from_slice(&family(libc::AF_INET));
            raw[4..8].copy_from_slice(&v4.ip().octets());
            raw[8..16].fill(0);
            ADDRESS_V4_BYTES
        }
        SocketAddr::V6(v6) => {
            raw[..2].copy_from_slice(&family(libc::AF_INET6));
            raw[4..8].copy_from_slice(&v6.flowinfo().to_ne_bytes());
            raw[8..24].copy_from_slice(&v6.ip().octets());
            raw[24..28].copy_from_slice(&v6.scope_id().to_ne_bytes());
            ADDRESS_V6_BYTES
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_layout_of_socket2() {
        for text in ["192.0.2.1:5004", "[2001:db8::1]:5006", "[fe80::1%3]:9"] {
            let address: SocketAddr = text.parse().unwrap();
            let mut raw = [0xff; ADDRESS_BYTES];
            let length = write(address, &mut raw);
            assert_eq!(length, socket2::SockAddr::from(address).len());
            assert_eq!(read(&raw), Some(address));
        }
    }

    #[test]
    fn refuses_short_and_foreign_addresses() {
        assert_eq!(read(&[]), None);
        assert_eq!(read(&[1, 0, 0, 0, 0, 0, 0, 0]), None);
        let mut raw = [0; ADDRESS_BYTES];
        write("192.0.2.1:5004".parse().unwrap(), &mut raw);
        assert_eq!(read(&raw[..7]), None);
    }
}

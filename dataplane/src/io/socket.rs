//! UDP sockets with the options that media needs.

#![expect(unsafe_code, reason = "connect(2) to nobody has no safe wrapper here")]

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd};

use socket2::{Domain, Protocol, SockRef, Socket, Type};

use crate::config::IoConfig;
use crate::limits::BROWSER_QUEUE_BYTES;

/// The socket that all browsers of a worker send to. An IPv6 socket takes IPv6 only, so that each
/// peer has one form of address.
pub(crate) fn bind_browser(address: SocketAddr, config: &IoConfig) -> io::Result<Socket> {
    let socket = unbound(address, config.browser_dscp, config)?;
    // As much as the kernel grants: a smaller queue drops earlier, which is no reason to refuse.
    drop(socket.set_recv_buffer_size(BROWSER_QUEUE_BYTES));
    drop(socket.set_send_buffer_size(BROWSER_QUEUE_BYTES));
    socket.bind(&address.into())?;
    Ok(socket)
}

/// One of the two sockets of a trunk flow.
pub(crate) fn bind_trunk(address: SocketAddr, config: &IoConfig) -> io::Result<Socket> {
    let socket = unbound(address, config.trunk_dscp, config)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

/// The two sockets of a trunk flow: RTP on the port, RTCP on the next one.
pub(crate) fn bind_trunk_pair(
    address: IpAddr,
    rtp_port: u16,
    config: &IoConfig,
) -> io::Result<(Socket, Socket)> {
    let rtcp_port = rtp_port
        .checked_add(1)
        .ok_or(io::ErrorKind::AddrNotAvailable)?;
    Ok((
        bind_trunk(SocketAddr::new(address, rtp_port), config)?,
        bind_trunk(SocketAddr::new(address, rtcp_port), config)?,
    ))
}

/// Where a socket is really bound.
pub(crate) fn local_address(socket: &Socket) -> io::Result<SocketAddr> {
    socket
        .local_addr()?
        .as_socket()
        .ok_or_else(|| io::ErrorKind::AddrNotAvailable.into())
}

/// Lets the kernel hand over runs of datagrams as one; false where it cannot.
pub(super) fn take_runs(socket: &impl AsFd) -> bool {
    let (descriptor, on) = (socket.as_fd().as_raw_fd(), 1_i32);
    let length = libc::socklen_t::try_from(size_of::<i32>()).unwrap_or_default();
    let (level, name) = (libc::SOL_UDP, libc::UDP_GRO);
    // SAFETY: pointer and length describe `on`, which outlives the call.
    let set = unsafe { libc::setsockopt(descriptor, level, name, (&raw const on).cast(), length) };
    set == 0
}

/// Fixes the only peer of a UDP socket (`None`: there is none any more), which was `before`.
/// Returns who it is now; what the kernel refuses leaves it open to all.
pub(super) fn connect(
    socket: &impl AsFd,
    before: Option<SocketAddr>,
    peer: Option<SocketAddr>,
) -> Option<SocketAddr> {
    if let Some(peer) = peer
        && SockRef::from(socket).connect(&peer.into()).is_ok()
    {
        return Some(peer);
    }
    before?;
    let nobody = libc::sockaddr {
        sa_family: libc::sa_family_t::try_from(libc::AF_UNSPEC).unwrap_or_default(),
        sa_data: [0; 14],
    };
    let length = libc::socklen_t::try_from(size_of::<libc::sockaddr>()).unwrap_or_default();
    let descriptor = socket.as_fd().as_raw_fd();
    // SAFETY: pointer and length describe `nobody`, which outlives the call.
    unsafe { libc::connect(descriptor, &raw const nobody, length) };
    None
}

fn unbound(address: SocketAddr, dscp: u8, config: &IoConfig) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::DGRAM,
        Some(Protocol::UDP),
    )?;
    // The upper six bits of the byte (RFC 2474 section 3).
    let tos = u32::from(dscp) << 2;
    match address {
        SocketAddr::V4(_) => socket.set_tos_v4(tos)?,
        SocketAddr::V6(_) => {
            socket.set_only_v6(true)?;
            socket.set_tclass_v6(tos)?;
        }
    }
    if let Some(time) = config.busy_poll {
        let microseconds = u32::try_from(time.as_micros()).unwrap_or(u32::MAX);
        // An option to be faster, which needs a right on some kernels: not worth a refusal.
        drop(socket.set_busy_poll(microseconds));
    }
    Ok(socket)
}

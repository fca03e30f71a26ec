//! Where each socket of a worker has its place in a table.

use crate::engine::SocketId;

/// Place of the browser socket.
pub(super) const BROWSER_INDEX: u32 = 0;

/// Places for one browser socket and the socket pairs of so many flows.
pub(super) fn count(flows_max: usize) -> usize {
    1 + 2 * flows_max
}

pub(super) fn index(id: SocketId) -> u32 {
    match id {
        SocketId::Browser => BROWSER_INDEX,
        SocketId::TrunkRtp(slot) => 1 + 2 * u32::from(slot),
        SocketId::TrunkRtcp(slot) => 2 + 2 * u32::from(slot),
    }
}

pub(super) fn id(index: u32) -> SocketId {
    let slot = || u16::try_from((index - 1) / 2).unwrap_or(u16::MAX);
    match index {
        BROWSER_INDEX => SocketId::Browser,
        odd if odd % 2 == 1 => SocketId::TrunkRtp(slot()),
        _ => SocketId::TrunkRtcp(slot()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_socket_has_a_place_of_its_own() {
        let ids = [
            SocketId::Browser,
            SocketId::TrunkRtp(0),
            SocketId::TrunkRtcp(0),
            SocketId::TrunkRtp(u16::MAX),
            SocketId::TrunkRtcp(u16::MAX),
        ];
        for (position, socket) in ids.into_iter().enumerate() {
            assert_eq!(id(index(socket)), socket);
            for other in ids.into_iter().skip(position + 1) {
                assert_ne!(index(socket), index(other));
            }
        }
    }
}

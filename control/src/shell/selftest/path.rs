//! The way of the media: ICE checks, the DTLS handshake, and packets there and back.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crypto::dtls::{Certificate, DtlsClient, DtlsOutput, Fingerprint};
use crypto::keys::SrtpKeys;
use crypto::srtp::{SrtpReceiver, SrtpSender};
use dataplane::wire::stun::{Check, answered_transaction};
use tokio::net::UdpSocket;
use tokio::time::timeout_at;

use super::super::clock;
use crate::limits::{SELFTEST_CHECK_EVERY, SELFTEST_LAST_ECHO_WITHIN, SELFTEST_PACKET_EVERY};
use crate::selftest::{ECHO_PACKETS, Echo, LocalMedia, PACKET_BYTES_MAX, RemoteMedia};

/// Longest datagram that is looked at.
const DATAGRAM_BYTES_MAX: usize = 2048;

/// What came back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heard {
    pub(super) came_back: usize,
    /// The median.
    pub(super) round_trip: Duration,
}

/// A socket that speaks to one address.
pub(super) struct Path {
    socket: UdpSocket,
}

impl Path {
    pub(super) async fn open(to: SocketAddr) -> io::Result<Self> {
        let any = match to {
            SocketAddr::V4(_) => SocketAddr::from(([0; 4], 0)),
            SocketAddr::V6(_) => SocketAddr::from(([0; 16], 0)),
        };
        let socket = UdpSocket::bind(any).await?;
        socket.connect(to).await?;
        Ok(Self { socket })
    }

    /// The next datagram, if one comes until then.
    async fn next_until<'b>(
        &self,
        at: Instant,
        buffer: &'b mut [u8],
    ) -> io::Result<Option<&'b mut [u8]>> {
        match timeout_at(at.into(), self.socket.recv(buffer)).await {
            Ok(Ok(length)) => Ok(buffer.get_mut(..length)),
            Ok(Err(error)) => Err(error),
            Err(_) => Ok(None),
        }
    }

    /// Sends checks until one is answered (RFC 8445 section 7.2.5.3).
    pub(super) async fn check(&self, local: &LocalMedia, remote: &RemoteMedia) -> io::Result<()> {
        let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
        let transaction = *b"selftest 001";
        let check = Check {
            transaction,
            remote_fragment: &remote.fragment,
            local_fragment: &local.fragment,
            remote_password: &remote.password,
            tie_breaker: local.tie_breaker,
        };
        let check = check.to_bytes().ok_or(io::ErrorKind::InvalidData)?;
        loop {
            self.socket.send(&check).await?;
            let again = clock::now() + SELFTEST_CHECK_EVERY;
            while let Some(datagram) = self.next_until(again, &mut buffer).await? {
                if answered_transaction(datagram) == Some(transaction) {
                    return Ok(());
                }
            }
        }
    }

    /// The DTLS handshake, as the client (RFC 5763 section 5).
    pub(super) async fn agree_on_keys(
        &self,
        certificate: &Certificate,
        expected: Vec<Fingerprint>,
    ) -> Result<SrtpKeys, Box<dyn std::error::Error>> {
        let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
        let mut client = DtlsClient::new(certificate, clock::now())?;
        client.expect(expected)?;
        let mut agreed = None;
        loop {
            // The keys may come before our last flight.
            while let Some(output) = client.poll_output() {
                match output {
                    DtlsOutput::Datagram(datagram) => drop(self.socket.send(&datagram).await?),
                    DtlsOutput::Keys(keys) => agreed = Some(keys),
                    DtlsOutput::Closed => return Err("it was closed".into()),
                }
            }
            if let Some(keys) = agreed {
                return Ok(keys);
            }
            let now = clock::now();
            let until = client.poll_timeout().unwrap_or(now + SELFTEST_CHECK_EVERY);
            match self.next_until(until, &mut buffer).await? {
                Some(datagram) => client.handle_datagram(clock::now(), datagram)?,
                None => client.handle_timeout(clock::now())?,
            }
        }
    }

    /// Speaks for a second, and listens a little longer. The first packet is sent until it comes
    /// back: the other side may not have its keys yet.
    pub(super) async fn speak(
        &self,
        local: &LocalMedia,
        keys: &SrtpKeys,
    ) -> Result<Heard, Box<dyn std::error::Error>> {
        let mut voice = Voice {
            sender: SrtpSender::new(&keys.local)?,
            receiver: SrtpReceiver::new(&keys.remote)?,
            echo: Echo::default(),
            sent_at: [None; ECHO_PACKETS as usize],
            round_trips: Vec::new(),
        };
        let (mut sequence, mut index) = (0, 0);
        while index < ECHO_PACKETS {
            let sent = voice
                .say(self, &local.packet(sequence, index), index)
                .await?;
            let is_last = index + 1 == ECHO_PACKETS;
            let pause = if is_last {
                SELFTEST_LAST_ECHO_WITHIN
            } else {
                SELFTEST_PACKET_EVERY
            };
            voice.listen(self, sent + pause).await?;
            sequence += 1;
            index += u16::from(voice.echo.count() > 0);
        }
        let round_trips = &mut voice.round_trips;
        round_trips.sort_unstable();
        let median = round_trips.get(round_trips.len() / 2).copied();
        Ok(Heard {
            came_back: voice.echo.count(),
            round_trip: median.unwrap_or_default(),
        })
    }
}

/// Sound that is sent, and its echo.
struct Voice {
    sender: SrtpSender,
    receiver: SrtpReceiver,
    echo: Echo,
    sent_at: [Option<Instant>; ECHO_PACKETS as usize],
    round_trips: Vec<Duration>,
}

impl Voice {
    /// Sends a packet; returns the time.
    async fn say(
        &mut self,
        path: &Path,
        packet: &[u8],
        index: u16,
    ) -> Result<Instant, Box<dyn std::error::Error>> {
        let mut buffer = vec![0; PACKET_BYTES_MAX];
        for (to, from) in buffer.iter_mut().zip(packet) {
            *to = *from;
        }
        let length = self.sender.protect_rtp(&mut buffer, packet.len())?;
        let now = clock::now();
        if let Some(sent_at) = self.sent_at.get_mut(usize::from(index)) {
            *sent_at = Some(now);
        }
        let bytes = buffer.get(..length).unwrap_or_default();
        path.socket.send(bytes).await?;
        Ok(now)
    }

    /// Takes what comes until then, or until all of the echo is there.
    async fn listen(&mut self, path: &Path, until: Instant) -> io::Result<()> {
        let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
        while self.echo.count() < usize::from(ECHO_PACKETS) {
            let Some(datagram) = path.next_until(until, &mut buffer).await? else {
                return Ok(());
            };
            // RTCP and repeated handshake messages are not for the echo.
            let Ok(length) = self.receiver.unprotect_rtp(datagram) else {
                continue;
            };
            let index = self.echo.take(datagram.get(..length).unwrap_or_default());
            let sent =
                index.and_then(|index| self.sent_at.get(usize::from(index)).copied().flatten());
            self.round_trips
                .extend(sent.map(|sent| clock::now() - sent));
        }
        Ok(())
    }
}

//! One TCP or TLS connection of the trunk side: SIP messages in and out, keep-alives (RFC 5626
//! section 4.4.1), and its end.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::{Notify, mpsc};
use tokio::time::{timeout, timeout_at};
use tracing::debug;

use super::arrival::Arrival;
use super::clock;
use crate::engine::input::Peer;
use crate::limits::{
    CLOSE_WITHIN, STREAM_IDLE_MAX, STREAM_KEEP_ALIVE, STREAM_MESSAGE_WITHIN, STREAM_PONG_WITHIN,
    STREAM_QUEUE_BYTES_MAX, STREAM_QUEUE_MESSAGES_MAX, STREAM_READ_BYTES, STREAM_SPEAKS_WITHIN,
    STREAM_WRITE_WITHIN,
};
use crate::sip::framing::{Frame, Framer};

const PING: Bytes = Bytes::from_static(b"\r\n\r\n");
const PONG: Bytes = Bytes::from_static(b"\r\n");

/// What leaves on a connection.
#[derive(Debug)]
enum Outgoing {
    Message(Bytes),
    Close,
}

/// The way to one connection: bounded in messages and bytes. When it overflows, the connection
/// closes.
#[derive(Clone, Debug)]
pub(super) struct StreamQueue {
    sender: mpsc::Sender<Outgoing>,
    bytes: Arc<AtomicUsize>,
    overflow: Arc<Notify>,
}

/// The other end of a [`StreamQueue`].
#[derive(Debug)]
pub(super) struct StreamReceiver {
    receiver: mpsc::Receiver<Outgoing>,
    queue: StreamQueue,
}

impl StreamQueue {
    pub(super) fn new() -> (Self, StreamReceiver) {
        let (sender, receiver) = mpsc::channel(STREAM_QUEUE_MESSAGES_MAX);
        let queue = Self {
            sender,
            bytes: Arc::default(),
            overflow: Arc::default(),
        };
        let receiver = StreamReceiver {
            receiver,
            queue: queue.clone(),
        };
        (queue, receiver)
    }

    /// Queues a message.
    pub(super) fn send(&self, message: Bytes) {
        let length = message.len();
        let queued = self.bytes.fetch_add(length, Ordering::Relaxed) + length;
        if queued > STREAM_QUEUE_BYTES_MAX {
            self.overflow.notify_one();
        } else {
            self.push(Outgoing::Message(message));
        }
    }

    /// Closes the connection once all that was queued before is sent.
    pub(super) fn close(&self) {
        self.push(Outgoing::Close);
    }

    fn push(&self, outgoing: Outgoing) {
        match self.sender.try_send(outgoing) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(_)) => self.overflow.notify_one(),
            Err(mpsc::error::TrySendError::Closed(_)) => debug!("the connection has gone"),
        }
    }
}

impl StreamReceiver {
    /// Waits until more is queued than may be.
    pub(super) async fn overflowed(&self) {
        self.queue.overflow.notified().await;
    }
}

/// Who opened a connection, and how long it may be silent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manners {
    /// We opened it: it is kept alive, and closed when a carrier that has answered keep-alives
    /// does not any more.
    pub(super) ours: bool,
    /// The first bytes come within this time (on connections that the other end opened).
    pub(super) speaks_within: Duration,
    /// A message whose beginning has come is there as a whole within this time.
    pub(super) message_within: Duration,
    /// A connection that the other end opened may be silent for this long.
    pub(super) idle_max: Duration,
    /// Time between our keep-alives.
    pub(super) keep_alive: Duration,
    /// Time for the answer to one.
    pub(super) pong_within: Duration,
}

impl Manners {
    pub(super) const fn new(ours: bool) -> Self {
        Self {
            ours,
            speaks_within: STREAM_SPEAKS_WITHIN,
            message_within: STREAM_MESSAGE_WITHIN,
            idle_max: STREAM_IDLE_MAX,
            keep_alive: STREAM_KEEP_ALIVE,
            pong_within: STREAM_PONG_WITHIN,
        }
    }
}

/// Why a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// The other end closed it, or it broke.
    Over,
    /// We were asked to close it.
    Asked,
    /// What came cannot be cut into messages.
    Malformed,
    /// The other end does not read what we send.
    SlowReader,
    /// The other end does not answer keep-alives any more.
    Dead,
    /// The other end said nothing for too long, or began a message and did not end it.
    Silent,
    /// The process stops.
    Stopping,
}

/// Serves the connection to its end. The brain is told of what comes; of its beginning and end
/// the caller tells it.
pub(super) async fn serve<S>(
    stream: S,
    peer: Peer,
    mut receiver: StreamReceiver,
    arrivals: &mpsc::Sender<Arrival>,
    manners: Manners,
) -> Ending
where
    S: AsyncRead + AsyncWrite + Send,
{
    let (reader, mut writer) = tokio::io::split(stream);
    let queue = receiver.queue.clone();
    let pongs = Pongs::default();
    let ending = tokio::select! {
        ending = read(reader, peer, &queue, arrivals, manners, &pongs) => ending,
        ending = write(&mut writer, &mut receiver, manners, &pongs) => ending,
        () = queue.overflow.notified() => Ending::SlowReader,
    };
    if ending == Ending::Malformed {
        // The brain answers what can be answered, then asks us to close.
        let last = write(&mut writer, &mut receiver, manners, &pongs);
        if timeout(CLOSE_WITHIN, last).await.is_err() {
            debug!(?peer, "nothing was said to a malformed message");
        }
    }
    match timeout(CLOSE_WITHIN, writer.shutdown()).await {
        Ok(Ok(())) => {}
        Ok(Err(_)) | Err(_) => debug!(?peer, "the connection was not closed in good order"),
    }
    ending
}

/// What is known of the other end's answers to our keep-alives.
#[derive(Debug, Default)]
struct Pongs {
    /// Line breaks that came in answer to a keep-alive.
    answered: AtomicUsize,
    heard: Notify,
}

async fn read<S: AsyncRead>(
    mut reader: ReadHalf<S>,
    peer: Peer,
    queue: &StreamQueue,
    arrivals: &mpsc::Sender<Arrival>,
    manners: Manners,
    pongs: &Pongs,
) -> Ending {
    let mut framer = Framer::new();
    let mut buffer = vec![0; STREAM_READ_BYTES];
    let mut deadline = (!manners.ours).then(|| clock::now() + manners.speaks_within);
    loop {
        let read = match deadline {
            None => reader.read(&mut buffer).await,
            Some(at) => match timeout_at(at.into(), reader.read(&mut buffer)).await {
                Ok(read) => read,
                Err(_) => return Ending::Silent,
            },
        };
        let was_mid_message = framer.is_mid_message();
        match read {
            Ok(0) => return Ending::Over,
            Err(error) => {
                debug!(?peer, %error, "the connection broke");
                return Ending::Over;
            }
            Ok(count) => framer.push(buffer.get(..count).unwrap_or_default()),
        }
        let mut complete = 0;
        loop {
            let arrival = match framer.next_frame() {
                Ok(None) => break,
                Ok(Some(Frame::Ping)) => {
                    queue.send(PONG);
                    None
                }
                Ok(Some(Frame::Pong)) => {
                    pongs.answered.fetch_add(1, Ordering::Relaxed);
                    pongs.heard.notify_one();
                    None
                }
                Ok(Some(Frame::Message(bytes))) => Some(Arrival::Message { peer, bytes }),
                Err(error) => {
                    let rest = Bytes::copy_from_slice(framer.rest());
                    let broken = Arrival::StreamBroken { peer, rest, error };
                    return match arrivals.send(broken).await {
                        Ok(()) => Ending::Malformed,
                        Err(_) => Ending::Stopping,
                    };
                }
            };
            complete += 1;
            if let Some(arrival) = arrival
                && arrivals.send(arrival).await.is_err()
            {
                return Ending::Stopping;
            }
        }
        deadline = next_deadline(&framer, manners, deadline, was_mid_message && complete == 0);
    }
}

/// Until when the next bytes must come. A message that comes in drops keeps the deadline that its
/// first byte was given.
fn next_deadline(
    framer: &Framer,
    manners: Manners,
    deadline: Option<Instant>,
    goes_on: bool,
) -> Option<Instant> {
    match (framer.is_mid_message(), goes_on) {
        (true, true) => deadline,
        (true, false) => Some(clock::now() + manners.message_within),
        (false, _) => (!manners.ours).then(|| clock::now() + manners.idle_max),
    }
}

async fn write<S: AsyncWrite>(
    writer: &mut WriteHalf<S>,
    receiver: &mut StreamReceiver,
    manners: Manners,
    pongs: &Pongs,
) -> Ending {
    let mut ping_at = clock::now() + spread(manners.keep_alive);
    let mut pong_by: Option<Instant> = None;
    loop {
        let bytes = tokio::select! {
            outgoing = receiver.receiver.recv() => match outgoing {
                Some(Outgoing::Message(bytes)) => {
                    receiver.queue.bytes.fetch_sub(bytes.len(), Ordering::Relaxed);
                    bytes
                }
                Some(Outgoing::Close) => return Ending::Asked,
                None => return Ending::Stopping,
            },
            () = tokio::time::sleep_until(ping_at.into()), if manners.ours => {
                let now = clock::now();
                ping_at = now + spread(manners.keep_alive);
                // Not every carrier answers: only one that has done so can stop doing so.
                if pongs.answered.load(Ordering::Relaxed) > 0 {
                    pong_by.get_or_insert(now + manners.pong_within);
                }
                PING
            }
            () = pongs.heard.notified() => {
                pong_by = None;
                continue;
            }
            () = until(pong_by) => return Ending::Dead,
        };
        match timeout(STREAM_WRITE_WITHIN, write_all(writer, &bytes)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                debug!(%error, "the connection broke");
                return Ending::Over;
            }
            Err(_) => return Ending::SlowReader,
        }
    }
}

async fn write_all<S: AsyncWrite>(writer: &mut WriteHalf<S>, bytes: &[u8]) -> io::Result<()> {
    writer.write_all(bytes).await?;
    writer.flush().await
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

/// Up to a tenth more or less, so that keep-alives of many connections do not come at once.
fn spread(mean: Duration) -> Duration {
    use std::hash::{BuildHasher, RandomState};
    let random = u32::try_from(RandomState::new().hash_one(()) % 201).unwrap_or(100);
    mean * (900 + random) / 1000
}

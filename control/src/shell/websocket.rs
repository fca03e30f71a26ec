//! One open WebSocket: SIP messages in and out (RFC 7118), keep-alives, and its end.

mod pace;

use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio::time::{MissedTickBehavior, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role};
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};
use tracing::{debug, warn};

use self::pace::{Pace, Watched};
use super::admission::MessageRate;
use super::arrival::Arrival;
use super::clock;
use super::supervise::or_panicked;
use crate::engine::input::ConnectionId;
use crate::limits::{
    BROWSER_ARRIVALS_BYTES_MAX, CLOSE_DRAIN_BYTES_MAX, CLOSE_WITHIN, OUTGOING_BYTES_MAX,
    OUTGOING_BYTES_TOTAL_MAX, OUTGOING_MESSAGES_MAX, PING_INTERVAL, PINGS_UNANSWERED_MAX,
    WEBSOCKET_WRITE_WITHIN,
};
use crate::rate::TokenBucket;
use crate::token::Identity;
use crate::websocket::{Heard, KEEP_ALIVE_ANSWER, closing_after, heard, limits};

/// What a connection needs to know.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) id: ConnectionId,
    pub(super) remote: SocketAddr,
    pub(super) secure: bool,
    pub(super) identity: Option<Identity>,
    pub(super) arrivals: mpsc::Sender<Arrival>,
    pub(super) messages_per_second: u32,
    /// A message that has begun is there as a whole within this time.
    pub(super) message_within: Duration,
    /// Shared with the other connections of its source.
    pub(super) source_rate: MessageRate,
    pub(super) traffic: Arc<Traffic>,
}

/// What leaves on a connection.
#[derive(Debug)]
enum Outgoing {
    Message(Bytes),
    Close { code: u16, reason: &'static str },
}

/// What all connections share: room for what waits.
#[derive(Debug)]
pub(super) struct Traffic {
    /// Bytes of messages that the brain has not taken yet.
    arrivals: Arc<Semaphore>,
    /// Bytes that wait for browsers to read them.
    outgoing: AtomicUsize,
}

impl Default for Traffic {
    fn default() -> Self {
        let room = usize::try_from(BROWSER_ARRIVALS_BYTES_MAX).unwrap_or(usize::MAX);
        Self {
            arrivals: Arc::new(Semaphore::new(room)),
            outgoing: AtomicUsize::new(0),
        }
    }
}

/// The way to one connection: bounded in messages and bytes. When it overflows, the connection
/// closes with 1013.
#[derive(Clone, Debug)]
pub(super) struct OutgoingQueue {
    sender: mpsc::Sender<Outgoing>,
    waiting: Arc<Waiting>,
}

/// What waits for one browser.
#[derive(Debug)]
struct Waiting {
    bytes: AtomicUsize,
    overflow: Notify,
    traffic: Arc<Traffic>,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let left = *self.bytes.get_mut();
        self.traffic.outgoing.fetch_sub(left, Ordering::Relaxed);
    }
}

impl OutgoingQueue {
    fn new(traffic: Arc<Traffic>) -> (Self, mpsc::Receiver<Outgoing>) {
        let (sender, receiver) = mpsc::channel(OUTGOING_MESSAGES_MAX);
        let waiting = Waiting {
            bytes: AtomicUsize::new(0),
            overflow: Notify::new(),
            traffic,
        };
        let waiting = Arc::new(waiting);
        (Self { sender, waiting }, receiver)
    }

    /// Queues a message.
    pub(super) fn send(&self, message: Bytes) {
        let length = message.len();
        let waiting = &self.waiting;
        let here = waiting.bytes.fetch_add(length, Ordering::Relaxed) + length;
        let all = waiting
            .traffic
            .outgoing
            .fetch_add(length, Ordering::Relaxed)
            + length;
        let is_behind = here > length;
        if here > OUTGOING_BYTES_MAX || (is_behind && all > OUTGOING_BYTES_TOTAL_MAX) {
            waiting.overflow.notify_one();
        } else {
            self.push(Outgoing::Message(message));
        }
    }

    /// A message is on its way.
    fn taken(&self, length: usize) {
        self.waiting.bytes.fetch_sub(length, Ordering::Relaxed);
        let all = &self.waiting.traffic.outgoing;
        all.fetch_sub(length, Ordering::Relaxed);
    }

    /// Closes the connection once all that was queued before is sent.
    pub(super) fn close(&self, code: u16, reason: &'static str) {
        self.push(Outgoing::Close { code, reason });
    }

    fn push(&self, outgoing: Outgoing) {
        match self.sender.try_send(outgoing) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(_)) => self.waiting.overflow.notify_one(),
            Err(mpsc::error::TrySendError::Closed(_)) => debug!("the WebSocket has gone"),
        }
    }
}

/// Why a connection ends.
#[derive(Debug)]
enum Ending {
    /// The transport is gone or the close handshake is done.
    Over,
    /// We close, with this status.
    Close { code: u16, reason: &'static str },
    /// We close because of what was sent: what follows cannot be read as frames any more.
    Broken { code: u16, reason: &'static str },
}

const SLOW_READER: Ending = Ending::Close {
    code: 1013,
    reason: "messages are not read",
};

/// 1008 is for what breaks a policy of ours and no rule of the protocol (RFC 6455 section 7.4.1).
const UNENDED: Ending = Ending::Close {
    code: 1008,
    reason: "a message was begun and not ended",
};

/// Serves the connection to its end, and tells the brain of its beginning and end.
pub(super) async fn serve<S>(stream: S, mut connection: Connection)
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let (stream, pace) = Watched::new(stream);
    let socket = WebSocketStream::from_raw_socket(stream, Role::Server, Some(limits())).await;
    let (mut sink, mut source) = socket.split();
    let (queue, mut receiver) = OutgoingQueue::new(Arc::clone(&connection.traffic));
    let (id, remote, secure) = (connection.id, connection.remote, connection.secure);
    let arrivals = connection.arrivals.clone();
    let opened = Arrival::Opened {
        connection: id,
        remote,
        secure,
        identity: connection.identity.take(),
        outgoing: queue.clone(),
    };
    if arrivals.send(opened).await.is_err() {
        return;
    }
    debug!(connection = id.0, %remote, "WebSocket opened");
    let unanswered = AtomicU32::new(0);
    let run = async {
        tokio::select! {
            ending = read(&mut source, &connection, &queue, &unanswered, &pace) => ending,
            ending = write(&mut sink, &mut receiver, &queue, &unanswered, ping_interval(id)) => ending,
            () = queue.waiting.overflow.notified() => SLOW_READER,
        }
    };
    // The brain hears of the end in any case.
    let ending = or_panicked(run).await.unwrap_or_else(|why| {
        warn!(connection = id.0, %remote, why, "a WebSocket has ended");
        Ending::Over
    });
    debug!(connection = id.0, ?ending, "WebSocket closed");
    if arrivals
        .send(Arrival::Closed { connection: id })
        .await
        .is_err()
    {
        debug!("the brain has stopped");
    }
    finish(sink, source, ending).await;
}

/// The mean of [`PING_INTERVAL`], up to a fifth more or less, so that the pings of many
/// connections do not come at once.
fn ping_interval(connection: ConnectionId) -> Duration {
    let spread = u32::try_from(RandomState::new().hash_one(connection) % 401).unwrap_or(200);
    PING_INTERVAL * (800 + spread) / 1000
}

type Sink<S> = SplitSink<WebSocketStream<S>, Message>;
type Source<S> = SplitStream<WebSocketStream<S>>;

async fn read<S>(
    source: &mut Source<S>,
    connection: &Connection,
    queue: &OutgoingQueue,
    unanswered: &AtomicU32,
    pace: &Pace,
) -> Ending
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let rate = connection.messages_per_second;
    let mut bucket = TokenBucket::new(rate, rate.saturating_mul(2), clock::now());
    loop {
        let next = tokio::select! {
            // What has come is taken first.
            biased;
            next = source.next() => next,
            () = pace.overdue(connection.message_within) => return UNENDED,
        };
        let message = match next {
            None => return Ending::Over,
            Some(Ok(message)) => message,
            Some(Err(error)) => return ending_after(&error),
        };
        unanswered.store(0, Ordering::Relaxed);
        let read_at = clock::now();
        // Who sends too fast is read more slowly; TCP passes that on.
        while let Err(wait) = bucket.take(clock::now()) {
            tokio::time::sleep(wait).await;
        }
        while let Err(wait) = connection.source_rate.take(clock::now()) {
            tokio::time::sleep(wait).await;
        }
        match heard(message) {
            Heard::Sip(bytes) => {
                if hand_over(connection, bytes).await.is_none() {
                    return Ending::Close {
                        code: 1001,
                        reason: "going away",
                    };
                }
            }
            Heard::KeepAlive => queue.send(Bytes::from_static(KEEP_ALIVE_ANSWER)),
            // Pings are answered below us, and after a Close the source ends.
            Heard::Nothing => {}
        }
        pace.forgive(clock::now() - read_at);
    }
}

/// Gives a message to the brain, when there is room for it. `None` if the brain is gone.
async fn hand_over(connection: &Connection, bytes: Bytes) -> Option<()> {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    let length = length.min(BROWSER_ARRIVALS_BYTES_MAX);
    let room = Arc::clone(&connection.traffic.arrivals);
    let room = room.acquire_many_owned(length).await.ok()?;
    let heard = Arrival::Heard {
        connection: connection.id,
        bytes,
        room,
    };
    connection.arrivals.send(heard).await.ok()
}

fn ending_after(error: &Error) -> Ending {
    match closing_after(error) {
        Some((code, reason)) => Ending::Broken { code, reason },
        None => Ending::Over,
    }
}

async fn write<S>(
    sink: &mut Sink<S>,
    receiver: &mut mpsc::Receiver<Outgoing>,
    queue: &OutgoingQueue,
    unanswered: &AtomicU32,
    interval: Duration,
) -> Ending
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut pings = tokio::time::interval(interval);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pings.reset();
    loop {
        let message = tokio::select! {
            outgoing = receiver.recv() => match outgoing {
                Some(Outgoing::Message(bytes)) => {
                    queue.taken(bytes.len());
                    data_frame(bytes)
                }
                Some(Outgoing::Close { code, reason }) => return Ending::Close { code, reason },
                None => return Ending::Over,
            },
            _ = pings.tick() => {
                if unanswered.fetch_add(1, Ordering::Relaxed) >= PINGS_UNANSWERED_MAX {
                    return Ending::Close { code: 1001, reason: "no sign of life" };
                }
                Message::Ping(Bytes::new())
            }
        };
        match timeout(WEBSOCKET_WRITE_WITHIN, sink.send(message)).await {
            Ok(Ok(())) => {}
            Ok(Err(Error::WriteBufferFull(_))) | Err(_) => return SLOW_READER,
            Ok(Err(_)) => return Ending::Over,
        }
    }
}

/// "If every byte of the message is valid UTF-8, it is sent as text, else as binary" (the rule of
/// RFC 7118 section 4.2).
fn data_frame(bytes: Bytes) -> Message {
    match Utf8Bytes::try_from(bytes.clone()) {
        Ok(text) => Message::Text(text),
        Err(_) => Message::Binary(bytes),
    }
}

/// The close handshake. Waits for the other end, because a socket that is closed with unread bytes
/// takes back what it sent last.
async fn finish<S>(mut sink: Sink<S>, mut source: Source<S>, ending: Ending)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (code, reason, broken) = match ending {
        Ending::Over => return,
        Ending::Close { code, reason } => (code, reason, false),
        Ending::Broken { code, reason } => (code, reason, true),
    };
    let frame = CloseFrame {
        code: CloseCode::from(code),
        reason: Utf8Bytes::from_static(reason),
    };
    let goodbye = async {
        if sink.send(Message::Close(Some(frame))).await.is_err() {
            return;
        }
        if !broken {
            while let Some(Ok(_)) = source.next().await {}
            return;
        }
        let Ok(mut socket) = sink.reunite(source) else {
            return;
        };
        let stream = socket.get_mut();
        let mut drained = 0;
        let mut buffer = [0; 1024];
        while drained < CLOSE_DRAIN_BYTES_MAX {
            match stream.read(&mut buffer).await {
                Ok(0) | Err(_) => return,
                Ok(count) => drained += count,
            }
        }
    };
    if timeout(CLOSE_WITHIN, goodbye).await.is_err() {
        debug!("the other end did not answer our Close");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn w18_a_connection_without_a_sign_of_life_is_dead_after_two_pings() {
        let (ours, theirs) = tokio::io::duplex(4096);
        let (mut sink, source) = WebSocketStream::from_raw_socket(ours, Role::Server, None)
            .await
            .split();
        let mut browser = WebSocketStream::from_raw_socket(theirs, Role::Client, None).await;
        let (queue, mut receiver) = OutgoingQueue::new(Arc::default());
        let unanswered = AtomicU32::new(0);
        let interval = Duration::from_millis(1);
        let ending = write(&mut sink, &mut receiver, &queue, &unanswered, interval).await;
        assert!(
            matches!(ending, Ending::Close { code: 1001, .. }),
            "{ending:?}"
        );
        for _ in 0..PINGS_UNANSWERED_MAX {
            assert_eq!(
                browser.next().await.unwrap().unwrap(),
                Message::Ping(Bytes::new())
            );
        }
        drop(sink);
        drop(source);
        assert!(
            browser.next().await.unwrap().is_err(),
            "there were more pings"
        );
    }

    #[test]
    fn w24_what_waits_for_all_browsers_together_is_bounded() {
        let traffic = Arc::<Traffic>::default();
        let (slow, _first) = OutgoingQueue::new(Arc::clone(&traffic));
        let (quick, mut second) = OutgoingQueue::new(Arc::clone(&traffic));
        slow.send(Bytes::from_static(b"waits"));
        let others = OUTGOING_BYTES_TOTAL_MAX - 5;
        traffic.outgoing.fetch_add(others, Ordering::Relaxed);
        let is_over = |queue: &OutgoingQueue| {
            let mut overflow = Box::pin(queue.waiting.overflow.notified());
            overflow.as_mut().enable()
        };
        // Who reads still gets what there is; who is behind makes room.
        quick.send(Bytes::from_static(b"taken"));
        assert!(matches!(second.try_recv(), Ok(Outgoing::Message(_))));
        quick.taken(5);
        assert!(!is_over(&quick) && !is_over(&slow));
        slow.send(Bytes::from_static(b"too much"));
        assert!(is_over(&slow) && !is_over(&quick));
        drop((slow, quick));
        assert_eq!(traffic.outgoing.load(Ordering::Relaxed), others);
    }

    #[test]
    fn w18_pings_of_connections_are_spread() {
        let intervals: Vec<Duration> = (0..100).map(|n| ping_interval(ConnectionId(n))).collect();
        assert!(intervals.iter().all(|i| (20..=30).contains(&i.as_secs())));
        assert!(intervals.iter().any(|i| *i != intervals[0]));
    }
}

//! A message that is begun is ended in time, or its connection is closed. Pings do not help: they
//! may come between the fragments of a message (RFC 6455 section 5.4).

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::sleep_until;

use crate::shell::clock;
use crate::websocket::Progress;

/// A stream whose incoming messages are watched.
#[derive(Debug)]
pub(super) struct Watched<S> {
    stream: S,
    progress: Progress,
    pace: Arc<Pace>,
}

/// Since when the message has been coming in that has begun and not ended.
#[derive(Debug, Default)]
pub(super) struct Pace(Mutex<Option<Instant>>);

impl<S> Watched<S> {
    pub(super) fn new(stream: S) -> (Self, Arc<Pace>) {
        let pace = Arc::<Pace>::default();
        let watched = Self {
            stream,
            progress: Progress::default(),
            pace: Arc::clone(&pace),
        };
        (watched, pace)
    }

    fn heard(&mut self, bytes: &[u8]) {
        let passed = self.progress.push(bytes);
        let is_mid_message = self.progress.is_mid_message();
        self.pace.set(|begun| match begun {
            _ if !is_mid_message => None,
            Some(at) if !passed.between => Some(at),
            Some(_) | None => Some(clock::now()),
        });
    }
}

impl Pace {
    fn begun(&self) -> Option<Instant> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, change: impl FnOnce(Option<Instant>) -> Option<Instant>) {
        let mut begun = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *begun = change(*begun);
    }

    /// We did not read for so long: the client could not know that we wait.
    pub(super) fn forgive(&self, pause: Duration) {
        self.set(|begun| begun.map(|at| at + pause));
    }

    /// Waits until a message has been coming in for longer than this. Looks again whenever one can
    /// be so at the earliest.
    pub(super) async fn overdue(&self, within: Duration) {
        loop {
            let now = clock::now();
            let deadline = self.begun().unwrap_or(now) + within;
            if deadline <= now {
                return;
            }
            sleep_until(deadline.into()).await;
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        if let Some(new) = buffer.filled().get(before..) {
            self.heard(new);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

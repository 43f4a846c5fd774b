//! A client's connection: what it waits for, since when, and its end when that takes too long.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use rustix::io::ioctl_fionread;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// The phase of a connection. The server waits for the client in every phase but [`Phase::Handling`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The client has its response; nothing of another request has come.
    Idle,
    /// The head of a request is incomplete, or nothing has come on a new connection.
    Head,
    /// The body of a request is incomplete.
    Body,
    /// The request is complete; the response is not.
    Handling,
    /// The client has not taken all of the response.
    Response,
}

/// Why the server closes a connection that waits for its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Close {
    /// Another client needs the place. What has come and is not yet read counts in favour of the connection.
    MakeRoom,
    /// The client has used up its time.
    Overdue,
}

/// The phase of one connection, shared by its task and the server.
#[derive(Debug)]
pub(super) struct Connection(Mutex<State>);

#[derive(Debug)]
struct State {
    phase: Phase,
    since: Instant,
    close: Option<Close>,
    waker: Option<Waker>,
}

impl Connection {
    pub(super) fn new() -> Self {
        Self(Mutex::new(State { phase: Phase::Head, since: Instant::now(), close: None, waker: None }))
    }

    /// Begins a phase.
    pub(super) fn enter(&self, phase: Phase) {
        self.state().enter(phase);
    }

    fn leave(&self, phase: Phase, next: Phase) {
        let mut state = self.state();
        if state.phase == phase {
            state.enter(next);
        }
    }

    /// How long the server has waited for the client, and in which phase; `None` while it does not wait.
    pub(super) fn waiting(&self) -> Option<(Phase, Duration)> {
        let state = self.state();
        (state.phase != Phase::Handling).then(|| (state.phase, state.since.elapsed()))
    }

    /// Asks for the end of the connection. Its task follows unless the client has gone on before that.
    pub(super) fn close(&self, close: Close) {
        let mut state = self.state();
        state.close = Some(close);
        if let Some(waker) = state.waker.take() {
            waker.wake();
        }
    }

    /// Whether the connection has been asked to end.
    pub(super) fn is_closing(&self) -> bool {
        self.state().close.is_some()
    }

    /// Before the connection's task waits for the client: how it has been asked to end, if it has.
    fn pause(&self, waker: &Waker) -> (Phase, Option<Close>) {
        let mut state = self.state();
        match &mut state.waker {
            Some(known) => known.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
        (state.phase, state.close)
    }

    fn keep(&self) {
        self.state().close = None;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn enter(&mut self, phase: Phase) {
        (self.phase, self.since, self.close) = (phase, Instant::now(), None);
    }
}

/// The stream of a connection. It notices when a head begins to come and when a response has been taken, and
/// fails instead of waiting when the connection has been asked to end.
pub(super) struct Watched {
    stream: TcpStream,
    connection: Arc<Connection>,
}

impl Watched {
    pub(super) fn new(stream: TcpStream, connection: Arc<Connection>) -> Self {
        Self { stream, connection }
    }

    fn pause_reading(&self, waker: &Waker) -> Poll<io::Result<()>> {
        match self.connection.pause(waker) {
            (Phase::Handling | Phase::Response, _) | (_, None) => return Poll::Pending,
            // Asked of the kernel: the runtime may not know of these bytes yet.
            (_, Some(Close::MakeRoom)) if ioctl_fionread(&self.stream).is_ok_and(|bytes| bytes > 0) => {
                self.connection.keep();
                return Poll::Pending;
            }
            (_, Some(_)) => {}
        }
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    fn pause_writing<T>(&self, waker: &Waker) -> Poll<io::Result<T>> {
        match self.connection.pause(waker) {
            (Phase::Response, Some(_)) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            _ => Poll::Pending,
        }
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if read.is_pending() {
            return self.pause_reading(context.waker());
        }
        if buffer.filled().len() > before {
            self.connection.leave(Phase::Idle, Phase::Head);
        }
        read
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.stream).poll_write(context, bytes) {
            Poll::Pending => self.pause_writing(context.waker()),
            written => written,
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.stream).poll_write_vectored(context, slices) {
            Poll::Pending => self.pause_writing(context.waker()),
            written => written,
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// hyper flushes when it has handed over all that it has buffered.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        if flushed.is_ready() {
            self.connection.leave(Phase::Response, Phase::Idle);
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

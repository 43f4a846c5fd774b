//! A client's connection: what it waits for, and since when.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// What happens on a connection. The server waits for the client in every phase but [`Phase::Accepted`] and
/// [`Phase::Handling`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The server has not tried to read yet.
    Accepted,
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

/// The phase of one connection, shared by its task and the server.
#[derive(Debug)]
pub(super) struct Connection(Mutex<State>);

#[derive(Debug)]
struct State {
    phase: Phase,
    since: Instant,
    closing: bool,
}

impl State {
    fn waits(&self) -> bool {
        !self.closing && !matches!(self.phase, Phase::Accepted | Phase::Handling)
    }
}

impl Connection {
    pub(super) fn new() -> Self {
        Self(Mutex::new(State { phase: Phase::Accepted, since: Instant::now(), closing: false }))
    }

    /// Begins a phase. `false`: the server is closing the connection, nothing may begin on it.
    pub(super) fn enter(&self, phase: Phase) -> bool {
        let mut state = self.state();
        (state.phase, state.since) = (phase, Instant::now());
        !state.closing
    }

    fn leave(&self, phase: Phase, next: Phase) {
        let mut state = self.state();
        if state.phase == phase {
            (state.phase, state.since) = (next, Instant::now());
        }
    }

    /// How long the server has waited for the client, and in which phase; `None` while it does not wait.
    pub(super) fn waiting(&self) -> Option<(Phase, Duration)> {
        let state = self.state();
        state.waits().then(|| (state.phase, state.since.elapsed()))
    }

    /// Whether the connection may be closed. No request begins on it after that.
    pub(super) fn close_if_waiting(&self) -> bool {
        let mut state = self.state();
        let waits = state.waits();
        state.closing |= waits;
        waits
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The stream of a connection; notices when a head begins to come and when a response has been taken.
pub(super) struct Watched {
    stream: TcpStream,
    connection: Arc<Connection>,
}

impl Watched {
    pub(super) fn new(stream: TcpStream, connection: Arc<Connection>) -> Self {
        Self { stream, connection }
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.connection.leave(Phase::Accepted, Phase::Head);
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        if buffer.filled().len() > before {
            self.connection.leave(Phase::Idle, Phase::Head);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// hyper flushes when it has handed over all that it has buffered.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(context))?;
        self.connection.leave(Phase::Response, Phase::Idle);
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

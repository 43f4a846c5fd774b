//! The HTTP/1.1 server: hyper's connections, their number and the time they may take.
//!
//! Heads, bodies, responses and pauses between requests have time limits as a whole, so that bytes which
//! trickle extend none of them. When all connections are in use, the one that has waited longest for its
//! client makes room for the next. A connection whose request is being handled is never closed.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::GracefulShutdown;
use rustix::process::{Resource, getrlimit};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval, interval_at, sleep};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use tower_http::normalize_path::NormalizePath;

use super::connection::{Close, Connection, Phase, Watched};

/// Largest head that hyper reads; it answers 431 without a body beyond. [`super::limits`] has lower limits.
const MAX_READ_BYTES: usize = 64 * 1024;
/// How often time limits are looked at, and so their precision.
const TICK: Duration = Duration::from_millis(100);
/// Pause after a failed accept, and while every connection has a request in hand.
const RETRY: Duration = Duration::from_millis(5);
/// One in so many places is kept free, if enough connections wait for their clients.
const SPARE_PART: usize = 8;
/// How long a client is waited for, at least, before it makes room for another one.
const MIN_WAIT: Duration = Duration::from_millis(25);
/// How long a stop waits for a client to send the rest of a request or to take a response.
const STOP_LIMIT: Duration = Duration::from_millis(500);
/// Descriptors for everything but clients and the database: standard streams, the runtime, the listener,
/// Redis with its reconnects, name resolution, files.
const OWN_DESCRIPTORS: u64 = 32;
/// Fewest connections, however few descriptors there are.
const MIN_CONNECTIONS: usize = 8;

/// Limits of the server.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// For the head of a request, from its first byte or, on a new connection, from the start.
    pub head_timeout: Duration,
    /// For the body of a request, from the end of its head.
    pub body_timeout: Duration,
    /// For the client to take all of a response.
    pub response_timeout: Duration,
    /// Between two requests.
    pub keep_alive_timeout: Duration,
    /// Most connections at the same time; fewer if there are too few descriptors.
    pub max_connections: usize,
}

impl ServerConfig {
    /// The configuration with no more connections than descriptors (`RLIMIT_NOFILE`) leave room for beside
    /// the process's own and those of the database.
    pub fn within_descriptors(mut self, database: u64) -> Self {
        if let Some(descriptors) = getrlimit(Resource::Nofile).current {
            let left = descriptors.saturating_sub(database + OWN_DESCRIPTORS);
            let left = usize::try_from(left).unwrap_or(usize::MAX).max(MIN_CONNECTIONS);
            if left < self.max_connections {
                tracing::info!(descriptors, connections = left, "descriptors bound the connections");
                self.max_connections = left;
            }
        }
        self
    }

    fn limit(&self, phase: Phase) -> Duration {
        match phase {
            Phase::Idle => self.keep_alive_timeout,
            Phase::Head => self.head_timeout,
            Phase::Response => self.response_timeout,
            // `limits::receive` answers 408 after `body_timeout`; handlers have limits of their own.
            Phase::Body | Phase::Handling => Duration::MAX,
        }
    }
}

/// Serves `app` until `stop`, then closes the listener and idle connections and finishes requests that have
/// begun. Clients that leave a request incomplete or do not take a response delay the end by half a second.
pub async fn serve(
    listener: TcpListener,
    app: NormalizePath<Router>,
    config: ServerConfig,
    stop: CancellationToken,
) {
    let mut server = Server::new(app, config);
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !stop.is_cancelled() {
        let full = !server.make_room();
        tokio::select! {
            accepted = listener.accept(), if !full => match accepted {
                Ok((stream, _)) => server.begin(stream),
                Err(error) => server.recover(&error).await,
            },
            () = sleep(RETRY), if full => {}
            Some(ended) = server.tasks.join_next_with_id() => server.forget(ended),
            _ = tick.tick() => server.close_overdue(None),
            () = stop.cancelled() => {}
        }
    }
    drop(listener);
    server.finish().await;
}

struct Server {
    app: NormalizePath<Router>,
    config: ServerConfig,
    http: http1::Builder,
    graceful: GracefulShutdown,
    tasks: JoinSet<()>,
    connections: HashMap<Id, Arc<Connection>>,
}

impl Server {
    fn new(app: NormalizePath<Router>, config: ServerConfig) -> Self {
        let mut http = http1::Builder::new();
        // `header_read_timeout` is off: it counts the pause before a request as part of the request's head.
        // `half_close` stays off: a client that has gone is noticed while its request is handled.
        http.header_read_timeout(None).max_header_size(MAX_READ_BYTES).max_buf_size(2 * MAX_READ_BYTES);
        Self {
            app,
            config,
            http,
            graceful: GracefulShutdown::new(),
            tasks: JoinSet::new(),
            connections: HashMap::new(),
        }
    }

    fn begin(&mut self, stream: TcpStream) {
        // Responses are written whole: there is nothing to wait for.
        let _ = stream.set_nodelay(true);
        let connection = Arc::new(Connection::new());
        let io = TokioIo::new(Watched::new(stream, connection.clone()));
        let (app, shared) = (self.app.clone(), connection.clone());
        let service = service_fn(move |request| handle(app.clone(), shared.clone(), request));
        let http = self.graceful.watch(self.http.serve_connection(io, service));
        let task = self.tasks.spawn(async move {
            if let Err(error) = http.await {
                tracing::debug!(%error, "a connection failed");
            }
        });
        self.connections.insert(task.id(), connection);
    }

    /// Whether another connection may be accepted. Connections are closed before the last place is taken, so
    /// that an accept need not wait for that.
    fn make_room(&self) -> bool {
        let (used, most) = (self.connections.len(), self.config.max_connections);
        let missing = (used + most / SPARE_PART).saturating_sub(most);
        if missing > 0 {
            self.close_longest_waiting(missing);
        }
        used < most
    }

    /// Sees to it that so many connections are closing: those that have waited longest for their client.
    fn close_longest_waiting(&self, count: usize) {
        let closing = self.connections.values().filter(|connection| connection.is_closing()).count();
        let open = self.connections.values().filter(|connection| !connection.is_closing());
        let waited = open.filter_map(|connection| Some((connection.waiting()?.1, connection)));
        let mut waited: Vec<_> = waited.filter(|(time, _)| *time >= MIN_WAIT).collect();
        waited.sort_unstable_by_key(|(time, _)| Reverse(*time));
        for (_, connection) in waited.iter().take(count.saturating_sub(closing)) {
            connection.close(Close::MakeRoom);
        }
    }

    /// Closes connections whose client has used up its time; `limit` instead of the configured ones.
    fn close_overdue(&self, limit: Option<Duration>) {
        for connection in self.connections.values() {
            if let Some((phase, time)) = connection.waiting()
                && time >= limit.unwrap_or_else(|| self.config.limit(phase))
            {
                connection.close(Close::Overdue);
            }
        }
    }

    /// After a failed accept: most likely something else has used up the descriptors.
    async fn recover(&self, error: &io::Error) {
        tracing::warn!(%error, connections = self.connections.len(), "a connection could not be accepted");
        self.close_longest_waiting(1);
        sleep(RETRY).await;
    }

    fn forget(&mut self, ended: Result<(Id, ()), JoinError>) {
        let id = ended.map_or_else(|error| error.id(), |(id, ())| id);
        self.connections.remove(&id);
    }

    async fn finish(mut self) {
        let graceful = std::mem::take(&mut self.graceful);
        let mut closed = std::pin::pin!(graceful.shutdown());
        let mut tick = interval_at(Instant::now() + STOP_LIMIT, TICK);
        loop {
            tokio::select! {
                () = &mut closed => return,
                _ = tick.tick() => self.close_overdue(Some(STOP_LIMIT)),
            }
        }
    }
}

async fn handle(
    app: NormalizePath<Router>,
    connection: Arc<Connection>,
    mut request: Request<Incoming>,
) -> Result<Response, Infallible> {
    connection.enter(if request.body().is_end_stream() { Phase::Handling } else { Phase::Body });
    request.extensions_mut().insert(connection.clone());
    let response = app.oneshot(request.map(Body::new)).await;
    connection.enter(Phase::Response);
    response
}

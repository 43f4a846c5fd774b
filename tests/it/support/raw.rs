use std::io::{Read, Write};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

/// How a client takes its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slow {
    /// Sends nothing.
    Silent,
    /// Sends half a head.
    Head,
    /// Sends a head, one byte at a time.
    TricklingHead,
    /// Sends a head and half a body.
    Body,
    /// Sends a body, one byte at a time.
    TricklingBody,
    /// Sends requests for the list of the user 1001 and reads no response.
    NotReading,
}

impl Slow {
    pub const ALL: [Self; 6] =
        [Self::Silent, Self::Head, Self::TricklingHead, Self::Body, Self::TricklingBody, Self::NotReading];
}

/// How long a test waits for the service.
const LONGEST: Duration = Duration::from_secs(20);
/// Between two bytes of a client that trickles.
const PACE: Duration = Duration::from_millis(50);
const BODY: &str =
    "POST /api/job-agent/recommendations/calculate/1 HTTP/1.1\r\nhost: a\r\ncontent-length: 60000\r\n\r\n";

/// With more than fits into the buffers of both sides when it is sent often enough.
const LISTS: &str = "GET /api/job-agent/recommendations/fast/1001?limit=100 HTTP/1.1\r\nhost: a\r\n\r\n";

/// A connection to the service at `address` (`http://host:port`), without a client library.
pub async fn connect(address: &str) -> std::io::Result<TcpStream> {
    TcpStream::connect(address.trim_start_matches("http://")).await
}

/// Sends `request` on a connection of its own and reads until the service closes it.
pub async fn exchange(address: &str, request: &str) -> String {
    let mut stream = connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    rest(&mut stream).await
}

/// `GET /health` on a connection of its own, from a thread that has nothing else to do: the time is that of
/// the service.
pub async fn health(address: &str) -> (String, Duration) {
    let address = address.trim_start_matches("http://").to_owned();
    let get = move || {
        let started = Instant::now();
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(LONGEST)).unwrap();
        let _ = stream.write_all(b"GET /health HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        (answer, started.elapsed())
    };
    tokio::task::spawn_blocking(get).await.unwrap()
}

/// Everything until the service closes the connection, or for as long as a test may wait.
pub async fn rest(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    // A connection that is closed with unread bytes may end in a reset.
    let _ = timeout(LONGEST, stream.read_to_end(&mut bytes)).await;
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Is slow until the service closes the connection; the answer, if any, and how long that took. Fails if the
/// service does not within the time that a test waits.
pub async fn be_slow(
    address: &str,
    how: Slow,
    connected: impl FnOnce(),
) -> std::io::Result<(String, Duration)> {
    timeout(LONGEST, slow_exchange(address, how, connected)).await?
}

/// Calls `connected` as soon as the client has sent what it sends at once.
async fn slow_exchange(
    address: &str,
    how: Slow,
    connected: impl FnOnce(),
) -> std::io::Result<(String, Duration)> {
    let mut stream = match how {
        Slow::NotReading => {
            let socket = TcpSocket::new_v4()?;
            socket.set_recv_buffer_size(4096)?;
            socket.connect(address.trim_start_matches("http://").parse().unwrap()).await?
        }
        _ => connect(address).await?,
    };
    let started = Instant::now();
    match how {
        Slow::Silent => {}
        Slow::Head | Slow::TricklingHead => stream.write_all(b"GET /health HTTP/1.1\r\nhost: ").await?,
        Slow::Body | Slow::TricklingBody => stream.write_all(format!("{BODY}{{").as_bytes()).await?,
        Slow::NotReading => stream.write_all(LISTS.repeat(1_000).as_bytes()).await?,
    }
    connected();
    let mut answer = Vec::new();
    match how {
        Slow::Silent | Slow::Head | Slow::Body => {
            let _ = stream.read_to_end(&mut answer).await;
        }
        Slow::TricklingHead | Slow::TricklingBody => {
            let (mut read, mut write) = stream.split();
            let trickle = async {
                let mut pace = tokio::time::interval(PACE);
                loop {
                    pace.tick().await;
                    if write.write_all(b" ").await.is_err() {
                        // The answer, if any, is what the other half reads.
                        std::future::pending::<()>().await;
                    }
                }
            };
            tokio::select! {
                _ = read.read_to_end(&mut answer) => {}
                () = trickle => {}
            }
        }
        Slow::NotReading => {
            let mut pace = tokio::time::interval(PACE);
            while stream.write_all(b"\n").await.is_ok() {
                pace.tick().await;
            }
        }
    }
    Ok((String::from_utf8_lossy(&answer).into_owned(), started.elapsed()))
}

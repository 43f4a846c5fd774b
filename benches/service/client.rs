//! A client of HTTP/1.1 that costs little: one connection that is kept open, one request at a time.

use std::time::Duration;

use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

/// A connection to a server.
pub struct Client {
    authority: String,
    sender: SendRequest<Empty<Bytes>>,
}

/// The status and the body of an answer.
pub struct Answer {
    pub status: u16,
    pub body: Bytes,
}

impl Client {
    /// Connects to `http://HOST:PORT`.
    pub async fn connect(address: &str) -> Self {
        let authority = address.trim_start_matches("http://").to_owned();
        Self { sender: sender(&authority).await, authority }
    }

    /// A request without a body.
    pub async fn send(&mut self, method: Method, path: &str) -> Result<Answer, hyper::Error> {
        if self.sender.is_closed() {
            self.sender = sender(&self.authority).await;
        }
        self.sender.ready().await?;
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", &self.authority)
            .body(Empty::new())
            .expect("a valid request");
        let answer = self.sender.send_request(request).await?;
        let status = answer.status().as_u16();
        Ok(Answer { status, body: answer.into_body().collect().await?.to_bytes() })
    }

    /// A GET that must succeed.
    pub async fn get(&mut self, path: &str) -> Bytes {
        let answer = self.send(Method::GET, path).await.expect("an answer");
        assert!(answer.status < 300, "GET {path}: {}", String::from_utf8_lossy(&answer.body));
        answer.body
    }

    /// A POST that must succeed, with its answer.
    pub async fn post(&mut self, path: &str) -> Value {
        let answer = self.send(Method::POST, path).await.expect("an answer");
        assert!(answer.status < 300, "POST {path}: {}", String::from_utf8_lossy(&answer.body));
        serde_json::from_slice(&answer.body).expect("JSON")
    }
}

async fn sender(authority: &str) -> SendRequest<Empty<Bytes>> {
    let stream = connected(authority).await;
    stream.set_nodelay(true).expect("a TCP stream");
    let (sender, connection) = handshake(TokioIo::new(stream)).await.expect("HTTP/1.1");
    tokio::spawn(connection);
    sender
}

/// Many callers at once can overflow the queue of a listener.
async fn connected(authority: &str) -> TcpStream {
    for _ in 0..50 {
        if let Ok(stream) = TcpStream::connect(authority).await {
            return stream;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{authority} does not accept connections");
}

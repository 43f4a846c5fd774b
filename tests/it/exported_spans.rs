//! Spans that a collector of OpenTelemetry gets, in builds with the feature `otlp`.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::support::{Kind, TestDatabase, TestProcess, USER};

/// A collector, and the requests that it has received. In their protocol buffers, texts stand as they are.
async fn collector() -> (String, Arc<Mutex<String>>) {
    let received = Arc::<Mutex<String>>::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let requests = received.clone();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let (mut request, mut buffer) = (Vec::new(), [0; 4096]);
            while !is_whole(&request) {
                let read = stream.read(&mut buffer).await.unwrap();
                assert!(read > 0, "the request broke off");
                request.extend_from_slice(&buffer[..read]);
            }
            requests.lock().unwrap().push_str(&String::from_utf8_lossy(&request));
            let answer = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    (address, received)
}

fn is_whole(request: &[u8]) -> bool {
    let end = request.windows(4).position(|bytes| bytes == b"\r\n\r\n").map(|at| at + 4);
    end.is_some_and(|end| {
        let head = String::from_utf8_lossy(&request[..end]).to_ascii_lowercase();
        let length =
            head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
        request.len() >= end + length.unwrap()
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_gets_the_spans_of_a_request_and_of_its_run() {
    let database = TestDatabase::create(Kind::Sqlite).await;
    database.set_career(USER, "간호사").await;
    let (address, received) = collector().await;
    let settings = [("OTEL_EXPORTER_OTLP_ENDPOINT", address.as_str()), ("INSTANCE_NAME", "one-of-three")];
    let mut process = TestProcess::start(&database, &settings).await;
    let path = format!("{}/api/job-agent/recommendations/calculate/{USER}", process.address);
    let calculate = reqwest::Client::new().post(path).header("x-request-id", "trace-1.a");
    assert!(calculate.send().await.unwrap().status().is_success());
    process.signal("TERM");
    assert_eq!(process.exit_code().await, Some(0), "{}", process.log());
    let received = received.lock().unwrap();
    assert!(received.starts_with("POST /v1/traces HTTP/1.1\r\n"), "{received}");
    let route = "/api/job-agent/recommendations/calculate/{user_id}";
    for text in
        ["job-agent", "one-of-three", "request_id", "trace-1.a", route, "run_id", "outcome", "computed"]
    {
        assert!(received.contains(text), "{text}: {received}");
    }
}

//! A link that takes time: a TCP proxy that passes everything on a moment later. Threads, because their sleep is exact to
//! about 50 µs, that of the runtime only to a millisecond.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

/// A proxy for as long as this process lives.
pub struct Delay {
    /// The URL with the proxy's address.
    pub url: String,
}

impl Delay {
    /// A proxy to the server of `scheme://[user@]HOST:PORT[/…]`, which delays each direction.
    pub fn of_url(url: &str, delay: Duration) -> Self {
        let (scheme, rest) = url.split_once("://").expect("a URL");
        let (authority, path) = rest
            .split_once('/')
            .map_or((rest, String::new()), |(authority, path)| (authority, format!("/{path}")));
        let (user, server) = authority
            .rsplit_once('@')
            .map_or((String::new(), authority), |(user, server)| (format!("{user}@"), server));
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound");
        let server = server.to_owned();
        thread::spawn(move || {
            for client in listener.incoming() {
                let (client, server) =
                    (client.expect("accepted"), TcpStream::connect(&server).expect("connected"));
                pass_on(&client, &server, delay);
                pass_on(&server, &client, delay);
            }
        });
        Self { url: format!("{scheme}://{user}{address}{path}") }
    }
}

fn pass_on(from: &TcpStream, to: &TcpStream, delay: Duration) {
    let [mut from, mut to] = [from, to].map(|stream| {
        stream.set_nodelay(true).expect("a TCP stream");
        stream.try_clone().expect("a descriptor")
    });
    let (sender, receiver) = channel::<(Instant, Vec<u8>)>();
    thread::spawn(move || {
        let mut buffer = [0; 64 * 1024];
        while let Ok(size @ 1..) = from.read(&mut buffer) {
            let due = Instant::now() + delay;
            if sender.send((due, buffer[..size].to_vec())).is_err() {
                return;
            }
        }
    });
    thread::spawn(move || {
        for (due, bytes) in receiver {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if to.write_all(&bytes).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Both);
    });
}

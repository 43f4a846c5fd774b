use std::sync::{Arc, Mutex};

use tokio::net::{TcpListener, TcpStream};

/// An address that leads to a server, as a name does. After a switch it leads to another one; connections that are
/// open stay with the old one.
pub struct Forwarder {
    pub port: u16,
    target: Arc<Mutex<String>>,
}

impl Forwarder {
    pub async fn start(target: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let target = Arc::new(Mutex::new(target.to_owned()));
        let current = target.clone();
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let target = current.lock().unwrap().clone();
                tokio::spawn(async move {
                    let mut server = TcpStream::connect(&target).await.unwrap();
                    // Ends when one of the two does.
                    _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                });
            }
        });
        Self { port, target }
    }

    pub fn switch(&self, target: &str) {
        *self.target.lock().unwrap() = target.to_owned();
    }
}

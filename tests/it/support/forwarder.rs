use std::sync::{Arc, Mutex};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// An address that leads to a server, as a name does. After a switch it leads to another one; connections that are
/// open stay with the old one.
pub struct Forwarder {
    pub port: u16,
    target: Arc<Mutex<String>>,
    silences: watch::Sender<()>,
}

impl Forwarder {
    pub async fn start(target: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let target = Arc::new(Mutex::new(target.to_owned()));
        let current = target.clone();
        let silences = watch::Sender::new(());
        let silenced = silences.subscribe();
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let target = current.lock().unwrap().clone();
                let mut silenced = silenced.clone();
                silenced.mark_unchanged();
                tokio::spawn(async move {
                    let mut server = TcpStream::connect(&target).await.unwrap();
                    // Ends when one of the two does.
                    let copied = tokio::io::copy_bidirectional(&mut client, &mut server);
                    tokio::select! {
                        _ = copied => {}
                        Ok(()) = silenced.changed() => std::future::pending().await,
                    }
                });
            }
        });
        Self { port, target, silences }
    }

    /// Connections that are open now stay open, and nothing passes over them any more, as with a host that is gone.
    pub fn silence(&self) {
        self.silences.send_replace(());
    }

    pub fn switch(&self, target: &str) {
        *self.target.lock().unwrap() = target.to_owned();
    }
}

//! The two directions of a connection.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::statements::{Statements, packets};
use super::{Action, Flow, Protocol, Rule, Shared};

impl Shared {
    pub(super) async fn forward(self: Arc<Self>, client: TcpStream) {
        if self.refuses.load(Ordering::SeqCst) {
            let _ = client.set_zero_linger();
            return;
        }
        let server = *self.server.lock().unwrap();
        let Ok(server) = TcpStream::connect(server).await else {
            let _ = client.set_zero_linger();
            return;
        };
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
        let statements = Arc::new(Mutex::new(Statements::default()));
        let client_gone = CancellationToken::new();
        let mut resets = self.resets.subscribe();
        let up = self.clone().up(from_client, to_server, statements.clone(), client_gone.clone());
        let down = tokio::spawn(self.clone().down(from_server, to_client, statements, client_gone.clone()));
        let up = tokio::spawn(up);
        let up_task = up.abort_handle();
        tokio::select! {
            // Either end may close its half first; neither client nor server has a use for the other half.
            _ = up => {}
            _ = down => {}
            _ = resets.changed() => up_task.abort(),
        }
        // `down` ends now. `up` may still have a statement to deliver late, or for a client that was killed.
        client_gone.cancel();
    }

    async fn up(
        self: Arc<Self>,
        mut client: OwnedReadHalf,
        mut server: OwnedWriteHalf,
        statements: Arc<Mutex<Statements>>,
        client_gone: CancellationToken,
    ) {
        let mut flow = self.up.subscribe();
        let (mut chunk, mut buffer) = (vec![0; 16_384], Vec::new());
        loop {
            let read = tokio::select! {
                read = client.read(&mut chunk) => read,
                () = client_gone.cancelled() => return,
            };
            match read {
                Ok(read) if read > 0 => buffer.extend_from_slice(&chunk[..read]),
                _ => return,
            }
            for packet in self.pieces(&mut buffer) {
                pass(&mut flow).await;
                match self.trapped(&packet, &statements) {
                    None => {}
                    Some((Action::Hold(longest), open)) => drop(timeout(longest, open.notified()).await),
                    Some((action, _)) => return lose(action, &packet, client, server, client_gone).await,
                }
                if server.write_all(&packet).await.is_err() {
                    return;
                }
            }
        }
    }

    async fn down(
        self: Arc<Self>,
        mut server: OwnedReadHalf,
        mut client: OwnedWriteHalf,
        statements: Arc<Mutex<Statements>>,
        client_gone: CancellationToken,
    ) {
        let mut flow = self.down.subscribe();
        let (mut chunk, mut buffer) = (vec![0; 16_384], Vec::new());
        loop {
            let forwarded = async {
                match server.read(&mut chunk).await {
                    Ok(read) if read > 0 => buffer.extend_from_slice(&chunk[..read]),
                    _ => return false,
                }
                for packet in self.pieces(&mut buffer) {
                    if self.protocol == Protocol::Mysql {
                        statements.lock().unwrap().answered(&packet);
                    }
                    pass(&mut flow).await;
                    if client.write_all(&packet).await.is_err() {
                        return false;
                    }
                }
                true
            };
            tokio::select! {
                forwarded = forwarded => if !forwarded { return },
                () = client_gone.cancelled() => {
                    let _ = client.as_ref().set_zero_linger();
                    return;
                }
            }
        }
    }

    /// The parts of `buffer` that are forwarded one by one; an incomplete packet stays in it.
    fn pieces(&self, buffer: &mut Vec<u8>) -> Vec<Vec<u8>> {
        match self.protocol {
            Protocol::Mysql => packets(buffer),
            Protocol::Bytes => vec![std::mem::take(buffer)],
        }
    }

    /// The fate of this packet of the client if a trap has caught it, with the signal that opens the trap.
    fn trapped(&self, packet: &[u8], statements: &Mutex<Statements>) -> Option<(Action, Arc<Notify>)> {
        if self.protocol == Protocol::Bytes {
            return None;
        }
        let mut statements = statements.lock().unwrap();
        let step = statements.executed(packet)?;
        *self.seen.lock().unwrap().entry(step).or_default() += 1;
        let mut rules = self.rules.lock().unwrap();
        let index = rules.iter().position(|rule| {
            rule.step == step && rule.about.matches(&statements.latest) && !rule.caught.is_closed()
        })?;
        let Rule { action, caught, open, .. } = rules.swap_remove(index);
        let _ = caught.send(());
        Some((action, open))
    }
}

/// Resets the client's connection, with or without delivering its statement.
async fn lose(
    action: Action,
    packet: &[u8],
    client: OwnedReadHalf,
    mut server: OwnedWriteHalf,
    client_gone: CancellationToken,
) {
    let _ = client.as_ref().set_zero_linger();
    if action == Action::LoseStatement {
        return;
    }
    drop(client);
    client_gone.cancel();
    if let Action::DeliverLate(delay) = action {
        sleep(delay).await;
    }
    let _ = server.write_all(packet).await;
}

/// Returns when the next piece may pass.
async fn pass(flow: &mut watch::Receiver<Flow>) {
    loop {
        let now = *flow.borrow_and_update();
        match now {
            Flow::Open => return,
            Flow::Delayed(delay) => return sleep(delay).await,
            Flow::Silent => {
                if flow.changed().await.is_err() {
                    return;
                }
            }
        }
    }
}

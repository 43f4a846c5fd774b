//! A TCP proxy in this process that can hurt the connections it forwards. On a link to MySQL it recognises the
//! service's statements, so that a fault can hit a chosen step of the protocol and not only a random moment.

mod forward;
mod statements;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{Notify, oneshot, watch};
use tokio::time::timeout;

pub use self::statements::{About, Step};

/// The protocol of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// MySQL without TLS: its packets are told apart.
    Mysql,
    /// Any other: bytes are forwarded as they arrive.
    Bytes,
}

/// How one direction of a link flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    Open,
    Delayed(Duration),
    /// A black hole. As with TCP, bytes arrive late if the hole closes before the connection ends.
    Silent,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the client, which is the service, to the server.
    Up,
    Down,
}

/// The fate of a statement that a trap catches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// It waits until the trap is opened, at most this long; then it is sent, even if its client has gone.
    Hold(Duration),
    /// The connection is reset before the statement is sent.
    LoseStatement,
    /// The statement is sent, and the connection is reset before its answer.
    LoseAnswer,
    /// The connection is reset at once; the statement is sent later all the same.
    DeliverLate(Duration),
}

struct Rule {
    step: Step,
    about: About,
    action: Action,
    caught: oneshot::Sender<()>,
    open: Arc<Notify>,
}

/// Waits for one statement. Dropping it removes a trap that has caught nothing and opens one that has.
pub struct Trap {
    caught: oneshot::Receiver<()>,
    open: Arc<Notify>,
}

impl Trap {
    /// Whether a statement was caught within this time.
    pub async fn caught(&mut self, within: Duration) -> bool {
        matches!(timeout(within, &mut self.caught).await, Ok(Ok(())))
    }

    /// Lets a held statement go on.
    pub fn open(self) {}
}

impl Drop for Trap {
    fn drop(&mut self) {
        self.open.notify_one();
    }
}

/// One link.
#[derive(Clone)]
pub struct Proxy {
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    protocol: Protocol,
    server: Mutex<SocketAddr>,
    up: watch::Sender<Flow>,
    down: watch::Sender<Flow>,
    refuses: AtomicBool,
    resets: watch::Sender<u64>,
    rules: Mutex<Vec<Rule>>,
    seen: Mutex<BTreeMap<Step, u64>>,
}

impl Proxy {
    pub async fn start(protocol: Protocol, server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            protocol,
            server: Mutex::new(server),
            up: watch::Sender::new(Flow::Open),
            down: watch::Sender::new(Flow::Open),
            refuses: AtomicBool::new(false),
            resets: watch::Sender::new(0),
            rules: Mutex::default(),
            seen: Mutex::default(),
        });
        let accepting = shared.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let shared = accepting.clone();
                tokio::spawn(async move { shared.forward(client).await });
            }
        });
        Self { address, shared }
    }

    /// The server of new connections.
    pub fn set_server(&self, server: SocketAddr) {
        *self.shared.server.lock().unwrap() = server;
    }

    pub fn set_flow(&self, direction: Direction, flow: Flow) {
        match direction {
            Direction::Up => self.shared.up.send_replace(flow),
            Direction::Down => self.shared.down.send_replace(flow),
        };
    }

    /// Whether new connections are reset at once.
    pub fn set_refuses(&self, refuses: bool) {
        self.shared.refuses.store(refuses, Ordering::SeqCst);
    }

    /// Resets all connections.
    pub fn reset(&self) {
        self.shared.resets.send_modify(|resets| *resets += 1);
    }

    /// Undoes all lasting faults. Connections stay.
    pub fn heal(&self) {
        self.set_refuses(false);
        self.set_flow(Direction::Up, Flow::Open);
        self.set_flow(Direction::Down, Flow::Open);
        self.shared.rules.lock().unwrap().clear();
    }

    /// Catches the next statement of this step about this user.
    pub fn trap(&self, step: Step, about: About, action: Action) -> Trap {
        let (sender, caught) = oneshot::channel();
        let open = Arc::new(Notify::new());
        let rule = Rule { step, about, action, caught: sender, open: open.clone() };
        let mut rules = self.shared.rules.lock().unwrap();
        rules.retain(|rule| !rule.caught.is_closed());
        rules.push(rule);
        Trap { caught, open }
    }

    /// How many statements of each step were recognised, with or without a trap.
    pub fn seen(&self) -> BTreeMap<Step, u64> {
        self.shared.seen.lock().unwrap().clone()
    }
}

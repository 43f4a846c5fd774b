//! A TCP proxy in this process that can hurt what it forwards. On a link to MySQL it knows the statements, so
//! that a fault can be had at a chosen step of the protocol instead of at some moment or other.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, oneshot, watch};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::campaign::USERS;

/// What the bytes mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// MySQL without TLS: its packets are told apart.
    Mysql,
    /// Anything: what is read at once is forwarded at once.
    Bytes,
}

/// How one direction of a link flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    Open,
    Delayed(Duration),
    /// A black hole. As with TCP, what was sent arrives late if the hole closes before the connection ends.
    Silent,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the client, which is the service, to the server.
    Up,
    Down,
}

/// A step of the service's protocol, as a statement on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Step {
    ReadState,
    ReadInputs,
    Begin,
    Compare,
    DeleteRows,
    InsertRows,
    Commit,
    Confirm,
    Request,
    Claim,
    GiveBack,
}

impl Step {
    /// All steps of a run, in order.
    pub const RUN: [Self; 8] = [
        Self::ReadState,
        Self::ReadInputs,
        Self::Begin,
        Self::Compare,
        Self::DeleteRows,
        Self::InsertRows,
        Self::Commit,
        Self::Confirm,
    ];

    /// What only this step's statement contains.
    fn mark(self) -> &'static str {
        match self {
            Self::ReadState => "AS row_count",
            Self::ReadInputs => "FROM job_recommendations",
            Self::Begin => "BEGIN",
            Self::Compare => "SET version = version + 1",
            Self::DeleteRows => "DELETE r FROM user_job_recommendations",
            Self::InsertRows => "INSERT INTO user_job_recommendations",
            Self::Commit => "COMMIT",
            Self::Confirm => "SET confirmations = confirmations + 1",
            Self::Request => "ON DUPLICATE KEY UPDATE requested_seq = LAST_INSERT_ID",
            Self::Claim => "lease_until = UTC_TIMESTAMP(6) + INTERVAL",
            Self::GiveBack => "lease_token = NULL, lease_until = NULL WHERE",
        }
    }
}

/// Whom a statement is about, as its parameters tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// Perhaps nobody.
    Anything,
    User(i64),
    /// Some user of the campaign.
    AnyUser,
}

impl About {
    /// `COMMIT` has no parameters: it counts for what was executed before it.
    fn matches(self, parameters: &[u8]) -> bool {
        let wanted = |number: i64| match self {
            Self::Anything => true,
            Self::User(user) => number == user,
            Self::AnyUser => USERS.contains(&number),
        };
        let numbers = parameters.windows(8).map(|bytes| i64::from_le_bytes(bytes.try_into().unwrap()));
        self == Self::Anything || numbers.into_iter().any(wanted)
    }
}

/// What happens to a statement that a trap catches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// It waits until the trap is opened, at most this long; then it is sent, even if its client has gone.
    Hold(Duration),
    /// The connection is reset before it is sent.
    LoseStatement,
    /// It is sent, and the connection is reset before its answer.
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

/// Waits for one statement. Dropping it takes away a trap that has caught nothing and opens one that has.
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

    /// New connections go there.
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

    /// Catches the next statement of this step that is about whom it should be.
    pub fn trap(&self, step: Step, about: About, action: Action) -> Trap {
        let (sender, caught) = oneshot::channel();
        let open = Arc::new(Notify::new());
        let rule = Rule { step, about, action, caught: sender, open: open.clone() };
        let mut rules = self.shared.rules.lock().unwrap();
        rules.retain(|rule| !rule.caught.is_closed());
        rules.push(rule);
        Trap { caught, open }
    }
}

/// What the proxy knows of one MySQL connection.
#[derive(Default)]
struct Statements {
    /// Being prepared.
    pending: Option<String>,
    texts: HashMap<u32, String>,
    /// The latest execution's parameters.
    latest: Vec<u8>,
}

impl Statements {
    /// The text that a command of the client executes.
    fn executed(&mut self, packet: &[u8]) -> Option<String> {
        const QUERY: u8 = 0x03;
        const PREPARE: u8 = 0x16;
        const EXECUTE: u8 = 0x17;
        let (&sequence, &command) = (packet.get(3)?, packet.get(4)?);
        let body = &packet[5..];
        match command {
            _ if sequence != 0 => None,
            QUERY => Some(String::from_utf8_lossy(body).into_owned()),
            PREPARE => {
                self.pending = Some(String::from_utf8_lossy(body).into_owned());
                None
            }
            EXECUTE => {
                self.latest = body.to_vec();
                self.texts.get(&u32::from_le_bytes(body.get(..4)?.try_into().ok()?)).cloned()
            }
            _ => None,
        }
    }

    /// Takes the id of a prepared statement from the server's first packet after the command.
    fn answered(&mut self, packet: &[u8]) {
        if packet.get(3) == Some(&1)
            && let Some(text) = self.pending.take()
            && packet.get(4) == Some(&0)
            && let Some(id) = packet.get(5..9)
        {
            self.texts.insert(u32::from_le_bytes(id.try_into().unwrap()), text);
        }
    }
}

/// Cuts what has been read into packets; the rest stays in `buffer`.
fn packets(protocol: Protocol, buffer: &mut Vec<u8>) -> Vec<Vec<u8>> {
    if protocol == Protocol::Bytes {
        return vec![std::mem::take(buffer)];
    }
    let mut packets = Vec::new();
    while buffer.len() >= 4 {
        let length = 4 + u32::from_le_bytes([buffer[0], buffer[1], buffer[2], 0]) as usize;
        if buffer.len() < length {
            break;
        }
        packets.push(buffer.drain(..length).collect());
    }
    packets
}

impl Shared {
    async fn forward(self: Arc<Self>, client: TcpStream) {
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
        let aborts = (up.abort_handle(), down.abort_handle());
        tokio::select! {
            // Either end may close its half first; a half-closed connection is of no use to anybody here.
            _ = up => {}
            _ = down => {}
            _ = resets.changed() => {
                aborts.0.abort();
            }
        }
        // A statement that is to be delivered late, or to a server whose client was killed, is still on its way.
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
            for packet in packets(self.protocol, &mut buffer) {
                pass(&mut flow).await;
                let text = match self.protocol {
                    Protocol::Mysql => statements.lock().unwrap().executed(&packet),
                    Protocol::Bytes => None,
                };
                let rule = text.and_then(|text| self.rule_for(&text, &statements.lock().unwrap().latest));
                if let Some(rule) = rule {
                    let _ = rule.caught.send(());
                    match rule.action {
                        Action::Hold(longest) => drop(timeout(longest, rule.open.notified()).await),
                        Action::LoseStatement => return drop(client.as_ref().set_zero_linger()),
                        Action::LoseAnswer | Action::DeliverLate(_) => {
                            let _ = client.as_ref().set_zero_linger();
                            drop(client);
                            client_gone.cancel();
                            if let Action::DeliverLate(delay) = rule.action {
                                sleep(delay).await;
                            }
                            let _ = server.write_all(&packet).await;
                            return;
                        }
                    }
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
                for packet in packets(self.protocol, &mut buffer) {
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

    fn rule_for(&self, text: &str, parameters: &[u8]) -> Option<Rule> {
        let mut rules = self.rules.lock().unwrap();
        let matches = |rule: &Rule| {
            text.contains(rule.step.mark()) && rule.about.matches(parameters) && !rule.caught.is_closed()
        };
        let index = rules.iter().position(matches)?;
        Some(rules.swap_remove(index))
    }
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

//! Replicated engines: the members, the balancer before them, and what an operator or the engine does when the primary
//! fails. `scripts/with-servers --topology` starts them.

mod binlog;
mod galera;
mod group;
mod process;
mod replicas;
mod sentinels;

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use sqlx::mysql::{MySqlConnectOptions, MySqlConnection};
use sqlx::{ConnectOptions, Connection};
use tokio::time::{sleep, timeout};

pub use self::process::{Cut, Process};
pub use self::sentinels::Sentinels;
use super::checker::Invariant;

/// How long a member may take to become primary, or to be a member again.
const PATIENCE: Duration = Duration::from_secs(120);

/// The engines, by the names that `scripts/chaos` knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    GroupReplication,
    SemiSync,
    Asynchronous,
    GaleraOneWriter,
    GaleraAllWriters,
}

impl Kind {
    const ALL: [Self; 5] = [
        Self::GroupReplication,
        Self::SemiSync,
        Self::Asynchronous,
        Self::GaleraOneWriter,
        Self::GaleraAllWriters,
    ];

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    fn name(self) -> &'static str {
        match self {
            Self::GroupReplication => "group-replication",
            Self::SemiSync => "semi-sync",
            Self::Asynchronous => "asynchronous",
            Self::GaleraOneWriter => "galera-one-writer",
            Self::GaleraAllWriters => "galera-all-writers",
        }
    }

    /// Whether the invariant holds on this engine. An asynchronous replica that is promoted lacks the last commits:
    /// acknowledged triggers are lost, and rows and profiles of the time before may return. Even then, the service comes
    /// to rest, answers in time and leaves nothing open.
    pub fn promises(self, invariant: Invariant) -> bool {
        use Invariant::{Bounded, Clean, Converges, OwnerOnly};
        self != Self::Asynchronous || matches!(invariant, Converges | Bounded | OwnerOnly | Clean)
    }

    /// Settings with which the harness reads what is committed, and nothing older.
    pub fn session(self) -> &'static str {
        match self {
            Self::GroupReplication => "SET SESSION group_replication_consistency = 'BEFORE'",
            // A commit that a replica has not got is not visible, or nothing is promised.
            Self::SemiSync | Self::Asynchronous => "DO 0",
            Self::GaleraOneWriter | Self::GaleraAllWriters => "SET SESSION wsrep_sync_wait = 15",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How the primary changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// SIGKILL; it is started again.
    Killed,
    /// SIGKILL while the others have not applied all that they have received.
    KilledWithReplicasBehind,
    /// SIGKILL; it comes back as a clone.
    KilledAndCloned,
    /// SIGSTOP until after another has taken over.
    Stopped,
    /// Cut off from the other members, in one direction or both.
    CutOffFromMembers(Cut),
    /// Cut off from members and clients.
    CutOff,
    /// By an operator.
    SwitchOver,
}

impl Change {
    pub const ALL: [Self; 9] = [
        Self::Killed,
        Self::KilledWithReplicasBehind,
        Self::KilledAndCloned,
        Self::Stopped,
        Self::CutOffFromMembers(Cut::Both),
        Self::CutOffFromMembers(Cut::Incoming),
        Self::CutOffFromMembers(Cut::Outgoing),
        Self::CutOff,
        Self::SwitchOver,
    ];

    /// Of ten changes, nine are failures.
    pub fn any(rng: &mut fastrand::Rng) -> Self {
        match rng.u8(..20) {
            0..5 => Self::Killed,
            5..7 => Self::KilledWithReplicasBehind,
            7 => Self::KilledAndCloned,
            8..12 => Self::Stopped,
            12..14 => Self::CutOffFromMembers(Cut::Both),
            14 => Self::CutOffFromMembers(Cut::Incoming),
            15 => Self::CutOffFromMembers(Cut::Outgoing),
            16..18 => Self::CutOff,
            _ => Self::SwitchOver,
        }
    }

    /// Whether nobody asked for it.
    pub fn is_failover(self) -> bool {
        self != Self::SwitchOver
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Killed => "primary killed",
            Self::KilledWithReplicasBehind => "primary killed, the others seconds behind",
            Self::KilledAndCloned => "primary killed, back as a clone",
            Self::Stopped => "primary stopped",
            Self::CutOffFromMembers(Cut::Both) => "primary cut off from the members",
            Self::CutOffFromMembers(Cut::Incoming) => "primary deaf to the members",
            Self::CutOffFromMembers(Cut::Outgoing) => "primary unheard by the members",
            Self::CutOff => "primary cut off from members and clients",
            Self::SwitchOver => "switch-over",
        })
    }
}

pub struct Topology {
    pub kind: Kind,
    members: Vec<Process>,
    /// That of the harness, and of the instances unless they have others.
    balancer: Process,
    /// Those of the instances: one for all, or one for each.
    balancers: Vec<Process>,
    /// The member that was made primary last, where an operator does that.
    promoted: AtomicUsize,
}

impl Topology {
    /// The topology that `scripts/with-servers` has started.
    pub fn take_over(kind: Kind) -> Self {
        let careless = std::env::var_os("TEST_CARELESS_BALANCER").is_some();
        let balancer = match kind {
            Kind::GaleraOneWriter | Kind::GaleraAllWriters => "galera-1",
            _ => kind.name(),
        };
        Self {
            kind,
            members: Process::all("db"),
            balancer: Process::named(balancer),
            balancers: match kind {
                Kind::GaleraAllWriters => Process::all("galera"),
                _ if careless => vec![Process::named(&format!("{balancer}-careless"))],
                _ => Vec::new(),
            },
            promoted: AtomicUsize::new(0),
        }
    }

    /// Leads to the primary, or to the node of this instance.
    pub fn address(&self, instance: usize) -> SocketAddr {
        let own = self.balancers.get(instance % self.balancers.len().max(1));
        own.unwrap_or(&self.balancer).address
    }

    /// An account with all rights, on the primary.
    pub fn options(&self) -> MySqlConnectOptions {
        options(self.balancer.address)
    }

    /// Another member becomes the primary; returns once the old one is a member again. `failed` is called when the old
    /// primary fails.
    pub async fn change_primary(&self, change: Change, rng: &mut fastrand::Rng, failed: impl FnOnce()) {
        match self.kind {
            Kind::GroupReplication => self.change_primary_of_group(change, rng, failed).await,
            Kind::SemiSync | Kind::Asynchronous => self.promote_a_replica(change, rng, failed).await,
            Kind::GaleraOneWriter | Kind::GaleraAllWriters => self.lose_a_node(change, rng, failed).await,
        }
    }

    /// SIGKILL, and a new start.
    pub async fn restart_balancer(&self) {
        let balancer = self.balancers.first().unwrap_or(&self.balancer);
        balancer.kill().await;
        balancer.start(&[]);
    }

    /// The places of the audit's rows in the order of commits, by their ids; `None`: their ids are in that order.
    pub fn order_of_commits(&self) -> Option<HashMap<i64, i64>> {
        // Two of them write even behind a balancer with one writer, for the moment in which that moves.
        let several = matches!(self.kind, Kind::GaleraOneWriter | Kind::GaleraAllWriters);
        let orders = self.members.iter().map(|member| binlog::order_of(&member.data_folder(), "chaos_audit"));
        // A node that was away for long may have taken a copy of the data instead of what it had missed.
        several.then(|| orders.max_by_key(HashMap::len)).flatten()
    }

    fn others(&self, than: usize) -> impl Iterator<Item = (usize, &Process)> {
        self.members.iter().enumerate().filter(move |(number, _)| *number != than)
    }

    fn addresses_of_others(&self, than: usize) -> Vec<IpAddr> {
        self.others(than).map(|(_, member)| member.address.ip()).collect()
    }

    /// The other members, and this host with the balancer and the instances.
    fn everyone_else(&self, than: usize) -> Vec<IpAddr> {
        let mut addresses = self.addresses_of_others(than);
        if let IpAddr::V4(address) = self.members[than].address.ip() {
            let [a, b, c, _] = address.octets();
            addresses.push(IpAddr::from([a, b, c, 1]));
        }
        addresses
    }

    /// Keeps the other members from applying what they receive, until the connections are closed.
    async fn hold_up_others(&self, primary: usize) -> Vec<MySqlConnection> {
        let lock = match self.kind {
            // Table locks give way to what a node receives.
            Kind::GaleraOneWriter | Kind::GaleraAllWriters => "FLUSH TABLES WITH READ LOCK",
            _ => "LOCK TABLES chaos.recommendation_state READ",
        };
        let mut holders = Vec::new();
        for (_, member) in self.others(primary) {
            let Some(mut connection) = connect(member.address).await else { continue };
            if timeout(SOON, execute(&mut connection, lock)).await == Ok(true) {
                holders.push(connection);
            }
        }
        holders
    }

    /// Where the members' logs are.
    pub fn logs(&self) -> impl Iterator<Item = (&str, std::path::PathBuf)> {
        self.members.iter().chain([&self.balancer]).map(|process| (process.name.as_str(), process.log()))
    }

    fn promoted(&self) -> usize {
        self.promoted.load(Ordering::SeqCst)
    }
}

/// A member that does not answer within this time does not answer.
const SOON: Duration = Duration::from_secs(2);

fn options(address: SocketAddr) -> MySqlConnectOptions {
    let url = format!("mysql://root@{address}/?ssl-mode=DISABLED");
    url.parse().unwrap()
}

async fn connect(address: SocketAddr) -> Option<MySqlConnection> {
    timeout(SOON, options(address).connect()).await.ok()?.ok()
}

/// Whether the statement succeeds.
async fn execute(connection: &mut MySqlConnection, sql: &'static str) -> bool {
    sqlx::raw_sql(sql).execute(connection).await.is_ok()
}

/// The first column of the first row; `None`: there is none, or no answer.
async fn ask(address: SocketAddr, sql: &'static str) -> Option<String> {
    let mut connection = connect(address).await?;
    let answer = timeout(SOON, sqlx::query_scalar(sql).fetch_optional(&mut connection)).await;
    let _ = connection.close().await;
    answer.ok()?.ok()?
}

/// Waits until an attempt finds something; gives up after [`PATIENCE`].
async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut attempt: impl FnMut() -> F) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = attempt().await {
            return found;
        }
        assert!(Instant::now() < deadline, "waited too long for {what}");
        sleep(Duration::from_millis(100)).await;
    }
}

//! Which connections of a pool are trusted.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A connection that was used so recently is handed out without asking whether it still leads to a server that lives and
/// has its role. Under load that saves a round trip per statement.
const TRUSTED_FOR: Duration = Duration::from_millis(500);

/// So often, one connection is asked nevertheless. If it is of no use, none of those that are as old is trusted.
const ASKED_EVERY: Duration = Duration::from_secs(1);

/// Short, because the connections made at once after a failure may still lead to the old server.
const RENEWED_AT_MOST_EVERY: Duration = Duration::from_millis(20);

/// Longer: a server that is only slow must not be asked for new connections all the time.
const RENEWED_FOR_SILENCE_AT_MOST_EVERY: Duration = Duration::from_secs(2);

/// What is known of the connections.
#[derive(Clone, Debug, Default)]
pub(super) struct Renewal(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    /// When connections were last found useless. Those that are older are closed instead of being handed out.
    renewed: Option<Instant>,
    /// When one was last asked whether it is of use.
    asked: Option<Instant>,
}

impl Renewal {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connections of now were found useless.
    pub(super) fn renew(&self) {
        self.renew_at_most_every(RENEWED_AT_MOST_EVERY);
    }

    /// Likewise, because one of them is silent.
    pub(super) fn renew_for_silence(&self) {
        self.renew_at_most_every(RENEWED_FOR_SILENCE_AT_MOST_EVERY);
    }

    fn renew_at_most_every(&self, at_most_every: Duration) {
        let renewed = &mut self.known().renewed;
        if renewed.is_none_or(|renewed| renewed.elapsed() >= at_most_every) {
            *renewed = Some(Instant::now());
        }
    }

    /// Whether a connection of this age is older than the last renewal.
    pub(super) fn is_before(&self, age: Duration) -> bool {
        self.known().renewed.is_some_and(|renewed| renewed.elapsed() < age)
    }

    /// Whether a connection that has been idle for so long must be asked.
    pub(super) fn asks(&self, idle_for: Duration) -> bool {
        let asked = &mut self.known().asked;
        let asks = idle_for > TRUSTED_FOR || asked.is_none_or(|asked| asked.elapsed() >= ASKED_EVERY);
        if asks {
            *asked = Some(Instant::now());
        }
        asks
    }
}

//! What failures of different users have in common.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::domain::UserId;

/// A failure that did not come back for so long says nothing about the next one. Longer than any pause between two
/// attempts of a worker.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(600);

/// The users whose latest run failed, and the lists that were written meanwhile.
#[derive(Debug, Default)]
pub(super) struct Evidence {
    failing: HashMap<UserId, Failing>,
    /// Lists written since the process began.
    lists_written: u64,
}

#[derive(Debug)]
struct Failing {
    cause: String,
    /// [`Evidence::lists_written`] at the first failure by this cause.
    since: u64,
    latest: Instant,
}

impl Evidence {
    /// A run of the user failed. Whether the cause is shared: more users fail by it, two at least, than lists have
    /// been written since the latest of them began to fail. A server that takes no lists soon has this evidence
    /// against it, whatever the code of its error; users whose own data is refused do not, as long as others are
    /// served.
    pub(super) fn failed(&mut self, user: UserId, cause: &str, now: Instant) -> bool {
        self.failing.retain(|_, failing| now.duration_since(failing.latest) < FORGOTTEN_AFTER);
        let since = match self.failing.get(&user) {
            Some(failing) if failing.cause == cause => failing.since,
            _ => self.lists_written,
        };
        self.failing.insert(user, Failing { cause: cause.to_owned(), since, latest: now });
        let alike = || self.failing.values().filter(|failing| failing.cause == cause);
        let latest = alike().map(|failing| failing.since).max().unwrap_or_default();
        let users = alike().count() as u64;
        users >= 2 && users > self.lists_written - latest
    }

    /// A run of the user has committed. Only one that inserted rows says that the database takes lists: others need
    /// no room, for example.
    pub(super) fn succeeded(&mut self, user: UserId, inserted: bool) {
        self.failing.remove(&user);
        self.lists_written += u64::from(inserted);
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn user(id: i64) -> UserId {
        UserId::try_from(id).unwrap()
    }

    fn now() -> Instant {
        Instant::now()
    }

    #[test]
    fn a_cause_is_shared_from_the_second_user_on() {
        let mut evidence = Evidence::default();
        for _ in 0..10 {
            assert!(!evidence.failed(user(1), "1114", now()), "one user alone");
        }
        assert!(!evidence.failed(user(2), "1406", now()), "another cause");
        assert!(evidence.failed(user(3), "1114", now()));
        assert!(evidence.failed(user(1), "1114", now()));
    }

    #[test]
    fn a_confirmation_does_not_show_that_there_is_room_for_lists() {
        let mut evidence = Evidence::default();
        evidence.failed(user(1), "1114", now());
        for other in 10..99 {
            evidence.succeeded(user(other), false);
        }
        assert!(evidence.failed(user(2), "1114", now()));
        assert!(evidence.failed(user(1), "1114", now()));
    }

    #[test]
    fn a_failure_is_forgotten() {
        let (mut evidence, start) = (Evidence::default(), now());
        evidence.failed(user(1), "1644", start);
        assert!(!evidence.failed(user(2), "1644", start + FORGOTTEN_AFTER));
    }

    /// The attempts that are counted against each user, if every failure is repeated until the user is parked.
    fn attempts_counted(evidence: &mut Evidence, users: &[i64], cause: &str) -> Vec<u32> {
        users.iter().map(|id| u32::from(!evidence.failed(user(*id), cause, now()))).collect()
    }

    proptest! {
        /// Users that fail while others are served are parked, one or two of them, in any order.
        #[test]
        fn poison_users_among_others_are_parked(poison in 1..=2i64, others in vec(vec(10..99i64, 3..9), 5..40)) {
            let (mut evidence, mut attempts) = (Evidence::default(), vec![0; poison as usize]);
            for others in others {
                let counted = attempts_counted(&mut evidence, &Vec::from_iter(1..=poison), "1644");
                attempts.iter_mut().zip(counted).for_each(|(attempts, counted)| *attempts += counted);
                others.iter().for_each(|id| evidence.succeeded(user(*id), true));
            }
            // Of each two, at most the second one's first failure looks shared.
            prop_assert!(attempts.iter().all(|attempts| *attempts >= 4), "{attempts:?}");
        }

        /// Whatever happened before, a server that takes no lists is charged with all failures but the first ones:
        /// at most one for each list that was still on its way.
        #[test]
        fn a_server_in_trouble_is_found(
            before in vec((1..40i64, any::<bool>()), 0..100),
            on_their_way in 0..8usize,
            failing in vec(100..140i64, 2..200),
        ) {
            let mut evidence = Evidence::default();
            for (id, good) in before {
                if good { evidence.succeeded(user(id), true) } else { _ = evidence.failed(user(id), "1406", now()) }
            }
            let mut attempts = HashMap::new();
            let (first, rest) = failing.split_first().unwrap();
            let mut fail = |evidence: &mut Evidence, id: i64| {
                let counted = u32::from(!evidence.failed(user(id), "1114", now()));
                *attempts.entry(id).or_insert(0) += counted;
            };
            fail(&mut evidence, *first);
            for id in 0..on_their_way as i64 {
                evidence.succeeded(user(500 + id), true);
            }
            // Another user fails before the first one is tried again.
            fail(&mut evidence, 99);
            rest.iter().for_each(|id| fail(&mut evidence, *id));
            prop_assert!(attempts.values().all(|attempts| *attempts <= 1), "{attempts:?}");
        }
    }
}

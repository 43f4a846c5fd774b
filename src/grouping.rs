//! Steps of different users that meet go together, as databases commit in groups: those that arrive while others are on
//! their way wait, and then go together, with one statement. A step that is alone does not wait.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::timeout;

/// Steps that go together. Writes wait for each other's locks, too.
const MOST: usize = 16;
/// How long a step waits for a turn. Then it goes all the same: those before it may be stuck behind a lock.
const PATIENCE: Duration = Duration::from_millis(50);

/// A kind of step that can be done alone or in a group.
#[async_trait]
pub trait GroupedStep: Send + Sync + 'static {
    /// Of what user, and what to do.
    type Item: Clone + Send + Sync + 'static;
    /// The end of a step.
    type Done: Send + 'static;

    /// Does one step.
    async fn alone(&self, item: &Self::Item) -> Self::Done;

    /// Does several steps at once, within a time limit of its own. `None`: not known of which of them it did; each is done
    /// alone then, perhaps for the second time.
    async fn together(&self, items: &[Self::Item]) -> Option<Vec<Self::Done>>;
}

/// Does steps of one kind, in groups where they meet.
pub struct Grouping<S: GroupedStep>(Arc<Inner<S>>);

struct Inner<S: GroupedStep> {
    step: S,
    waiting: Mutex<Vec<Waiting<S>>>,
    turns: Arc<Semaphore>,
}

type Waiting<S> = (<S as GroupedStep>::Item, oneshot::Sender<Turn<<S as GroupedStep>::Done>>);

/// What becomes of a step that had to wait.
enum Turn<D> {
    /// It was done in a group.
    Done(D),
    /// It is its caller's turn to do it alone: then the caller's own time limit holds.
    Alone(Option<OwnedSemaphorePermit>),
}

impl<S: GroupedStep> Clone for Grouping<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S: GroupedStep> fmt::Debug for Grouping<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grouping").finish_non_exhaustive()
    }
}

impl<S: GroupedStep> Grouping<S> {
    /// Groups steps of this kind. At most `turns` groups, or single steps, are on their way at the same time.
    pub fn new(step: S, turns: usize) -> Self {
        let turns = Arc::new(Semaphore::new(turns));
        Self(Arc::new(Inner { step, waiting: Mutex::default(), turns }))
    }

    /// Does the step, alone or with others. It is done even if its caller does not wait for the end.
    pub async fn run(&self, item: S::Item) -> S::Done {
        let inner = &self.0;
        let _turn = match inner.turns.clone().try_acquire_owned() {
            Ok(turn) => Some(turn),
            Err(_) => match inner.clone().wait(item.clone()).await {
                Turn::Done(done) => return done,
                Turn::Alone(turn) => turn,
            },
        };
        inner.step.alone(&item).await
    }
}

impl<S: GroupedStep> Inner<S> {
    async fn wait(self: Arc<Self>, item: S::Item) -> Turn<S::Done> {
        let (done, turn) = oneshot::channel();
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).push((item, done));
        // A task of its own, so that no caller that goes away takes the steps of others with it.
        tokio::spawn(self.take_turn());
        turn.await.unwrap_or(Turn::Alone(None))
    }

    /// Serves those who wait by now, who may have been served by an earlier turn.
    async fn take_turn(self: Arc<Self>) {
        let turn = timeout(PATIENCE, self.turns.clone().acquire_owned()).await.ok().and_then(Result::ok);
        let mut group: Vec<_> = {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            let size = waiting.len().min(MOST);
            waiting.drain(..size).collect()
        };
        if group.len() <= 1 {
            if let Some((_, alone)) = group.pop() {
                _ = alone.send(Turn::Alone(turn));
            }
            return;
        }
        let (items, callers): (Vec<_>, Vec<_>) = group.into_iter().unzip();
        // Without an answer, a caller does its step alone.
        for (done, caller) in self.step.together(&items).await.into_iter().flatten().zip(callers) {
            _ = caller.send(Turn::Done(done));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::future::join_all;
    use tokio::sync::Barrier;

    use super::*;

    const TURNS: usize = 2;

    /// Doubles numbers. Knows nothing of a group with a 13, and panics at a group with a 17.
    struct Doubling {
        /// The first steps meet here, so that the others have to wait.
        first: Barrier,
        alone: AtomicUsize,
        groups: Mutex<Vec<usize>>,
    }

    impl Doubling {
        fn new() -> Arc<Self> {
            let (first, alone) = (Barrier::new(TURNS + 1), AtomicUsize::new(0));
            Arc::new(Self { first, alone, groups: Mutex::default() })
        }
    }

    #[async_trait]
    impl GroupedStep for Arc<Doubling> {
        type Item = u64;
        type Done = u64;

        async fn alone(&self, number: &u64) -> u64 {
            if self.alone.fetch_add(1, Ordering::Relaxed) < TURNS {
                self.first.wait().await;
            }
            2 * number
        }

        async fn together(&self, numbers: &[u64]) -> Option<Vec<u64>> {
            self.groups.lock().unwrap().push(numbers.len());
            assert!(!numbers.contains(&17), "a defect");
            (!numbers.contains(&13)).then(|| numbers.iter().map(|number| 2 * number).collect())
        }
    }

    /// The results of steps that arrive while the first ones are on their way, the sizes of groups, and the number of
    /// steps that were done alone.
    async fn arrive(numbers: &[u64]) -> (Vec<u64>, Vec<usize>, usize) {
        let doubling = Doubling::new();
        let steps = Grouping::new(doubling.clone(), TURNS);
        let first = join_all((0..TURNS).map(|_| steps.run(1)));
        let others = join_all(numbers.iter().map(|number| steps.run(*number)));
        let release = async {
            while steps.0.waiting.lock().unwrap().len() < numbers.len() {
                tokio::task::yield_now().await;
            }
            doubling.first.wait().await;
        };
        let (_, results, ()) = tokio::join!(first, others, release);
        let groups = doubling.groups.lock().unwrap().clone();
        (results, groups, doubling.alone.load(Ordering::Relaxed) - TURNS)
    }

    #[tokio::test]
    async fn steps_that_wait_go_together_and_each_gets_its_own_result() {
        let numbers: Vec<u64> = (100..140).collect();
        let (results, groups, alone) = arrive(&numbers).await;
        assert_eq!(results, numbers.iter().map(|number| 2 * number).collect::<Vec<_>>());
        assert_eq!((groups, alone), (vec![16, 16, 8], 0));
    }

    #[tokio::test]
    async fn a_step_that_waits_alone_is_done_alone() {
        assert_eq!(arrive(&[5]).await, (vec![10], vec![], 1));
    }

    #[tokio::test]
    async fn the_steps_of_a_group_that_tells_nothing_or_panics_are_done_alone() {
        for odd in [13, 17] {
            assert_eq!(arrive(&[odd, 4]).await, (vec![2 * odd, 8], vec![2], 2));
        }
    }

    #[tokio::test]
    async fn a_caller_that_goes_away_takes_no_step_of_others_with_it() {
        let doubling = Doubling::new();
        let steps = Grouping::new(doubling.clone(), TURNS);
        let first = join_all((0..TURNS).map(|_| steps.run(1)));
        let gone = tokio::spawn({
            let steps = steps.clone();
            async move { steps.run(3).await }
        });
        let other = steps.run(4);
        let release = async {
            while steps.0.waiting.lock().unwrap().len() < 2 {
                tokio::task::yield_now().await;
            }
            gone.abort();
            doubling.first.wait().await;
        };
        let (_, result, ()) = tokio::join!(first, other, release);
        assert_eq!(result, 8);
        assert_eq!(*doubling.groups.lock().unwrap(), [2], "the step of the caller that has gone is done");
    }

    #[tokio::test]
    async fn steps_do_not_wait_for_those_that_are_stuck() {
        let doubling = Doubling::new();
        let steps = Grouping::new(doubling.clone(), TURNS);
        let stuck = join_all((0..TURNS).map(|_| steps.run(1)));
        let others = async {
            let results = join_all((5..8).map(|number| steps.run(number))).await;
            doubling.first.wait().await;
            results
        };
        assert_eq!(tokio::join!(stuck, others), (vec![2; TURNS], vec![10, 12, 14]));
        assert_eq!(*doubling.groups.lock().unwrap(), [3]);
    }
}

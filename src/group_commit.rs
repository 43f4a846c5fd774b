//! Group commit for small writes of different users, as databases have it: writes that arrive while others are on their
//! way wait, and then go together, with one statement and one commit. A write that is alone does not wait.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::timeout;

/// Writes that go together. They wait for each other's locks, too.
const MOST: usize = 16;
/// Groups on their way at the same time.
const TURNS: usize = 2;
/// How long a write waits for a turn. Then it goes all the same: those before it may be stuck behind a lock.
const PATIENCE: Duration = Duration::from_millis(50);

/// A kind of write that can be done alone or in a group.
#[async_trait]
pub trait GroupedWrite: Send + Sync + 'static {
    /// What to write.
    type Item: Clone + Send + Sync + 'static;
    /// The end of a write.
    type Done: Send + 'static;

    /// Does one write.
    async fn alone(&self, item: &Self::Item) -> Self::Done;

    /// Does several writes with one commit, within a time limit of its own. `None`: not known of which of them it did;
    /// each is done alone then, perhaps for the second time.
    async fn together(&self, items: &[Self::Item]) -> Option<Vec<Self::Done>>;
}

/// Does writes of one kind, in groups where they meet.
pub struct GroupCommit<W: GroupedWrite>(Arc<Inner<W>>);

struct Inner<W: GroupedWrite> {
    write: W,
    waiting: Mutex<Vec<Waiting<W>>>,
    turns: Arc<Semaphore>,
}

type Waiting<W> = (<W as GroupedWrite>::Item, oneshot::Sender<Turn<<W as GroupedWrite>::Done>>);

/// What becomes of a write that had to wait.
enum Turn<D> {
    /// It was done in a group.
    Done(D),
    /// It is its caller's turn to do it alone: then the caller's own time limit holds.
    Alone(Option<OwnedSemaphorePermit>),
}

impl<W: GroupedWrite> Clone for GroupCommit<W> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<W: GroupedWrite> GroupCommit<W> {
    /// Groups writes of this kind.
    pub fn new(write: W) -> Self {
        let turns = Arc::new(Semaphore::new(TURNS));
        Self(Arc::new(Inner { write, waiting: Mutex::default(), turns }))
    }

    /// Does the write, alone or with others. It is done even if its caller does not wait for the end.
    pub async fn write(&self, item: W::Item) -> W::Done {
        let inner = &self.0;
        let _turn = match inner.turns.clone().try_acquire_owned() {
            Ok(turn) => Some(turn),
            Err(_) => match inner.clone().wait(item.clone()).await {
                Turn::Done(done) => return done,
                Turn::Alone(turn) => turn,
            },
        };
        inner.write.alone(&item).await
    }
}

impl<W: GroupedWrite> Inner<W> {
    async fn wait(self: Arc<Self>, item: W::Item) -> Turn<W::Done> {
        let (done, turn) = oneshot::channel();
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).push((item, done));
        // A task of its own, so that no caller that goes away takes the writes of others with it.
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
        // Without an answer, a caller does its write alone.
        for (done, caller) in self.write.together(&items).await.into_iter().flatten().zip(callers) {
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

    /// Doubles numbers. Knows nothing of a group with a 13, and panics at a group with a 17.
    struct Doubling {
        /// The first writes meet here, so that the others have to wait.
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
    impl GroupedWrite for Arc<Doubling> {
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

    /// The results of writes that arrive while the first ones are on their way, the sizes of groups, and the number of
    /// writes that were done alone.
    async fn arrive(numbers: &[u64]) -> (Vec<u64>, Vec<usize>, usize) {
        let doubling = Doubling::new();
        let writes = GroupCommit::new(doubling.clone());
        let first = join_all((0..TURNS).map(|_| writes.write(1)));
        let others = join_all(numbers.iter().map(|number| writes.write(*number)));
        let release = async {
            while writes.0.waiting.lock().unwrap().len() < numbers.len() {
                tokio::task::yield_now().await;
            }
            doubling.first.wait().await;
        };
        let (_, results, ()) = tokio::join!(first, others, release);
        let groups = doubling.groups.lock().unwrap().clone();
        (results, groups, doubling.alone.load(Ordering::Relaxed) - TURNS)
    }

    #[tokio::test]
    async fn writes_that_wait_go_together_and_each_gets_its_own_result() {
        let numbers: Vec<u64> = (100..140).collect();
        let (results, groups, alone) = arrive(&numbers).await;
        assert_eq!(results, numbers.iter().map(|number| 2 * number).collect::<Vec<_>>());
        assert_eq!((groups, alone), (vec![16, 16, 8], 0));
    }

    #[tokio::test]
    async fn a_write_that_waits_alone_is_done_alone() {
        assert_eq!(arrive(&[5]).await, (vec![10], vec![], 1));
    }

    #[tokio::test]
    async fn the_writes_of_a_group_that_tells_nothing_or_panics_are_done_alone() {
        for odd in [13, 17] {
            assert_eq!(arrive(&[odd, 4]).await, (vec![2 * odd, 8], vec![2], 2));
        }
    }

    #[tokio::test]
    async fn a_caller_that_goes_away_takes_no_write_of_others_with_it() {
        let doubling = Doubling::new();
        let writes = GroupCommit::new(doubling.clone());
        let first = join_all((0..TURNS).map(|_| writes.write(1)));
        let gone = tokio::spawn({
            let writes = writes.clone();
            async move { writes.write(3).await }
        });
        let other = writes.write(4);
        let release = async {
            while writes.0.waiting.lock().unwrap().len() < 2 {
                tokio::task::yield_now().await;
            }
            gone.abort();
            doubling.first.wait().await;
        };
        let (_, result, ()) = tokio::join!(first, other, release);
        assert_eq!(result, 8);
        assert_eq!(*doubling.groups.lock().unwrap(), [2], "the write of the caller that has gone is done");
    }

    #[tokio::test]
    async fn writes_do_not_wait_for_those_that_are_stuck() {
        let doubling = Doubling::new();
        let writes = GroupCommit::new(doubling.clone());
        let stuck = join_all((0..TURNS).map(|_| writes.write(1)));
        let others = async {
            let results = join_all((5..8).map(|number| writes.write(number))).await;
            doubling.first.wait().await;
            results
        };
        assert_eq!(tokio::join!(stuck, others), (vec![2; TURNS], vec![10, 12, 14]));
        assert_eq!(*doubling.groups.lock().unwrap(), [3]);
    }
}

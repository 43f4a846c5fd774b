//! Requests of one process that arrive while a run waits to start share that run.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use tokio_util::task::TaskTracker;

/// A run that others may join; `None` if it panicked.
type Run<T> = Shared<BoxFuture<'static, Option<T>>>;
type Waiting<K, T> = Arc<Mutex<HashMap<K, Run<T>>>>;

/// Runs that have not started yet, by key.
#[derive(Debug)]
pub(super) struct Joining<K, T> {
    waiting: Waiting<K, T>,
    tasks: TaskTracker,
}

/// Held by a run for as long as it may be joined.
pub(super) struct Joinable<K: Eq + Hash, T> {
    key: Option<K>,
    waiting: Waiting<K, T>,
}

impl<K, T> Joining<K, T>
where
    K: Clone + Eq + Hash + Send + 'static,
    T: Clone + Send + Sync + 'static,
{
    pub(super) fn new(tasks: TaskTracker) -> Self {
        Self { waiting: Waiting::default(), tasks }
    }

    /// The result of a run that starts after this call: one that is waiting to start, or a new one. A run
    /// has its own task: it goes on when those who asked for it have gone.
    pub(super) async fn join<F, R>(&self, key: K, run: F) -> Option<T>
    where
        F: FnOnce(Joinable<K, T>) -> R + Send + 'static,
        R: Future<Output = T> + Send,
    {
        let shared = {
            // Held until the run is in the map, so that it cannot start before it can be found.
            let mut waiting = lock(&self.waiting);
            match waiting.get(&key) {
                Some(shared) => shared.clone(),
                None => {
                    let joinable = Joinable { key: Some(key.clone()), waiting: self.waiting.clone() };
                    // `run` is called by the task: it may drop what it is given, which takes the mutex.
                    let task = self.tasks.spawn(async move { run(joinable).await });
                    let shared = task.map(Result::ok).boxed().shared();
                    waiting.insert(key, shared.clone());
                    shared
                }
            }
        };
        shared.await
    }
}

impl<K: Eq + Hash, T> Joinable<K, T> {
    /// The run starts to read its inputs: from here on nobody may share its result.
    pub(super) fn close(self) {}
}

impl<K: Eq + Hash, T> Drop for Joinable<K, T> {
    fn drop(&mut self) {
        if let Some(key) = self.key.take() {
            lock(&self.waiting).remove(&key);
        }
    }
}

fn lock<K, T>(waiting: &Waiting<K, T>) -> MutexGuard<'_, HashMap<K, Run<T>>> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Semaphore;

    use super::*;

    /// Runs that may start when `start` has permits and end when `end` has.
    struct Runs {
        joining: Joining<u8, usize>,
        start: Arc<Semaphore>,
        end: Arc<Semaphore>,
        started: Arc<AtomicUsize>,
    }

    impl Runs {
        fn new() -> Self {
            Self {
                joining: Joining::new(TaskTracker::new()),
                start: Arc::new(Semaphore::new(0)),
                end: Arc::new(Semaphore::new(0)),
                started: Arc::default(),
            }
        }

        async fn request(&self) -> Option<usize> {
            let (start, end, started) = (self.start.clone(), self.end.clone(), self.started.clone());
            self.joining
                .join(1, |joinable| async move {
                    start.acquire().await.expect("open").forget();
                    joinable.close();
                    let number = started.fetch_add(1, Ordering::SeqCst) + 1;
                    end.acquire().await.expect("open").forget();
                    number
                })
                .await
        }
    }

    #[tokio::test]
    async fn requests_share_a_waiting_run_but_never_one_that_has_started() {
        let runs = Arc::new(Runs::new());
        let spawn = || {
            let runs = runs.clone();
            tokio::spawn(async move { runs.request().await })
        };
        let early = [spawn(), spawn(), spawn()];
        while lock(&runs.joining.waiting).is_empty() {
            tokio::task::yield_now().await;
        }
        tokio::task::yield_now().await;
        runs.start.add_permits(1);
        while runs.started.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        let late = spawn();
        runs.start.add_permits(1);
        runs.end.add_permits(2);
        for request in early {
            assert_eq!(request.await.unwrap(), Some(1));
        }
        assert_eq!(late.await.unwrap(), Some(2));
        assert!(lock(&runs.joining.waiting).is_empty());
    }

    #[tokio::test]
    async fn a_run_goes_on_when_nobody_waits_for_it_any_more() {
        let runs = Runs::new();
        assert!(futures::poll!(std::pin::pin!(runs.request())).is_pending());
        runs.start.add_permits(1);
        runs.end.add_permits(1);
        runs.joining.tasks.close();
        runs.joining.tasks.wait().await;
        assert_eq!(runs.started.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn a_panicking_run_leaves_nothing_behind() {
        let joining: Joining<u8, ()> = Joining::new(TaskTracker::new());
        let result = joining.join(1, |_joinable| async { panic!("a bug") }).await;
        assert_eq!(result, None);
        assert!(lock(&joining.waiting).is_empty());
    }
}

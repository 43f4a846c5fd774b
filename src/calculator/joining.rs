//! Requests for a user share a run of this process that has not read its inputs yet.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use tokio::sync::{Semaphore, oneshot};
use tokio_util::task::TaskTracker;
use tracing::Instrument;

/// The future result of a run; `None` if the run panicked.
type Run<T> = Shared<BoxFuture<'static, Option<T>>>;
/// The task of a run.
type Task = BoxFuture<'static, ()>;
/// With the number of callers that have joined each.
type Waiting<K, T> = Arc<Mutex<HashMap<K, (Run<T>, usize)>>>;

/// Runs that have not read their inputs yet, by key.
#[derive(Debug)]
pub(super) struct Joining<K, T> {
    waiting: Waiting<K, T>,
    tasks: TaskTracker,
    /// A permit for each run that requests may still begin.
    room: Arc<Semaphore>,
}

/// A run holds this for as long as requests may join it.
pub(super) struct Joinable<K: Eq + Hash, T> {
    key: Option<K>,
    waiting: Waiting<K, T>,
}

/// The kind of caller that asks for a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Caller {
    /// A request, one of any number: a new run needs a permit.
    Request,
    /// A worker, one of a fixed number.
    Worker,
}

/// Why a caller gets no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoResult {
    /// The permitted number of runs is in flight.
    Full,
    /// The run panicked.
    Panicked,
}

impl<K, T> Joining<K, T>
where
    K: Clone + Eq + Hash + Send + 'static,
    T: Clone + Send + Sync + 'static,
{
    /// Requests may have at most `max_runs` runs in flight at the same time.
    pub(super) fn new(tasks: TaskTracker, max_runs: usize) -> Self {
        Self { waiting: Waiting::default(), tasks, room: Arc::new(Semaphore::new(max_runs)) }
    }

    /// Returns the result of a run that reads its inputs after this call: a waiting run, or a new one. A run
    /// has its own task, so it goes on when its callers are gone.
    pub(super) async fn join<F, R>(&self, key: K, caller: Caller, run: F) -> Result<T, NoResult>
    where
        F: FnOnce(Joinable<K, T>) -> R + Send + 'static,
        R: Future<Output = T> + Send + 'static,
    {
        let (run, task) = self.find_or_begin(key, caller, run)?;
        if let Some(task) = task {
            // The log of the run names the request that began it.
            self.tasks.spawn(task.in_current_span());
        }
        run.await.ok_or(NoResult::Panicked)
    }

    /// Runs work that no caller may join in a task of its own; `None` if it panicked.
    pub(super) async fn spawn<W>(&self, work: impl Future<Output = W> + Send + 'static) -> Option<W>
    where
        W: Send + 'static,
    {
        self.tasks.spawn(work.in_current_span()).await.ok()
    }

    /// Finds a run that may be joined, or begins one and returns its task as well.
    fn find_or_begin<F, R>(&self, key: K, caller: Caller, run: F) -> Result<(Run<T>, Option<Task>), NoResult>
    where
        F: FnOnce(Joinable<K, T>) -> R + Send + 'static,
        R: Future<Output = T> + Send + 'static,
    {
        let mut waiting = lock(&self.waiting);
        if let Some((run, joined)) = waiting.get_mut(&key) {
            *joined += 1;
            return Ok((run.clone(), None));
        }
        let room = match caller {
            Caller::Worker => None,
            Caller::Request => Some(self.room.clone().try_acquire_owned().map_err(|_| NoResult::Full)?),
        };
        let joinable = Joinable { key: Some(key.clone()), waiting: self.waiting.clone() };
        let (result, shared) = oneshot::channel();
        let task = async move {
            // Called inside the task: `run` may drop its `Joinable`, which takes the mutex.
            let ended = run(joinable).await;
            drop(room);
            // No caller may be left.
            _ = result.send(ended);
        };
        let shared = shared.map(Result::ok).boxed().shared();
        waiting.insert(key, (shared.clone(), 0));
        Ok((shared, Some(task.boxed())))
    }
}

impl<K: Eq + Hash, T> Joinable<K, T> {
    /// The number of callers that have joined the one that began the run.
    pub(super) fn joined(&self) -> usize {
        let joined = |key| lock(&self.waiting).get(key).map(|(_, joined)| *joined);
        self.key.as_ref().and_then(joined).unwrap_or_default()
    }

    /// The run is about to read its inputs: later requests must not share its result. Returns the number of callers that
    /// have joined it.
    pub(super) fn close(mut self) -> usize {
        let closed = self.key.take().and_then(|key| lock(&self.waiting).remove(&key));
        closed.map_or(0, |(_, joined)| joined)
    }
}

impl<K: Eq + Hash, T> Drop for Joinable<K, T> {
    fn drop(&mut self) {
        if let Some(key) = self.key.take() {
            lock(&self.waiting).remove(&key);
        }
    }
}

fn lock<K, T>(waiting: &Waiting<K, T>) -> MutexGuard<'_, HashMap<K, (Run<T>, usize)>> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

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
                joining: Joining::new(TaskTracker::new(), 2),
                start: Arc::new(Semaphore::new(0)),
                end: Arc::new(Semaphore::new(0)),
                started: Arc::default(),
            }
        }

        async fn request(&self) -> Result<usize, NoResult> {
            let (start, end, started) = (self.start.clone(), self.end.clone(), self.started.clone());
            self.joining
                .join(1, Caller::Request, |joinable| async move {
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
            assert_eq!(request.await.unwrap(), Ok(1));
        }
        assert_eq!(late.await.unwrap(), Ok(2));
        assert!(lock(&runs.joining.waiting).is_empty());
    }

    /// Three requests under many schedules, on the executor of a checker instead of tokio's.
    #[test]
    fn under_any_schedule_requests_share_runs_that_begin_after_them_and_nothing_stays() {
        use shuttle::future::{block_on, spawn};
        use shuttle::sync::atomic::AtomicUsize;

        async fn request(joining: Arc<Joining<u8, usize>>, clock: Arc<AtomicUsize>) {
            let (asked, time) = (clock.fetch_add(1, Ordering::SeqCst), clock.clone());
            let run = |joinable: Joinable<u8, usize>| async move {
                let joined = joinable.joined();
                let early = time.fetch_add(1, Ordering::SeqCst);
                // What was read early is of use if nobody has joined since.
                if joinable.close() == joined { early } else { time.fetch_add(1, Ordering::SeqCst) }
            };
            let (run, task) = joining.find_or_begin(1, Caller::Request, run).unwrap();
            if let Some(task) = task {
                drop(spawn(task));
            }
            assert!(run.await.unwrap() > asked, "the run had begun before the request");
        }

        let three_requests = || {
            let joining = Arc::new(Joining::new(TaskTracker::new(), 3));
            let clock = Arc::new(AtomicUsize::new(0));
            let requests = [(); 3].map(|()| spawn(request(joining.clone(), clock.clone())));
            for request in requests {
                block_on(request).unwrap();
            }
            assert!(lock(&joining.waiting).is_empty());
            assert_eq!(joining.room.available_permits(), 3);
        };
        shuttle::check_random(three_requests, 2_000);
    }

    #[tokio::test]
    async fn a_run_goes_on_when_its_callers_are_gone() {
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
        let joining: Joining<u8, ()> = Joining::new(TaskTracker::new(), 2);
        let result = joining.join(1, Caller::Request, |_joinable| async { panic!("a bug") }).await;
        assert_eq!(result, Err(NoResult::Panicked));
        assert!(lock(&joining.waiting).is_empty());
    }

    #[tokio::test]
    async fn at_the_limit_requests_are_refused_but_may_join_and_workers_may_run() {
        let joining: Joining<u8, u8> = Joining::new(TaskTracker::new(), 1);
        let end = Arc::new(Semaphore::new(0));
        let run = |key| {
            let end = end.clone();
            move |_joinable: Joinable<u8, u8>| async move {
                // Joinable until the end.
                end.acquire().await.expect("open").forget();
                key
            }
        };
        let mut first = std::pin::pin!(joining.join(1, Caller::Request, run(1)));
        assert!(futures::poll!(&mut first).is_pending());
        assert_eq!(joining.join(2, Caller::Request, run(2)).await, Err(NoResult::Full));
        let mut joined = std::pin::pin!(joining.join(1, Caller::Request, run(1)));
        assert!(futures::poll!(&mut joined).is_pending());
        end.add_permits(2);
        assert_eq!(joining.join(3, Caller::Worker, run(3)).await, Ok(3));
        assert_eq!((first.await, joined.await), (Ok(1), Ok(1)));
        end.add_permits(1);
        assert_eq!(joining.join(2, Caller::Request, run(2)).await, Ok(2), "there is room again");
    }
}

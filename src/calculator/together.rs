//! Runs of a batch, several at once with one commit for all of them: the commit is the dearest part of a run.
//!
//! Each is the first attempt of an ordinary run: under its own lock, by its own comparison. If anything is out of the
//! ordinary (a lock that is not free, a comparison that is lost, an error), the users concerned get ordinary runs
//! instead; a transaction that fails has written nothing.

use std::time::Instant;

use futures::future::join_all;
use futures::stream;
use futures::{FutureExt, StreamExt};
use tokio::time::timeout;

use super::joining::Caller;
use super::recent::{RunId, RunRecord};
use super::{Calculator, Inner, Outcome, Phase, Prepared, RunResult};
use crate::coordination::UserGuard;
use crate::domain::{Lane, UserId};
use crate::storage::{self, STEP_LIMIT, Snapshot};

/// Runs that rank at the same time: more would only take processors from others.
const CONCURRENT: usize = 2;

/// A run under its user's lock.
struct Member {
    guard: UserGuard,
    record: RunRecord,
    begun: Instant,
}

impl Calculator {
    /// [`Calculator::calculate_for_worker`] for users of a batch. The results are in the order of `users`.
    pub async fn calculate_together(&self, users: Vec<UserId>) -> Vec<RunResult> {
        let (inner, members) = (self.inner.clone(), users.clone());
        // In a task of its own, as every run: the worker may be stopped.
        let done = self.joining.spawn(async move { inner.run_together(&members).await }).await;
        let mut results = Vec::with_capacity(users.len());
        for (place, user) in users.into_iter().enumerate() {
            results.push(match done.as_ref().and_then(|done| done[place].clone()) {
                Some(outcome) => Ok(outcome),
                None => self.calculate_for_worker(user, Lane::Batch).await,
            });
        }
        results
    }
}

impl Inner {
    /// The outcomes of the runs that were committed, in the order of `users`.
    async fn run_together(&self, users: &[UserId]) -> Vec<Option<Outcome>> {
        let mut members = join_all(users.iter().map(|user| self.member(*user))).await;
        let outcomes = timeout(self.config.run_timeout, self.commit_together(&mut members)).await;
        let outcomes = outcomes.unwrap_or_else(|_| vec![None; users.len()]);
        let ends =
            members.into_iter().zip(&outcomes).map(|(member, outcome)| self.end(member, outcome).boxed());
        join_all(ends.collect::<Vec<_>>()).await;
        outcomes
    }

    async fn member(&self, user: UserId) -> Option<Member> {
        let guard = self.locks.try_acquire(user).await?;
        tracing::debug!(user_id = %user, "calculation started");
        let mut record = RunRecord::begin(RunId::random(), user, Caller::Worker, false);
        record.attempts = 1;
        Some(Member { guard, record, begun: Instant::now() })
    }

    async fn commit_together(&self, members: &mut [Option<Member>]) -> Vec<Option<Outcome>> {
        let snapshots = self.read_together(members).await;
        let members = members.iter_mut().zip(snapshots);
        let prepare: Vec<_> =
            members.map(|(member, snapshot)| self.prepare_member(member, snapshot).boxed()).collect();
        let prepared: Vec<_> = stream::iter(prepare).buffered(CONCURRENT).collect().await;

        let (mut outcomes, mut writes, mut waiting) = (vec![None; prepared.len()], Vec::new(), Vec::new());
        for (place, prepared) in prepared.into_iter().enumerate() {
            match prepared {
                Some(Prepared::Write(write, done)) => {
                    writes.push(write);
                    waiting.push((place, done));
                }
                Some(Prepared::Done(outcome)) => outcomes[place] = Some(outcome),
                Some(Prepared::NewerCatalogue | Prepared::LeaveToNewerScoring) | None => {}
            }
        }
        if writes.is_empty() {
            return outcomes;
        }
        match storage::within(STEP_LIMIT, self.store.write_together(&writes)).await {
            Ok(Some(changes)) => {
                for ((write, changes), (place, done)) in writes.iter().zip(changes).zip(waiting) {
                    self.committed(write.user(), changes, done.rows);
                    outcomes[place] = Some(done.outcome);
                }
            }
            Ok(None) => {}
            Err(error) => tracing::debug!(%error, "runs are repeated one by one"),
        }
        outcomes
    }

    /// The snapshots of the members, by one statement; none if it fails.
    async fn read_together(&self, members: &mut [Option<Member>]) -> Vec<Option<Snapshot>> {
        let begun = Instant::now();
        let users: Vec<UserId> = members.iter().flatten().map(|member| member.guard.user()).collect();
        let read = storage::within(STEP_LIMIT, self.store.snapshots(&users)).await;
        let mut snapshots = read.unwrap_or_default().into_iter();
        let took = begun.elapsed();
        let of_member = |member: &mut Option<Member>| {
            member.as_mut()?.record.phases.add(Phase::Read, took);
            snapshots.next()
        };
        members.iter_mut().map(of_member).collect()
    }

    async fn prepare_member(
        &self,
        member: &mut Option<Member>,
        snapshot: Option<Snapshot>,
    ) -> Option<Prepared> {
        let Member { guard, record, .. } = member.as_mut()?;
        self.rank_and_decide(snapshot?, guard, record).await.ok()
    }

    /// A run that was not committed leaves log and metrics to the one that follows.
    async fn end(&self, member: Option<Member>, outcome: &Option<Outcome>) {
        let Some(Member { guard, record, begun }) = member else { return };
        match outcome {
            Some(outcome) => self.finish(record, Some(guard), begun, &Ok(outcome.clone())).await,
            None => guard.release().await,
        }
    }
}

//! The steps of a run that runs of different users take together where they meet.

use std::sync::Arc;

use async_trait::async_trait;

use crate::domain::UserId;
use crate::grouping::GroupedStep;
use crate::storage::{RunStore, STEP_LIMIT, Snapshot, StoreError, Write, Written, within};

/// Reads users.
pub(super) struct Reading(pub Arc<dyn RunStore>);

#[async_trait]
impl GroupedStep for Reading {
    type Item = UserId;
    type Done = Result<Snapshot, StoreError>;

    async fn alone(&self, user: &UserId) -> Self::Done {
        self.0.snapshot(*user).await
    }

    async fn together(&self, users: &[UserId]) -> Option<Vec<Self::Done>> {
        let snapshots = within(STEP_LIMIT, self.0.snapshots(users)).await.ok()?;
        Some(snapshots.into_iter().map(Ok).collect())
    }
}

/// Writes lists.
pub(super) struct Writing(pub Arc<dyn RunStore>);

#[async_trait]
impl GroupedStep for Writing {
    type Item = Arc<Write>;
    type Done = Result<Written, StoreError>;

    async fn alone(&self, write: &Arc<Write>) -> Self::Done {
        match &**write {
            Write::Confirm(confirmation) => self.0.confirm(confirmation).await,
            Write::Replace(replacement) => self.0.replace(replacement).await,
        }
    }

    async fn together(&self, writes: &[Arc<Write>]) -> Option<Vec<Self::Done>> {
        let changes = within(STEP_LIMIT, self.0.write_together(writes)).await.ok()??;
        Some(changes.into_iter().map(|changes| Ok(Written::Committed(changes))).collect())
    }
}

//! Statements for several users at once, whose text has a place for each user: it is the same for any number.

use std::iter;

use crate::domain::UserId;

/// Users of one statement.
pub(super) const TOGETHER: usize = 16;

/// A place for each of [`TOGETHER`] users.
macro_rules! asked_users {
    () => {
        "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
    };
}
pub(super) use asked_users;

/// A user for each place: the last one fills those that are left, as twice in a list is once.
pub(super) fn filled(users: &[UserId]) -> impl Iterator<Item = UserId> {
    let last = users.last().copied();
    users.iter().copied().chain(iter::from_fn(move || last)).take(TOGETHER)
}

//! How often requests for one user are served.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use axum::Extension;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota};

use super::auth::Caller;
use super::error::ApiError;
use super::input::User;
use crate::domain::UserId;

/// After so many requests, users who are far from their limit are forgotten.
const FORGET_AFTER: u32 = 10_000;

/// Limits the requests for each user, over all of that user's paths.
pub(super) struct RateLimit {
    limiter: DefaultKeyedRateLimiter<UserId>,
    clock: DefaultClock,
    requests: AtomicU32,
}

impl RateLimit {
    /// So many requests a minute; as many may come at once after a pause.
    pub(super) fn new(per_minute: NonZeroU32) -> Self {
        let limiter = DefaultKeyedRateLimiter::keyed(Quota::per_minute(per_minute));
        Self { limiter, clock: DefaultClock::default(), requests: AtomicU32::new(0) }
    }

    fn check(&self, user: UserId) -> Result<(), ApiError> {
        if self.requests.fetch_add(1, Ordering::Relaxed) % FORGET_AFTER == FORGET_AFTER - 1 {
            self.limiter.retain_recent();
        }
        self.limiter.check_key(&user).map_err(|until| {
            let wait = until.wait_time_from(self.clock.now());
            // Whole seconds, rounded up: a retry after that is served.
            ApiError::RateLimited {
                seconds: u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).saturating_add(1),
            }
        })
    }
}

/// Refuses a request for a user who has had too many. Other services and administrators act for many users, whom
/// the requests of one user must not shut out: they are not limited.
pub(super) async fn per_user(
    State(limit): State<Option<Arc<RateLimit>>>,
    Extension(caller): Extension<Caller>,
    user: Result<User, ApiError>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    if let (Some(limit), Ok(User(user)), Caller::Anonymous | Caller::User(_)) = (limit, user, caller) {
        limit.check(user)?;
    }
    Ok(next.run(request).await)
}

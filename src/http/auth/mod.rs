//! Who may call what: API tokens of other services, tokens of users as the Java backend signs them, and the middleware
//! that holds each group of paths to them.

mod jwt;
mod tokens;

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::Response;

use self::jwt::Role;
use super::error::ApiError;
use super::input::User;
use crate::domain::UserId;

pub use self::jwt::{JwtKey, WeakSecret};
pub use self::tokens::{ApiTokens, InvalidApiToken, TokenFileError};

/// Longest token that is looked at, in bytes. The backend's have about 250.
const MAX_TOKEN_BYTES: usize = 4 * 1024;

/// Whether callers need a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthMode {
    /// Tokens are not looked at.
    Off,
    /// A call without a token passes; a token must be valid and may reach only its own paths.
    Optional,
    /// Every call needs a valid token.
    Required,
}

/// What callers have to show. Its `Debug` output holds no secret.
#[derive(Clone, Debug)]
pub struct AuthConfig {
    /// Whether callers need a token.
    pub mode: AuthMode,
    /// The tokens of other services, which may call everything.
    pub api_tokens: ApiTokens,
    /// The key of the backend's tokens. `None`: only API tokens are accepted.
    pub jwt_key: Option<JwtKey>,
    /// Whether the paths of the scheduler need no token.
    pub scheduler_is_open: bool,
    /// Whether the metrics need no token.
    pub metrics_are_open: bool,
}

/// The caller of a request, as its token shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Caller {
    /// No token, where none is needed.
    Anonymous,
    /// Another service.
    Service,
    /// A person with the role ADMIN.
    Admin,
    /// A user.
    User(UserId),
}

impl Caller {
    fn may_act_for(self, user: UserId) -> bool {
        match self {
            Self::Anonymous | Self::Service | Self::Admin => true,
            Self::User(own) => own == user,
        }
    }

    fn may_operate(self) -> bool {
        !matches!(self, Self::User(_))
    }
}

impl AuthConfig {
    /// Whether every call passes.
    pub fn is_off(&self) -> bool {
        self.mode == AuthMode::Off
    }

    /// The caller, or why the request is refused.
    fn caller(&self, headers: &HeaderMap) -> Result<Caller, ApiError> {
        if self.is_off() {
            return Ok(Caller::Anonymous);
        }
        match bearer(headers)? {
            Some(token) => self.owner(token),
            None if self.mode == AuthMode::Optional => Ok(Caller::Anonymous),
            None => Err(ApiError::TokenRequired),
        }
    }

    /// Whose token it is. All refusals are alike, so that they do not help to guess.
    fn owner(&self, token: &str) -> Result<Caller, ApiError> {
        if self.api_tokens.contain(token) {
            return Ok(Caller::Service);
        }
        let key = self.jwt_key.as_ref().ok_or(ApiError::InvalidToken)?;
        match key.verify(token) {
            Ok((_, Role::Admin)) => Ok(Caller::Admin),
            Ok((user, Role::User)) => Ok(Caller::User(user)),
            Err(cause) => {
                tracing::debug!(?cause, "a token was refused");
                Err(ApiError::InvalidToken)
            }
        }
    }
}

/// The bearer token of a request. Credentials of another kind are refused, not overlooked.
fn bearer(headers: &HeaderMap) -> Result<Option<&str>, ApiError> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let (scheme, token) =
        value.to_str().ok().and_then(|value| value.split_once(' ')).ok_or(ApiError::InvalidToken)?;
    let token = token.trim();
    let is_bearer = scheme.eq_ignore_ascii_case("bearer") && values.next().is_none();
    let fits = !token.is_empty() && token.len() <= MAX_TOKEN_BYTES;
    if is_bearer && fits { Ok(Some(token)) } else { Err(ApiError::InvalidToken) }
}

/// Lets those pass who may act for the user of the path.
pub(super) async fn of_user(
    State(auth): State<Arc<AuthConfig>>,
    user: Result<User, ApiError>,
    mut request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let caller = auth.caller(request.headers())?;
    // An id that is not one is the handler's to refuse.
    if user.is_ok_and(|User(user)| !caller.may_act_for(user)) {
        return Err(ApiError::Forbidden);
    }
    request.extensions_mut().insert(caller);
    Ok(next.run(request).await)
}

/// Lets other services and administrators pass.
pub(super) async fn of_operators(
    State(auth): State<Arc<AuthConfig>>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    if !auth.caller(request.headers())?.may_operate() {
        return Err(ApiError::Forbidden);
    }
    Ok(next.run(request).await)
}

//! The only map from errors to status codes and to the messages that users read.

use std::any::Any;

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::openapi::schema::Object;

use super::openapi;
use crate::calculator::{CalculationError, Failure};
use crate::storage::StoreError;

/// Why the service refuses a request or fails it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ApiError {
    InvalidUserId,
    InvalidQuery { parameter: &'static str, allowed: &'static str },
    MalformedBody,
    BodyTooLarge,
    UriTooLong,
    HeaderTooLarge,
    RequestTimedOut,
    UnknownPath,
    MethodNotAllowed,
    TokenRequired,
    InvalidToken,
    Forbidden,
    RateLimited { seconds: u32 },
    Unavailable,
    Stopping,
    CalculationTimedOut,
    Overloaded,
    Internal,
}

/// The envelope of every error. One page shows `error` to the user, another one `detail`: both are the message.
#[derive(Serialize)]
struct Body<'a> {
    success: bool,
    error: &'a str,
    code: &'static str,
    detail: &'a str,
}

/// Seconds until a client should try again after an outage of the database.
const RETRY_AFTER_OUTAGE: HeaderValue = HeaderValue::from_static("5");
/// Seconds until a client should try again after an overload: a run takes milliseconds.
const RETRY_AFTER_OVERLOAD: HeaderValue = HeaderValue::from_static("1");
/// How to log in, as RFC 6750 words it.
const CHALLENGE: HeaderValue = HeaderValue::from_static("Bearer realm=\"job-agent\"");
const CHALLENGE_AFTER_INVALID_TOKEN: HeaderValue =
    HeaderValue::from_static("Bearer realm=\"job-agent\", error=\"invalid_token\"");

impl ApiError {
    fn status(self) -> StatusCode {
        match self {
            Self::InvalidUserId | Self::InvalidQuery { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            Self::MalformedBody => StatusCode::BAD_REQUEST,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UriTooLong => StatusCode::URI_TOO_LONG,
            Self::HeaderTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::RequestTimedOut => StatusCode::REQUEST_TIMEOUT,
            Self::UnknownPath => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::TokenRequired | Self::InvalidToken => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::RateLimited { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable | Self::Stopping | Self::CalculationTimedOut | Self::Overloaded => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn code(self) -> &'static str {
        match self {
            Self::InvalidUserId => "invalid_user_id",
            Self::InvalidQuery { .. } => "invalid_query",
            Self::MalformedBody => "malformed_body",
            Self::BodyTooLarge => "body_too_large",
            Self::UriTooLong => "uri_too_long",
            Self::HeaderTooLarge => "header_too_large",
            Self::RequestTimedOut => "request_timed_out",
            Self::UnknownPath => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::TokenRequired => "token_required",
            Self::InvalidToken => "invalid_token",
            Self::Forbidden => "forbidden",
            Self::RateLimited { .. } => "rate_limited",
            Self::Unavailable => Failure::Unavailable.code(),
            Self::Stopping => "stopping",
            Self::CalculationTimedOut => Failure::TimedOut.code(),
            Self::Overloaded => Failure::Overloaded.code(),
            Self::Internal => Failure::Internal.code(),
        }
    }

    /// For users.
    fn message(self) -> String {
        match self {
            Self::InvalidUserId => "사용자 ID는 1 이상의 정수여야 합니다.".to_owned(),
            Self::InvalidQuery { parameter, allowed } => {
                format!("쿼리 매개변수 {parameter}의 값이 올바르지 않습니다. 허용되는 값: {allowed}")
            }
            Self::MalformedBody => "요청 본문은 비어 있거나 JSON 객체여야 합니다.".to_owned(),
            Self::BodyTooLarge => "요청 본문이 너무 큽니다.".to_owned(),
            Self::UriTooLong => "요청 주소가 너무 깁니다.".to_owned(),
            Self::HeaderTooLarge => "요청 헤더가 너무 큽니다.".to_owned(),
            Self::RequestTimedOut => "요청이 제한 시간 안에 도착하지 않았습니다.".to_owned(),
            Self::UnknownPath => "요청한 경로를 찾을 수 없습니다.".to_owned(),
            Self::MethodNotAllowed => "이 경로에서 지원하지 않는 메서드입니다.".to_owned(),
            Self::TokenRequired => "로그인이 필요합니다.".to_owned(),
            Self::InvalidToken => {
                "로그인 정보가 올바르지 않거나 만료되었습니다. 다시 로그인해 주세요.".to_owned()
            }
            Self::Forbidden => "이 요청을 할 권한이 없습니다.".to_owned(),
            Self::RateLimited { .. } => "요청이 너무 잦습니다. 잠시 후 다시 시도해 주세요.".to_owned(),
            Self::Unavailable => {
                "일시적으로 서비스를 이용할 수 없습니다. 잠시 후 다시 시도해 주세요.".to_owned()
            }
            Self::Stopping => "서비스가 종료되는 중입니다. 잠시 후 다시 시도해 주세요.".to_owned(),
            Self::CalculationTimedOut => {
                "추천 계산이 제한 시간을 넘었습니다. 잠시 후 다시 시도해 주세요.".to_owned()
            }
            Self::Overloaded => "요청이 많아 처리할 수 없습니다. 잠시 후 다시 시도해 주세요.".to_owned(),
            Self::Internal => "내부 오류가 발생했습니다.".to_owned(),
        }
    }
}

impl ApiError {
    /// A header that tells the client how to go on.
    fn header(self) -> Option<(HeaderName, HeaderValue)> {
        match self {
            Self::Overloaded => Some((header::RETRY_AFTER, RETRY_AFTER_OVERLOAD)),
            Self::Unavailable | Self::Stopping | Self::CalculationTimedOut => {
                Some((header::RETRY_AFTER, RETRY_AFTER_OUTAGE))
            }
            Self::RateLimited { seconds } => Some((header::RETRY_AFTER, seconds.into())),
            Self::TokenRequired => Some((header::WWW_AUTHENTICATE, CHALLENGE)),
            Self::InvalidToken => Some((header::WWW_AUTHENTICATE, CHALLENGE_AFTER_INVALID_TOKEN)),
            _ => None,
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let message = self.message();
        let body = Body { success: false, error: &message, code: self.code(), detail: &message };
        let mut response = (self.status(), Json(body)).into_response();
        response.headers_mut().extend(self.header());
        response
    }
}

/// Why a request that was handled has calculated no list. A business outcome, answered 200.
#[derive(Clone, Copy, Debug)]
pub(super) enum NotCalculated {
    AlreadyInProgress,
    NoProfileAnalysis,
    NoJobRecommendations,
}

impl NotCalculated {
    /// The schema of [`NotCalculated::code`].
    pub(super) fn codes() -> Object {
        let all = [Self::AlreadyInProgress, Self::NoProfileAnalysis, Self::NoJobRecommendations];
        openapi::one_of("English and stable, for programs.", &all.map(Self::code))
    }

    /// The English text that callers of `calculate` know.
    pub(super) fn error(self) -> &'static str {
        match self {
            Self::AlreadyInProgress => "Already in progress",
            Self::NoProfileAnalysis => "No profile analysis",
            Self::NoJobRecommendations => "No job recommendations",
        }
    }

    pub(super) fn code(self) -> &'static str {
        match self {
            Self::AlreadyInProgress => "already_in_progress",
            Self::NoProfileAnalysis => "no_profile_analysis",
            Self::NoJobRecommendations => "no_job_recommendations",
        }
    }

    /// For users.
    pub(super) fn message(self) -> &'static str {
        match self {
            Self::AlreadyInProgress => "추천을 이미 계산하고 있습니다. 잠시 후 다시 확인해 주세요.",
            Self::NoProfileAnalysis => {
                "아직 진로 분석 결과가 없습니다. 먼저 진로 상담이나 프로필 작성을 완료해 주세요."
            }
            Self::NoJobRecommendations => {
                "아직 추천된 직업이 없습니다. 먼저 진로 상담이나 프로필 작성을 완료해 주세요."
            }
        }
    }
}

/// The run has logged the cause.
impl From<&CalculationError> for ApiError {
    fn from(error: &CalculationError) -> Self {
        error.failure().into()
    }
}

impl From<Failure> for ApiError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Unavailable => Self::Unavailable,
            Failure::TimedOut => Self::CalculationTimedOut,
            Failure::Overloaded => Self::Overloaded,
            Failure::Internal => Self::Internal,
        }
    }
}

/// Logs the cause and hides it from the client.
impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "the database could not be read");
        Failure::from(&error).into()
    }
}

/// The answer to a request whose handler panicked; the panic hook has logged it.
pub(super) fn panicked(_: Box<dyn Any + Send>) -> Response {
    ApiError::Internal.into_response()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_answer_has_the_code_of_the_calculation_that_failed() {
        let errors = [
            (CalculationError::Store(StoreError::unavailable("")), "unavailable"),
            (CalculationError::Store(StoreError::conflict("")), "unavailable"),
            (CalculationError::Store(StoreError::refused("")), "internal_error"),
            (CalculationError::Store(StoreError::listing_gone("")), "internal_error"),
            (CalculationError::ServerInTrouble(Box::new(CalculationError::Panicked)), "unavailable"),
            (CalculationError::TimedOut(Duration::ZERO), "calculation_timed_out"),
            (CalculationError::Overloaded, "overloaded"),
            (CalculationError::Panicked, "internal_error"),
        ];
        for (error, code) in errors {
            assert_eq!((error.code(), ApiError::from(&error).code()), (code, code), "{error:?}");
        }
    }
}

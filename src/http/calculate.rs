//! `POST /api/job-agent/recommendations/calculate/{user_id}[?background=true][&force=true]`

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::ApiState;
use super::error::{ApiError, NotCalculated};
use super::input::{EmptyBody, Parameters, User};
use crate::background::Accepted;
use crate::calculator::Outcome;
use crate::domain::UserId;

/// The answer; fields that do not apply are left out.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    success: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    /// English: callers know these texts.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    /// Korean, for users: why the list was not calculated.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    saved_count: Option<usize>,
    user_id: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    background: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    skipped: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    queued: Option<bool>,
}

pub(super) async fn calculate(
    State(api): State<ApiState>,
    User(user): User,
    parameters: Parameters,
    _: EmptyBody,
) -> Result<Response, ApiError> {
    let (background, force) = (parameters.flag("background")?, parameters.flag("force")?);
    if background {
        let accepted = api.triggers.request(&api.calculator, user).await;
        return Ok(match accepted.map_err(|error| ApiError::from(&*error))? {
            Accepted::Recorded => (StatusCode::ACCEPTED, Json(recorded(user))).into_response(),
            Accepted::NothingToCalculate(outcome) => Json(answer(user, &outcome)).into_response(),
        });
    }
    let outcome = api.calculator.calculate(user, force).await.map_err(|error| ApiError::from(&*error))?;
    Ok(Json(answer(user, &outcome)).into_response())
}

fn recorded(user: UserId) -> Answer {
    Answer {
        success: true,
        message: Some(format!("사용자 {user}의 추천 계산이 백그라운드에서 시작되었습니다.")),
        user_id: user.get(),
        background: Some(true),
        ..Answer::default()
    }
}

fn answer(user: UserId, outcome: &Outcome) -> Answer {
    let user_id = user.get();
    let stored = |saved_count: usize, message: String| Answer {
        success: true,
        message: Some(message),
        saved_count: Some(saved_count),
        user_id,
        background: Some(false),
        skipped: Some(false),
        ..Answer::default()
    };
    let failed = |why: NotCalculated| Answer {
        error: Some(why.error()),
        code: Some(why.code()),
        detail: Some(why.message()),
        user_id,
        ..Answer::default()
    };
    match *outcome {
        Outcome::Computed { saved_count } => {
            stored(saved_count, format!("사용자 {user}의 추천이 계산되었습니다."))
        }
        Outcome::UpToDate { saved_count } => Answer {
            skipped: Some(true),
            code: Some("up_to_date"),
            ..stored(saved_count, format!("사용자 {user}의 추천이 이미 최신 상태입니다."))
        },
        Outcome::Queued(_) => {
            Answer { skipped: Some(true), queued: Some(true), ..failed(NotCalculated::AlreadyInProgress) }
        }
        Outcome::NoProfileAnalysis => failed(NotCalculated::NoProfileAnalysis),
        Outcome::NoJobRecommendations => failed(NotCalculated::NoJobRecommendations),
    }
}

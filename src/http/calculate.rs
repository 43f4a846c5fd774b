//! `POST /api/job-agent/recommendations/calculate/{user_id}[?background=true][&force=true]`

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::schema::Object;

use super::error::{ApiError, NotCalculated};
use super::input::{EmptyBody, Flag, Parameters, User};
use super::{ApiState, openapi};
use crate::background::Accepted;
use crate::calculator::{Outcome, Participation, QueuedReason};
use crate::domain::UserId;

/// The header with the id of the run, as in the log.
pub(super) const RUN_ID: HeaderName = HeaderName::from_static("x-run-id");
/// The header with the request's part in the run: it `began` the run, or `joined` one that had not read its inputs yet.
pub(super) const RUN_ROLE: HeaderName = HeaderName::from_static("x-run-role");

/// The answer to a run.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = Calculation)]
enum Answer {
    Stored(Stored),
    NotStored(NotStored),
}

/// The list was calculated, or is current.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = CalculationStored)]
struct Stored {
    #[schema(schema_with = openapi::succeeded)]
    success: bool,
    /// Korean, for users.
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = stored_code)]
    code: Option<&'static str>,
    /// Stored recommendations.
    #[schema(minimum = 0)]
    saved_count: usize,
    #[schema(minimum = 1)]
    user_id: i64,
    background: bool,
    /// Whether the stored list was current, so that nothing was written.
    skipped: bool,
}

/// No list was calculated, for a reason that is no error.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = NotCalculated)]
struct NotStored {
    #[schema(schema_with = openapi::failed)]
    success: bool,
    /// English: callers know these texts.
    error: &'static str,
    #[schema(schema_with = NotCalculated::codes)]
    code: &'static str,
    /// Korean, for users: why the list was not calculated.
    detail: &'static str,
    #[schema(minimum = 1)]
    user_id: i64,
    /// Only if another run was in progress: `true`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    skipped: Option<bool>,
    /// Only if another run was in progress: the trigger is recorded and will be served.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    queued: Option<bool>,
}

/// The trigger is recorded durably.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = CalculationAccepted)]
struct Recorded {
    #[schema(schema_with = openapi::succeeded)]
    success: bool,
    /// Korean, for users.
    message: String,
    #[schema(minimum = 1)]
    user_id: i64,
    background: bool,
}

fn stored_code() -> Object {
    openapi::one_of("Only if nothing was written.", &["up_to_date"])
}

/// Calculates the user's list.
///
/// Answers when the list is stored. If another run of the user is still in progress after 10 s, the trigger is recorded
/// and will be served. With `background` the call answers as soon as the trigger is recorded durably.
#[utoipa::path(
    post,
    path = "/calculate/{user_id}",
    tag = "recommendations",
    params(
        User,
        ("background" = Option<Flag>, Query, description = "Records the trigger and answers at once."),
        ("force" = Option<Flag>, Query, description = "Calculates even if nothing has changed."),
    ),
    request_body(content = EmptyBody, description = "Empty, or any JSON object. The content type does not matter."),
    responses(
        (status = 200, body = Answer, description = "The list is stored, or there is a reason why not.", headers(
            ("x-run-id" = String, description = "The id of the run, as in the log."),
            ("x-run-role" = String, description = "The request `began` the run, or `joined` it."),
        ), examples(
            ("computed" = (value = json!(example(&Outcome::Computed { saved_count: 50 })))),
            ("up_to_date" = (value = json!(example(&Outcome::UpToDate { saved_count: 50 })))),
            ("already_in_progress" = (value = json!(example(&Outcome::Queued(QueuedReason::LockBusy))))),
            ("no_profile_analysis" = (value = json!(example(&Outcome::NoProfileAnalysis)))),
            ("no_job_recommendations" = (value = json!(example(&Outcome::NoJobRecommendations)))),
        )),
        (status = 202, body = Recorded, description = "The trigger is recorded and will be served.",
            example = json!(UserId::try_from(1).map(recorded).ok())),
    ),
)]
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
    let participation = api.calculator.participate(user, force).await;
    let mut response = match &participation.result {
        Ok(outcome) => Json(answer(user, outcome)).into_response(),
        Err(error) => ApiError::from(&**error).into_response(),
    };
    response.headers_mut().extend(headers(&participation).into_iter().flatten());
    Ok(response)
}

/// Which run it was, if there was one.
fn headers(participation: &Participation) -> Option<[(HeaderName, HeaderValue); 2]> {
    let id = HeaderValue::try_from(participation.run?.to_string()).ok()?;
    let role = HeaderValue::from_static(if participation.joined { "joined" } else { "began" });
    Some([(RUN_ID, id), (RUN_ROLE, role)])
}

fn recorded(user: UserId) -> Recorded {
    Recorded {
        success: true,
        message: format!("사용자 {user}의 추천 계산이 백그라운드에서 시작되었습니다."),
        user_id: user.get(),
        background: true,
    }
}

fn answer(user: UserId, outcome: &Outcome) -> Answer {
    let user_id = user.get();
    let stored = |saved_count, message| Stored {
        success: true,
        message,
        code: None,
        saved_count,
        user_id,
        background: false,
        skipped: false,
    };
    let not_stored = |why: NotCalculated| NotStored {
        success: false,
        error: why.error(),
        code: why.code(),
        detail: why.message(),
        user_id,
        skipped: None,
        queued: None,
    };
    match *outcome {
        Outcome::Computed { saved_count } => {
            Answer::Stored(stored(saved_count, format!("사용자 {user}의 추천이 계산되었습니다.")))
        }
        Outcome::UpToDate { saved_count } => Answer::Stored(Stored {
            skipped: true,
            code: Some("up_to_date"),
            ..stored(saved_count, format!("사용자 {user}의 추천이 이미 최신 상태입니다."))
        }),
        Outcome::Queued(_) => Answer::NotStored(NotStored {
            skipped: Some(true),
            queued: Some(true),
            ..not_stored(NotCalculated::AlreadyInProgress)
        }),
        Outcome::NoProfileAnalysis => Answer::NotStored(not_stored(NotCalculated::NoProfileAnalysis)),
        Outcome::NoJobRecommendations => Answer::NotStored(not_stored(NotCalculated::NoJobRecommendations)),
    }
}

/// The answer to the first user, for the document.
fn example(outcome: &Outcome) -> Option<Answer> {
    UserId::try_from(1).map(|user| answer(user, outcome)).ok()
}

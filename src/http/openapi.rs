//! The OpenAPI document. Handlers document their parameters and their answers when all is well. The errors of an
//! operation follow from its layers and extractors, and are documented by the answers that [`ApiError`] makes.

use std::collections::BTreeMap;

use axum::body::to_bytes;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::response::Parts;
use axum::response::IntoResponse;
use futures::FutureExt;
use serde_json::{Value, json};
use utoipa::openapi::example::ExampleBuilder;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{Operation, ParameterIn};
use utoipa::openapi::schema::{AllOfBuilder, Object, ObjectBuilder, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Components, ContentBuilder, Header, Ref, RefOr, Required, Response, ResponseBuilder};
use utoipa::{OpenApi, ToSchema};

use super::error::ApiError;
use super::input::Flag;

const BEARER_AUTH: &str = "bearerAuth";

/// The parts that belong to no handler.
#[derive(OpenApi)]
#[openapi(
    info(description = "Keeps every user's job recommendations right and fresh. \
        Every answer with `\"success\": false` has a stable English `code` and a Korean `detail` that may be shown \
        to users. A slash at the end of a path does not matter. Unknown query parameters are ignored."),
    tags(
        (name = "recommendations", description = "The list of one user."),
        (name = "scheduler", description = "The batch over all active users."),
        (name = "operator", description = "What an operator looks at: the last runs, parked users."),
        (name = "health", description = "For orchestrators, load balancers and Prometheus."),
    ),
    components(schemas(Error, Flag)),
)]
struct Document;

/// The envelope of every error.
#[derive(ToSchema)]
#[expect(dead_code, reason = "documents the body that ApiError makes")]
struct Error {
    #[schema(schema_with = failed)]
    success: bool,
    /// Korean, for users: the same text as `detail`.
    error: String,
    /// English and stable, for programs.
    code: String,
    /// Korean, for users: why the request was refused or failed.
    detail: String,
}

/// The beginning of the document, to which the routes are added.
pub(super) fn begin() -> utoipa::openapi::OpenApi {
    Document::openapi()
}

/// Adds errors and security to the operations of the document.
pub(super) fn complete(mut document: utoipa::openapi::OpenApi) -> utoipa::openapi::OpenApi {
    for (path, item) in &mut document.paths.paths {
        for operation in [&mut item.get, &mut item.post].into_iter().flatten() {
            let documented = documented(&errors(path, operation));
            operation.responses.responses.extend(documented);
            if let Some(RefOr::T(body)) = &mut operation.request_body {
                body.required = Some(Required::False);
            }
            if is_protected(path) {
                // None is needed unless the service is configured to require tokens.
                let bearer = SecurityRequirement::new(BEARER_AUTH, Vec::<String>::new());
                operation.security = Some(vec![SecurityRequirement::default(), bearer]);
            }
        }
    }
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("An API token, or a user's JWT as the backend signs it."))
        .build();
    let components = document.components.get_or_insert_with(Components::new);
    components.add_security_scheme(BEARER_AUTH, SecurityScheme::Http(bearer));
    document
}

fn is_protected(path: &str) -> bool {
    path.starts_with("/api/") || path == "/metrics"
}

/// The errors that the operation's layers and extractors answer, and those of its own.
fn errors(path: &str, operation: &Operation) -> Vec<ApiError> {
    // `limits::receive` and the handler of panics.
    let mut errors = vec![
        ApiError::MalformedBody,
        ApiError::RequestTimedOut,
        ApiError::BodyTooLarge,
        ApiError::UriTooLong,
        ApiError::HeaderTooLarge,
        ApiError::Internal,
    ];
    if is_protected(path) {
        errors.extend([ApiError::TokenRequired, ApiError::InvalidToken, ApiError::Forbidden]);
    }
    if path.starts_with("/api/") {
        errors.extend([ApiError::Unavailable, ApiError::Overloaded]);
    }
    if path.starts_with("/api/job-agent/recommendations/") {
        errors.push(ApiError::RateLimited { seconds: 1 });
    }
    for parameter in operation.parameters.iter().flatten() {
        let RefOr::T(parameter) = parameter else { continue };
        errors.push(match (&parameter.parameter_in, parameter.name.as_str()) {
            (ParameterIn::Path, _) => ApiError::InvalidUserId,
            (_, "limit") => ApiError::InvalidQuery { parameter: "limit", allowed: "1–100" },
            (_, "background") => ApiError::InvalidQuery { parameter: "background", allowed: "true, false" },
            _ => continue,
        });
    }
    match operation.operation_id.as_deref() {
        Some("calculate") => errors.push(ApiError::CalculationTimedOut),
        Some("ready") => errors.extend([ApiError::Unavailable, ApiError::Stopping]),
        _ => {}
    }
    errors
}

/// The errors by status: their codes, headers and bodies, as they are sent.
fn documented(errors: &[ApiError]) -> BTreeMap<String, RefOr<Response>> {
    let mut by_status = BTreeMap::<String, Vec<Answer>>::new();
    for answer in errors.iter().map(|error| Answer::to(*error)) {
        by_status.entry(answer.parts.status.as_str().to_owned()).or_default().push(answer);
    }
    by_status.into_iter().map(|(status, answers)| (status, response(&answers).into())).collect()
}

fn response(answers: &[Answer]) -> Response {
    let codes: Vec<&str> = answers.iter().map(Answer::code).collect();
    let code = one_of("English and stable, for programs.", &codes);
    let schema = AllOfBuilder::new()
        .item(Ref::from_schema_name("Error"))
        .item(ObjectBuilder::new().property("code", code));
    let examples = answers.iter().map(|answer| {
        let example = ExampleBuilder::new().summary(answer.cause).value(Some(answer.body.clone()));
        (answer.code(), example.build())
    });
    let causes = answers.iter().map(|answer| format!("`{}`: {}.", answer.code(), answer.cause));
    let content = ContentBuilder::new().schema(Some(schema)).examples_from_iter(examples).build();
    let mut response = ResponseBuilder::new()
        .description(causes.collect::<Vec<_>>().join("\n\n"))
        .content("application/json", content)
        .build();
    for (name, value) in answers.iter().flat_map(|answer| &answer.parts.headers) {
        if ![CONTENT_TYPE, CONTENT_LENGTH].contains(name)
            && let Ok(value) = value.to_str()
        {
            response.headers.entry(canonical(name.as_str())).or_insert_with(|| header(value).into());
        }
    }
    response
}

fn header(value: &str) -> Header {
    let number = value.parse::<u64>();
    let kind = if number.is_ok() { Type::Integer } else { Type::String };
    let example = number.map_or_else(|_| json!(value), |number| json!(number));
    HeaderBuilder::new().schema(Some(ObjectBuilder::new().schema_type(kind))).example(Some(example)).build()
}

/// A header's name as documents write it: `Retry-After`.
fn canonical(name: &str) -> String {
    let words = name.split('-').map(|word| {
        let (first, rest) = word.split_at(1.min(word.len()));
        first.to_ascii_uppercase() + rest
    });
    words.collect::<Vec<_>>().join("-")
}

/// The answer to an error, as it is sent.
struct Answer {
    parts: Parts,
    body: Value,
    cause: &'static str,
}

impl Answer {
    fn to(error: ApiError) -> Self {
        let (parts, body) = error.into_response().into_parts();
        // The body is in memory: there is nothing to wait for.
        let bytes = to_bytes(body, usize::MAX).now_or_never().and_then(Result::ok).unwrap_or_default();
        Self { parts, body: serde_json::from_slice(&bytes).unwrap_or_default(), cause: cause(error) }
    }

    fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }
}

/// When an error is answered.
fn cause(error: ApiError) -> &'static str {
    match error {
        ApiError::InvalidUserId => "the id is not a positive 64-bit integer in plain digits",
        ApiError::InvalidQuery { .. } => {
            "a query parameter has a value that is not allowed, or is there twice"
        }
        ApiError::MalformedBody => "the body is neither empty nor a JSON object, or broke off",
        ApiError::BodyTooLarge => "the body has more than 64 KiB",
        ApiError::UriTooLong => "path and query have more than 8 KiB",
        ApiError::HeaderTooLarge => "the headers have more than 16 KiB",
        ApiError::TokenRequired => "the service requires a token, and the request has none",
        ApiError::InvalidToken => "the token is not valid, or no longer",
        ApiError::Forbidden => "the token does not allow this request",
        ApiError::RateLimited { .. } => "there were too many requests for this user within a minute",
        ApiError::RequestTimedOut => "the body did not arrive in time",
        ApiError::UnknownPath => "there is no such path",
        ApiError::MethodNotAllowed => "the path does not have this method",
        ApiError::Unavailable => "the database cannot be reached or is in trouble",
        ApiError::Stopping => "the instance is about to stop",
        ApiError::CalculationTimedOut => "the run took too long",
        ApiError::Overloaded => "the instance has too many requests or calculations in hand",
        ApiError::Internal => "a defect; the stored list is unchanged",
    }
}

/// The schema of `"success": true`.
pub(super) fn succeeded() -> Object {
    ObjectBuilder::new().schema_type(Type::Boolean).enum_values(Some([true])).build()
}

/// The schema of `"success": false`.
pub(super) fn failed() -> Object {
    ObjectBuilder::new().schema_type(Type::Boolean).enum_values(Some([false])).build()
}

/// The schema of a text that is one of some.
pub(super) fn one_of(description: &str, values: &[&str]) -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some(description))
        .enum_values(Some(values.iter().copied()))
        .build()
}

//! Parses requests before they cost anything. Unknown names in queries and bodies are ignored, because callers
//! add cache busters and the like; values that cannot be parsed are refused.

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use serde_json::{Map, Value};
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{AnyOfBuilder, KnownFormat, ObjectBuilder, Schema, SchemaFormat, Type};
use utoipa::openapi::{RefOr, Required};
use utoipa::{IntoParams, PartialSchema, ToSchema};

use super::error::ApiError;
use crate::domain::UserId;

/// The `{user_id}` of the path.
pub(super) struct User(pub UserId);

impl<S: Send + Sync> FromRequestParts<S> for User {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Path(id) =
            Path::<String>::from_request_parts(parts, state).await.map_err(|_| ApiError::InvalidUserId)?;
        id.parse().map(Self).map_err(|_| ApiError::InvalidUserId)
    }
}

impl IntoParams for User {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let schema = ObjectBuilder::new()
            .schema_type(Type::Integer)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
            .minimum(Some(1))
            .maximum(Some(i64::MAX));
        let parameter = ParameterBuilder::new()
            .name("user_id")
            .parameter_in(ParameterIn::Path)
            .required(Required::True)
            .description(Some("The user's id, in decimal digits."))
            .schema(Some(schema))
            .example(Some(1.into()));
        vec![parameter.build()]
    }
}

/// The query, as pairs in their order.
pub(super) struct Parameters(Vec<(String, String)>);

impl<S: Send + Sync> FromRequestParts<S> for Parameters {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let unreadable = |_| ApiError::InvalidQuery { parameter: "?", allowed: "name=value" };
        let Query(pairs) = Query::from_request_parts(parts, state).await.map_err(unreadable)?;
        Ok(Self(pairs))
    }
}

impl Parameters {
    /// A truth value in any spelling that the old service accepted; absent is false.
    pub(super) fn flag(&self, parameter: &'static str) -> Result<bool, ApiError> {
        let refused = ApiError::InvalidQuery { parameter, allowed: "true, false" };
        match self.single(parameter, refused)?.map(str::to_ascii_lowercase).as_deref() {
            None | Some("false" | "0" | "no" | "off" | "n" | "f") => Ok(false),
            Some("true" | "1" | "yes" | "on" | "y" | "t") => Ok(true),
            Some(_) => Err(refused),
        }
    }

    /// A decimal integer within `range`.
    pub(super) fn integer(
        &self,
        parameter: &'static str,
        range: std::ops::RangeInclusive<u8>,
        default: u8,
        allowed: &'static str,
    ) -> Result<u8, ApiError> {
        let refused = ApiError::InvalidQuery { parameter, allowed };
        let Some(text) = self.single(parameter, refused)? else { return Ok(default) };
        let value = text.parse().map_err(|_| refused)?;
        if range.contains(&value) { Ok(value) } else { Err(refused) }
    }

    fn single(&self, parameter: &str, refused: ApiError) -> Result<Option<&str>, ApiError> {
        let mut values = self.0.iter().filter(|(name, _)| name == parameter).map(|(_, value)| value.as_str());
        match (values.next(), values.next()) {
            (_, Some(_)) => Err(refused),
            (value, None) => Ok(value),
        }
    }
}

/// A truth value of a query, for the document: see [`Parameters::flag`].
pub(super) enum Flag {}

impl PartialSchema for Flag {
    fn schema() -> RefOr<Schema> {
        let spelling = "^([Tt][Rr][Uu][Ee]|[Ff][Aa][Ll][Ss][Ee]|[Yy][Ee][Ss]|[Nn][Oo]|[Oo][Nn]|[Oo][Ff][Ff]|[YyTtNnFf10])$";
        let text = ObjectBuilder::new().schema_type(Type::String).pattern(Some(spelling));
        let any = AnyOfBuilder::new().item(ObjectBuilder::new().schema_type(Type::Boolean)).item(text);
        any.description(Some(
            "`true` or `false`; also `1`, `yes`, `on`, `y`, `t` and `0`, `no`, `off`, `n`, `f`, in any case.",
        ))
        .into()
    }
}

impl ToSchema for Flag {}

/// A body that is empty or a JSON object, with any content type.
pub(super) struct EmptyBody;

impl PartialSchema for EmptyBody {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().description(Some("Any JSON object; its content does not matter.")).into()
    }
}

impl ToSchema for EmptyBody {}

impl<S: Send + Sync> FromRequest<S> for EmptyBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let body = Bytes::from_request(request, state).await.map_err(|_| ApiError::MalformedBody)?;
        if !body.is_empty() {
            serde_json::from_slice::<Map<String, Value>>(&body).map_err(|_| ApiError::MalformedBody)?;
        }
        Ok(Self)
    }
}

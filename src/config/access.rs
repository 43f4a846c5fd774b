//! Which requests are served.

use std::num::NonZeroU32;

use super::ConfigError;
use super::env::{Env, refused};
use crate::http::{AccessConfig, ApiTokens, AuthConfig, AuthMode, InvalidApiToken, JwtKey, Origin};

pub(super) fn access(env: &Env<'_>) -> Result<AccessConfig, ConfigError> {
    let per_minute = env.integer("USER_REQUESTS_PER_MINUTE", 0, 0, 1_000_000)?;
    Ok(AccessConfig {
        auth: auth(env)?,
        user_requests_per_minute: NonZeroU32::new(per_minute as u32),
        console: env.flag("CONSOLE", true)?,
        cors_origins: origins(env)?,
    })
}

/// Secrets are refused without their values.
fn auth(env: &Env<'_>) -> Result<AuthConfig, ConfigError> {
    let mode = mode(env)?;
    let api_tokens = api_tokens(env)?;
    let jwt_key = match env.get("JWT_SECRET") {
        Some(secret) => Some(
            JwtKey::new(secret.as_bytes())
                .map_err(|error| refused("JWT_SECRET", "***", &error.to_string()))?,
        ),
        None => None,
    };
    if mode != AuthMode::Off && api_tokens.is_empty() && jwt_key.is_none() {
        let value = env.word("AUTH_MODE").unwrap_or_default();
        return Err(refused(
            "AUTH_MODE",
            &value,
            "off unless API_TOKENS, API_TOKENS_FILE or JWT_SECRET is set",
        ));
    }
    let scheduler_is_open = env.flag("SCHEDULER_OPEN", false)?;
    let metrics_are_open = env.flag("METRICS_OPEN", false)?;
    Ok(AuthConfig { mode, api_tokens, jwt_key, scheduler_is_open, metrics_are_open })
}

fn mode(env: &Env<'_>) -> Result<AuthMode, ConfigError> {
    let Some(value) = env.word("AUTH_MODE") else { return Ok(AuthMode::Off) };
    match value.to_ascii_lowercase().as_str() {
        "off" => Ok(AuthMode::Off),
        "optional" => Ok(AuthMode::Optional),
        "required" => Ok(AuthMode::Required),
        _ => Err(refused("AUTH_MODE", &value, "off, optional or required")),
    }
}

/// Those of the variable and of the file.
fn api_tokens(env: &Env<'_>) -> Result<ApiTokens, ConfigError> {
    let text = env.get("API_TOKENS").unwrap_or_default();
    let tokens: ApiTokens =
        text.parse().map_err(|error: InvalidApiToken| refused("API_TOKENS", "***", &error.to_string()))?;
    match env.get("API_TOKENS_FILE") {
        Some(path) => tokens
            .with_file(path.clone().into())
            .map_err(|error| refused("API_TOKENS_FILE", &path, &error.to_string())),
        None => Ok(tokens),
    }
}

fn origins(env: &Env<'_>) -> Result<Vec<Origin>, ConfigError> {
    let default = "http://localhost:3000,http://localhost:3002,http://localhost:5173,\
                   https://dreampathai.link,https://www.dreampathai.link";
    let value = env.get("CORS_ALLOWED_ORIGINS").unwrap_or_else(|| default.to_owned());
    let allowed = "origins such as https://example.com, separated by commas";
    let parse = |origin: &str| origin.parse().map_err(|_| refused("CORS_ALLOWED_ORIGINS", &value, allowed));
    value.split(',').map(str::trim).filter(|origin| !origin.is_empty()).map(parse).collect()
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, ConfigError};

    fn config(variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
        Config::from_lookup(&|name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    const SECRET: &str = "hunter2-hunter2-hunter2-hunter2-hunter2";

    #[test]
    fn a_mode_without_a_way_to_get_in_is_refused() {
        for mode in ["optional", "required"] {
            let refused = config(&[("AUTH_MODE", mode)]).expect_err("refused").to_string();
            assert!(refused.starts_with("AUTH_MODE=") && refused.contains("JWT_SECRET"), "{refused}");
            assert!(config(&[("AUTH_MODE", mode), ("JWT_SECRET", SECRET)]).is_ok());
            assert!(config(&[("AUTH_MODE", mode), ("API_TOKENS", SECRET)]).is_ok());
        }
        assert!(config(&[("AUTH_MODE", "sometimes")]).expect_err("refused").to_string().contains("required"));
        assert!(config(&[]).unwrap().access.auth.is_off());
        assert!(config(&[("JWT_SECRET", SECRET)]).unwrap().access.auth.is_off(), "until it is configured");
    }

    #[test]
    fn weak_secrets_are_refused_and_no_secret_is_shown() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens");
        std::fs::write(&path, "hunter2\n").unwrap();
        let empty = folder.path().join("empty");
        std::fs::write(&empty, "# hunter2-hunter2-hunter2\n").unwrap();
        for (variable, value) in [
            ("JWT_SECRET", "hunter2"),
            ("JWT_SECRET", &SECRET[..31]),
            ("API_TOKENS", "hunter2"),
            ("API_TOKENS", "hunter2-hunter2-hunter2,hunter2"),
            ("API_TOKENS", "hunter2 hunter2 hunter2"),
            ("API_TOKENS_FILE", path.to_str().unwrap()),
            ("API_TOKENS_FILE", empty.to_str().unwrap()),
            ("API_TOKENS_FILE", "/does/not/exist"),
        ] {
            let refused = config(&[(variable, value)]).expect_err(value).to_string();
            assert!(refused.starts_with(variable) && !refused.contains("hunter2"), "{refused}");
        }
        let shown = format!("{:?}", config(&[("JWT_SECRET", SECRET), ("API_TOKENS", SECRET)]).unwrap());
        assert!(shown.contains("1 tokens") && shown.contains("HS256"), "{shown}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}

//! Values of environment variables, as Docker, Kubernetes, Helm, ECS and systemd hand them over.

use std::time::Duration;

use super::ConfigError;

pub(super) struct Env<'a>(pub &'a dyn Fn(&str) -> Option<String>);

impl Env<'_> {
    /// The value as it was meant: without blanks and one pair of quotes around it, which Docker's and systemd's
    /// files of variables may leave in place. An empty value counts as not set.
    pub(super) fn get(&self, variable: &str) -> Option<String> {
        let value = (self.0)(variable)?;
        let value = value.trim();
        let quoted = |quote| value.strip_prefix(quote)?.strip_suffix(quote);
        let value = quoted('"').or_else(|| quoted('\'')).unwrap_or(value).trim();
        (!value.is_empty()).then(|| value.to_owned())
    }

    /// A number, name or flag, without the comment that Docker's files of variables leave behind a value.
    pub(super) fn word(&self, variable: &str) -> Option<String> {
        let value = self.get(variable)?;
        Some(value.split(" #").next().unwrap_or_default().trim_end().to_owned())
    }

    pub(super) fn flag(&self, variable: &'static str, default: bool) -> Result<bool, ConfigError> {
        let Some(value) = self.word(variable) else { return Ok(default) };
        match value.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" | "y" | "t" => Ok(true),
            "false" | "0" | "no" | "off" | "n" | "f" => Ok(false),
            _ => Err(refused(variable, &value, "true or false")),
        }
    }

    pub(super) fn integer(
        &self,
        variable: &'static str,
        default: u64,
        min: u64,
        max: u64,
    ) -> Result<u64, ConfigError> {
        let Some(value) = self.word(variable) else { return Ok(default) };
        integer(&value)
            .filter(|integer| (min..=max).contains(integer))
            .ok_or_else(|| refused(variable, &value, &format!("an integer from {min} to {max}")))
    }

    /// A port. Kubernetes and Docker links give every container the addresses of its neighbours: beside a service
    /// named `redis`, REDIS_PORT is `tcp://10.0.0.1:6379` unless the deployment sets it.
    pub(super) fn port(&self, variable: &'static str, default: u16, min: u16) -> Result<u16, ConfigError> {
        let Some(value) = self.word(variable) else { return Ok(default) };
        let port = match value.strip_prefix("tcp://") {
            Some(address) => address.rsplit_once(':').and_then(|(_, port)| port.parse().ok()),
            None => integer(&value).and_then(|port| u16::try_from(port).ok()),
        };
        port.filter(|port| *port >= min)
            .ok_or_else(|| refused(variable, &value, &format!("an integer from {min} to 65535")))
    }

    pub(super) fn seconds(
        &self,
        variable: &'static str,
        default: u64,
        min: u64,
        max: u64,
    ) -> Result<Duration, ConfigError> {
        self.integer(variable, default, min, max).map(Duration::from_secs)
    }
}

/// A non-negative integer; also one that a template engine has written as a floating-point number (`1e+06`).
fn integer(text: &str) -> Option<u64> {
    text.parse().ok().or_else(|| {
        let number: f64 = text.parse().ok()?;
        // The largest integer up to which f64 is exact.
        let exact = number >= 0.0 && number <= (1_u64 << 53) as f64 && number.fract() == 0.0;
        exact.then_some(number as u64)
    })
}

/// The error of a value that cannot be used.
pub(super) fn refused(variable: &'static str, value: &str, allowed: &str) -> ConfigError {
    ConfigError { variable, value: value.to_owned(), allowed: allowed.to_owned() }
}

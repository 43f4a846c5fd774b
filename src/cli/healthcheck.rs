//! `job-agent healthcheck`: whether the service of this configuration answers, for containers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::Result;
use crate::config::Config;

pub(super) async fn healthcheck(config: &Config) -> Result {
    // A service that listens everywhere is reached on the loopback address.
    let host = match config.host {
        IpAddr::V4(host) if host.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(host) if host.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        host => host,
    };
    let answer =
        tokio::time::timeout(Duration::from_secs(3), get_health((host, config.port).into())).await??;
    let healthy = answer.starts_with("HTTP/1.0 200") || answer.starts_with("HTTP/1.1 200");
    Ok(if healthy { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn get_health(address: SocketAddr) -> std::io::Result<String> {
    let mut connection = TcpStream::connect(address).await?;
    connection.write_all(b"GET /health HTTP/1.0\r\n\r\n").await?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await?;
    Ok(answer)
}

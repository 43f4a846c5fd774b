//! What the figures were measured on.

use std::fs;

use sqlx::{Row, raw_sql};

use super::instance;
use super::stage::Stage;

/// Settings of MySQL that decide how durable a commit is, and how much it remembers.
const SETTINGS: &str = "SHOW GLOBAL VARIABLES WHERE variable_name IN \
    ('version', 'innodb_flush_log_at_trx_commit', 'sync_binlog', 'log_bin', 'innodb_doublewrite', \
     'innodb_flush_method', 'innodb_buffer_pool_size')";

/// The commit, the machine, the servers and the data, by name.
pub async fn about(stage: &Stage) -> Vec<(String, String)> {
    let options = &stage.options;
    let seconds = options.course.time.as_secs_f64();
    let mut about = vec![
        ("commit", command("git", &["describe", "--always", "--dirty", "--abbrev=10"])),
        ("date", command("date", &["-u", "+%Y-%m-%d %H:%M UTC"])),
        ("machine", machine()),
        ("load at the start", first_words("/proc/loadavg", 3)),
        ("servers", servers(stage).await),
        ("rounds", format!("{} of {seconds} s for each side, in turns", options.course.rounds)),
        (
            "data",
            format!(
                "{} listings, {} users; a row is {:.0} bytes as it is sent; a change of a tenth exchanges {:.1} % of \
                 the rows",
                options.listings,
                options.users,
                stage.users.bytes_of_a_row(),
                stage.users.share_of_a_tenth() * 100.0
            ),
        ),
    ];
    if std::env::var_os("JOB_AGENT_BIN").is_some() {
        let name = std::env::var("JOB_AGENT_NAME").unwrap_or_else(|_| file_name());
        about.insert(1, ("service under test", name));
    }
    about.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn file_name() -> String {
    instance::binary().file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn command(program: &str, arguments: &[&str]) -> String {
    let output = std::process::Command::new(program).args(arguments).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}

fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("unknown");
    let model = model.trim_start_matches(['\t', ' ', ':']);
    format!("{cores} cores ({model}), shared by callers, service and servers")
}

fn first_words(file: &str, count: usize) -> String {
    let text = fs::read_to_string(file).unwrap_or_default();
    text.split_whitespace().take(count).collect::<Vec<_>>().join(" ")
}

async fn servers(stage: &Stage) -> String {
    let rows = raw_sql(SETTINGS).fetch_all(&stage.database.pool).await.expect("readable");
    let mut parts: Vec<String> =
        rows.iter().map(|row| format!("{}={}", row.get::<String, _>(0), row.get::<String, _>(1))).collect();
    let cipher: String = raw_sql("SHOW SESSION STATUS LIKE 'Ssl_cipher'")
        .fetch_one(&stage.database.pool)
        .await
        .expect("readable")
        .get(1);
    parts.push(format!("TLS {}", if cipher.is_empty() { "off" } else { &cipher }));
    let info: String = redis::cmd("INFO")
        .arg("server")
        .query_async(&mut stage.servers.redis.clone())
        .await
        .expect("Redis answers");
    let version = info.lines().find_map(|line| line.strip_prefix("redis_version:")).unwrap_or("?");
    format!("MySQL with {}; Redis {version}", parts.join(", "))
}

//! Which room may import which, and which crates it must not know: the table, and the code held against it.

use crate::support::source::{Mention, SourceFile, mentions, source_files};

/// A folder or a file of `src` that may import only some others.
struct Room {
    /// `ranking/text` is the folder or the file, `ranking` whatever else is in `src/ranking`.
    path: &'static str,
    /// The rooms that its production code may import.
    imports: &'static [&'static str],
    /// The crates that its production code must not mention.
    without: &'static [&'static str],
}

/// Crates that pure code does without.
const IO: &[&str] = &["axum", "redis", "reqwest", "sqlx", "tokio", "tracing"];

/// The rooms, each after all that it may import, so that there is no circle. A room that is not listed may be imported
/// only where this table names it, and may import anything.
const ROOMS: &[Room] = &[
    Room { path: "domain", imports: &[], without: IO },
    Room { path: "ranking/score", imports: &["domain"], without: IO },
    Room { path: "ranking/text", imports: &[], without: IO },
    Room { path: "ranking/vocabulary", imports: &["ranking/text"], without: IO },
    Room { path: "ranking/index", imports: &["domain", "ranking/text", "ranking/vocabulary"], without: IO },
    Room {
        path: "ranking/career",
        imports: &["ranking/score", "ranking/text", "ranking/vocabulary", "ranking/index"],
        without: IO,
    },
    Room {
        path: "ranking/catalogue",
        imports: &["domain", "ranking/text", "ranking/vocabulary", "ranking/index", "ranking/career"],
        without: IO,
    },
    Room {
        path: "ranking/search",
        imports: &[
            "domain",
            "ranking/score",
            "ranking/text",
            "ranking/index",
            "ranking/career",
            "ranking/catalogue",
        ],
        without: IO,
    },
    Room {
        path: "ranking/reason",
        imports: &[
            "domain",
            "ranking/score",
            "ranking/text",
            "ranking/index",
            "ranking/career",
            "ranking/search",
        ],
        without: IO,
    },
    Room {
        path: "ranking",
        imports: &[
            "domain",
            "ranking/score",
            "ranking/vocabulary",
            "ranking/catalogue",
            "ranking/search",
            "ranking/reason",
        ],
        without: IO,
    },
    Room { path: "metrics", imports: &[], without: IO },
    Room { path: "grouping", imports: &[], without: &["axum", "redis", "reqwest", "sqlx", "tracing"] },
    Room { path: "coordination", imports: &["domain"], without: &[] },
    Room { path: "storage", imports: &["domain", "grouping", "coordination"], without: &[] },
    Room { path: "profile", imports: &["domain", "storage"], without: IO },
    Room { path: "catalogue", imports: &["domain", "ranking", "storage"], without: &[] },
    Room {
        path: "calculator",
        imports: &[
            "domain",
            "ranking",
            "metrics",
            "grouping",
            "coordination",
            "storage",
            "profile",
            "catalogue",
        ],
        without: &[],
    },
    Room {
        path: "background",
        imports: &["domain", "grouping", "coordination", "storage", "profile", "calculator"],
        without: &[],
    },
    Room {
        path: "http",
        imports: &[
            "domain",
            "metrics",
            "coordination",
            "storage",
            "profile",
            "catalogue",
            "calculator",
            "background",
        ],
        without: &[],
    },
    Room { path: "listings", imports: &["storage"], without: &[] },
    Room { path: "lifecycle", imports: &[], without: &[] },
    Room { path: "config", imports: &["coordination", "storage", "background", "http"], without: &[] },
    Room { path: "telemetry", imports: &["config"], without: &[] },
    Room {
        path: "app",
        imports: &[
            "ranking",
            "metrics",
            "coordination",
            "storage",
            "catalogue",
            "calculator",
            "background",
            "http",
            "listings",
            "config",
        ],
        without: &[],
    },
    Room {
        path: "cli",
        imports: &[
            "domain",
            "ranking",
            "coordination",
            "storage",
            "profile",
            "calculator",
            "background",
            "listings",
            "lifecycle",
            "config",
            "app",
        ],
        without: &[],
    },
];

/// Crates that only these rooms know: "only X knows Y" of docs/architecture.md.
const ONLY: &[(&str, &[&str])] = &[
    ("axum", &["http", "app"]),
    ("hyper", &["http"]),
    ("hyper_util", &["http"]),
    ("tower", &["http"]),
    ("tower_http", &["http", "app"]),
    ("jsonwebtoken", &["http"]),
    ("ring", &["http"]),
    ("subtle", &["http"]),
    ("governor", &["http"]),
    ("prometheus_client", &["metrics"]),
    ("utoipa", &["http"]),
    ("utoipa_axum", &["http"]),
    ("utoipa_swagger_ui", &["http"]),
    ("redis", &["coordination"]),
    ("lockable", &["coordination"]),
    ("sqlx", &["storage"]),
    ("sqlx_macros", &["storage"]),
    ("croner", &["background"]),
    ("chrono_tz", &["background"]),
    ("csv", &["listings"]),
    ("encoding_rs", &["listings"]),
    ("clap", &["cli", "main"]),
    ("indicatif", &["cli"]),
    ("opentelemetry", &["telemetry"]),
    ("opentelemetry_otlp", &["telemetry"]),
    ("opentelemetry_sdk", &["telemetry"]),
    ("tracing_opentelemetry", &["telemetry"]),
];

/// Test code inside `src`, which may import anything.
const TESTS: &[&str] = &["ranking/tests"];

/// The listed room that a module or path is in: of several, the innermost.
fn room(path: &str) -> Option<&'static Room> {
    ROOMS.iter().filter(|room| is_in(path, room.path)).max_by_key(|room| room.path.len())
}

fn is_in(path: &str, room: &str) -> bool {
    path.strip_prefix(room).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether the crate is no secret of another room.
fn may_know(module: &str, name: &str) -> bool {
    let owners = ONLY.iter().find(|(known, _)| *known == name);
    owners.is_none_or(|(_, rooms)| rooms.iter().any(|room| is_in(module, room)))
}

/// The mentions of a file that the table forbids, one sentence each.
fn violations(file: &SourceFile) -> Vec<String> {
    let Some(own) = room(&file.module).filter(|_| !TESTS.iter().any(|test| is_in(&file.module, test))) else {
        return Vec::new();
    };
    let mut violations = Vec::new();
    for mention in &file.mentions {
        match mention {
            Mention::Own(path) => {
                // A room that is not listed goes by the first name of its path.
                let other = room(path).map_or(path.split('/').next().unwrap(), |room| room.path);
                if other != own.path && !own.imports.contains(&other) {
                    violations.push(format!("{} must not import {other} ({path})", file.module));
                }
            }
            Mention::Other(name) if own.without.contains(&name.as_str()) || !may_know(&file.module, name) => {
                violations.push(format!("{} must not know the crate {name}", file.module));
            }
            Mention::Other(_) => {}
        }
    }
    violations
}

#[test]
fn rooms_import_only_the_rooms_that_the_table_allows() {
    let violations: Vec<String> = source_files().iter().flat_map(violations).collect();
    assert_eq!(violations, Vec::<String>::new());
}

/// The rows of the document's two tables: a room, and the rooms that it may import.
fn documented() -> Vec<(String, Vec<String>)> {
    let names =
        |cell: &str| -> Vec<String> { cell.split('`').skip(1).step_by(2).map(str::to_owned).collect() };
    let rows_after = |heading: &'static str, prefix: &'static str| {
        let tables = include_str!("../../docs/architecture.md");
        let rows = tables.lines().skip_while(move |line| !line.starts_with(heading)).skip(2);
        rows.take_while(|line| line.starts_with('|')).map(move |row| {
            let cells: Vec<&str> = row.split('|').collect();
            let in_ranking = |name: &String| {
                let inner = format!("{prefix}{name}");
                if ROOMS.iter().any(|room| room.path == inner) { inner } else { name.clone() }
            };
            let imports = names(cells[2]).iter().map(in_ranking).collect();
            (in_ranking(&names(cells[1])[0]), imports)
        })
    };
    rows_after("| room | may import |", "").chain(rows_after("| room of `ranking` |", "ranking/")).collect()
}

#[test]
fn the_document_shows_the_same_table() {
    let documented = documented();
    assert_eq!(documented.len(), ROOMS.len());
    for room in ROOMS {
        let (_, imports) = documented.iter().find(|(path, _)| path == room.path).expect(room.path);
        // Its own rooms are the second table.
        let own = format!("{}/", room.path);
        let listed: Vec<&str> = room.imports.iter().copied().filter(|name| !name.starts_with(&own)).collect();
        assert_eq!(imports, &listed, "{}", room.path);
    }
}

#[test]
fn rooms_import_only_rooms_before_them() {
    for (at, room) in ROOMS.iter().enumerate() {
        for import in room.imports {
            assert!(ROOMS[..at].iter().any(|before| before.path == *import), "{}: {import}", room.path);
        }
    }
}

#[test]
fn every_room_of_the_table_exists_and_uses_its_imports() {
    let files = source_files();
    for listed in ROOMS {
        let own: Vec<&SourceFile> = files
            .iter()
            .filter(|file| room(&file.module).is_some_and(|room| room.path == listed.path))
            .collect();
        assert!(!own.is_empty(), "{} has no files", listed.path);
        for import in listed.imports {
            let is_used = own.iter().flat_map(|file| &file.mentions).any(|mention| {
                matches!(mention, Mention::Own(path) if room(path).is_some_and(|room| room.path == *import))
            });
            assert!(is_used, "{} does not import {import}", listed.path);
        }
    }
}

#[test]
fn ranking_has_no_code_outside_its_rooms() {
    for file in source_files().iter().filter(|file| is_in(&file.module, "ranking")) {
        let is_listed = room(&file.module).is_some_and(|room| room.path != "ranking");
        assert!(
            is_listed || file.module == "ranking" || is_in(&file.module, "ranking/tests"),
            "{}",
            file.module
        );
    }
}

#[test]
fn a_forbidden_import_is_found_however_it_is_written() {
    let found = |source: &str| {
        let module = "ranking/text/token".to_owned();
        let mentions = mentions(&module, source);
        !violations(&SourceFile { module, mentions }).is_empty()
    };
    for forbidden in [
        "use crate::ranking::index::segment::Segment;",
        "use crate::{domain::{self, UserId}, ranking::{career::plan::{Plan}}};",
        "use super::super::score::FULL;",
        "pub(crate) use crate::ranking::{text::compact, catalogue};",
        "fn f() -> crate::storage::StoreError { todo!() }",
        "const URL: &str = \"http://host\"; use sqlx::{Row as _, query};",
        "fn f() { tokio::spawn(async {}) }",
        "use crate::ranking::Catalogue;",
    ] {
        assert!(found(forbidden), "{forbidden}");
    }
    for allowed in [
        "use super::hangul::{self, is_hangul};",
        "use crate::ranking::text::{Lexeme, hangul::*};",
        "use std::collections::{HashMap, hash_map::Entry as E};",
        "//! See crate::ranking::index::segment.\n/* use sqlx::Row; */ const A: char = '\"';",
        "const TEXT: &str = \"crate::storage::Store\"; const RAW: &str = r#\"sqlx::query(\"x\")\"#;",
        "fn f<'a>(c: &'a str) {}\n\n#[cfg(test)]\nmod tests {\n    use crate::storage::Store;\n}",
    ] {
        assert!(!found(allowed), "{allowed}");
    }
}

#[test]
fn a_library_that_belongs_to_another_room_is_found() {
    let found = |module: &str, source: &str| {
        let (module, mentions) = (module.to_owned(), mentions(module, source));
        !violations(&SourceFile { module, mentions }).is_empty()
    };
    for (module, forbidden) in [
        ("calculator/decision", "use sqlx::Error;"),
        ("http/fast", "fn f() -> redis::RedisResult<()> { todo!() }"),
        ("background/worker", "use axum::Json;"),
        ("storage/mysql/run", "use crate::calculator::Calculator;"),
        ("coordination/wakeups", "use crate::storage::QueueStore;"),
        ("config/mod", "use clap::Parser;"),
    ] {
        assert!(found(module, forbidden), "{module}: {forbidden}");
    }
    assert!(!found("storage/mysql/run", "use sqlx::query;\nuse crate::domain::UserId;"));
}

#[test]
fn a_tree_of_imports_is_expanded() {
    let own = |path: &str| Mention::Own(path.to_owned());
    assert_eq!(
        mentions(
            "queue/wakeup",
            "use crate::{a::{b, c::{self, D as E,}, *}, f,}; use super::g::H; use self::i;"
        ),
        [
            own("a/b"),
            own("a/c/self"),
            own("a/c/D"),
            own("a"),
            own("f"),
            own("queue/g/H"),
            own("queue/wakeup/i"),
        ]
    );
}

//! The service's source code as data: its files, and the paths that they mention.

use std::path::Path;
use std::sync::LazyLock;

use regex::Regex;

/// A file of `src`.
pub struct SourceFile {
    /// Its module, with slashes: `ranking/text/token`; `ranking/text` for `ranking/text/mod.rs`.
    pub module: String,
    /// Every path that its production code mentions, in `use` lines or elsewhere.
    pub mentions: Vec<Mention>,
}

/// A path that code mentions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mention {
    /// A path of this crate from its root, with slashes: `ranking/text/token/Token`.
    Own(String),
    /// The first name of any other path: a crate, or a name that the file has imported or declared.
    Other(String),
}

/// The level of a log event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    Error,
    Warn,
    Info,
}

/// A log event that production code can write.
#[derive(Debug)]
pub struct Event {
    pub level: Level,
    /// Its text, up to the first value in it.
    pub text: String,
}

/// All log events of `src`.
pub fn events() -> Vec<Event> {
    static EVENT: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"tracing::(error|warn|info)!\(").unwrap());
    // Steps of a worker are logged by one function, at the level of warnings.
    static STEP: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r#"self\.failed\(&error, "([^"]+)"\)"#).unwrap());
    // Texts that are chosen before they are logged.
    static STAGES: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r#"for stage in \["([^"]+)", "([^"]+)"\]"#).unwrap());
    let mut events = Vec::new();
    for source in sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
        let source = source.split("#[cfg(test)]\nmod tests {").next().unwrap();
        for found in EVENT.captures_iter(source) {
            let level = match &found[1] {
                "error" => Level::Error,
                "warn" => Level::Warn,
                _ => Level::Info,
            };
            let text = last_literal(&source[found.get(0).unwrap().end()..]);
            let text = text.split('{').next().unwrap().trim().to_owned();
            if !text.is_empty() {
                events.push(Event { level, text });
            }
        }
        for step in STEP.captures_iter(source) {
            events.push(Event { level: Level::Warn, text: step[1].to_owned() });
        }
        for stages in STAGES.captures_iter(source) {
            for stage in 1..=2 {
                events.push(Event { level: Level::Info, text: stages[stage].to_owned() });
            }
        }
    }
    events
}

/// The last text among the arguments of a macro, which end where its parenthesis closes.
fn last_literal(arguments: &str) -> String {
    static TOKEN: LazyLock<Regex> = LazyLock::new(|| Regex::new(r#"(?s)"(?:\\.|[^"\\])*"|[()]"#).unwrap());
    static CONTINUED: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\\\n\s*").unwrap());
    let (mut open, mut last) = (1, "");
    for token in TOKEN.find_iter(arguments) {
        match token.as_str() {
            "(" => open += 1,
            ")" => open -= 1,
            literal => last = literal.trim_matches('"'),
        }
        if open == 0 {
            break;
        }
    }
    CONTINUED.replace_all(last, "").into_owned()
}

/// The texts of all files below a folder.
fn sources(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(
            |path| if path.is_dir() { sources(&path) } else { vec![std::fs::read_to_string(path).unwrap()] },
        )
        .collect()
}

/// All files of `src`.
pub fn source_files() -> Vec<SourceFile> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, "", &mut files);
    files.sort_by(|one, other| one.module.cmp(&other.module));
    files
}

fn collect(folder: &Path, module: &str, files: &mut Vec<SourceFile>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let inner = if module.is_empty() { name.to_owned() } else { format!("{module}/{name}") };
        if path.is_dir() {
            collect(&path, &inner, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let module = if name == "mod" { module.to_owned() } else { inner };
            let mentions = mentions(&module, &std::fs::read_to_string(&path).unwrap());
            files.push(SourceFile { module, mentions });
        }
    }
}

/// The paths that a module's production code mentions. Comments, literals and the test module at the end of the file
/// do not count.
pub fn mentions(module: &str, source: &str) -> Vec<Mention> {
    let source = source.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let tokens = tokens(source);
    let mut paths = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if is_name(&tokens[at]) && tokens.get(at + 1).is_some_and(|next| next == "::") {
            at = expand(&tokens, at, &[], &mut paths);
        } else {
            at += 1;
        }
    }
    paths.into_iter().map(|path| resolve(module, &path)).collect()
}

fn tokens(source: &str) -> Vec<String> {
    static NO_CODE: LazyLock<Regex> = LazyLock::new(|| {
        let comment = r"//[^\n]*|/\*.*?\*/|pub\(in [^)]*\)";
        let literal = r##"r#".*?"#|"(?:\\.|[^"\\])*"|'(?:\\.[^']*|[^'\\])'"##;
        Regex::new(&format!("(?s){comment}|{literal}")).unwrap()
    });
    static TOKEN: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\w+|::|\S").unwrap());
    let code = NO_CODE.replace_all(source, " ");
    TOKEN.find_iter(&code).map(|token| token.as_str().to_owned()).collect()
}

fn is_name(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Appends the paths of the tree that starts at `at`, and returns its end: `a::{b, c::{self, d}}` are `a::b`,
/// `a::c::self` and `a::c::d`.
fn expand<'t>(
    tokens: &'t [String],
    mut at: usize,
    prefix: &[&'t str],
    paths: &mut Vec<Vec<&'t str>>,
) -> usize {
    let token = |at: usize| tokens.get(at).map_or("", String::as_str);
    let mut path = prefix.to_vec();
    while is_name(token(at)) {
        path.push(token(at));
        at += 1;
        if token(at) != "::" {
            paths.push(path);
            return at;
        }
        at += 1;
    }
    if token(at) != "{" {
        // After `::` there is `*`, or `<` of an expression.
        paths.push(path);
        return at;
    }
    while !matches!(token(at), "}" | "") {
        at = expand(tokens, at + 1, &path, paths);
        // Skips `*` and `as name`, and a comma before the closing brace.
        let is_end = |at: usize| match token(at) {
            "," => token(at + 1) != "}",
            other => matches!(other, "}" | ""),
        };
        while !is_end(at) {
            at += 1;
        }
    }
    at + 1
}

/// Replaces `crate`, `self` and `super` at the beginning of a path.
fn resolve(module: &str, path: &[&str]) -> Mention {
    let mut base: Option<Vec<&str>> = None;
    let mut names = path.iter().copied().peekable();
    while let Some(name) = names.next_if(|name| matches!(*name, "crate" | "self" | "super")) {
        let base = base.get_or_insert_with(|| module.split('/').collect());
        match name {
            "crate" => base.clear(),
            "super" => drop(base.pop()),
            _ => {}
        }
    }
    match base {
        Some(base) => Mention::Own(base.into_iter().chain(names).collect::<Vec<_>>().join("/")),
        None => Mention::Other(path[0].to_owned()),
    }
}

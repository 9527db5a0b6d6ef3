//! The house's own rules, checked on the tree itself: what comes in, who may depend on whom, how files are laid out, and
//! whether the documents name things that exist.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

/// Lines of a source file without its tests. Beyond it there are two ideas in it.
const FILE_LINES_MAX: usize = 600;

/// What stands in a data folder, not in the tree.
const DATA_FOLDER: [&str; 17] = [
    "agent/",
    "agents/",
    "bellwether-data",
    "ca/",
    "calendars/",
    "addresses.json",
    "collector.toml",
    "first-login.txt",
    "format.json",
    "grafana.token",
    "journal/",
    "lock",
    "series/",
    "state.sqlite",
    "target/",
    "life.toml",
    "responsibilities.toml",
];

fn root() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap().to_owned()
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every file under version control or about to be, as paths from the root.
fn files() -> Vec<String> {
    let listed = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .expect("git is installed");
    assert!(listed.status.success(), "not a git work tree");
    let text = String::from_utf8(listed.stdout).unwrap();
    let mut files: Vec<_> = text.lines().map(str::to_owned).collect();
    files.retain(|file| root().join(file).exists());
    files.sort();
    files
}

fn rust_files() -> Vec<(String, String)> {
    let files = files().into_iter().filter(|file| file.ends_with(".rs"));
    let with_text = |file: String| (file.clone(), read(&file));
    files.map(with_text).collect()
}

fn nothing(what: &str, found: &[String]) {
    assert!(found.is_empty(), "{what}:\n  {}", found.join("\n  "));
}

mod tree {
    //! What comes in.

    use super::*;

    #[derive(Deserialize)]
    struct Deny {
        licenses: Licences,
        bans: Bans,
        sources: Sources,
    }

    #[derive(Deserialize)]
    struct Licences {
        allow: BTreeSet<String>,
    }

    #[derive(Deserialize)]
    struct Bans {
        deny: Vec<Ban>,
    }

    #[derive(Deserialize)]
    struct Ban {
        #[serde(rename = "crate")]
        name: String,
        reason: String,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "kebab-case")]
    struct Sources {
        allow_registry: Vec<String>,
    }

    #[derive(Deserialize)]
    pub struct Metadata {
        pub packages: Vec<Package>,
        pub workspace_members: BTreeSet<String>,
    }

    #[derive(Deserialize)]
    pub struct Package {
        pub id: String,
        pub name: String,
        version: String,
        license: Option<String>,
        source: Option<String>,
        pub dependencies: Vec<Dependency>,
    }

    #[derive(Deserialize)]
    pub struct Dependency {
        pub name: String,
        pub path: Option<String>,
        /// `dev` or `build`; nothing for what the crate itself uses.
        pub kind: Option<String>,
    }

    fn deny() -> Deny {
        toml::from_str(&read("deny.toml")).unwrap()
    }

    /// For every platform, so that what only Windows pulls in is judged here too.
    pub fn metadata() -> Metadata {
        let output = Command::new(env!("CARGO"))
            .args(["metadata", "--offline", "--locked", "--format-version", "1"])
            .current_dir(root())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "cargo metadata failed; `cargo fetch --locked` first? {said}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Whether one of the ways to satisfy `expression` uses allowed licences alone.
    fn satisfied(expression: &str, allowed: &BTreeSet<String>) -> bool {
        let tokens = tokens(&expression.replace('/', " OR "));
        any_of(&tokens, allowed)
    }

    fn tokens(expression: &str) -> Vec<String> {
        let spaced = expression.replace('(', " ( ").replace(')', " ) ");
        spaced.split_whitespace().map(str::to_owned).collect()
    }

    fn any_of(tokens: &[String], allowed: &BTreeSet<String>) -> bool {
        split(tokens, "OR").any(|part| split(part, "AND").all(|part| single(part, allowed)))
    }

    fn single(tokens: &[String], allowed: &BTreeSet<String>) -> bool {
        match tokens {
            [open, inner @ .., close] if open == "(" && close == ")" => any_of(inner, allowed),
            _ => allowed.contains(&tokens.join(" ")),
        }
    }

    /// Parts between `word`s that stand in no parenthesis.
    fn split<'a>(tokens: &'a [String], word: &'a str) -> impl Iterator<Item = &'a [String]> {
        let mut depth = 0;
        tokens.split(move |token| {
            depth += i32::from(token == "(") - i32::from(token == ")");
            depth == 0 && token == word
        })
    }

    #[test]
    fn licence_expressions_are_understood() {
        let allowed = ["MIT", "Zlib", "Apache-2.0 WITH LLVM-exception"];
        let allowed = allowed.map(str::to_owned).into();
        for good in [
            "MIT",
            "GPL-3.0 OR MIT",
            "GPL-3.0/MIT",
            "(MIT OR GPL-3.0) AND Zlib",
            "Apache-2.0 WITH LLVM-exception OR GPL-3.0",
        ] {
            assert!(satisfied(good, &allowed), "{good}");
        }
        for bad in ["GPL-3.0", "MIT AND GPL-3.0", "(MIT OR Zlib) AND GPL-3.0", ""] {
            assert!(!satisfied(bad, &allowed), "{bad}");
        }
    }

    #[test]
    fn every_dependency_has_a_licence_that_we_allow() {
        let allowed = deny().licenses.allow;
        let mut refused = Vec::new();
        for package in metadata().packages {
            let licence = package.license.unwrap_or_default();
            if !satisfied(&licence, &allowed) {
                refused.push(format!("{} {}: {licence}", package.name, package.version));
            }
        }
        nothing("licences that deny.toml does not allow", &refused);
    }

    #[test]
    fn no_banned_crate_is_in_the_tree() {
        let packages = metadata().packages;
        let mut found = Vec::new();
        for ban in deny().bans.deny {
            let is_in = packages.iter().any(|package| package.name == ban.name);
            found.extend(is_in.then(|| format!("{}: {}", ban.name, ban.reason)));
        }
        nothing("banned crates", &found);
    }

    #[test]
    fn every_dependency_comes_from_the_registry() {
        let allowed = deny().sources.allow_registry;
        let mut foreign = Vec::new();
        for package in metadata().packages {
            let Some(source) = package.source else {
                continue;
            };
            if !allowed.iter().any(|it| source == format!("registry+{it}")) {
                foreign.push(format!("{} from {source}", package.name));
            }
        }
        nothing("sources that deny.toml does not allow", &foreign);
    }
}

mod order {
    //! Who may depend on whom.

    use super::*;

    /// Each of our crates, and those of ours that it may use.
    const ORDER: [(&str, &[&str]); 8] = [
        ("bellwether-journal", &[]),
        ("bellwether-series", &[]),
        ("bellwether-logic", &[]),
        ("bellwether-proto", &["bellwether-logic"]),
        ("bellwether-school", &["bellwether-logic"]),
        ("bellwether-agent", &["bellwether-logic", "bellwether-proto"]),
        (
            "bellwether-collector",
            &["bellwether-agent", "bellwether-journal", "bellwether-logic", "bellwether-proto", "bellwether-series"],
        ),
        (
            "bellwether-tests",
            &[
                "bellwether-agent",
                "bellwether-collector",
                "bellwether-journal",
                "bellwether-logic",
                "bellwether-proto",
                "bellwether-series",
            ],
        ),
    ];

    #[test]
    fn our_crates_depend_in_one_direction() {
        let order = BTreeMap::from(ORDER);
        let metadata = tree::metadata();
        let ours = |package: &&tree::Package| metadata.workspace_members.contains(&package.id);
        let mut wrong = Vec::new();
        for package in metadata.packages.iter().filter(ours) {
            let Some(may) = order.get(package.name.as_str()) else {
                wrong.push(format!("{} is not in the order", package.name));
                continue;
            };
            // What only tests and examples use binds nobody.
            let used = package.dependencies.iter().filter(|it| it.path.is_some() && it.kind.as_deref() != Some("dev"));
            for dependency in used {
                if !may.contains(&dependency.name.as_str()) {
                    wrong.push(format!("{} uses {}", package.name, dependency.name));
                }
            }
        }
        nothing("dependencies against the order", &wrong);
    }

    #[test]
    fn logic_has_no_clock_file_or_socket_to_call() {
        let text = read("logic/src/lib.rs");
        assert!(text.contains("#![no_std]"));
        let escapes = rust_files()
            .into_iter()
            // What only tests use decides nothing.
            .filter(|(file, _)| file.starts_with("logic/src/") && !file.contains("/tests/"))
            .filter(|(_, text)| text.contains("extern crate std"));
        let escapes: Vec<_> = escapes.map(|it| it.0).collect();
        nothing("ways around no_std", &escapes);
    }

    #[test]
    fn every_crate_takes_the_lints_of_the_workspace() {
        let manifests = files().into_iter().filter(|file| file.ends_with("/Cargo.toml"));
        // Programs of others' making are built outside of the workspace, so that nothing of theirs comes into its lock file.
        let ours = manifests.filter(|file| !file.starts_with("tests/clients/"));
        let without: Vec<_> = ours.filter(|file| !read(file).contains("[lints]\nworkspace = true")).collect();
        nothing("manifests without the workspace's lints", &without);
    }
}

mod layout {
    //! How files are laid out.

    use super::*;

    /// Lines before the tests, which stand last.
    fn lines_without_tests(text: &str) -> usize {
        let tests = text.lines().position(|line| line == "#[cfg(test)]");
        tests.unwrap_or(text.lines().count())
    }

    #[test]
    fn no_file_is_longer_than_two_ideas() {
        let mut long = Vec::new();
        for (file, text) in rust_files() {
            let lines = lines_without_tests(&text);
            if lines > FILE_LINES_MAX && !file.contains("/tests/") {
                long.push(format!("{file}: {lines} lines"));
            }
        }
        nothing("files to split", &long);
    }

    #[test]
    fn a_room_is_a_file_beside_its_folder() {
        // What several integration tests share can stand nowhere else: beside its folder it would be a test itself.
        let files = files().into_iter().filter(|file| file.ends_with("/mod.rs") && !file.contains("/tests/"));
        nothing("files that should stand beside their folder", &files.collect::<Vec<_>>());
    }

    #[test]
    fn the_list_in_a_room_is_alphabetical() {
        let mut unordered = Vec::new();
        for (file, text) in rust_files() {
            // A blank line or a comment ends a list.
            let lines: Vec<_> = text.lines().collect();
            for list in lines.split(|line| module(line).is_none()) {
                let names: Vec<_> = list.iter().filter_map(|line| module(line)).collect();
                if !names.is_sorted() {
                    unordered.push(format!("{file}: {}", names.join(", ")));
                }
            }
        }
        nothing("lists to sort", &unordered);
    }

    /// The name that a `mod` line declares.
    fn module(line: &str) -> Option<&str> {
        let line = line.strip_prefix("pub(crate) ").or(line.strip_prefix("pub ")).unwrap_or(line);
        line.strip_prefix("mod ")?.strip_suffix(';')
    }

    #[test]
    fn every_expectation_says_why() {
        let mut silent = Vec::new();
        for (file, text) in rust_files() {
            for (start, _) in text.match_indices("[expect(") {
                let attribute = text[start..].split("]\n").next().unwrap();
                if !attribute.contains("reason") {
                    silent.push(format!("{file}: {attribute}"));
                }
            }
        }
        nothing("expectations without a reason", &silent);
    }

    #[test]
    fn no_test_is_switched_off() {
        let mark = ["#[ig", "nore"].concat();
        let off = rust_files().into_iter().filter(|(_, text)| text.contains(&mark));
        nothing("tests that are switched off", &off.map(|it| it.0).collect::<Vec<_>>());
    }

    #[test]
    fn ci_runs_what_a_person_runs() {
        let commands = read(".ci/run");
        let commands: Vec<_> =
            commands.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty()).collect();
        assert_eq!(commands.len(), 1, "{commands:?}");
        assert!(commands[0].contains("tests/run"));
    }
}

mod documents {
    //! Whether what the documents name exists.

    use super::*;

    const DOCUMENTS: [&str; 3] = ["ARCHITECTURE.md", "CONTRIBUTING.md", "README.md"];

    /// What stands between backticks outside of code blocks.
    fn quoted(text: &str) -> Vec<String> {
        let mut spans = Vec::new();
        let mut in_block = false;
        for line in text.lines() {
            if line.trim_start().starts_with("```") {
                in_block = !in_block;
            } else if !in_block && !line.starts_with("    ") {
                spans.extend(line.split('`').skip(1).step_by(2).map(str::to_owned));
            }
        }
        spans
    }

    /// Whether `span` names a file or folder of the tree, as against a route, a command or a name in code.
    fn is_path(span: &str) -> bool {
        let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
        // `NAME` stands for a name that the reader chooses.
        let is_pattern = span.starts_with('/') || span.starts_with("..") || span.contains("NAME");
        let of_the_tree = !is_pattern && span.chars().all(plain);
        let is_file =
            [".json", ".md", ".proto", ".rs", ".sh", ".toml", ".yaml"].iter().any(|ending| span.ends_with(ending));
        of_the_tree && (span.contains('/') || is_file)
    }

    fn in_data_folder(span: &str) -> bool {
        DATA_FOLDER.iter().any(|name| span == *name || span.starts_with(&format!("{name}/")))
    }

    /// From the root, or a name that some file has.
    fn exists(span: &str, files: &[String]) -> bool {
        let named = format!("/{span}");
        root().join(span).exists() || (!span.contains('/') && files.iter().any(|it| it.ends_with(&named)))
    }

    #[test]
    fn every_path_in_a_document_exists() {
        let files = files();
        let mut missing = Vec::new();
        for document in DOCUMENTS {
            for span in quoted(&read(document)) {
                if is_path(&span) && !in_data_folder(&span) && !exists(&span, &files) {
                    missing.push(format!("{document}: {span}"));
                }
            }
        }
        nothing("paths that do not exist", &missing);
    }

    #[test]
    fn every_room_stands_in_the_architecture() {
        let text = read("ARCHITECTURE.md");
        let manifests = files().into_iter().filter_map(|file| {
            let room = file.strip_suffix("Cargo.toml")?;
            (!room.is_empty()).then(|| room.to_owned())
        });
        let missing: Vec<_> = manifests.filter(|room| !text.contains(&format!("`{room}`"))).collect();
        nothing("rooms that ARCHITECTURE.md does not name", &missing);
    }

    #[test]
    fn the_readme_begins_with_the_two_commands() {
        let text = read("README.md");
        let commands: Vec<_> = text.lines().filter(|line| line.starts_with("    ")).take(2).collect();
        assert!(commands[0].trim_start().starts_with("cargo run --release"));
        assert!(commands[1].trim_start().starts_with("tests/run"));
    }

    #[test]
    fn a_path_is_told_from_other_names() {
        for path in ["tests/run", "collector/rules", "deny.toml", "proto/src/batch.rs"] {
            assert!(is_path(path), "{path}");
        }
        for other in ["/query", "cargo run --release", "logic", "#![no_std]", "tokio::spawn"] {
            assert!(!is_path(other), "{other}");
        }
        let text = "see `one`\n```\n`two`\n```\nand `three` or `four`\n    `five`";
        assert_eq!(quoted(text), ["one", "three", "four"]);
    }
}

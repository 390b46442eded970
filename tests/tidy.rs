//! The rules of the tree: what every source file has, where unsafe code and the file system may be used, and that the documents tell of things that exist.

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the workspace").to_owned()
}

/// Files below the source folders with one of the extensions, with their text.
fn files(folders: &[&str], extensions: &[&str]) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> = folders.iter().map(|folder| root().join(folder)).collect();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
            let path = entry.expect("a directory entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extensions.iter().any(|e| extension == *e)) {
                let text = fs::read_to_string(&path).expect("a text file");
                found.push((path.strip_prefix(root()).expect("below the root").to_owned(), text));
            }
        }
    }
    assert!(!found.is_empty(), "nothing was looked at");
    found.sort();
    found
}

fn sources() -> Vec<(PathBuf, String)> {
    files(&["proto/src", "engine/src", "server/src", "server/tests", "benches", "tests"], &["rs"])
}

/// The documents of the root and of docs/.
fn documents() -> Vec<(PathBuf, String)> {
    let mut documents = files(&["docs"], &["md"]);
    for name in ["README.md", "ARCHITECTURE.md"] {
        documents.push((name.into(), fs::read_to_string(root().join(name)).expect("the document is there")));
    }
    documents
}

#[test]
fn every_source_file_says_what_it_owns() {
    for (path, text) in sources() {
        assert!(text.starts_with("//!"), "{} does not open with //!", path.display());
    }
}

#[test]
fn files_have_one_role_and_fit_it() {
    for (path, text) in sources() {
        let lines = text.lines().count();
        let data = path.ends_with("ticket/municipality_table.rs");
        assert!(data || lines <= 500, "{} has {lines} lines: has a second concept moved in?", path.display());
    }
}

#[test]
fn unsafe_code_and_the_file_system_stay_where_they_belong() {
    for (path, text) in files(&["engine/src"], &["rs"]) {
        let disk = path.starts_with("engine/src/disk");
        for (number, line) in text.lines().take_while(|line| !line.contains("#[cfg(test)]")).enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            let place = format!("{}:{}", path.display(), number + 1);
            let is_unsafe = code.contains("unsafe {") || code.contains("unsafe fn") || code.contains("unsafe impl");
            let allowed = ["disk/map.rs", "priority.rs"].iter().any(|it| path.ends_with(it));
            assert!(!is_unsafe || allowed, "{place}: unsafe code where the kernel is not asked for anything");
            let files = code.contains("std::fs") || code.contains("File::open");
            assert!(!files || disk || path.ends_with("engine/src/keys.rs"), "{place}: the file system outside disk/");
            assert!(!code.contains("tokio") && !code.contains("tonic"), "{place}: the engine knows no async");
        }
    }
}

#[test]
fn documents_name_files_that_exist() {
    let folders = ["proto/", "engine/", "server/", "benches/", "tests/", "docs/", ".ci/"];
    for (path, text) in documents() {
        for name in text.split('`').skip(1).step_by(2).filter(|name| folders.iter().any(|f| name.starts_with(f))) {
            let name = name.split(['#', ':', ' ']).next().unwrap_or_default();
            assert!(root().join(name).exists(), "{} names {name}, which does not exist", path.display());
        }
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let folder = root().join(&path);
            let target =
                folder.parent().expect("a document lies in a folder").join(link.split('#').next().unwrap_or_default());
            assert!(
                link.contains("://") || target.exists(),
                "{} links to {link}, which does not exist",
                path.display()
            );
        }
    }
}

#[test]
fn documents_name_functions_and_tests_that_exist() {
    let mut looked_at = 0;
    for (path, text) in documents() {
        // `Store::open` in `engine/src/store/open.rs`, and `a_test` in `tests/file.rs`.
        let parts: Vec<&str> = text.split('`').collect();
        for part in parts.windows(3).filter(|part| part[1] == " in " && part[2].ends_with(".rs")) {
            let name = part[0].rsplit("::").next().unwrap_or_default();
            let source = fs::read_to_string(root().join(part[2])).unwrap_or_default();
            let defined = ["fn", "struct", "enum", "trait"].iter().any(|kind| {
                let follows = |rest: &str| rest.starts_with(['(', '<', ' ']);
                source.split(&format!("{kind} {name}")).skip(1).any(follows)
            });
            assert!(defined, "{}: {name} is not defined in {}", path.display(), part[2]);
            looked_at += 1;
        }
    }
    assert!(looked_at > 20, "only {looked_at} names were looked at");
}

#[test]
fn nothing_is_left_for_later_in_the_source() {
    // Put together, so that this file does not hold the words itself.
    let words = ["TO".to_owned() + "DO", "FIX".to_owned() + "ME", "XX".to_owned() + "X", "#[ig".to_owned() + "nore"];
    for (path, text) in sources() {
        for word in &words {
            assert!(!text.contains(word.as_str()), "{} holds {word}", path.display());
        }
    }
}

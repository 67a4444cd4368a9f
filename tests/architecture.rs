//! The invariants of `src/lib.rs` that the compiler does not check by itself.

#![expect(clippy::expect_used, reason = "a test may fail")]

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Every source file below `src`, by its path there, without comments and tests.
fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a readable folder") {
            let path: PathBuf = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(&root).expect("below src").display().to_string();
                files.push((name, code(&fs::read_to_string(&path).expect("text"))));
            }
        }
    }
    assert!(files.len() > 20, "the sources were found: {}", files.len());
    files
}

/// The lines that are compiled into the addon.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// The files outside `allowed` folders whose code contains one of `words`.
fn offenders(allowed: &[&str], words: &[&str]) -> Vec<String> {
    let is_allowed = |name: &str| allowed.iter().any(|folder| name.starts_with(folder));
    sources()
        .into_iter()
        .filter(|(name, code)| !is_allowed(name) && words.iter().any(|word| code.contains(word)))
        .map(|(name, _)| name)
        .collect()
}

const NONE: [String; 0] = [];

#[test]
fn only_the_binding_names_napi() {
    assert_eq!(offenders(&["binding/"], &["napi::", "napi_derive", "#[napi"]), NONE);
    assert_ne!(offenders(&[], &["napi::"]), NONE, "the search finds what is there");
}

#[test]
fn only_sys_is_unsafe() {
    assert_eq!(
        offenders(&["sys/"], &["unsafe {", "unsafe fn", "unsafe impl", "unsafe extern"]),
        NONE
    );
    assert_ne!(offenders(&[], &["unsafe {"]), NONE, "the search finds what is there");
}

#[test]
fn protocol_and_scheduler_do_no_io_and_read_no_clock() {
    let pure = ["protocol/", "scheduler/"];
    let words = ["std::fs", "std::net", "std::os", "std::io", "std::time", "nix", "tokio", "libc"];
    // Not the end of another word, such as Unix.
    let names = |code: &str, word: &str| {
        let mut places = code.match_indices(word).map(|(place, _)| &code[..place]);
        places.any(|before| !before.ends_with(|it: char| it.is_alphanumeric() || it == '_'))
    };
    for (name, code) in sources() {
        if pure.iter().any(|folder| name.starts_with(folder)) {
            let found: Vec<_> = words.iter().filter(|word| names(&code, word)).collect();
            assert!(found.is_empty(), "{name} uses {found:?}");
        }
    }
}

#[test]
fn modules_depend_one_way() {
    // From the top down: each may use those after it.
    let order = ["binding", "primary", "worker", "ipc", "sys", "scheduler", "protocol"];
    let siblings = [("primary", "worker"), ("sys", "scheduler"), ("scheduler", "sys")];
    for (name, code) in sources() {
        let Some(position) = order.iter().position(|module| name.starts_with(module)) else {
            continue;
        };
        let above = order[..position].iter().map(|module| (order[position], *module));
        for (module, used) in above.chain(siblings.iter().copied()) {
            let wrong = name.starts_with(module) && names(&code, used);
            assert!(!wrong, "{name} uses {used}");
        }
    }
}

/// Whether the code uses the module of the crate: `crate::used`, also in a `use crate::{…}` list.
fn names(code: &str, used: &str) -> bool {
    code.contains(&format!("crate::{used}"))
        || code.split("use crate::{").skip(1).any(|list| {
            let list = list.split("};").next().unwrap_or_default();
            list.lines().any(|line| {
                line.trim().strip_prefix(used).is_some_and(|rest| rest.starts_with("::"))
            })
        })
}

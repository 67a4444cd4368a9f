//! The invariants of `src/lib.rs` that the compiler does not check by itself.

#![expect(clippy::expect_used, reason = "a test may fail")]

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Files and folders that only tests are in.
const TESTS: [&str; 3] = ["simulation", "simulation.rs", "tests.rs"];

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
            } else if !path.components().any(|part| TESTS.iter().any(|it| part.as_os_str() == *it))
            {
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
    // Comments at the ends of lines stay.
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

/// What does I/O, reads a clock, starts threads, or belongs to a runtime.
const IMPURE: [&str; 17] = [
    "std::env",
    "std::fs",
    "std::io",
    "std::net",
    "std::os",
    "std::process",
    "std::thread",
    "crate::sys",
    "crate::ipc",
    "Instant::now",
    "SystemTime",
    ".elapsed()",
    "Fd",
    "libc::",
    "nix::",
    "rustix::",
    "tokio::",
];

#[test]
fn the_rules_do_no_io_and_read_no_clock() {
    for (name, code) in sources() {
        let is_pure = ["protocol/", "scheduler/", "primary/core/"];
        if is_pure.iter().any(|folder| name.starts_with(folder)) {
            let found: Vec<_> = IMPURE.iter().filter(|word| code.contains(**word)).collect();
            assert!(found.is_empty(), "{name} uses {found:?}");
        }
    }
    assert_ne!(offenders(&[], &["tokio"]), NONE, "the search finds what is there");
}

#[test]
fn the_core_keeps_its_state_in_collections_of_the_standard_library() {
    let allowed = ["std", "core", "super", "self", "crate"];
    for (name, code) in sources().into_iter().filter(|(name, _)| name.starts_with("primary/core/"))
    {
        for line in code.lines().filter_map(|line| line.trim().strip_prefix("use ")) {
            let first = line.split("::").next().unwrap_or_default();
            assert!(allowed.contains(&first), "{name} uses {first}");
        }
    }
}

#[test]
fn only_one_file_changes_the_availability_of_workers() {
    let callers = offenders(&["primary/core/members.rs"], &["availability.apply("]);
    assert_eq!(callers, NONE);
    assert_ne!(offenders(&[], &["availability.apply("]), NONE, "the search finds what is there");
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

#[test]
fn files_do_not_import_each_other_in_a_circle() {
    let sources = sources();
    let names: Vec<_> = sources.iter().map(|(name, _)| name.as_str()).collect();
    let imports: Vec<Vec<usize>> = sources
        .iter()
        .map(|(name, code)| {
            let mut used: Vec<_> = imported(name, code)
                .iter()
                .filter_map(|path| file_of(path, &names))
                .filter(|used| names[*used] != name)
                .collect();
            used.sort_unstable();
            used.dedup();
            used
        })
        .collect();
    assert!(imports.iter().map(Vec::len).sum::<usize>() > 100, "the imports were found");
    // Files that import none of those left are not in a circle.
    let mut left: Vec<_> = (0..names.len()).collect();
    loop {
        let before = left.len();
        let rest = left.clone();
        left.retain(|file| imports[*file].iter().any(|used| rest.contains(used)));
        if left.len() == before {
            break;
        }
    }
    let shown = |file: &usize| {
        let used = imports[*file].iter().filter(|used| left.contains(used)).map(|it| names[*it]);
        format!("{} -> {}", names[*file], used.collect::<Vec<_>>().join(", "))
    };
    assert!(left.is_empty(), "\n{}", left.iter().map(shown).collect::<Vec<_>>().join("\n"));
}

/// The paths that a file uses, from the root of the crate: `primary::core::worker::Worker`.
fn imported(name: &str, code: &str) -> Vec<String> {
    let mut paths = Vec::new();
    for item in code.split("use ").skip(1) {
        let item: String = item.split(';').next().unwrap_or_default().split_whitespace().collect();
        expand(&item, String::new(), &mut paths);
    }
    // Those outside of `use`; a visibility is not one.
    let bodies = code.split("use ").enumerate().map(|(at, part)| match at {
        0 => part,
        _ => part.split_once(';').map_or("", |(_, body)| body),
    });
    let body = bodies.collect::<Vec<_>>().join(" ").replace("(in ", "(in-");
    let words = body.split(|letter: char| !(letter.is_alphanumeric() || "_:-".contains(letter)));
    let starts = ["crate::", "super::", "self::"];
    let paths_in_body = words.filter(|it| starts.iter().any(|start| it.starts_with(start)));
    paths.extend(paths_in_body.map(str::to_owned));
    paths.iter().filter_map(|path| from_root(path, name)).collect()
}

/// A path without `crate`, `self` and `super`, in the file with this name; `None` if it leads to another
/// crate.
fn from_root(path: &str, name: &str) -> Option<String> {
    let mut base = match path.split("::").next()? {
        "crate" => Vec::new(),
        "self" | "super" => module_of(name),
        _ => return None,
    };
    let mut parts = path.split("::").peekable();
    while let Some(part) = parts.next_if(|it| ["crate", "self", "super"].contains(it)) {
        if part == "super" {
            base.pop();
        }
    }
    base.extend(parts.map(str::to_owned));
    Some(base.join("::"))
}

/// `a::{b, c::{d}}` as `a::b` and `a::c::d`.
fn expand(item: &str, prefix: String, paths: &mut Vec<String>) {
    let Some((head, list)) = item.split_once('{') else {
        let path = item.split(" as ").next().unwrap_or_default();
        return paths.push(format!("{prefix}{path}"));
    };
    let list = list.strip_suffix('}').unwrap_or(list);
    let (mut depth, mut start) = (0, 0);
    for (at, letter) in list.char_indices().chain([(list.len(), ',')]) {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                let part = &list[start..at.min(list.len())];
                if !part.is_empty() {
                    expand(part, format!("{prefix}{head}"), paths);
                }
                start = at + 1;
            }
            _ => {}
        }
    }
}

/// The path of a file's module: `primary/core/mod.rs` is `[primary, core]`.
fn module_of(name: &str) -> Vec<String> {
    let path = name.trim_end_matches(".rs").trim_end_matches("/mod");
    match path {
        "lib" => Vec::new(),
        path => path.split('/').map(str::to_owned).collect(),
    }
}

/// The file that a path leads into: the longest beginning of it that is a module.
fn file_of(path: &str, names: &[&str]) -> Option<usize> {
    // `src/sys/mod.rs` chooses the folder by the system.
    let mut parts: Vec<_> =
        path.split("::").map(|part| if part == "platform" { "linux" } else { part }).collect();
    while !parts.is_empty() {
        let folder = parts.join("/");
        let found = names.iter().position(|name| {
            *name == format!("{folder}.rs") || *name == format!("{folder}/mod.rs")
        });
        if found.is_some() {
            return found;
        }
        parts.pop();
    }
    names.iter().position(|name| *name == "lib.rs")
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

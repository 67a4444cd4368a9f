//! Lets the addon have undefined Node-API symbols, which Node defines when it loads it, and joins the status page.

use std::{env, fs, io, path::Path};

use base64::{Engine, prelude::BASE64_STANDARD};
use sha2::{Digest, Sha256};

const SOURCES: &str = "src/primary/operator/page";
/// In this order, because each uses those before it.
const SCRIPTS: [&str; 10] = [
    "format.js",
    "words.js",
    "samples.js",
    "dom.js",
    "table.js",
    "tables.js",
    "chart.js",
    "events.js",
    "poll.js",
    "page.js",
];

fn main() -> io::Result<()> {
    #[cfg(feature = "binding")]
    napi_build::setup();
    println!("cargo:rerun-if-changed=build.rs");
    join_page(Path::new(&env::var_os("OUT_DIR").unwrap_or_default()))
}

/// Writes `page.html` with its style and its script inside, and `page.policy`, which permits only these.
fn join_page(to: &Path) -> io::Result<()> {
    let style = source("page.css")?;
    let script = SCRIPTS.into_iter().map(source).collect::<io::Result<String>>()?;
    let html =
        source("page.html")?.replace("/* page.css */", &style).replace("/* page.js */", &script);
    fs::write(to.join("page.html"), html)?;
    fs::write(to.join("page.policy"), policy(&script, &style))
}

fn source(name: &str) -> io::Result<String> {
    let path = Path::new(SOURCES).join(name);
    println!("cargo:rerun-if-changed={}", path.display());
    fs::read_to_string(path)
}

fn policy(script: &str, style: &str) -> String {
    let [script, style] = [script, style]
        .map(|it| format!("'sha256-{}'", BASE64_STANDARD.encode(Sha256::digest(it))));
    let rules = [
        "default-src 'none'",
        &format!("script-src {script}"),
        &format!("style-src {style}"),
        "img-src data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ];
    rules.join("; ")
}

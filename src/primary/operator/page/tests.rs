use base64::{Engine, prelude::BASE64_STANDARD};
use sha2::{Digest, Sha256};

use super::page;

/// The only element of this name.
fn text_of(element: &str) -> &'static str {
    let html = page().html;
    let (open, close) = (format!("<{element}>"), format!("</{element}>"));
    assert_eq!(html.matches(&open).count(), 1, "{element}");
    assert_eq!(html.matches(&close).count(), 1, "{element}");
    let (_, rest) = html.split_once(&open).unwrap();
    rest.split_once(&close).unwrap().0
}

fn has_rule(rule: &str) -> bool {
    page().policy.split("; ").any(|it| it == rule)
}

#[test]
fn the_policy_permits_the_script_and_the_style_by_their_hashes() {
    for (element, rule) in [("script", "script-src"), ("style", "style-src")] {
        let hash = BASE64_STANDARD.encode(Sha256::digest(text_of(element)));
        assert!(has_rule(&format!("{rule} 'sha256-{hash}'")), "{element}");
    }
}

#[test]
fn the_policy_permits_nothing_else() {
    for rule in ["default-src 'none'", "connect-src 'self'", "img-src data:", "base-uri 'none'"] {
        assert!(has_rule(rule), "{rule}");
    }
    assert!(!page().policy.contains("unsafe"));
    assert!(!page().policy.contains('\n'));
}

#[test]
fn the_page_names_no_other_host_and_has_no_code_in_attributes() {
    let html = page().html.replace("http://www.w3.org/2000/svg", "");
    for foreign in ["http:", "https:", "//cdn", "@import", "url("] {
        assert!(!html.contains(foreign), "{foreign}");
    }
    for inline in [" style=", " onclick=", " onload=", "javascript:"] {
        assert!(!html.contains(inline), "{inline}");
    }
}

#[test]
fn the_script_takes_no_text_for_markup() {
    let script = text_of("script");
    for markup in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("] {
        assert!(!script.contains(markup), "{markup}");
    }
}

#[test]
fn the_page_is_small() {
    assert!(page().html.len() < 80 * 1024, "{}", page().html.len());
}

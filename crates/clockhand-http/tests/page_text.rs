//! The page is one document that asks for nothing from elsewhere, and its parts are those that they should be.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clockhand_http::Service;
use sha2::{Digest, Sha256};

/// The files of uPlot 1.6.32 as the registry of npm has them, by their SHA-256.
const VENDORED: [(&str, &[u8], &str); 3] = [
    (
        "uPlot.iife.min.js",
        include_bytes!("../vendor/uplot/uPlot.iife.min.js"),
        "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f",
    ),
    (
        "uPlot.min.css",
        include_bytes!("../vendor/uplot/uPlot.min.css"),
        "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
    ),
    (
        "LICENSE",
        include_bytes!("../vendor/uplot/LICENSE"),
        "8f989229699b4fe2f1a0432d0e9edc338a8a911e250e2d1b01ecd770a5f5b1bd",
    ),
];

fn page() -> (String, String) {
    let reply = Service::builder().build().expect("a service").page();
    let policy = reply.headers.iter().find(|(name, _)| *name == "content-security-policy");
    (reply.body.to_string(), policy.expect("a policy").1.to_string())
}

/// What is between two marks, each time.
fn between<'t>(text: &'t str, open: &str, close: &str) -> Vec<&'t str> {
    let pieces = text.split(open).skip(1);
    pieces.map(|piece| piece.split(close).next().unwrap_or_default()).collect()
}

#[test]
fn what_is_vendored_is_what_was_published() {
    for (name, bytes, wanted) in VENDORED {
        let sum: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(sum, wanted, "{name}");
    }
    assert!(String::from_utf8_lossy(VENDORED[2].1).starts_with("The MIT License"));
}

#[test]
fn the_policy_knows_the_style_and_the_scripts() {
    let (page, policy) = page();
    let hash = |text: &str| format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text)));
    let scripts = [
        between(&page, "<script>", "</script>"),
        between(&page, "<script type=\"module\">", "</script>"),
    ]
    .concat();
    let styles = between(&page, "<style>", "</style>");
    assert_eq!((scripts.len(), styles.len()), (2, 1));
    let scripts: Vec<String> = scripts.into_iter().map(hash).collect();
    let wanted = format!(
        "default-src 'none'; script-src {}; style-src {}; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        scripts.join(" "),
        hash(styles[0]),
    );
    assert_eq!(policy, wanted, "the hashes in src/page.rs are older than the page");
}

#[test]
fn nothing_comes_from_elsewhere() {
    let (page, _) = page();
    let own = page.replace(&String::from_utf8_lossy(VENDORED[0].1).to_string(), "");
    for name in [
        "src=",
        "@import",
        "url(",
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
    ] {
        assert!(!own.contains(name), "the page has `{name}`");
    }
    for address in between(&own, "http", "\"") {
        let address = address.split('\'').next().unwrap_or_default();
        assert_eq!(
            address.trim_start_matches("s://").trim_start_matches("://"),
            "www.w3.org/2000/svg"
        );
    }
}

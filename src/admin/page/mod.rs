//! The status page: one document with its styles, its chart library and its script inside.
//!
//! It asks `/status` every two seconds and shows what that says, by text nodes only. Its Content-Security-Policy allows
//! nothing but those very styles and scripts, by their hashes, and questions to this port.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

const HTML: &str = include_str!("page.html");
/// uPlot, whose licence (MIT) lies beside it.
const CHART: &str = include_str!("uplot/uPlot.iife.min.js");
const CHART_STYLE: &str = include_str!("uplot/uPlot.min.css");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// The page, put together once.
pub(super) static PAGE: LazyLock<Page> = LazyLock::new(|| Page {
    html: HTML
        .replace("{{chart-style}}", CHART_STYLE)
        .replace("{{style}}", STYLE)
        .replace("{{chart}}", CHART)
        .replace("{{script}}", SCRIPT),
    policy: format!(
        "default-src 'none'; script-src {} {}; style-src {} {}; img-src data:; connect-src 'self'; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'",
        source(CHART),
        source(SCRIPT),
        source(CHART_STYLE),
        source(STYLE)
    ),
});

/// The page.
pub(super) struct Page {
    /// The document.
    pub(super) html: String,
    /// Its Content-Security-Policy.
    pub(super) policy: String,
}

/// A script or a style as a policy names it.
fn source(text: &str) -> String {
    format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_needs_nothing_from_elsewhere() {
        let html = &PAGE.html;
        assert!(!html.contains("{{"), "a part is missing");
        for outside in ["src=", "@import", "url(", "http://"] {
            assert!(!HTML.contains(outside) && !STYLE.contains(outside) && !SCRIPT.contains(outside), "{outside}");
        }
        // What the policy does not know it forbids: neither attributes with code, nor markup made of text.
        for unsafe_way in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "unsafe-"] {
            assert!(!SCRIPT.contains(unsafe_way) && !PAGE.policy.contains(unsafe_way), "{unsafe_way}");
        }
        assert!(!HTML.contains(" style=") && !HTML.contains(" onclick="));
        assert_eq!(html.matches("<script>").count(), 2);
        assert_eq!(PAGE.policy.matches("sha256-").count(), 4);
    }
}

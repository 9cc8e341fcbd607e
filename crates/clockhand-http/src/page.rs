//! The page, as one document.

/// The style, in one piece.
macro_rules! style {
    () => {
        concat!(
            include_str!("../vendor/uplot/uPlot.min.css"),
            "\n",
            include_str!("../page/page.css")
        )
    };
}

/// The library that draws the charts.
macro_rules! library {
    () => {
        include_str!("../vendor/uplot/uPlot.iife.min.js")
    };
}

/// The page's own script, in one piece.
macro_rules! script {
    () => {
        concat!(
            include_str!("../page/format.js"),
            include_str!("../page/dom.js"),
            include_str!("../page/history.js"),
            include_str!("../page/measures.js"),
            include_str!("../page/charts.js"),
            include_str!("../page/explain.js"),
            include_str!("../page/panel.js"),
            include_str!("../page/tabs.js"),
            include_str!("../page/live.js"),
            include_str!("../page/main.js"),
        )
    };
}

/// The page: markup, style and scripts in one piece. It asks for nothing from elsewhere.
pub(crate) const PAGE: &str = concat!(
    include_str!("../page/head.html"),
    "<style>",
    style!(),
    "</style>\n",
    include_str!("../page/body.html"),
    "<script>",
    library!(),
    "</script>\n<script type=\"module\">",
    script!(),
    "</script>\n</body>\n</html>\n",
);

/// What the page may do: its own style and scripts, which are told by their hashes, and requests to where it
/// came from. A test has the hashes.
pub(crate) const POLICY: &str = concat!(
    "default-src 'none'; script-src ",
    "'sha256-GcjUxq2Ikpp59K5J1vcWFWbf0Lo9FcxJXpdPeH63jx8=' ",
    "'sha256-Xm3hVFEm73N3CUxOSnpJ4Xi6CN8D9XWYc9Ij+dMHHgI='; ",
    "style-src 'sha256-ATWDSy8NbBDr74D7OcppbUAoF/y5H2W0yA6AlARLlzc='; ",
    "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

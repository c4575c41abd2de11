//! The page to play on, from the binary itself.

use warp::{
    Filter as _, Reply as _,
    filters::BoxedFilter,
    http::{HeaderValue, header},
    reply::Response,
};

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
/// Of TypeScript, which browsers show and do not run.
const TEXT: &str = "text/plain; charset=utf-8";

/// All files of the page: path, type, bytes.
const FILES: [(&str, &str, &str); 9] = [
    ("", HTML, include_str!("../page/index.html")),
    ("style.css", CSS, include_str!("../page/style.css")),
    ("app.js", JAVASCRIPT, include_str!("../page/app.js")),
    ("developer.js", JAVASCRIPT, include_str!("../page/developer.js")),
    ("dom.js", JAVASCRIPT, include_str!("../page/dom.js")),
    ("game.js", JAVASCRIPT, include_str!("../page/game.js")),
    ("kill.js", JAVASCRIPT, include_str!("../page/kill.js")),
    ("lobby.js", JAVASCRIPT, include_str!("../page/lobby.js")),
    ("trick.js", JAVASCRIPT, include_str!("../page/trick.js")),
];

/// The client and its types, for every page.
const CLIENT: [(&str, &str, &str); 2] = [
    ("chorus.js", JAVASCRIPT, include_str!("../../clients/js/chorus.js")),
    ("chorus.d.ts", TEXT, include_str!("../../clients/js/chorus.d.ts")),
];

/// The service worker of every page, with the page that it shows while the server is gone.
const OFFLINE: [(&str, &str, &str); 1] = [("chorus-offline.js", JAVASCRIPT, OFFLINE_WORKER)];

pub const OFFLINE_WORKER: &str =
    concat!("const PAGE = `", include_str!("../page/offline.html"), "`;\n\n", include_str!("../page/offline.js"));

/// Further files of `chorus dev`, for the author. All are below `dev`, where no page of a project is.
const AUTHORS: [(&str, &str, &str); 9] = [
    ("dev", HTML, include_str!("../page/dev.html")),
    ("dev/inspector", HTML, include_str!("../page/inspector.html")),
    ("dev/style.css", CSS, include_str!("../page/style.css")),
    ("dev/inspector.css", CSS, include_str!("../page/inspector.css")),
    ("dev/dev.js", JAVASCRIPT, include_str!("../page/dev.js")),
    ("dev/dom.js", JAVASCRIPT, include_str!("../page/dom.js")),
    ("dev/inspector.js", JAVASCRIPT, include_str!("../page/inspector.js")),
    ("dev/kill.js", JAVASCRIPT, include_str!("../page/kill.js")),
    ("dev/tree.js", JAVASCRIPT, include_str!("../page/tree.js")),
];

/// The page runs only scripts from this server.
const POLICY: &str = "default-src 'self'; img-src 'self' data:; connect-src 'self' ws: wss:; frame-ancestors 'none'";

/// `GET /` and its files.
pub fn files() -> BoxedFilter<(Response,)> {
    of(&FILES).or(client()).unify().boxed()
}

/// `GET /chorus.js` and `/chorus.d.ts`, also for pages of other origins: whether they may connect is decided at `/ws`. And `GET
/// /chorus-offline.js`, which the client registers.
pub fn client() -> BoxedFilter<(Response,)> {
    let client = of(&CLIENT).map(|mut response: Response| {
        response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        response
    });
    client.or(of(&OFFLINE)).unify().boxed()
}

/// The author's page, `GET /dev`.
pub fn authors() -> BoxedFilter<(Response,)> {
    of(&AUTHORS)
}

fn of(files: &'static [(&str, &str, &str)]) -> BoxedFilter<(Response,)> {
    let file = warp::get().and(warp::path::tail()).and_then(async move |tail: warp::path::Tail| {
        let found = files.iter().find(|(path, ..)| *path == tail.as_str());
        found.map(|(_, kind, text)| file(kind, text)).ok_or_else(warp::reject::not_found)
    });
    file.boxed()
}

fn file(kind: &'static str, text: &'static str) -> Response {
    let mut response = text.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    // The next binary may have another page under the same name.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    response
}

#[cfg(test)]
mod tests {
    /// It stands in a template literal.
    #[test]
    fn the_offline_page_ends_where_its_literal_ends() {
        let page = include_str!("../page/offline.html");
        assert!(!page.contains(['`', '\\']) && !page.contains("${"));
    }
}

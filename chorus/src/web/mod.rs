//! `--web`: the page of a game, beside its rooms: the files of a folder, or a development server that is passed the requests.
//!
//! Paths that are the server's own are never the page's: see [`RESERVED`]. The client is served from the binary, so that it always
//! has the server's protocol, and so is the service worker with the offline page (`crate::page`).

mod files;
mod proxy;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use clap::Args;
use warp::{
    Filter as _, Reply as _,
    filters::BoxedFilter,
    http::{HeaderMap, Method, StatusCode},
    reply::Response,
};

use self::{files::Folder, proxy::Upstream};

/// The first parts of paths that belong to the server, whether or not a route answers them. `chorus/page/offline.js` has them too.
const RESERVED: [&str; 6] = ["v1", "dev", "ws", "healthz", "readyz", "metrics"];

#[derive(Clone, Debug, Default, Args)]
pub struct WebOptions {
    /// The page to serve at `/`: a folder with an index.html, or the URL of a development server such as Vite's, which is
    /// passed all requests but the game's [default: `web/` of the project, if there is one]
    ///
    /// Of a folder, a path without an extension that names no file is index.html too, so that a page can have paths of its own
    /// (`/play`).
    #[arg(long, env = "CHORUS_WEB", value_name = "DIR|URL")]
    web: Option<String>,
}

/// What is served at `/`.
#[derive(Debug)]
pub enum Web {
    Folder(Folder),
    Server(Upstream),
}

impl WebOptions {
    /// The named page, or the default one.
    pub fn page(&self, default: Option<PathBuf>) -> anyhow::Result<Option<Web>> {
        match &self.web {
            Some(url) if url.contains("://") => Ok(Some(Web::Server(url.parse().context("--web")?))),
            Some(dir) => Ok(Some(Web::Folder(folder(Path::new(dir))?))),
            None => default.map(|dir| Ok(Web::Folder(folder(&dir)?))).transpose(),
        }
    }
}

fn folder(dir: &Path) -> anyhow::Result<Folder> {
    ensure!(
        dir.is_dir(),
        "--web {}: there is no such folder; name the one with the page's index.html, or a development server's URL",
        dir.display()
    );
    Folder::open(dir).with_context(|| format!("--web {}", dir.display()))
}

/// The whole page.
pub fn routes(web: Web) -> BoxedFilter<(Response,)> {
    let own = warp::path::full().and_then(async |path: warp::path::FullPath| match is_reserved(path.as_str()) {
        true => Err(warp::reject::not_found()),
        false => Ok(path.as_str().to_owned()),
    });
    match web {
        Web::Folder(folder) => own
            .and(warp::method())
            .and(warp::header::headers_cloned())
            .then(move |path: String, method: Method, headers: HeaderMap| {
                let folder = folder.clone();
                async move { folder.answer(&method, &path, &headers).await }
            })
            .boxed(),
        Web::Server(upstream) => proxy::routes(own.boxed(), upstream),
    }
}

fn is_reserved(path: &str) -> bool {
    let first = path.trim_start_matches('/').split('/').next().unwrap_or("");
    RESERVED.contains(&first)
}

/// A short answer in plain text.
fn plain(status: StatusCode, text: &str) -> Response {
    warp::reply::with_status(format!("{text}\n"), status).into_response()
}

#[cfg(test)]
mod tests {
    use super::RESERVED;

    #[test]
    fn the_service_worker_leaves_the_servers_own_paths_to_the_network() {
        let own = format!("/^\\/({})(\\/|$)/", RESERVED.join("|"));
        assert!(crate::page::OFFLINE_WORKER.contains(&own), "offline.js has another list than {own}");
    }
}

//! The files of a folder, to browsers.
//!
//! Only files inside the folder: a path has no `..`, no hidden part and no encoded separator, and the real path of what it names,
//! with all links followed, is below the real path of the folder. All else is 404.
//!
//! Every response may be kept and must be checked before it is used again (`no-cache` and an `ETag` of size and time), so a reload
//! has what is on disk. A file is streamed, and one range of it can be requested, which players of audio and video need.

use std::{
    io::SeekFrom,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
    time::UNIX_EPOCH,
};

use percent_encoding::percent_decode_str;
use tokio::{
    fs::File,
    io::{AsyncReadExt as _, AsyncSeekExt as _},
};
use tokio_util::io::ReaderStream;
use warp::{
    Reply as _,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    reply::Response,
};

use super::plain;

const INDEX: &str = "index.html";

/// The only hidden name that is served: certificates and applications on phones are verified by it.
const WELL_KNOWN: &str = ".well-known";

/// A folder by its real path. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Folder(Arc<Path>);

/// What a path names.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    File(PathBuf),
    /// A folder with a page, named without the slash at its end: relative links in the page would be wrong.
    Redirect(String),
    Nothing,
}

impl Folder {
    pub fn open(dir: &Path) -> std::io::Result<Folder> {
        Ok(Folder(dir.canonicalize()?.into()))
    }

    pub async fn answer(&self, method: &Method, path: &str, headers: &HeaderMap) -> Response {
        if method != Method::GET && method != Method::HEAD {
            let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "files are only read: GET or HEAD");
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            return response;
        }
        match self.find(path).await {
            Found::File(file) => send(&file, headers).await.unwrap_or_else(|error| {
                tracing::debug!(%error, "a file of the page cannot be read");
                nothing()
            }),
            Found::Redirect(to) => match HeaderValue::from_str(&to) {
                Ok(to) => {
                    let mut response = plain(StatusCode::FOUND, "a folder ends with a slash");
                    response.headers_mut().insert(header::LOCATION, to);
                    response
                }
                Err(_) => nothing(),
            },
            Found::Nothing if path == "/" => {
                plain(StatusCode::NOT_FOUND, "the folder of the page has no index.html yet: write one, and reload")
            }
            Found::Nothing => nothing(),
        }
    }

    async fn find(&self, path: &str) -> Found {
        let Some(names) = names(path) else { return Found::Nothing };
        let wanted = names.iter().fold(self.0.to_path_buf(), |path, name| path.join(name));
        let is_folder = path.ends_with('/');
        match self.inside(&wanted).await {
            Some((real, true)) if is_folder => match self.inside(&real.join(INDEX)).await {
                Some((index, false)) => Found::File(index),
                _ => self.fallback(names.last()).await,
            },
            Some((real, true)) if self.inside(&real.join(INDEX)).await.is_some_and(|(_, is_dir)| !is_dir) => {
                // Relative, so that it cannot lead to another host.
                let last = path.rsplit('/').next().unwrap_or("");
                Found::Redirect(format!("./{last}/"))
            }
            Some((real, false)) if !is_folder => Found::File(real),
            _ => self.fallback(names.last()).await,
        }
    }

    /// The page itself, which has paths of its own; but a missing image or script is missing.
    async fn fallback(&self, last: Option<&String>) -> Found {
        if last.is_some_and(|name| name.contains('.')) {
            return Found::Nothing;
        }
        match self.inside(&self.0.join(INDEX)).await {
            Some((index, false)) => Found::File(index),
            _ => Found::Nothing,
        }
    }

    /// The real path of what exists inside the folder, and whether it is a folder.
    async fn inside(&self, path: &Path) -> Option<(PathBuf, bool)> {
        let real = tokio::fs::canonicalize(path).await.ok()?;
        if !real.starts_with(&self.0) {
            return None;
        }
        let about = tokio::fs::metadata(&real).await.ok()?;
        (about.is_dir() || about.is_file()).then(|| (real, about.is_dir()))
    }
}

fn nothing() -> Response {
    plain(StatusCode::NOT_FOUND, "there is no such page or file")
}

/// The parts of a path, decoded. `None` for one that no file of the folder can have.
fn names(path: &str) -> Option<Vec<String>> {
    let path = path.strip_prefix('/')?;
    let path = path.strip_suffix('/').unwrap_or(path);
    if path.is_empty() {
        return Some(Vec::new());
    }
    let name = |part: &str| {
        let name = percent_decode_str(part).decode_utf8().ok()?.into_owned();
        let is_hidden = name.starts_with('.') && name != WELL_KNOWN;
        let is_good = !name.is_empty() && !is_hidden && !name.contains(['/', '\\', '\0']);
        is_good.then_some(name)
    };
    path.split('/').map(name).collect()
}

async fn send(path: &Path, headers: &HeaderMap) -> std::io::Result<Response> {
    let mut file = File::open(path).await?;
    let about = file.metadata().await?;
    let written = about.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
    let tag = format!("\"{:x}-{:x}\"", about.len(), written.as_nanos());
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());

    let mut response = if text(header::IF_NONE_MATCH).is_some_and(|known| has_tag(known, &tag)) {
        plain(StatusCode::NOT_MODIFIED, "")
    } else {
        let is_same = text(header::IF_RANGE).is_none_or(|known| known == tag);
        match text(header::RANGE).filter(|_| is_same).map_or(Part::Whole, |range| part(range, about.len())) {
            Part::Whole => body(file, about.len()),
            Part::Some(range) => {
                file.seek(SeekFrom::Start(range.start)).await?;
                let mut response = body(file, range.end - range.start);
                *response.status_mut() = StatusCode::PARTIAL_CONTENT;
                let shown = format!("bytes {}-{}/{}", range.start, range.end - 1, about.len());
                response.headers_mut().insert(header::CONTENT_RANGE, value(&shown));
                response
            }
            Part::Outside => {
                let mut response = plain(StatusCode::RANGE_NOT_SATISFIABLE, "the file is shorter");
                response.headers_mut().insert(header::CONTENT_RANGE, value(&format!("bytes */{}", about.len())));
                return Ok(response);
            }
        }
    };
    if response.status() == StatusCode::NOT_MODIFIED {
        *response.body_mut() = Response::default().into_body();
    }
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, value(&content_type(path)));
    headers.insert(header::ETAG, value(&tag));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    Ok(response)
}

fn body(file: File, length: u64) -> Response {
    let mut response = warp::reply::stream(ReaderStream::new(file.take(length))).into_response();
    response.headers_mut().insert(header::CONTENT_LENGTH, length.into());
    response
}

fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("it has only ASCII")
}

/// Whether a list of tags has this one. A proxy that compresses makes a tag weak.
fn has_tag(list: &str, tag: &str) -> bool {
    list.split(',').map(|one| one.trim()).any(|one| one == "*" || one.strip_prefix("W/").unwrap_or(one) == tag)
}

fn content_type(path: &Path) -> String {
    let kind = mime_guess::from_path(path).first_or_octet_stream().to_string();
    let is_text =
        kind.starts_with("text/") || ["application/json", "application/javascript", "image/svg+xml"].contains(&&*kind);
    match is_text && !kind.contains("charset") {
        true => format!("{kind}; charset=utf-8"),
        false => kind,
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Part {
    Whole,
    Some(Range<u64>),
    Outside,
}

/// The bytes that a `Range` header requests. Several ranges at once are answered by the whole file, as is what cannot be read.
fn part(range: &str, length: u64) -> Part {
    let Some((first, last)) = range.strip_prefix("bytes=").and_then(|range| range.trim().split_once('-')) else {
        return Part::Whole;
    };
    let (first, last) = match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(first), Ok(last)) if first <= last => (first, last.saturating_add(1).min(length)),
        (Ok(first), Err(_)) if last.is_empty() => (first, length),
        (Err(_), Ok(last)) if first.is_empty() => (length.saturating_sub(last), length),
        _ => return Part::Whole,
    };
    if first < last { Part::Some(first..last) } else { Part::Outside }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    fn page() -> (tempfile::TempDir, Folder) {
        let dir = tempfile::tempdir().unwrap();
        let web = dir.path().join("web");
        fs::create_dir_all(web.join("help/.git")).unwrap();
        fs::create_dir(web.join("empty")).unwrap();
        for (name, text) in [
            ("index.html", "<h1>the page</h1>"),
            ("a b.js", "1;"),
            ("help/index.html", "help"),
            ("help/.git/config", "private"),
            (".env", "private"),
            ("../secret.txt", "private"),
        ] {
            fs::write(web.join(name), text).unwrap();
        }
        symlink("../secret.txt", web.join("link.txt")).unwrap();
        symlink("..", web.join("up")).unwrap();
        symlink("a b.js", web.join("own.js")).unwrap();
        let folder = Folder::open(&web).unwrap();
        (dir, folder)
    }

    async fn get(folder: &Folder, path: &str, headers: &[(header::HeaderName, &str)]) -> (u16, HeaderMap, String) {
        let headers = headers.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect();
        let response = folder.answer(&Method::GET, path, &headers).await;
        let (parts, body) = response.into_parts();
        let body = http_body_util::BodyExt::collect(body).await.unwrap().to_bytes();
        (parts.status.as_u16(), parts.headers, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn files_have_their_types_and_paths_of_the_page_are_the_page() {
        let (_dir, folder) = page();
        for (path, kind, text) in [
            ("/", "text/html; charset=utf-8", "<h1>the page</h1>"),
            ("/play", "text/html; charset=utf-8", "<h1>the page</h1>"),
            ("/play/KQ7F/", "text/html; charset=utf-8", "<h1>the page</h1>"),
            ("/empty/", "text/html; charset=utf-8", "<h1>the page</h1>"),
            ("/help/", "text/html; charset=utf-8", "help"),
            ("/a%20b.js", "text/javascript; charset=utf-8", "1;"),
            ("/own.js", "text/javascript; charset=utf-8", "1;"),
        ] {
            let (status, headers, body) = get(&folder, path, &[]).await;
            assert_eq!(
                (status, &headers["content-type"], body.as_str()),
                (200, &kind.parse().unwrap(), text),
                "{path}"
            );
        }
        assert_eq!(get(&folder, "/missing.png", &[]).await.0, 404);
        let (status, headers, _) = get(&folder, "/help", &[]).await;
        assert_eq!((status, headers["location"].to_str().unwrap()), (302, "./help/"));
        assert_eq!(folder.answer(&Method::POST, "/", &HeaderMap::new()).await.status(), 405);
    }

    #[tokio::test]
    async fn nothing_outside_of_the_folder_is_served_and_nothing_hidden() {
        let (_dir, folder) = page();
        for path in [
            "/../secret.txt",
            "/%2e%2e/secret.txt",
            "/..%2fsecret.txt",
            "/help/..%5c..%5csecret.txt",
            "/help/../../secret.txt",
            "/link.txt",
            "/up/secret.txt",
            "//secret.txt",
            "/.env",
            "/help/.git/config",
            "/a%00.js",
            "/%ff.js",
            "/index.html/",
        ] {
            let (status, _, body) = get(&folder, path, &[]).await;
            assert!(!body.contains("private"), "{path}");
            // A link to another folder has no extension, and is then a path of the page.
            assert!(status == 404 || body.contains("the page"), "{path}: {status}");
        }
        assert_eq!(get(&folder, "/../secret.txt", &[]).await.0, 404);
        assert_eq!(get(&folder, "/link.txt", &[]).await.0, 404);
    }

    #[tokio::test]
    async fn a_file_is_sent_again_when_it_has_changed() {
        let (dir, folder) = page();
        let (_, headers, _) = get(&folder, "/a%20b.js", &[]).await;
        assert_eq!(headers["cache-control"], "no-cache");
        let tag = headers["etag"].to_str().unwrap().to_owned();
        for known in [tag.clone(), format!("\"x\", W/{tag}")] {
            let (status, headers, body) = get(&folder, "/a%20b.js", &[(header::IF_NONE_MATCH, &known)]).await;
            assert_eq!((status, body.as_str(), &headers["etag"]), (304, "", &tag.parse().unwrap()));
        }
        fs::write(dir.path().join("web/a b.js"), "23;").unwrap();
        let (status, _, body) = get(&folder, "/a%20b.js", &[(header::IF_NONE_MATCH, &tag)]).await;
        assert_eq!((status, body.as_str()), (200, "23;"));
    }

    #[tokio::test]
    async fn a_range_is_a_part_of_the_file() {
        let (_dir, folder) = page();
        let (status, headers, body) = get(&folder, "/index.html", &[(header::RANGE, "bytes=4-6")]).await;
        assert_eq!((status, body.as_str(), headers["content-range"].to_str().unwrap()), (206, "the", "bytes 4-6/17"));
        let (status, headers, _) = get(&folder, "/index.html", &[(header::RANGE, "bytes=17-")]).await;
        assert_eq!((status, headers["content-range"].to_str().unwrap()), (416, "bytes */17"));
        let old = [(header::RANGE, "bytes=4-6"), (header::IF_RANGE, "\"old\"")];
        assert_eq!(get(&folder, "/index.html", &old).await.0, 200);
    }

    #[test]
    fn ranges_are_read_as_the_standard_has_them() {
        for (text, expected) in [
            ("bytes=0-0", Part::Some(0..1)),
            ("bytes=5-", Part::Some(5..10)),
            ("bytes=-3", Part::Some(7..10)),
            ("bytes=-99", Part::Some(0..10)),
            ("bytes=5-99", Part::Some(5..10)),
            ("bytes=0-18446744073709551615", Part::Some(0..10)),
            ("bytes=10-", Part::Outside),
            ("bytes=-0", Part::Outside),
            ("bytes=6-5", Part::Whole),
            ("bytes=0-1,3-4", Part::Whole),
            ("lines=0-1", Part::Whole),
            ("bytes=", Part::Whole),
        ] {
            assert_eq!(part(text, 10), expected, "{text}");
        }
    }
}

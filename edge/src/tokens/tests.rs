//! Stories of tokens and their keys, with an issuer on loopback.

use std::{
    collections::VecDeque,
    sync::atomic::{AtomicUsize, Ordering},
};

use chorus_core::identity::{KEYS_STALE_MS, MIN_FETCH_INTERVAL_MS, REFRESH_MS};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::*;

const NOW: Time = Time(1_700_000_000_000);
const RSA_PRIVATE: &[u8] = include_bytes!("test-rsa.der");
const RSA_PUBLIC: &str = include_str!("test-rsa.pem");
const SECRET: &str = "a secret of more than 32 bytes, for tests";

fn claims() -> Value {
    json!({ "sub": "42", "name": "Ana", "aud": "game", "exp": NOW.0 / 1_000 + 600 })
}

fn rules() -> TokenRules {
    TokenRules { audiences: vec!["game".into()], ..TokenRules::default() }
}

fn tokens(keys: KeySource) -> Arc<Tokens> {
    Arc::new(Tokens::new(&TokenOptions { keys, rules: rules() }).expect("keys"))
}

fn text(keys: &str) -> Arc<Tokens> {
    tokens(KeySource::Text(keys.into()))
}

fn signed(algorithm: Algorithm, key_id: Option<&str>, key: &EncodingKey, claims: &Value) -> Secret {
    signature::install();
    let header = Header { kid: key_id.map(str::to_owned), ..Header::new(algorithm) };
    jsonwebtoken::encode(&header, claims, key).expect("signed").into()
}

async fn refusal(tokens: &Arc<Tokens>, token: &Secret) -> (CloseCode, String) {
    let (code, reason) = tokens.account(token, NOW).await.expect_err("it is refused");
    (code, reason.into())
}

/// An issuer's key pair, under an id.
struct Issued {
    id: &'static str,
    private: Vec<u8>,
}

impl Issued {
    fn new(id: &'static str) -> Issued {
        let private = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).expect("randomness").as_ref().to_vec();
        Issued { id, private }
    }

    fn jwk(&self) -> Value {
        let pair = Ed25519KeyPair::from_pkcs8(&self.private).expect("a key");
        json!({ "kty": "OKP", "crv": "Ed25519", "use": "sig", "kid": self.id, "x": base64(pair.public_key().as_ref()) })
    }

    fn sign(&self) -> Secret {
        signed(Algorithm::EdDSA, Some(self.id), &EncodingKey::from_ed_der(&self.private), &claims())
    }
}

/// base64url without padding.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let digits = bytes.chunks(3).flat_map(|chunk| {
        let word = (0..3).fold(0u32, |word, at| word << 8 | u32::from(chunk.get(at).copied().unwrap_or(0)));
        (0..=chunk.len()).map(move |at| DIGITS[(word >> (18 - 6 * at) & 63) as usize] as char)
    });
    digits.collect()
}

/// An issuer on loopback, which counts requests.
struct Server {
    url: String,
    keys: Arc<Mutex<Option<Value>>>,
    requests: Arc<AtomicUsize>,
}

impl Server {
    /// Without keys it answers 503.
    async fn start(keys: &[&Issued]) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/keys", listener.local_addr().expect("bound"));
        let (published, requests) = (Arc::new(Mutex::new(None)), Arc::new(AtomicUsize::new(0)));
        let (ours, count) = (published.clone(), requests.clone());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = VecDeque::new();
                while !head.iter().copied().collect::<Vec<u8>>().ends_with(b"\r\n\r\n") {
                    head.push_back(stream.read_u8().await.expect("a request"));
                }
                count.fetch_add(1, Ordering::SeqCst);
                let answer: String = match &*ours.lock().expect("no panic") {
                    Some(keys) => {
                        let body = Value::to_string(keys);
                        format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())
                    }
                    None => "HTTP/1.1 503 Down\r\ncontent-length: 0\r\n\r\n".to_owned(),
                };
                stream.write_all(answer.as_bytes()).await.expect("written");
            }
        });
        let server = Server { url, keys: published, requests };
        server.publish(keys);
        server
    }

    fn publish(&self, keys: &[&Issued]) {
        let jwks: Vec<Value> = keys.iter().map(|key| key.jwk()).collect();
        *self.keys.lock().expect("no panic") = (!jwks.is_empty()).then(|| json!({ "keys": jwks }));
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

#[tokio::test]
async fn a_token_of_each_algorithm_is_taken_with_its_key() {
    let ec = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).expect("randomness");
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, ec.as_ref(), &SystemRandom::new());
    let pair = pair.expect("a key");
    let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
    let ec_jwk = json!({ "kty": "EC", "crv": "P-256", "x": base64(x), "y": base64(y) });
    let ed = Issued::new("one");
    let secret = json!({ "kty": "oct", "k": base64(SECRET.as_bytes()) });
    let rsa = EncodingKey::from_rsa_der(RSA_PRIVATE);
    for (keys, token) in [
        (RSA_PUBLIC.to_owned(), signed(Algorithm::RS256, None, &rsa, &claims())),
        (ec_jwk.to_string(), signed(Algorithm::ES256, Some("any"), &EncodingKey::from_ec_der(ec.as_ref()), &claims())),
        (json!({ "keys": [ed.jwk(), { "kty": "new" }] }).to_string(), ed.sign()),
        (secret.to_string(), mint(&claims(), None, &SECRET.into()).expect("a secret")),
        (SECRET.to_owned(), mint(&claims(), Some("any"), &SECRET.into()).expect("a secret")),
    ] {
        let account = text(&keys).account(&token, NOW).await.expect("valid");
        assert_eq!((&*account.id, account.name.as_deref()), ("u:42", Some("Ana")));
        let (header, rest) = token.expose().split_once('.').expect("three parts");
        let (payload, signature) = rest.split_once('.').expect("three parts");
        let other = base64(claims().to_string().replace("42", "43").as_bytes());
        let forged = format!("{header}.{other}.{signature}").into();
        assert_eq!(refusal(&text(&keys), &forged).await.0, CloseCode::Unauthorized);
        let cut = format!("{header}.{payload}.").into();
        assert_eq!(refusal(&text(&keys), &cut).await.0, CloseCode::Unauthorized);
    }
}

#[tokio::test]
async fn a_header_does_not_choose_how_a_key_is_used() {
    let unsigned = |header: &str| -> Secret {
        format!("{}.{}.", base64(header.as_bytes()), base64(claims().to_string().as_bytes())).into()
    };
    let tokens = text(RSA_PUBLIC);
    for none in [r#"{"alg":"none"}"#, r#"{"alg":"None","typ":"JWT"}"#, r#"{"typ":"JWT"}"#, "{}", ""] {
        let (code, reason) = refusal(&tokens, &unsigned(none)).await;
        assert_eq!(code, CloseCode::Unauthorized, "{none}");
        assert!(reason.contains("no JWT"), "{none}: {reason}");
    }
    // The public key, as anybody has it, in place of a secret.
    for secret in [RSA_PUBLIC.as_bytes(), RSA_PUBLIC.trim().as_bytes()] {
        let confused = signed(Algorithm::HS256, None, &EncodingKey::from_secret(secret).expect("a secret"), &claims());
        assert_eq!(refusal(&tokens, &confused).await.1, "the token's signature is wrong");
    }
    for bad in ["", ".", "..", "a.b.c", "a.b", &"x".repeat(9_000)] {
        assert_eq!(refusal(&tokens, &bad.into()).await.0, CloseCode::Unauthorized, "{bad}");
    }
}

#[tokio::test]
async fn the_claims_of_a_signed_token_count() {
    let tokens = text(SECRET);
    for (name, value, reason) in [
        ("exp", json!(NOW.0 / 1_000 - 600), "expired"),
        ("nbf", json!(NOW.0 / 1_000 + 600), "not valid yet"),
        ("aud", json!("shop"), "another audience"),
        ("sub", json!(null), "no subject"),
    ] {
        let mut claims = claims();
        claims[name] = value;
        let token = mint(&claims, None, &SECRET.into()).expect("a secret");
        let (code, text) = refusal(&tokens, &token).await;
        assert!(code == CloseCode::Unauthorized && text.contains(reason), "{name}: {text}");
    }
}

#[tokio::test]
async fn a_key_that_an_issuer_rotates_in_is_taken_up_and_the_old_one_leaves() {
    let [first, second] = ["first", "second"].map(Issued::new);
    let server = Server::start(&[&first]).await;
    let tokens = tokens(KeySource::Url(server.url.clone()));
    tokens.account(&first.sign(), NOW).await.expect("valid");
    tokens.account(&first.sign(), NOW).await.expect("valid");
    assert_eq!(server.requests(), 1);

    server.publish(&[&second]);
    let (code, reason) = tokens.account(&second.sign(), NOW).await.expect_err("fetched just now");
    assert_eq!((code, &*reason), (CloseCode::Unauthorized, "the token is signed with a key that is not known here"));
    assert_eq!(server.requests(), 1, "invented keys cost the issuer nothing");
    let later = NOW.plus(MIN_FETCH_INTERVAL_MS);
    tokens.account(&second.sign(), later).await.expect("the new key");
    assert_eq!(server.requests(), 2);
    tokens.account(&first.sign(), later).await.expect_err("it was withdrawn");
}

#[tokio::test]
async fn keys_that_cannot_be_fetched_at_the_start_are_fetched_later() {
    let key = Issued::new("one");
    let server = Server::start(&[]).await;
    let tokens = tokens(KeySource::Url(server.url.clone()));
    assert_eq!(refusal(&tokens, &key.sign()).await.0, CloseCode::Unavailable, "the client comes again");
    server.publish(&[&key]);
    tokens.account(&key.sign(), NOW.plus(MIN_FETCH_INTERVAL_MS)).await.expect("valid");
}

#[tokio::test]
async fn the_last_keys_are_used_while_an_issuer_is_down_but_not_for_ever() {
    let [known, unknown] = ["known", "unknown"].map(Issued::new);
    let server = Server::start(&[&known]).await;
    let rules = TokenRules { skew_ms: 2 * KEYS_STALE_MS, ..rules() };
    let options = TokenOptions { keys: KeySource::Url(server.url.clone()), rules };
    let tokens = Arc::new(Tokens::new(&options).expect("an address"));
    tokens.account(&known.sign(), NOW).await.expect("valid");
    server.publish(&[]);
    let later = NOW.plus(REFRESH_MS);
    tokens.account(&known.sign(), later).await.expect("the last keys");
    let (code, _) = tokens.account(&unknown.sign(), later.plus(60_000)).await.expect_err("it may be a new key");
    assert_eq!(code, CloseCode::Unavailable);
    let (code, _) = tokens.account(&known.sign(), NOW.plus(KEYS_STALE_MS)).await.expect_err("too old");
    assert_eq!(code, CloseCode::Unavailable);
}

#[tokio::test]
async fn a_secret_that_an_issuer_publishes_is_no_key() {
    let server = Server::start(&[]).await;
    let secret = json!({ "keys": [{ "kty": "oct", "kid": "one", "k": base64(SECRET.as_bytes()) }] });
    *server.keys.lock().expect("no panic") = Some(secret);
    let tokens = tokens(KeySource::Url(server.url.clone()));
    let token = mint(&claims(), Some("one"), &SECRET.into()).expect("a secret");
    assert_eq!(refusal(&tokens, &token).await.0, CloseCode::Unavailable);
}

#[tokio::test]
async fn a_file_of_keys_is_read_again() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("key");
    std::fs::write(&path, SECRET).expect("written");
    let tokens = tokens(KeySource::File(path.clone()));
    let other = "another secret of more than 32 bytes";
    tokens.account(&mint(&claims(), None, &SECRET.into()).expect("a secret"), NOW).await.expect("valid");
    std::fs::write(&path, other).expect("written");
    tokens.fetch_if_due(false, NOW.plus(REFRESH_MS)).await;
    tokens.account(&mint(&claims(), None, &other.into()).expect("a secret"), NOW).await.expect("valid");
}

#[test]
fn keys_that_are_none_are_refused_and_not_shown() {
    let error = |text: &str| Keys::of_operator(text).expect_err("no keys");
    assert_eq!(error("hunter2"), BadKeys::ShortSecret);
    assert_eq!(error(""), BadKeys::ShortSecret);
    assert_eq!(error("{"), BadKeys::Json);
    assert_eq!(error(r#"{"keys":[]}"#), BadKeys::None);
    assert_eq!(error(r#"{"kty":"oct","k":"c2hvcnQ"}"#), BadKeys::None);
    assert_eq!(error("-----BEGIN PUBLIC KEY-----\nx\n-----END PUBLIC KEY-----"), BadKeys::Pem);
    let source = KeySource::Text(SECRET.into());
    let shown = format!("{source:?} {:?} {:?}", text(SECRET), Keys::of_operator(SECRET));
    assert!(!shown.contains("secret of"), "{shown}");
}

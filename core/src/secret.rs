//! A text that must not appear in a log, an error or a crash report: a token.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Its `Debug` shows that there is one, and nothing of it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(Box<str>);

impl Secret {
    /// The text, for the place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl<T: Into<Box<str>>> From<T> for Secret {
    fn from(text: T) -> Secret {
        Secret(text.into())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The text of a library's error without what it quotes, which may be a secret: from its first quotation mark to its last.
pub fn without_quoted(text: &str) -> String {
    match (text.find('"'), text.rfind('"')) {
        (Some(begin), Some(end)) if begin < end => format!("{}…{}", &text[..=begin], &text[end..]),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        command::RoomCommand,
        frame::{ClientFrame, Hello},
        ids::{Digest, Kind, RoomId, RoomSecret, Seed, SessionId, Time},
        json::Json,
        room::State,
        session::{Output, StoreWrite},
    };

    #[test]
    fn a_secret_is_not_shown() {
        assert_eq!(format!("{:?}", Some(Secret::from("hunter2"))), "Some(Secret(…))");
    }

    #[test]
    fn what_is_quoted_is_hidden() {
        assert_eq!(without_quoted(r#"unknown value "hunter2 \" x" for `mode`"#), r#"unknown value "…" for `mode`"#);
        assert_eq!(without_quoted("no value"), "no value");
    }

    /// Neither as a number nor as a text, alone or in what has it as a part.
    #[test]
    fn nothing_that_has_a_secret_shows_it() {
        const SECRET: u128 = 0x6875_6e74_6572_3268_756e_7465_7232_6875;
        let token = || Some(Secret::from("hunter2hunter2hu"));
        let (room, secret) = (RoomId(3), RoomSecret(SECRET));
        let seed = Seed::of(room, secret, 7);
        let mut hello = Hello::default();
        (hello.token, hello.guest, hello.resume) = (token(), token(), token());
        let create = RoomCommand::Create {
            kind: Kind::lobby(),
            component: Digest([7; 32]),
            options: Json::null(),
            creator: None,
            secret,
            allowance: 0,
        };
        let state = State::new(Kind::lobby(), Digest([7; 32]), None, secret, 0, Time(1), 5);
        let shown = [
            format!("{secret:?} {:?} {seed:?}", secret.hash_seed(room)),
            format!("{:?} {:?}", ClientFrame::Hello(hello.clone()), ClientFrame::Renew("hunter2hunter2hu".into())),
            format!("{:?}", Output::Hello(Box::new(hello))),
            format!("{:?}", StoreWrite::Confirm { session: SessionId(1), token: "hunter2hunter2hu".into() }),
            format!("{create:?} {state:?}"),
        ];
        let hash_seed = secret.hash_seed(room).0;
        let hidden = ["hunter2".to_owned(), seed.random[0].to_string(), hash_seed.to_string()];
        let hidden = hidden.into_iter().chain([SECRET.to_string(), format!("{SECRET:x}"), format!("{hash_seed:x}")]);
        for hidden in hidden {
            assert!(!shown.iter().any(|text| text.contains(&hidden)), "{hidden} in {shown:?}");
        }
    }
}

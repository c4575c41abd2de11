//! The tokens by which a guest is the same player in its next session.
//!
//! A token is the guest's number and a MAC of it, with a key that lasts as long as the store. It has no end, like the cookie that it
//! takes the place of: what it proves is that its holder was this guest before.

use chorus_core::{identity::GuestId, secret::Secret};
use chorus_store::StoreSecret;
use ring::hmac;

/// What a MAC of ours is for, and the version of the token.
const PURPOSE: &[u8] = b"chorus guest 1";

pub(crate) struct GuestKey(hmac::Key);

impl std::fmt::Debug for GuestKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("GuestKey(…)")
    }
}

impl GuestKey {
    pub fn new(StoreSecret(secret): StoreSecret) -> GuestKey {
        GuestKey(hmac::Key::new(hmac::HMAC_SHA256, &secret))
    }

    pub fn token(&self, guest: GuestId) -> Secret {
        let mac = hmac::sign(&self.0, &signed(guest));
        format!("{:032x}{}", guest.0, hex::encode(mac)).into()
    }

    /// The guest of a token; none if it is not of this key.
    pub fn guest(&self, token: &Secret) -> Option<GuestId> {
        let bytes: [u8; 48] = hex::decode(token.expose()).ok()?.try_into().ok()?;
        let (number, mac) = bytes.split_at(16);
        let guest = GuestId(u128::from_be_bytes(number.try_into().ok()?));
        hmac::verify(&self.0, &signed(guest), mac).ok().map(|()| guest)
    }
}

fn signed(guest: GuestId) -> Vec<u8> {
    [PURPOSE, &guest.0.to_be_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_names_its_guest_and_only_with_its_key() {
        let [ours, theirs] = [1, 2].map(|byte| GuestKey::new(StoreSecret([byte; 32])));
        let token = ours.token(GuestId(7));
        assert_eq!(ours.guest(&token), Some(GuestId(7)));
        assert_eq!(theirs.guest(&token), None);
        let other = token.expose().replacen("00000007", "00000008", 1);
        for bad in [other.as_str(), "", "x", &token.expose()[1..], &format!("{}00", token.expose())] {
            assert_eq!(ours.guest(&bad.into()), None, "{bad}");
        }
    }
}

//! The signatures of tokens: jsonwebtoken parses, ring checks.
//!
//! jsonwebtoken's own back ends are RustCrypto, whose RSA has an open advisory, and AWS-LC, a C library with a build of its own.
//! ring is what TLS uses here, and the rest of a back end is this file.

use jsonwebtoken::{
    Algorithm, AlgorithmFamily, DecodingKey, DecodingKeyKind, EncodingKey, Header,
    crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils},
    errors::{Error, ErrorKind},
    signature,
};
use ring::{
    error::Unspecified,
    hmac,
    signature::{
        ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
    },
};

static RING: CryptoProvider =
    CryptoProvider { signer_factory: signer, verifier_factory: verifier, key_utils: KeyUtils::new_unimplemented() };

/// Makes ring the back end of this process. Only the first call has an effect.
pub(super) fn install() {
    // The error is the back end that is there, which is this one.
    let _ = RING.install_default();
}

struct Ring<K> {
    algorithm: Algorithm,
    key: K,
}

fn verifier(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>, Error> {
    // The key decides what signature it can check: a public key is never taken for a secret.
    if key.family() != algorithm.family() {
        return Err(ErrorKind::InvalidKeyFormat.into());
    }
    Ok(Box::new(Ring { algorithm: *algorithm, key: key.clone() }))
}

impl signature::Verifier<Vec<u8>> for Ring<DecodingKey> {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
        use DecodingKeyKind::{RsaModulusExponent, SecretOrDer};
        let checked = match (self.algorithm, self.key.kind()) {
            (Algorithm::HS256, SecretOrDer(secret)) => {
                hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, secret), message, signature)
            }
            (Algorithm::RS256, SecretOrDer(der)) => {
                UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, der).verify(message, signature)
            }
            (Algorithm::RS256, RsaModulusExponent { n, e }) => {
                RsaPublicKeyComponents { n, e }.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature)
            }
            (Algorithm::ES256, SecretOrDer(point)) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(message, signature)
            }
            (Algorithm::EdDSA, SecretOrDer(point)) => {
                UnparsedPublicKey::new(&ED25519, point).verify(message, signature)
            }
            _ => Err(Unspecified),
        };
        checked.map_err(|Unspecified| signature::Error::new())
    }
}

impl JwtVerifier for Ring<DecodingKey> {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

/// For `chorus token mint`, which has secrets only.
fn signer(algorithm: &Algorithm, key: &EncodingKey) -> Result<Box<dyn JwtSigner>, Error> {
    match (algorithm, key.family()) {
        (Algorithm::HS256, AlgorithmFamily::Hmac) => {
            Ok(Box::new(Ring { algorithm: Algorithm::HS256, key: hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes()) }))
        }
        #[cfg(test)]
        (Algorithm::RS256 | Algorithm::ES256 | Algorithm::EdDSA, _) => {
            Ok(Box::new(Ring { algorithm: *algorithm, key: key.clone() }))
        }
        _ => Err(ErrorKind::InvalidKeyFormat.into()),
    }
}

impl signature::Signer<Vec<u8>> for Ring<hmac::Key> {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, signature::Error> {
        Ok(hmac::sign(&self.key, message).as_ref().to_vec())
    }
}

impl JwtSigner for Ring<hmac::Key> {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

/// A token with these claims, signed with a secret.
pub(super) fn sign(claims: &serde_json::Value, key_id: Option<&str>, secret: &[u8]) -> Result<String, Error> {
    install();
    let header = Header { kid: key_id.map(str::to_owned), ..Header::new(Algorithm::HS256) };
    jsonwebtoken::encode(&header, claims, &EncodingKey::from_secret(secret)?)
}

#[cfg(test)]
mod test_signers {
    use ring::{
        rand::SystemRandom,
        signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RSA_PKCS1_SHA256, RsaKeyPair},
    };

    use super::*;

    impl signature::Signer<Vec<u8>> for Ring<EncodingKey> {
        fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, signature::Error> {
            let (der, random) = (self.key.as_bytes(), SystemRandom::new());
            Ok(match self.algorithm {
                Algorithm::RS256 => {
                    let key = RsaKeyPair::from_der(der).expect("an RSA key");
                    let mut signature = vec![0; key.public().modulus_len()];
                    key.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).expect("signed");
                    signature
                }
                Algorithm::ES256 => {
                    let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der, &random).expect("a key");
                    key.sign(&random, message).expect("signed").as_ref().to_vec()
                }
                _ => Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).expect("a key").sign(message).as_ref().to_vec(),
            })
        }
    }

    impl JwtSigner for Ring<EncodingKey> {
        fn algorithm(&self) -> Algorithm {
            self.algorithm
        }
    }
}

//! Passwords in the original's form: `pbkdf2_sha256$ITERATIONS$SALT$BASE64` (documents 6.1).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::Sha256;
use subtle::ConstantTimeEq;

const ALGORITHM: &str = "pbkdf2_sha256";
const ITERATIONS: u32 = 600_000;
/// A damaged or hostile record must not keep a processor busy for minutes.
const MOST_ITERATIONS: u32 = 10_000_000;

/// The stored form of a password with a fresh salt.
///
/// # Errors
///
/// The operating system has no random numbers.
pub fn hash(password: &str) -> Result<String, getrandom::Error> {
    let mut salt = [0_u8; 16];
    getrandom::fill(&mut salt)?;
    Ok(hash_with(password, &hex::encode(salt), ITERATIONS))
}

fn derive(password: &str, salt: &str, iterations: u32) -> [u8; 32] {
    let mut out = [0_u8; 32];
    pbkdf2::pbkdf2_hmac::<Sha256>(password.as_bytes(), salt.as_bytes(), iterations, &mut out);
    out
}

fn hash_with(password: &str, salt: &str, iterations: u32) -> String {
    format!(
        "{ALGORITHM}${iterations}${salt}${}",
        STANDARD.encode(derive(password, salt, iterations))
    )
}

/// Is this the password of the stored form? False for forms of another algorithm.
#[must_use]
pub fn verify(password: &str, stored: &str) -> bool {
    let mut parts = stored.splitn(4, '$');
    let (Some(ALGORITHM), Some(iterations), Some(salt), Some(expected)) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    let Some(iterations) = iterations
        .parse()
        .ok()
        .filter(|count| (1..=MOST_ITERATIONS).contains(count))
    else {
        return false;
    };
    let Ok(expected) = STANDARD.decode(expected) else {
        return false;
    };
    derive(password, salt, iterations)
        .as_slice()
        .ct_eq(&expected)
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_of_the_original_is_understood() {
        // Published test value of PBKDF2-HMAC-SHA256: "password", "salt", 4096 iterations.
        let digest =
            hex::decode("c5e478d59288c841aa530db6845c4c8d962893a001ce4e11a4963873aa98134a")
                .expect("hex");
        let stored = format!("pbkdf2_sha256$4096$salt${}", STANDARD.encode(digest));
        assert!(verify("password", &stored));
        assert!(!verify("Password", &stored));
        assert!(!verify("password", &stored.replace("pbkdf2_sha256", "md5")));
        assert!(!verify("password", &stored.replace("4096", "0")));
        assert!(!verify("password", "pbkdf2_sha256$4096$salt"));
        assert!(!verify("", ""));
    }

    #[test]
    fn every_hash_has_its_own_salt() {
        let (one, other) = (hash("x").expect("random"), hash("x").expect("random"));
        assert_ne!(one, other);
        assert!(one.starts_with("pbkdf2_sha256$600000$"), "{one}");
        assert!(verify("x", &one));
    }
}

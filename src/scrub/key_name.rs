//! Which names of keys, variables, flags and elements announce a secret.

use super::key_words::{ABOUT, COMPOUNDS, ENCRYPTION, HARMLESS_TOKENS, SECRET_KEYS, SECRET_TOKENS, TRAILING};
use super::rules::vendor_of_key;

/// What a sensitive name says about its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sensitive {
    /// What the value is counted as.
    pub(super) kind: &'static str,
    /// How far the name alone is trusted.
    pub(super) weight: Weight,
}

/// How much a name says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weight {
    /// `db_password`: any value goes that is no placeholder, reference, type or code.
    Strong,
    /// `token`, `auth`, `secret`: means other things too; the value must not be plain words.
    Weak,
    /// `signature`, `session_id`: the value must look generated.
    Random,
    /// `mnemonic`, `seed_phrase`: the value is words.
    Phrase,
    /// `Authorization`: a scheme and credentials.
    Authorization,
    /// `Cookie`: pairs of names and values.
    Cookie,
}

/// No longer name is looked at.
pub(super) const LONGEST: usize = 96;

/// What `name` announces, if anything.
pub(super) fn classify(name: &str) -> Option<Sensitive> {
    let words = Words::of(name)?;
    let mut list = [""; Words::MOST];
    let mut named = by_words(words.list(&mut list))?;
    if matches!(named.weight, Weight::Strong | Weight::Weak)
        && let Some(vendor) = vendor_of_key(words.squeezed())
    {
        named.kind = vendor;
    }
    Some(named)
}

fn by_words(all: &[&str]) -> Option<Sensitive> {
    use Weight::{Authorization, Cookie, Phrase, Random, Strong, Weak};
    let mut words = all;
    while let [front @ .., last] = words
        && !front.is_empty()
        && (TRAILING.contains(last) || last.bytes().all(|byte| byte.is_ascii_digit()))
    {
        words = front;
    }
    let (last, before) = words.split_last()?;
    let head = last.trim_end_matches(|c: char| c.is_ascii_digit());
    let previous = before.last().copied().unwrap_or_default();
    let named = |kind, weight| Some(Sensitive { kind, weight });
    if before.iter().any(|word| ABOUT.contains(word)) {
        return None;
    }
    let qualified = |by: &[&str]| before.iter().any(|word| by.contains(word));
    match head {
        "password" | "passwd" | "passcode" | "passwort" | "pswd" => named("password", Strong),
        "pwd" | "pass" if !before.is_empty() => {
            named("password", if previous == "by" || previous == "first" || previous == "second" { return None } else { Strong })
        }
        "pwd" | "pass" => named("password", Weak),
        "passwords" => named("password", Weak),
        "passphrase" => named("passphrase", Strong),
        "secret" if previous == "client" || previous == "app" || previous == "consumer" => named("client_secret", Strong),
        "secret" if qualified(&["from", "pull", "tls", "kubernetes", "k8s", "external", "sealed"]) => None,
        "secret" if !before.is_empty() => named("secret", Strong),
        "secret" | "secrets" => named("secret", Weak),
        "token" | "jwt" if qualified(HARMLESS_TOKENS) && !qualified(&["access", "auth", "bearer", "secret"]) => None,
        "token" if qualified(SECRET_TOKENS) => named("token", Strong),
        "token" | "jwt" => named("token", Weak),
        "tokens" if qualified(SECRET_TOKENS) => named("token", Weak),
        "key" if previous == "private" => named("private_key", Strong),
        "key" if qualified(ENCRYPTION) => named("encryption_key", Strong),
        "key" if previous == "unseal" || previous == "recovery" => named("unseal_key", Strong),
        "key" | "keys" if previous == "host" || (previous == "access" && head == "keys") => None,
        "key" if SECRET_KEYS.contains(&previous) => named("api_key", Strong),
        "keys" if ["api", "unseal", "recovery", "private", "secret"].contains(&previous) => named("api_key", Weak),
        "psk" => named("encryption_key", Strong),
        "authorization" => named("authorization", Authorization),
        "auth" => named("credential", Weak),
        "credential" | "credentials" | "creds" | "cred" => named("credential", Weak),
        "cookie" | "cookies" if before.iter().all(|word| ["set", "http", "request", "response", "x", "header"].contains(word)) => {
            named("cookie", Cookie)
        }
        "hash" if previous == "password" => named("password", Weak),
        "signature" | "sig" | "hmac" => named("signature", Random),
        "id" if previous == "session" => named("session", Random),
        "sid" | "sessionid" | "jsessionid" | "phpsessid" | "session" | "sessid" => named("session", Random),
        "mnemonic" => named("mnemonic", Phrase),
        "phrase" if ["seed", "recovery", "mnemonic", "secret", "backup"].contains(&previous) => named("mnemonic", Phrase),
        "phrase" if previous == "pass" => named("passphrase", Strong),
        "seed" if qualified(&["totp", "otp", "wallet"]) => named("totp_seed", Strong),
        _ => compound(head),
    }
}

fn compound(head: &str) -> Option<Sensitive> {
    let (_, kind) = COMPOUNDS.iter().find(|(ending, _)| head.ends_with(ending))?;
    match *kind {
        "" => Some(Sensitive { kind: "authorization", weight: Weight::Authorization }),
        kind => Some(Sensitive { kind, weight: Weight::Strong }),
    }
}

/// The words of a name in lower case: `dbPassword`, `DB_PASSWORD` and `db-password` are the same.
/// Names are judged by the thousand, so nothing is allocated.
struct Words {
    /// All words, without what separated them.
    text: [u8; LONGEST],
    ends: [usize; Self::MOST],
    count: usize,
}

impl Words {
    /// A name has no more words.
    const MOST: usize = 24;

    fn of(name: &str) -> Option<Self> {
        let bytes = name.as_bytes();
        let mut words = Self { text: [0; LONGEST], ends: [0; Self::MOST], count: 0 };
        let (mut len, mut begun) = (0, 0);
        let mut before = b'_';
        for (at, &byte) in bytes.iter().enumerate() {
            let after = bytes.get(at + 1).copied().unwrap_or(b'_');
            let hump = byte.is_ascii_uppercase() && (before.is_ascii_lowercase() || (before.is_ascii_uppercase() && after.is_ascii_lowercase()));
            if (hump || !byte.is_ascii_alphanumeric()) && len > begun {
                words.close(len)?;
                begun = len;
            }
            if byte.is_ascii_alphanumeric() {
                *words.text.get_mut(len)? = byte.to_ascii_lowercase();
                len += 1;
            }
            before = byte;
        }
        if len > begun {
            words.close(len)?;
        }
        Some(words)
    }

    fn close(&mut self, end: usize) -> Option<()> {
        *self.ends.get_mut(self.count)? = end;
        self.count += 1;
        Some(())
    }

    fn squeezed(&self) -> &str {
        let len = self.count.checked_sub(1).and_then(|last| self.ends.get(last)).copied().unwrap_or(0);
        self.text.get(..len).and_then(|text| std::str::from_utf8(text).ok()).unwrap_or_default()
    }

    fn list<'w>(&'w self, list: &'w mut [&'w str; Self::MOST]) -> &'w [&'w str] {
        let mut from = 0;
        for (word, end) in list.iter_mut().zip(&self.ends).take(self.count) {
            *word = self.squeezed().get(from..*end).unwrap_or_default();
            from = *end;
        }
        list.get(..self.count).unwrap_or_default()
    }
}

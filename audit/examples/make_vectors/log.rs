//! A log that is built by hand: lines, tree and signatures, nothing of the crate.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer as _, SigningKey};
use sha2::{Digest as _, Sha256};

use super::SEGMENT;

/// A log under construction, every field of which can be made wrong.
#[derive(Clone)]
pub(crate) struct Log {
    pub(crate) origin: String,
    pub(crate) key: SigningKey,
    pub(crate) boot: u8,
    pub(crate) mono: u64,
    pub(crate) lines: Vec<Vec<u8>>,
    pub(crate) hashes: Vec<[u8; 32]>,
    pub(crate) notes: Vec<String>,
    pub(crate) last: [u8; 32],
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    parts.iter().for_each(|part| hash.update(part));
    hash.finalize().into()
}

/// Keys and nonces are hashes of their names: the same in every run, and nobody's secret.
pub(crate) fn named(name: &str) -> [u8; 32] {
    sha256(&[b"opsgate-audit vectors: ", name.as_bytes()])
}

pub(crate) fn key(name: &str) -> SigningKey {
    SigningKey::from_bytes(&named(name))
}

/// RFC 6962 §2.1, as it is written there.
pub(crate) fn root(hashes: &[[u8; 32]]) -> [u8; 32] {
    match hashes {
        [] => sha256(&[]),
        [leaf] => sha256(&[&[0], leaf]),
        _ => {
            let split = hashes.len().next_power_of_two() / 2;
            sha256(&[&[1], &root(&hashes[..split]), &root(&hashes[split..])])
        }
    }
}

pub(crate) fn note(origin: &str, size: usize, root: &[u8; 32], key: &SigningKey) -> String {
    let text = format!("{origin}\n{size}\n{}\n", STANDARD.encode(root));
    let public = key.verifying_key().to_bytes();
    let mut blob = sha256(&[origin.as_bytes(), b"\n\x01", &public])[..4].to_vec();
    blob.extend(key.sign(text.as_bytes()).to_bytes());
    format!("{text}\n\u{2014} {origin} {}\n", STANDARD.encode(blob))
}

impl Log {
    pub(crate) fn empty(origin: &str, key_name: &str) -> Self {
        let (lines, hashes, notes) = (Vec::new(), Vec::new(), Vec::new());
        Self { origin: origin.into(), key: key(key_name), boot: 1, mono: 0, lines, hashes, notes, last: [0; 32] }
    }

    /// With its genesis, signed.
    pub(crate) fn begun(origin: &str, key_name: &str, nonce_name: &str) -> Self {
        let mut log = Self::empty(origin, key_name);
        let (public, nonce) = (log.key.verifying_key().to_bytes(), named(nonce_name));
        log.last = sha256(&[b"opsgate-audit/v1/genesis\n", origin.as_bytes(), b"\n", &public, &nonce]);
        log.entry("genesis", None, &format!(r#"{{"nonce":"{}","public_key":"{}"}}"#, hex(&nonce), hex(&public))).signed()
    }

    /// What stands before `,"entry_hash":`.
    pub(crate) fn body(&self, seq: usize, kind: &str, call: Option<u8>, data: &str) -> String {
        let ids = call.map_or_else(String::new, |call| {
            format!(r#","request_id":"019b7a00-0000-7000-8000-{call:012x}","correlation_id":"{:032x}""#, u128::from(call) + 0xabc)
        });
        format!(
            r#"{{"v":1,"log":"{}","seq":{seq},"prev_hash":"{}","ts":"2026-01-02T03:04:{:02}.{:06}Z","boot":"{:08x}-0000-4000-8000-000000000000","mono_ns":{},"type":"{kind}"{ids},"data":{data}"#,
            self.origin,
            hex(&self.last),
            self.lines.len() % 60,
            self.mono % 1_000_000,
            self.boot,
            self.mono
        )
    }

    pub(crate) fn push(&mut self, body: Vec<u8>) {
        let hash = sha256(&[b"opsgate-audit/v1/entry\n", &body]);
        let mut line = body;
        line.extend(format!(r#","entry_hash":"{}"}}"#, hex(&hash)).into_bytes());
        self.lines.push(line);
        self.hashes.push(hash);
        self.last = hash;
        self.mono += 1_500_123;
    }

    pub(crate) fn entry(mut self, kind: &str, call: Option<u8>, data: &str) -> Self {
        let body = self.body(self.lines.len(), kind, call, data);
        self.push(body.into_bytes());
        self
    }

    /// A whole call.
    pub(crate) fn call(self, call: u8, outcome: &str) -> Self {
        self.entry("call.intent", Some(call), r#"{"args_digest":"00","caller":{"id":"local:uid=1000"},"tool":"repo_read"}"#).entry(
            "call.outcome",
            Some(call),
            &format!(r#"{{"bytes":512,"outcome":"{outcome}"}}"#),
        )
    }

    pub(crate) fn signed(mut self) -> Self {
        self.notes.push(note(&self.origin, self.hashes.len(), &root(&self.hashes), &self.key));
        self
    }

    pub(crate) fn restarted(mut self) -> Self {
        self.boot += 1;
        self.mono = 0;
        self
    }

    pub(crate) fn segment(&self) -> Vec<u8> {
        self.lines.iter().flat_map(|line| [line.as_slice(), b"\n"].concat()).collect()
    }

    pub(crate) fn files(&self) -> Vec<(&'static str, Vec<u8>)> {
        vec![(SEGMENT, self.segment()), ("checkpoints", self.notes.concat().into_bytes())]
    }

    pub(crate) fn receipt(&self, seq: usize) -> String {
        format!("{{\"origin\":\"{}\",\"seq\":{seq},\"entry_hash\":\"{}\"}}\n", self.origin, hex(&self.hashes[seq]))
    }

    pub(crate) fn public(&self) -> String {
        hex(&self.key.verifying_key().to_bytes())
    }

    /// All entries again with line `index` changed and every hash after it made right.
    pub(crate) fn rewritten(&self, index: usize, from: &str, to: &str) -> Self {
        let mut log = Self { lines: Vec::new(), hashes: Vec::new(), ..self.clone() };
        for (at, line) in self.lines.iter().enumerate() {
            let line = String::from_utf8(line.clone()).unwrap();
            let mut body = line[..line.len() - r#","entry_hash":""}"#.len() - 64].to_owned();
            if at == index {
                assert!(body.contains(from));
                body = body.replacen(from, to, 1);
            }
            if at > 0 {
                let start = body.find(r#""prev_hash":""#).unwrap() + r#""prev_hash":""#.len();
                body.replace_range(start..start + 64, &hex(&log.last));
            }
            log.push(body.into_bytes());
        }
        log
    }

    /// With checkpoints of the same sizes, by another key.
    pub(crate) fn resigned(&self, key: &SigningKey) -> Self {
        let notes = self
            .notes
            .iter()
            .map(|old| old.lines().nth(1).unwrap().parse().unwrap())
            .map(|size| note(&self.origin, size, &root(&self.hashes[..size]), key));
        Self { notes: notes.collect(), ..self.clone() }
    }
}

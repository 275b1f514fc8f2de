//! Checkpoints: C2SP signed notes (`tlog-checkpoint`, `signed-note`), five lines each, one after another in one file.
//!
//! ```text
//! ORIGIN
//! SIZE
//! BASE64(ROOT)
//!
//! — ORIGIN BASE64(KEY ID ‖ SIGNATURE)
//! ```

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use crate::digest::Digest;
use crate::key::SigningKey;

/// The longest line of a checkpoint that is read.
pub(crate) const MAX_LINE: usize = 512;

/// What a checkpoint says: the first `size` entries have this `root`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Checkpoint {
    pub(crate) origin: String,
    pub(crate) size: u64,
    pub(crate) root: Digest,
}

impl Checkpoint {
    /// The signed text: three lines, each ended.
    fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, STANDARD.encode(self.root.as_bytes()))
    }

    /// The whole note, signed.
    pub(crate) fn signed(&self, key: &SigningKey) -> String {
        let text = self.text();
        let mut blob = key_id(&self.origin, &key.public()).to_vec();
        blob.extend(key.sign(text.as_bytes()));
        format!("{text}\n\u{2014} {} {}\n", self.origin, STANDARD.encode(blob))
    }
}

/// A checkpoint as read, its signature not yet checked.
#[derive(Debug)]
pub(crate) struct Note {
    pub(crate) checkpoint: Checkpoint,
    signer: String,
    key_id: [u8; 4],
    signature: [u8; 64],
}

/// What is wrong with a note's signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unsigned {
    /// Signed by another key than the log's.
    OtherKey,
    /// Signed in the key's name, but the signature does not fit.
    BadSignature,
}

impl Note {
    /// Reads the five lines of one note, given without their line ends. Strict: what it accepts is what [`Checkpoint::signed`] writes.
    pub(crate) fn parse(lines: &[Vec<u8>; 5]) -> Option<Self> {
        let [origin, size, root, empty, signature] = lines.each_ref().map(|line| std::str::from_utf8(line).ok());
        let (origin, size_text, root) = (origin?, size?, STANDARD.decode(root?).ok()?);
        if !empty?.is_empty() || !crate::entry::is_origin(origin) {
            return None;
        }
        let size: u64 = size_text.parse().ok()?;
        if size.to_string() != size_text {
            return None;
        }
        let (signer, blob) = signature?.strip_prefix("\u{2014} ")?.split_once(' ')?;
        let blob = STANDARD.decode(blob).ok()?;
        let (key_id, signature) = blob.split_first_chunk()?;
        Some(Self {
            checkpoint: Checkpoint { origin: origin.to_owned(), size, root: Digest::new(root.try_into().ok()?) },
            signer: signer.to_owned(),
            key_id: *key_id,
            signature: signature.try_into().ok()?,
        })
    }

    /// Reads a file that holds one note and nothing else.
    pub(crate) fn from_file(text: &[u8]) -> Option<Self> {
        let lines: Vec<Vec<u8>> = text.strip_suffix(b"\n")?.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
        Self::parse(&lines.try_into().ok()?)
    }

    /// Checks the signature under the log's public key (RFC 8032, strict).
    pub(crate) fn verify(&self, public: &[u8; 32]) -> Result<(), Unsigned> {
        if self.signer != self.checkpoint.origin || self.key_id != key_id(&self.signer, public) {
            return Err(Unsigned::OtherKey);
        }
        let key = ed25519_dalek::VerifyingKey::from_bytes(public).map_err(|_| Unsigned::OtherKey)?;
        let signature = ed25519_dalek::Signature::from_bytes(&self.signature);
        key.verify_strict(self.checkpoint.text().as_bytes(), &signature).map_err(|_| Unsigned::BadSignature)
    }
}

/// The key id of C2SP signed-note: the first four bytes of SHA-256(name ‖ "\n" ‖ 0x01 ‖ public key).
fn key_id(name: &str, public: &[u8; 32]) -> [u8; 4] {
    let digest = Sha256::new().chain_update(name).chain_update(b"\n\x01").chain_update(public).finalize();
    let [a, b, c, d, ..]: [u8; 32] = digest.into();
    [a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(note: &str) -> [Vec<u8>; 5] {
        note.lines().map(|line| line.as_bytes().to_vec()).collect::<Vec<_>>().try_into().unwrap()
    }

    fn example() -> (SigningKey, Checkpoint) {
        (SigningKey::from_seed(&[7; 32]), Checkpoint { origin: "opsgate/test".into(), size: 42, root: Digest::new([9; 32]) })
    }

    #[test]
    fn a_note_reads_back_and_verifies() {
        let (key, checkpoint) = example();
        let note = Note::parse(&lines(&checkpoint.signed(&key))).unwrap();
        assert_eq!(note.checkpoint, checkpoint);
        let text = checkpoint.signed(&key);
        assert_eq!(Note::from_file(text.as_bytes()).unwrap().checkpoint, checkpoint);
        for wrong in ["", "\n", text.trim_end(), &format!("{text}\n"), &format!("{text}{text}"), &format!("\n{text}")] {
            assert!(Note::from_file(wrong.as_bytes()).is_none(), "{wrong:?}");
        }
        assert_eq!(note.verify(&key.public()), Ok(()));
        assert_eq!(note.verify(&SigningKey::from_seed(&[8; 32]).public()), Err(Unsigned::OtherKey));
    }

    #[test]
    fn a_changed_note_does_not_verify() {
        let (key, checkpoint) = example();
        let signed = checkpoint.signed(&key);
        let changed = Note::parse(&lines(&signed.replacen("\n42\n", "\n43\n", 1))).unwrap();
        assert_eq!(changed.verify(&key.public()), Err(Unsigned::BadSignature));
        for wrong in [signed.replacen("\n42\n", "\n042\n", 1), signed.replacen("\n42\n", "\n+42\n", 1), signed.replace('\u{2014}', "-")] {
            assert!(Note::parse(&lines(&wrong)).is_none(), "{wrong}");
        }
    }
}

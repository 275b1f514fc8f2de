//! The Merkle tree of RFC 6962 §2.1 over the entries' hashes, kept as its frontier alone.

use sha2::{Digest as _, Sha256};

use crate::digest::Digest;

/// A growing tree: its size and the roots of its complete subtrees, largest first (at most 64).
#[derive(Debug, Clone, Default)]
pub(crate) struct Tree {
    size: u64,
    peaks: Vec<[u8; 32]>,
}

impl Tree {
    /// Adds the hash of the next entry as a leaf.
    pub(crate) fn push(&mut self, entry: &Digest) {
        let mut node: [u8; 32] = Sha256::new().chain_update([0]).chain_update(entry.as_bytes()).finalize().into();
        // Each trailing one bit of the old size is a complete subtree that the new leaf completes into a larger one.
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.peaks.pop() {
                node = parent(&left, &node);
            }
        }
        self.peaks.push(node);
        self.size += 1;
    }

    /// How many leaves it has.
    pub(crate) const fn size(&self) -> u64 {
        self.size
    }

    /// Its root (`MTH` of RFC 6962 §2.1).
    pub(crate) fn root(&self) -> Digest {
        let root = self.peaks.iter().rev().copied().reduce(|right, left| parent(&left, &right));
        Digest::new(root.unwrap_or_else(|| Sha256::digest([]).into()))
    }
}

fn parent(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_ct_merkle_at_every_size() {
        let mut tree = Tree::default();
        let mut oracle = ct_merkle::mem_backed_tree::MemoryBackedTree::<Sha256, [u8; 32]>::new();
        for leaf in 0..300_u32 {
            let entry: [u8; 32] = Sha256::digest(leaf.to_be_bytes()).into();
            tree.push(&Digest::new(entry));
            oracle.push(entry);
            assert_eq!(tree.size(), u64::from(leaf) + 1);
            assert_eq!(tree.root().as_bytes()[..], oracle.root().as_bytes()[..], "size {}", tree.size());
        }
    }

    #[test]
    fn the_empty_tree_has_the_hash_of_nothing() {
        assert_eq!(Tree::default().root().to_string(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }
}

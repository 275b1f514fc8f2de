//! POSIX access lists as the kernel stores them: reading who may write, and granting a user access.

use std::collections::BTreeMap;

/// The format's version.
const VERSION: u32 = 2;
/// What an entry without a user or group says in its place.
const NO_ID: u32 = u32::MAX;

/// Whom an entry is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tag {
    /// The file's owner.
    Owner,
    /// This user.
    User(u32),
    /// The file's group.
    OwningGroup,
    /// This group.
    Group(u32),
    /// The most that named users and groups get.
    Mask,
    /// Everybody else.
    Other,
}

/// Permission bits of one entry: read 4, write 2, execute 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AclEntry {
    /// Whom it is about.
    pub tag: Tag,
    /// Its bits, as granted: the mask is not applied.
    pub bits: u16,
}

/// An access list. Entries are unique by tag and in the kernel's order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acl(BTreeMap<Tag, u16>);

impl Acl {
    /// What the nine permission bits of a mode say.
    #[must_use]
    pub fn of_mode(mode: u32) -> Self {
        let bits = |shift: u32| u16::try_from(mode >> shift & 7).unwrap_or(0);
        Self(BTreeMap::from([(Tag::Owner, bits(6)), (Tag::OwningGroup, bits(3)), (Tag::Other, bits(0))]))
    }

    /// Reads the attribute's bytes; `None` where they are no access list.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let (version, entries) = bytes.split_first_chunk::<4>()?;
        let entries = entries.as_chunks::<8>();
        if u32::from_le_bytes(*version) != VERSION || !entries.1.is_empty() {
            return None;
        }
        let mut list = BTreeMap::new();
        for [t0, t1, b0, b1, i0, i1, i2, i3] in entries.0.iter().copied() {
            let id = u32::from_le_bytes([i0, i1, i2, i3]);
            let tag = match u16::from_le_bytes([t0, t1]) {
                0x01 => Tag::Owner,
                0x02 => Tag::User(id),
                0x04 => Tag::OwningGroup,
                0x08 => Tag::Group(id),
                0x10 => Tag::Mask,
                0x20 => Tag::Other,
                _ => return None,
            };
            let bits = u16::from_le_bytes([b0, b1]);
            if bits > 7 || list.insert(tag, bits).is_some() {
                return None;
            }
        }
        let whole = [Tag::Owner, Tag::OwningGroup, Tag::Other].iter().all(|tag| list.contains_key(tag));
        whole.then_some(Self(list))
    }

    /// The attribute's bytes.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = VERSION.to_le_bytes().to_vec();
        for entry in self.entries() {
            let (tag, id): (u16, u32) = match entry.tag {
                Tag::Owner => (0x01, NO_ID),
                Tag::User(id) => (0x02, id),
                Tag::OwningGroup => (0x04, NO_ID),
                Tag::Group(id) => (0x08, id),
                Tag::Mask => (0x10, NO_ID),
                Tag::Other => (0x20, NO_ID),
            };
            bytes.extend(tag.to_le_bytes());
            bytes.extend(entry.bits.to_le_bytes());
            bytes.extend(id.to_le_bytes());
        }
        bytes
    }

    /// The entries, as granted.
    pub fn entries(&self) -> impl Iterator<Item = AclEntry> {
        self.0.iter().map(|(tag, bits)| AclEntry { tag: *tag, bits: *bits })
    }

    /// Who has these bits, the mask applied. Where bits are several, all of them.
    pub fn holders(&self, bits: u16) -> impl Iterator<Item = Tag> {
        let mask = self.0.get(&Tag::Mask).copied().unwrap_or(7);
        self.entries().filter_map(move |entry| {
            let masked = matches!(entry.tag, Tag::User(_) | Tag::OwningGroup | Tag::Group(_));
            let has = if masked { entry.bits & mask } else { entry.bits };
            (entry.tag != Tag::Mask && has & bits == bits).then_some(entry.tag)
        })
    }

    /// With at least these bits for this user, in effect. Nobody else's effective bits change.
    #[must_use]
    pub fn granting(&self, user: u32, bits: u16) -> Self {
        let mask = self.0.get(&Tag::Mask).copied().unwrap_or(7);
        self.giving(user, bits | self.0.get(&Tag::User(user)).copied().unwrap_or(0) & mask)
    }

    /// With exactly these bits for this user, in effect. Nobody else's effective bits change.
    #[must_use]
    pub fn giving(&self, user: u32, bits: u16) -> Self {
        let old = self.0.get(&Tag::Mask).copied();
        let mut list = self.0.clone();
        // Widening the mask must not wake bits that it had put to sleep for others.
        for (tag, granted) in &mut list {
            if matches!(tag, Tag::User(_) | Tag::OwningGroup | Tag::Group(_)) {
                *granted &= old.unwrap_or(7);
            }
        }
        list.insert(Tag::User(user), bits);
        let widest =
            list.iter().filter(|(tag, _)| matches!(tag, Tag::User(_) | Tag::OwningGroup | Tag::Group(_))).fold(0, |all, (_, bits)| all | bits);
        list.insert(Tag::Mask, widest);
        Self(list)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_setfacl_writes_is_read() {
        // user::rw-, user:1000:rw-, group::r--, mask::r--, other::---
        let bytes = [
            2, 0, 0, 0, 1, 0, 6, 0, 255, 255, 255, 255, 2, 0, 6, 0, 0xe8, 3, 0, 0, 4, 0, 4, 0, 255, 255, 255, 255, 16, 0, 4, 0, 255, 255, 255, 255,
            32, 0, 0, 0, 255, 255, 255, 255,
        ];
        let acl = Acl::parse(&bytes).unwrap();
        assert_eq!(acl.holders(2).collect::<Vec<_>>(), [Tag::Owner], "the mask takes the user's write");
        assert_eq!(acl.holders(4).collect::<Vec<_>>(), [Tag::Owner, Tag::User(1000), Tag::OwningGroup]);
        assert_eq!(acl.bytes(), bytes);
    }

    fn any_acl() -> impl Strategy<Value = Acl> {
        let named = proptest::collection::btree_map(prop_oneof![(0u32..5).prop_map(Tag::User), (0u32..5).prop_map(Tag::Group)], 0u16..8, 0..4);
        (0u32..0o1000, named, 0u16..8).prop_map(|(mode, named, mask)| {
            let mut acl = Acl::of_mode(mode);
            if !named.is_empty() {
                acl.0.insert(Tag::Mask, mask);
                acl.0.extend(named);
            }
            acl
        })
    }

    proptest! {
        #[test]
        fn bytes_are_read_back(acl in any_acl()) {
            prop_assert_eq!(Acl::parse(&acl.bytes()), Some(acl));
        }

        #[test]
        fn no_bytes_break_the_reader(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = Acl::parse(&bytes);
        }

        #[test]
        fn a_grant_gives_one_user_its_bits_and_changes_nobody_else(acl in any_acl(), user in 0u32..5, bits in 0u16..8) {
            let granted = acl.granting(user, bits);
            prop_assert!(granted.holders(bits).any(|tag| tag == Tag::User(user)));
            let given = acl.giving(user, bits);
            for bit in [1, 2, 4] {
                prop_assert_eq!(given.holders(bit).any(|tag| tag == Tag::User(user)), bits & bit != 0);
            }
            for bit in [1, 2, 4] {
                let others = |acl: &Acl| acl.holders(bit).filter(|tag| *tag != Tag::User(user)).collect::<Vec<_>>();
                prop_assert_eq!(others(&acl), others(&granted));
                prop_assert_eq!(others(&acl), others(&given));
            }
        }
    }
}

//! Any text as a path and as a reference: what has a spelling has one, and it leads nowhere else.

use opsgate::policy::{normalise_path, normalise_ref};

/// Spells the bytes, and what comes of it once more.
pub fn check(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(path) = normalise_path(&text) {
        assert_eq!(normalise_path(&path).as_ref(), Ok(&path), "spelt differently the second time");
        assert!(path == "." || path.split('/').all(|part| !matches!(part, "" | "." | "..")), "{path:?}");
        assert!(!path.contains(['\\', '\0']) && !path.contains(char::is_control), "{path:?}");
    }
    if let Ok(name) = normalise_ref(&text) {
        assert_eq!(normalise_ref(&name).as_ref(), Ok(&name), "spelt differently the second time");
        assert!(!name.is_empty() && !name.starts_with(['/', '-']) && !name.contains(".."), "{name:?}");
        assert!(!name.contains(['\\', ' ', '~', '^', ':', '?', '*', '[']) && !name.contains(char::is_control), "{name:?}");
    }
}

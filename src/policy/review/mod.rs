//! What a reviewer of a policy is shown.

pub(super) mod draw;

pub use draw::Look;

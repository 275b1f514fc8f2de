//! What must hold for any input. Each module is one fuzz target: `check` panics where it does not hold.

pub mod policy_text;
pub mod spelling;
pub mod workspace_path;
pub mod world;

//! The plain start script, where there is no systemd.

use super::layout::Layout;
use super::recorded::Recorded;

/// The script of this installation.
pub(super) fn text(layout: &Layout, recorded: &Recorded) -> String {
    let listen = recorded.listen.map(|listen| listen.to_string()).unwrap_or_default();
    include_str!("service.sh")
        .replace("@RECORDED@", &recorded.line())
        .replace("@NAMES@", &super::policy::NAMES.join(" | "))
        .replace("@NAME@", layout.name())
        .replace("@PROGRAM@", &layout.program().display().to_string())
        .replace("@SERVE@", recorded.serve())
        .replace("@HOME@", &layout.home().display().to_string())
        .replace("@POLICY@", &layout.policy().display().to_string())
        .replace("@ENVIRONMENT@", &layout.environment().display().to_string())
        .replace("@RUN@", &layout.run().display().to_string())
        .replace("@SOCKET@", &layout.socket().display().to_string())
        .replace("@LISTEN@", &listen)
}

//! The ids of a call.

use uuid::Uuid;

/// What ties together the entries of one call, and the call to its trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallRef {
    /// UUID version 7, made by the gateway; unique in the log.
    pub request_id: Uuid,
    /// W3C trace id.
    pub correlation_id: [u8; 16],
}

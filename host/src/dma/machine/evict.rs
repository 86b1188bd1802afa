//! What the machine knows of a buffer whose contents are to leave the device, or to come back.

use super::Machine;
use crate::{backend::Token, dma::MessageId};

impl Machine {
    /// Since when nobody has used the buffer, in the order of messages, where its contents may leave the
    /// device: no unresolved message uses it, and none that failed has left a part of it without its data.
    pub(crate) fn idle_since(&self, resource: Token) -> Option<u64> {
        let resource = self.resources.get(resource)?;
        (resource.users == 0 && !resource.is_poisoned()).then(|| resource.last.map_or(resource.since, |last| last + 1))
    }

    /// Whether an unresolved message uses the buffer.
    pub(crate) fn is_used(&self, resource: Token) -> bool {
        self.resources.get(resource).is_some_and(|resource| resource.users > 0)
    }

    /// The last message that was accepted on the buffer.
    pub(crate) fn last_on(&self, resource: Token) -> Option<MessageId> {
        self.resources.get(resource)?.last.map(MessageId)
    }

    /// Whether some of the buffer's data is missing because this message failed.
    pub(crate) fn lacks(&self, resource: Token, failed: MessageId) -> bool {
        self.resources.get(resource).is_some_and(|resource| resource.is_poisoned_by(failed))
    }

    /// Commands that the driver has.
    pub(crate) fn in_driver(&self) -> u32 {
        self.in_driver
    }

    /// Buffers that were dropped and whose memory comes back with the last message on them.
    pub(crate) fn to_be_freed(&self) -> usize {
        self.to_be_freed
    }
}

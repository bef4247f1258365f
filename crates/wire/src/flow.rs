//! Credit for one stream, counted alike on both sides: what may be sent, and what was taken in and is to be told.
//!
//! Each side begins with [`WINDOW`] bytes of credit. A receiver that cannot pass bytes on tells nothing, and then the sender
//! stops: a slow tape fills one window and no more.

/// Bytes that may be on the way in one direction of a stream. Two mebibytes fill a line of 160 Mbit/s with 100 ms.
pub const WINDOW: u32 = 2 * 1024 * 1024;

/// How much is taken in before that is told: a message for each frame would be a second stream.
const TELL: u32 = WINDOW / 8;

/// The other side breaks the rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FlowError {
    /// It sent more than it had credit for.
    #[error("the stream was sent {0} bytes more than were asked for")]
    Overrun(usize),
    /// It gave more credit than there can be.
    #[error("the stream was given more credit than its window")]
    TooMuchCredit,
}

/// One stream's credit, in both directions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flow {
    credit: u32,
    expected: u32,
    untold: u32,
}

impl Default for Flow {
    fn default() -> Self {
        Self { credit: WINDOW, expected: WINDOW, untold: 0 }
    }
}

impl Flow {
    /// Returns how many bytes may be sent now.
    pub fn may_send(&self) -> usize {
        self.credit as usize
    }

    /// Counts bytes that are being sent; at most [`Flow::may_send`].
    pub fn sent(&mut self, bytes: usize) {
        self.credit = self.credit.saturating_sub(u32::try_from(bytes).unwrap_or(u32::MAX));
    }

    /// Takes the other side's word that it has taken bytes in.
    pub fn credited(&mut self, bytes: u32) -> Result<(), FlowError> {
        self.credit = self.credit.checked_add(bytes).filter(|credit| *credit <= WINDOW).ok_or(FlowError::TooMuchCredit)?;
        Ok(())
    }

    /// Counts bytes that came.
    pub fn received(&mut self, bytes: usize) -> Result<(), FlowError> {
        let over = bytes.saturating_sub(self.expected as usize);
        if over > 0 {
            return Err(FlowError::Overrun(over));
        }
        self.expected -= u32::try_from(bytes).unwrap_or(u32::MAX);
        Ok(())
    }

    /// Counts bytes that were passed on; returns what is to be told now, if it is enough to be told.
    pub fn passed_on(&mut self, bytes: usize) -> Option<u32> {
        self.untold = self.untold.saturating_add(u32::try_from(bytes).unwrap_or(u32::MAX)).min(WINDOW - self.expected);
        if self.untold < TELL {
            return None;
        }
        let told = std::mem::take(&mut self.untold);
        self.expected += told;
        Some(told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_sender_without_credit_stops_and_one_that_goes_on_is_caught() {
        let mut flow = Flow::default();
        flow.sent(WINDOW as usize);
        assert_eq!(flow.may_send(), 0);
        assert_eq!(flow.credited(1), Ok(()));
        assert_eq!(flow.may_send(), 1);
        assert_eq!(flow.credited(WINDOW), Err(FlowError::TooMuchCredit));
        assert_eq!(flow.received(WINDOW as usize), Ok(()));
        assert_eq!(flow.received(1), Err(FlowError::Overrun(1)));
    }

    #[test]
    fn nobody_can_be_told_of_more_than_came() {
        let mut flow = Flow::default();
        assert_eq!(flow.passed_on(WINDOW as usize), None);
        flow.received(TELL as usize).expect("within the window");
        assert_eq!(flow.passed_on(usize::MAX), Some(TELL));
    }

    proptest! {
        #[test]
        fn two_honest_sides_never_stop_and_never_overrun(sizes in proptest::collection::vec(1usize..=64 * 1024, 1..200)) {
            let (mut here, mut there) = (Flow::default(), Flow::default());
            for size in sizes {
                prop_assert!(here.may_send() >= size);
                here.sent(size);
                prop_assert_eq!(there.received(size), Ok(()));
                if let Some(told) = there.passed_on(size) {
                    prop_assert_eq!(here.credited(told), Ok(()));
                }
            }
        }
    }
}

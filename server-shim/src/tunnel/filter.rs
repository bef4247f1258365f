//! What may pass.

/// Why a stream is ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Caught {}

/// Follows one Amanda connection.
#[derive(Debug, Default)]
pub struct Filter {}

impl Filter {
    /// Follows what Amanda says.
    pub fn from_amanda(&mut self, _bytes: &[u8]) -> Result<(), Caught> {
        Ok(())
    }
    /// Follows what the laptop says; what may pass is emitted.
    pub fn from_laptop(&mut self, bytes: &[u8], emit: &mut dyn FnMut(&[u8])) -> Result<(), Caught> {
        emit(bytes);
        Ok(())
    }
}

//! What a peer understands, as a set of bits that both sides send along (common-src/amfeatures.h).
//!
//! Bit n of the set is bit n modulo 8 of byte n/8, and the bytes are written in hexadecimal. A newer Amanda's set may
//! be longer and an older one's shorter: what is beyond the end is not there.

mod names;

use std::fmt;

pub use names::Feature;

/// Bytes of a set in Amanda 3.5.1: its 149 features.
const BYTES: usize = 19;
/// A longer text is no set of features.
const LONGEST: usize = 512;

/// What a client understands that answers as Amanda's does, but runs tar and no plugins. Not among it: `program DUMP`,
/// applications and scripts, encryption on the client, data paths other than Amanda's own, and state streams.
const OURS: &[Feature] = &[
    Feature::HaveFeatureSupport,
    Feature::OptionsAuth,
    Feature::SelfcheckReq,
    Feature::SelfcheckReqDevice,
    Feature::SelfcheckRep,
    Feature::SendsizeReqNoOptions,
    Feature::SendsizeReqOptions,
    Feature::SendsizeReqDevice,
    Feature::SendsizeRep,
    Feature::SendbackupReq,
    Feature::SendbackupReqDevice,
    Feature::SendbackupRep,
    Feature::NoopReq,
    Feature::NoopRep,
    Feature::ProgramGnutar,
    Feature::OptionsCompressFast,
    Feature::OptionsCompressBest,
    Feature::OptionsSrvcompFast,
    Feature::OptionsSrvcompBest,
    Feature::OptionsNoRecord,
    Feature::OptionsIndex,
    Feature::OptionsExcludeFile,
    Feature::OptionsExcludeList,
    Feature::OptionsMultipleExclude,
    Feature::OptionsOptionalExclude,
    Feature::OptionsIncludeFile,
    Feature::OptionsIncludeList,
    Feature::OptionsMultipleInclude,
    Feature::OptionsOptionalInclude,
    Feature::ReqOptionsMaxdumps,
    Feature::ReqOptionsHostname,
    Feature::ReqOptionsFeatures,
    Feature::RepOptionsFeatures,
    Feature::CalcsizeEstimate,
    Feature::OptionsCompressCust,
    Feature::InterfaceQuotedText,
    Feature::ReqOptionsConfig,
    Feature::RepSendsizeQuotedError,
    Feature::ReqXml,
    Feature::XmlEstimate,
    Feature::SendsizeRepWarning,
    Feature::XmlEstimatelist,
    Feature::XmlLevelServer,
    Feature::SendbackupCrc,
];

/// A set of features.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Features([u8; BYTES]);

/// The text is not a set of features.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the features are not an even number of hexadecimal digits, 512 at most")]
pub struct FeaturesError;

impl Features {
    /// Returns the set of our own client.
    #[must_use]
    pub fn ours() -> Self {
        let mut features = Self::default();
        for &feature in OURS {
            features.set(feature);
        }
        features
    }

    /// Reads hexadecimal digits.
    ///
    /// # Errors
    /// When the text is anything else.
    pub fn parse(text: &[u8]) -> Result<Self, FeaturesError> {
        if text.is_empty() || text.len() > LONGEST || !text.len().is_multiple_of(2) {
            return Err(FeaturesError);
        }
        let mut features = Self::default();
        for (at, digits) in text.chunks_exact(2).enumerate() {
            let byte = nibble(digits[0])? << 4 | nibble(digits[1])?;
            if let Some(known) = features.0.get_mut(at) {
                *known = byte;
            }
        }
        Ok(features)
    }

    /// Says whether the feature is in the set.
    #[must_use]
    pub fn has(&self, feature: Feature) -> bool {
        let (byte, mask) = place(feature);
        self.0[byte] & mask != 0
    }

    /// Puts the feature into the set.
    pub fn set(&mut self, feature: Feature) {
        let (byte, mask) = place(feature);
        self.0[byte] |= mask;
    }

    /// Takes the feature out of the set.
    pub fn clear(&mut self, feature: Feature) {
        let (byte, mask) = place(feature);
        self.0[byte] &= !mask;
    }

    /// Returns the features that both sets have.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        let mut both = *self;
        for (byte, mask) in both.0.iter_mut().zip(other.0) {
            *byte &= mask;
        }
        both
    }
}

fn place(feature: Feature) -> (usize, u8) {
    let bit = feature as u8;
    (usize::from(bit / 8), 1 << (bit % 8))
}

fn nibble(digit: u8) -> Result<u8, FeaturesError> {
    let value = char::from(digit).to_digit(16).ok_or(FeaturesError)?;
    Ok(u8::try_from(value).expect("one hexadecimal digit"))
}

impl fmt::Display for Features {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Features {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Features({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What Amanda 3.5.1's own programs send.
    const AMANDA: &[u8] = b"ffffffff9efefbfffffffffffffff3fffbf71f";

    #[test]
    fn the_set_of_amanda_3_5_1_is_read() {
        let features = Features::parse(AMANDA).unwrap();
        assert_eq!(features.to_string().as_bytes(), AMANDA);
        for (feature, there) in [
            (Feature::HaveFeatureSupport, true),
            (Feature::OptionsKrb4Auth, false),
            (Feature::RepOptionsMaxdumps, false),
            (Feature::ReqXml, true),
            (Feature::SelfcheckMessage, true),
            (Feature::SendsizeMessage, false),
            (Feature::SendbackupMessage, false),
            (Feature::SendbackupStreamState, true),
            (Feature::ReqOptionsTimestamp, true),
        ] {
            assert_eq!(features.has(feature), there, "{feature:?}");
        }
    }

    #[test]
    fn ours_are_a_part_of_amandas() {
        let (ours, amandas) = (Features::ours(), Features::parse(AMANDA).unwrap());
        assert_eq!(ours.and(&amandas), ours);
        assert_eq!(ours.to_string(), "ffbffe7f9c00200210c0d10140000000000000");
        for absent in [
            Feature::ProgramDump,
            Feature::ProgramApplicationApi,
            Feature::PpScript,
            Feature::OptionsKencrypt,
            Feature::OptionsEncryptCust,
            Feature::OptionsEncryptServCust,
            Feature::XmlDataPath,
            Feature::SendbackupState,
            Feature::SendbackupStreamState,
            Feature::SendbackupRetry,
            Feature::SelfcheckMessage,
        ] {
            assert!(!ours.has(absent), "{absent:?}");
        }
    }

    #[test]
    fn shorter_and_longer_sets_are_read() {
        assert_eq!(Features::parse(b"01").unwrap().to_string(), "01000000000000000000000000000000000000");
        assert_eq!(Features::parse(&[b'f'; 512]).unwrap().to_string(), "f".repeat(38));
        for wrong in [&b""[..], b"0", b"0x", b"ff ", b"UNKNOWNFEATURE", &[b'f'; 514]] {
            assert_eq!(Features::parse(wrong), Err(FeaturesError), "{wrong:?}");
        }
    }

    #[test]
    fn a_feature_is_put_in_and_taken_out() {
        let mut features = Features::default();
        features.set(Feature::ReqOptionsTimestamp);
        assert_eq!(features.to_string(), "00000000000000000000000000000000000010");
        features.clear(Feature::ReqOptionsTimestamp);
        assert_eq!(features, Features::default());
    }

    proptest! {
        #[test]
        fn round_trip(text in "([0-9a-f]{2}){19}") {
            prop_assert_eq!(Features::parse(text.as_bytes()).unwrap().to_string(), text);
        }

        #[test]
        fn garbage_never_panics(text in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = Features::parse(&text);
        }
    }
}

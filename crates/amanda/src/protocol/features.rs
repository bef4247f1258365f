//! What a peer understands, as a set of bits that both sides send along (common-src/amfeatures.h).
//!
//! Bit n of the set is bit n modulo 8 of byte n/8, and the bytes are written in hexadecimal. A newer Amanda's set may
//! be longer and an older one's shorter: what is beyond the end is not there.

use std::fmt;

/// Bytes of a set in Amanda 3.5.1: its 149 features.
const BYTES: usize = 19;
/// A longer text is no set of features.
const LONGEST: usize = 512;

/// One thing that a peer may understand. Those that concern only recovery and the index server have no name here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum Feature {
    /// `have_feature_support`.
    HaveFeatureSupport = 0,
    /// `fe_options_auth`.
    OptionsAuth = 1,
    /// `fe_selfcheck_req`.
    SelfcheckReq = 2,
    /// `fe_selfcheck_req_device`.
    SelfcheckReqDevice = 3,
    /// `fe_selfcheck_rep`.
    SelfcheckRep = 4,
    /// `fe_sendsize_req_no_options`.
    SendsizeReqNoOptions = 5,
    /// `fe_sendsize_req_options`.
    SendsizeReqOptions = 6,
    /// `fe_sendsize_req_device`.
    SendsizeReqDevice = 7,
    /// `fe_sendsize_rep`.
    SendsizeRep = 8,
    /// `fe_sendbackup_req`.
    SendbackupReq = 9,
    /// `fe_sendbackup_req_device`.
    SendbackupReqDevice = 10,
    /// `fe_sendbackup_rep`.
    SendbackupRep = 11,
    /// `fe_noop_req`.
    NoopReq = 12,
    /// `fe_noop_rep`.
    NoopRep = 13,
    /// `fe_program_dump`.
    ProgramDump = 14,
    /// `fe_program_gnutar`.
    ProgramGnutar = 15,
    /// `fe_program_application_api`.
    ProgramApplicationApi = 16,
    /// `fe_options_compress_fast`.
    OptionsCompressFast = 17,
    /// `fe_options_compress_best`.
    OptionsCompressBest = 18,
    /// `fe_options_srvcomp_fast`.
    OptionsSrvcompFast = 19,
    /// `fe_options_srvcomp_best`.
    OptionsSrvcompBest = 20,
    /// `fe_options_no_record`.
    OptionsNoRecord = 21,
    /// `fe_options_index`.
    OptionsIndex = 22,
    /// `fe_options_exclude_file`.
    OptionsExcludeFile = 23,
    /// `fe_options_exclude_list`.
    OptionsExcludeList = 24,
    /// `fe_options_multiple_exclude`.
    OptionsMultipleExclude = 25,
    /// `fe_options_optional_exclude`.
    OptionsOptionalExclude = 26,
    /// `fe_options_include_file`.
    OptionsIncludeFile = 27,
    /// `fe_options_include_list`.
    OptionsIncludeList = 28,
    /// `fe_options_multiple_include`.
    OptionsMultipleInclude = 29,
    /// `fe_options_optional_include`.
    OptionsOptionalInclude = 30,
    /// `fe_options_bsd_auth`.
    OptionsBsdAuth = 31,
    /// `fe_options_krb4_auth`.
    OptionsKrb4Auth = 32,
    /// `fe_options_kencrypt`.
    OptionsKencrypt = 33,
    /// `fe_req_options_maxdumps`.
    ReqOptionsMaxdumps = 34,
    /// `fe_req_options_hostname`.
    ReqOptionsHostname = 35,
    /// `fe_req_options_features`.
    ReqOptionsFeatures = 36,
    /// `fe_rep_options_maxdumps`.
    RepOptionsMaxdumps = 37,
    /// `fe_rep_options_hostname`.
    RepOptionsHostname = 38,
    /// `fe_rep_options_features`.
    RepOptionsFeatures = 39,
    /// `fe_rep_options_sendbackup_options`.
    RepOptionsSendbackupOptions = 40,
    /// `fe_partial_estimate`.
    PartialEstimate = 52,
    /// `fe_calcsize_estimate`.
    CalcsizeEstimate = 53,
    /// `fe_selfcheck_calcsize`.
    SelfcheckCalcsize = 54,
    /// `fe_options_compress_cust`.
    OptionsCompressCust = 57,
    /// `fe_options_srvcomp_cust`.
    OptionsSrvcompCust = 58,
    /// `fe_options_encrypt_cust`.
    OptionsEncryptCust = 59,
    /// `fe_options_encrypt_serv_cust`.
    OptionsEncryptServCust = 60,
    /// `fe_options_client_decrypt_option`.
    OptionsClientDecryptOption = 61,
    /// `fe_options_server_decrypt_option`.
    OptionsServerDecryptOption = 62,
    /// `fe_interface_quoted_text`.
    InterfaceQuotedText = 68,
    /// `fe_program_star`.
    ProgramStar = 69,
    /// `fe_req_options_config`.
    ReqOptionsConfig = 78,
    /// `fe_rep_sendsize_quoted_error`.
    RepSendsizeQuotedError = 79,
    /// `fe_req_xml`.
    ReqXml = 80,
    /// `fe_pp_script`.
    PpScript = 81,
    /// `fe_xml_estimate`.
    XmlEstimate = 84,
    /// `fe_xml_property_priority`.
    XmlPropertyPriority = 85,
    /// `fe_sendsize_rep_warning`.
    SendsizeRepWarning = 86,
    /// `fe_xml_estimatelist`.
    XmlEstimatelist = 87,
    /// `fe_xml_level_server`.
    XmlLevelServer = 88,
    /// `fe_xml_data_path`.
    XmlDataPath = 89,
    /// `fe_xml_directtcp_list`.
    XmlDirecttcpList = 90,
    /// `fe_sendbackup_noop`.
    SendbackupNoop = 92,
    /// `fe_application_client_name`.
    ApplicationClientName = 98,
    /// `fe_script_client_name`.
    ScriptClientName = 99,
    /// `fe_dumptype_property`.
    DumptypeProperty = 100,
    /// `fe_sendbackup_state`.
    SendbackupState = 101,
    /// `fe_sendbackup_crc`.
    SendbackupCrc = 102,
    /// `fe_sendbackup_retry`.
    SendbackupRetry = 109,
    /// `fe_sendbackup_retry_delay`.
    SendbackupRetryDelay = 110,
    /// `fe_sendbackup_retry_level`.
    SendbackupRetryLevel = 111,
    /// `fe_sendbackup_retry_message`.
    SendbackupRetryMessage = 112,
    /// `fe_selfcheck_message`.
    SelfcheckMessage = 113,
    /// `fe_sendsize_message`.
    SendsizeMessage = 114,
    /// `fe_sendbackup_message`.
    SendbackupMessage = 115,
    /// `fe_sendbackup_rep_retry`.
    SendbackupRepRetry = 116,
    /// `fe_sendbackup_stream_state`.
    SendbackupStreamState = 117,
    /// `fe_sendbackup_req_options_data_shm_control_name`.
    SendbackupReqOptionsDataShmControlName = 147,
    /// `fe_req_options_timestamp`.
    ReqOptionsTimestamp = 148,
}

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

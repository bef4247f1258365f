//! The features by name, with their bits.

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

//! How a dump was compressed, and what the header says of it.

use super::Header;

/// What compressed a dump; the words that a header has for it (`make_tapeheader` in server-src/dumper.c).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression<'a> {
    /// Nothing.
    None,
    /// gzip, on the client or on the server.
    Gzip,
    /// A program of the dumptype's, run by the client: its absolute path. Uncompressed by it with `-d`.
    ClientCustom(&'a [u8]),
    /// The same, run by the server.
    ServerCustom(&'a [u8]),
}

impl Header {
    /// Returns the header with the words for this compression. Amanda's restore programs go by them: `cust` and
    /// `client_custom_compress /usr/bin/zstd` make amrestore and amfetchdump run `/usr/bin/zstd -d`.
    #[must_use]
    pub fn compressed(mut self, with: Compression<'_>) -> Self {
        self.programs.client_compress = None;
        self.programs.server_compress = None;
        let uncompress = |program: &[u8]| Some([program, b" -d"].concat());
        (self.compression, self.restore.uncompress) = match with {
            Compression::None => (None, None),
            Compression::Gzip => (Some(".gz".to_owned()), Some(b"/bin/gzip -dc".to_vec())),
            Compression::ClientCustom(program) => {
                self.programs.client_compress = Some(program.to_vec());
                (Some("cust".to_owned()), uncompress(program))
            }
            Compression::ServerCustom(program) => {
                self.programs.server_compress = Some(program.to_vec());
                (Some("cust".to_owned()), uncompress(program))
            }
        };
        self
    }
}

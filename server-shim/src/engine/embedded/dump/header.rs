//! What stands in front of a dump. All of it comes from the disklist and the dumptype.

use amanda::header::{Compression, Header};
use amanda::protocol::mesg::header_words;
use amanda::protocol::request::{Compress, DleRequest, Encrypt, Level, Options, Request, Service};

use super::Ask;

/// Returns the request at one level.
pub fn at_level(dle: DleRequest, level: u8) -> DleRequest {
    DleRequest { levels: vec![Level { level: u16::from(level), server: false }], ..dle }
}

/// Returns the header of the dump that is asked for; without the sums that are known when it has ended.
pub fn of(ask: &Ask<'_>, dle: &DleRequest) -> Header {
    let compression = match &dle.compress {
        Compress::ClientFast | Compress::ClientBest => Compression::Gzip,
        Compress::ClientCustom(program) => Compression::ClientCustom(program),
        // What the server compresses is not served; see `dialogue::Wish`.
        _ => Compression::None,
    };
    let mut header = Header::new(ask.disk.dle.clone(), ask.stamp, ask.level).compressed(compression);
    if let Some((_, program)) = header_words(dle).into_iter().find(|(key, _)| *key == b"BACKUP") {
        header.programs.program = program;
    }
    if let Encrypt::Client { program, decrypt_option } = &dle.encrypt {
        header.programs.crypt = Some(b"enc".to_vec());
        header.programs.client_encrypt = Some(program.clone());
        header.programs.client_decrypt_option = decrypt_option.clone();
        let option = decrypt_option.as_ref().map(|option| [b" ", option.as_slice()].concat());
        header.restore.decrypt = Some([program.as_slice(), &option.unwrap_or_default()].concat());
    }
    header.dle_xml = Some(xml(dle));
    header
}

/// The `<dle>` alone, as it stands in a request.
fn xml(dle: &DleRequest) -> Vec<u8> {
    let request = Request { service: Service::Sendbackup, options: Options::default(), dles: vec![dle.clone()] }.print();
    let body = request.splitn(3, |byte| *byte == b'\n').nth(2).unwrap_or_default();
    body.strip_suffix(b"\n").unwrap_or(body).to_vec()
}

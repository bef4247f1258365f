//! A disklist, under an amanda.conf that is right.
#![no_main]

use std::io;
use std::path::Path;

use amanda::conf::{Config, Source, disklist};
use libfuzzer_sys::fuzz_target;

const CONF: &[u8] = b"define dumptype laptop {\nprogram \"GNUTAR\"\n}\ndefine interface lan {\nuse 1000\n}\n";

struct Files<'a>(&'a [u8]);

impl Source for Files<'_> {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        match path.file_name().and_then(|name| name.to_str()) {
            Some("amanda.conf") => Ok(CONF.to_vec()),
            Some("disklist") => Ok(self.0.to_vec()),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

fuzz_target!(|input: &[u8]| {
    let directory = Path::new("/c");
    let files = Files(input);
    let mut config = Config::load(directory, &files).expect("it is right");
    match disklist::load(&mut config, &directory.join("disklist"), &files) {
        Ok(disks) => assert!(disks.iter().all(|disk| disk.how(&config).is_some() && disk.at.line > 0), "each disk has its dumptype and place"),
        Err(error) => assert!(!error.hint.is_empty(), "each error says what to write"),
    }
});

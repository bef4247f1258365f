//! amanda.conf and a disklist, in one input with a zero between them.
#![no_main]

use std::io;
use std::path::Path;

use amanda::conf::{Config, Kind, Source, disklist};
use libfuzzer_sys::fuzz_target;

struct Files<'a>(&'a [u8], &'a [u8]);

impl Source for Files<'_> {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        match path.file_name().and_then(|name| name.to_str()) {
            Some("amanda.conf") => Ok(self.0.to_vec()),
            Some("disklist") => Ok(self.1.to_vec()),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

fuzz_target!(|input: &[u8]| {
    let (conf, list) = input.iter().position(|byte| *byte == 0).map_or((input, &b""[..]), |at| (&input[..at], &input[at + 1..]));
    let files = Files(conf, list);
    let directory = Path::new("/c");
    let loaded = Config::load(directory, &files);
    if let Err(error) = &loaded {
        assert!(!error.hint.is_empty(), "each error says what to write");
    }
    if let Ok(mut config) = loaded {
        let _ = (config.tpchanger(), config.auto_slots(), config.retention_days(), config.tape_length_kb(), config.part_kb());
        let _ = (config.interface_kps(None), config.runspercycle(), config.thresholds(), config.bump(), config.mailto(), config.tapepool());
        let _ = config.holdingdisks().iter().map(|disk| disk.uses.room_kb(1 << 20)).max();
        let _ = config.labels().map(|labels| labels.matches("daily-001"));
        let _ = config.template().map(|template| template.and_then(|template| template.label(1)));
        let _ = disklist::load(&mut config, &directory.join("disklist"), &files);
        for section in config.sections(Kind::Dumptype) {
            let dumptype = config.dumptype(&section.name).expect("it is defined");
            let _ = (dumptype.compress(), dumptype.custom_compress(), dumptype.estimate(), dumptype.exclude(), dumptype.dumpcycle());
            let _ = (dumptype.bump(), dumptype.split(), dumptype.starttime(), dumptype.priority(), dumptype.comprate(), dumptype.dump_limit());
        }
    }
});

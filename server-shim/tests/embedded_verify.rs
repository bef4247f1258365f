//! Reading back: what was stored, what was dumped, when, and whose turn it is.

mod vault;

use std::fs;
use std::io::Write as _;
use std::time::Duration;

use amanda::crc::Crc;
use asyncamanda_shim::engine::embedded::restate::restate;
use asyncamanda_shim::engine::embedded::verify::{Turn, verify, verify_in_turn};
use vault::{DAY, Ears, Next, World, body, dle, host, world};
use wire::Outcome;

/// An archive as tar would begin one.
fn archive(seed: &str) -> Vec<u8> {
    let content = body(&dle("/"), seed, 0, 300_000);
    let mut header = tar::Header::new_ustar();
    header.set_path("./file").expect("a name");
    header.set_size(content.len() as u64);
    header.set_cksum();
    [header.as_bytes(), content.as_slice(), &[0; 4096]].concat()
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(plain).expect("packed");
    packed.finish().expect("packed")
}

fn zstd(plain: &[u8]) -> Vec<u8> {
    zstd::bulk::compress(plain, 1).expect("packed")
}

fn crc(bytes: &[u8]) -> Crc {
    Crc { crc: crc32c::crc32c(bytes), bytes: bytes.len() as u64 }
}

fn found(world: &World) -> Vec<String> {
    verify(&world.site, &Ears::default()).expect("verified").into_iter().map(|finding| finding.what).collect()
}

fn verified(world: &World) -> Vec<Option<i64>> {
    world.catalog().dumps.values().map(|dump| dump.verified).collect()
}

#[test]
fn what_comes_out_of_a_dump_is_compared_with_what_was_dumped() {
    let plain = archive("1");
    for stored in [plain.clone(), gzip(&plain), zstd(&plain), [zstd(&plain[..100_000]), zstd(&plain[100_000..])].concat()] {
        for (native, wrong) in [(crc(&plain), false), (crc(&archive("2")), true)] {
            let world = world(&["/home"]);
            world.fake.set(&dle("/home"), Next::Packed(stored.clone(), native));
            world.run();
            let found = found(&world);
            match wrong {
                false => assert_eq!(found, [""; 0]),
                true => assert!(found[0].contains("it is what was stored, and not what was dumped"), "{found:?}"),
            }
        }
    }
}

#[test]
fn a_stream_that_its_client_broke_is_damaged_though_it_is_what_was_stored() {
    let plain = archive("1");
    for packed in [gzip(&plain), zstd(&plain)] {
        let mut broken = packed.clone();
        broken[packed.len() / 2] ^= 0x55;
        for stored in [broken, packed[..packed.len() - 100].to_vec()] {
            let world = world(&["/home"]);
            world.fake.set(&dle("/home"), Next::Packed(stored, crc(&plain)));
            world.run();
            let found = found(&world);
            assert!(found.len() == 1 && found[0].starts_with("it is what was stored, and "), "{found:?}");
            assert_eq!(restate(&world.site, &host(), 0).expect("restated")[0].outcome, Outcome::Failed);
            assert_eq!(verified(&world), [None], "what is damaged was never verified");
        }
    }
}

#[test]
fn what_nobody_can_unpack_here_is_compared_with_what_was_stored() {
    let world = world(&["/home"]);
    world.fake.set(&dle("/home"), Next::Packed(body(&dle("/home"), "x", 0, 100_000), crc(b"what was encrypted")));
    world.run();
    assert_eq!(found(&world), [""; 0]);
}

#[test]
fn each_dump_knows_when_it_was_verified_until_it_is_damaged_or_gone() {
    let world = world(&["/home", "/srv"]);
    world.run();
    assert_eq!(verified(&world), [None, None]);
    assert_eq!(found(&world), [""; 0]);
    let times = verified(&world);
    assert!(times.iter().all(Option::is_some));
    world.later(DAY);
    world.run();
    assert_eq!(verified(&world).iter().filter(|time| time.is_none()).count(), 2, "new ones were not verified");
    let (key, dump) = world.catalog().dumps.pop_first().expect("a dump");
    let mut bytes = fs::read(&dump.files[0]).expect("read");
    bytes[40_000] ^= 1;
    fs::write(&dump.files[0], bytes).expect("written");
    assert_eq!(found(&world).len(), 1);
    assert_eq!(world.catalog().dumps[&key].verified, None);
    assert_eq!(verified(&world).iter().filter(|time| time.is_none()).count(), 1);
    let noted = fs::read_to_string(world.path(".asyncamanda/verified.json")).expect("noted");
    assert_eq!(noted.matches("datestamp").count(), 3);
}

#[test]
fn notes_that_cannot_be_read_cost_nothing_but_a_word() {
    let world = world(&["/home"]);
    world.run();
    assert_eq!(found(&world), [""; 0]);
    fs::write(world.path(".asyncamanda/verified.json"), "{").expect("written");
    let catalog = world.catalog();
    assert!(catalog.notes.iter().any(|note| note.contains("when the dumps")), "{:?}", catalog.notes);
    assert_eq!(catalog.of(&dle("/home")).len(), 1);
    assert_eq!(found(&world), [""; 0]);
    assert!(verified(&world)[0].is_some());
}

#[test]
fn a_budget_goes_round_all_dumps() {
    let world = world(&["/a", "/b", "/c"]);
    world.run();
    let one = Turn { older_than: Some(Duration::from_secs(3600)), budget: Some(10_000) };
    for left in [2, 1, 0] {
        let read = verify_in_turn(&world.site, &one, &Ears::default()).expect("verified");
        assert_eq!((read.dumps, read.passed_over.left), (1, left));
    }
    let read = verify_in_turn(&world.site, &one, &Ears::default()).expect("verified");
    assert_eq!((read.dumps, read.passed_over.fresh), (0, 3));
}

#[test]
fn a_damaged_dump_is_told_once_and_uses_no_budget() {
    let plain = archive("1");
    let world = world(&["/a", "/b"]);
    world.fake.set(&dle("/a"), Next::Packed(zstd(&plain), crc(&archive("2"))));
    world.run();
    let turn = Turn { budget: Some(u64::MAX), ..Turn::default() };
    let first = verify_in_turn(&world.site, &turn, &Ears::default()).expect("verified");
    assert_eq!((first.dumps, first.findings.len()), (1, 1));
    let second = verify_in_turn(&world.site, &turn, &Ears::default()).expect("verified");
    assert_eq!((second.dumps, second.findings.len(), second.passed_over.damaged), (1, 0, 1));
    assert_eq!(found(&world).len(), 1, "who asks for all hears of it again");
}

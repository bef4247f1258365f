//! Requests as Amanda's server writes them, and altered. Whole ones that were recorded are in `tests/protocol.rs`.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;
use crate::protocol::features::Features;

fn request(service: &str, dles: &str) -> Result<Request, RequestError> {
    Request::parse(format!("SERVICE {service}\nOPTIONS features=ff;hostname=laptop1;\n{dles}").as_bytes())
}

fn described(inside: &str) -> Result<DleRequest, DleError> {
    let text = format!("<dle>\n<program>GNUTAR</program>\n<disk>/home</disk>\n{inside}</dle>\n");
    match request("selfcheck", &text) {
        Ok(mut request) => Ok(request.dles.remove(0)),
        Err(RequestError::Dle { number: 1, why }) => Err(why),
        other => panic!("{other:?}"),
    }
}

fn plain() -> DleRequest {
    DleRequest::of(Program::Gnutar, *b"/home")
}

#[test]
fn the_four_services_are_known_and_others_named() {
    let dump = "<dle><program>GNUTAR</program><disk>/home</disk><level>0</level></dle>";
    for (service, dles, expected) in [
        ("noop", "", Service::Noop),
        ("selfcheck", "", Service::Selfcheck),
        ("sendsize", dump, Service::Sendsize),
        ("sendbackup", dump, Service::Sendbackup),
    ] {
        let request = request(service, dles).unwrap();
        assert_eq!(request.service, expected);
        assert_eq!(request.options.hostname.as_deref(), Some(&b"laptop1"[..]));
    }
    assert_eq!(request("amindexd", ""), Err(RequestError::UnknownService("amindexd".into())));
    assert_eq!(request("noop ", ""), Err(RequestError::UnknownService("noop ".into())));
    assert_eq!(Request::parse(b""), Err(RequestError::NoService));
    assert_eq!(Request::parse(b"SERVICE noop\n"), Err(RequestError::Options(OptionsError::Missing)));
}

#[test]
fn a_dump_is_of_one_disk_at_one_level() {
    let dle = |levels: &str| format!("<dle><program>GNUTAR</program><disk>/home</disk>{levels}</dle>");
    assert_eq!(request("sendbackup", ""), Err(RequestError::Dumps(0)));
    assert_eq!(request("sendbackup", &dle("<level>0</level>").repeat(2)), Err(RequestError::Dumps(2)));
    assert_eq!(request("sendbackup", &dle("")), Err(RequestError::Levels(0)));
    assert_eq!(request("sendbackup", &dle("<level>0</level><level>1</level>")), Err(RequestError::Levels(2)));
    assert_eq!(request("noop", &dle("")), Err(RequestError::NoopDisks));
}

#[test]
fn options_are_read() {
    for (line, expected) in [
        ("OPTIONS ;", Ok(Options::default())),
        ("OPTIONS features=01;", Ok(Options { features: Some(Features::parse(b"01").unwrap()), ..Options::default() })),
        ("OPTIONS maxdumps=3;config=daily;", Ok(Options { maxdumps: Some(3), config: Some(b"daily".to_vec()), ..Options::default() })),
        (
            "OPTIONS auth=ssh;timestamp=20261122003709;",
            Ok(Options { auth: Some(b"ssh".to_vec()), timestamp: Some(b"20261122003709".to_vec()), ..Options::default() }),
        ),
        ("OPTIONS new=x;", Ok(Options { unknown: vec![b"new".to_vec()], ..Options::default() })),
        ("", Err(OptionsError::Missing)),
        ("OPTIONS", Err(OptionsError::Missing)),
        ("options features=01;", Err(OptionsError::Missing)),
        ("OPTIONS features=01", Err(OptionsError::Cut)),
        ("OPTIONS features;", Err(OptionsError::Form)),
        ("OPTIONS hostname=;", Err(OptionsError::Form)),
        ("OPTIONS hostname=a\x07;", Err(OptionsError::Form)),
        ("OPTIONS hostname=a;hostname=b;", Err(OptionsError::Twice)),
        ("OPTIONS features=0g;", Err(OptionsError::Features(crate::protocol::features::FeaturesError))),
        ("OPTIONS maxdumps=-1;", Err(OptionsError::Maxdumps)),
        ("OPTIONS maxdumps=+1;", Err(OptionsError::Maxdumps)),
        ("OPTIONS hostname=../x;", Err(OptionsError::Name)),
        ("OPTIONS config=a/b;", Err(OptionsError::Name)),
        ("OPTIONS config=..;", Err(OptionsError::Name)),
    ] {
        assert_eq!(Options::parse(line.as_bytes()), expected, "{line}");
    }
}

#[test]
fn elements_are_understood() {
    let custom = |program: &str| program.as_bytes().to_vec();
    for (text, expected) in [
        ("", plain()),
        ("<diskdevice>/srv</diskdevice>", DleRequest { device: Some(b"/srv".to_vec()), ..plain() }),
        ("<estimate>CALCSIZE SERVER </estimate>", DleRequest { estimates: vec![Estimate::Calcsize, Estimate::Server], ..plain() }),
        ("<calcsize>YES</calcsize>", DleRequest { calcsize: true, ..plain() }),
        (
            "<level>0</level><level>1<server>YES</server></level>",
            DleRequest { levels: vec![Level { level: 0, server: false }, Level { level: 1, server: true }], ..plain() },
        ),
        ("<spindle>-1</spindle>", DleRequest { spindle: Some(-1), ..plain() }),
        ("<compress>FAST</compress>", DleRequest { compress: Compress::ClientFast, ..plain() }),
        ("<compress>BEST</compress>", DleRequest { compress: Compress::ClientBest, ..plain() }),
        ("<compress>SERVER-FAST</compress>", DleRequest { compress: Compress::ServerFast, ..plain() }),
        ("<compress>SERVER-BEST</compress>", DleRequest { compress: Compress::ServerBest, ..plain() }),
        (
            "<compress>CUSTOM<custom-compress-program>/z</custom-compress-program>\n</compress>",
            DleRequest { compress: Compress::ClientCustom(custom("/z")), ..plain() },
        ),
        (
            "<compress>SERVER-CUSTOM<custom-compress-program>/z</custom-compress-program>\n</compress>",
            DleRequest { compress: Compress::ServerCustom(custom("/z")), ..plain() },
        ),
        (
            "<encrypt>CUSTOM<custom-encrypt-program>/e</custom-encrypt-program>\n</encrypt>",
            DleRequest { encrypt: Encrypt::Client { program: custom("/e"), decrypt_option: None }, ..plain() },
        ),
        ("<record>no</record>", DleRequest { record: false, ..plain() }),
        ("<index>YES</index><kencrypt>YES</kencrypt>", DleRequest { index: true, kencrypt: true, ..plain() }),
        ("<datapath>AMANDA</datapath>", plain()),
        (
            "<datapath>DIRECTTCP\n<directtcp>10.0.0.1:5</directtcp>\n</datapath>",
            DleRequest { data_path: DataPath::DirectTcp(vec![b"10.0.0.1:5".to_vec()]), ..plain() },
        ),
        (
            "<exclude>\n<file>*.iso</file>\n<list>.x</list>\n<optional>YES</optional>\n</exclude>",
            DleRequest { exclude: Patterns { files: vec![b"*.iso".to_vec()], lists: vec![b".x".to_vec()], optional: true }, ..plain() },
        ),
        (
            "<dumpdate>x</dumpdate><future><deep>x</deep></future>",
            DleRequest { unknown: vec!["dumpdate".into(), "future".into()], ..plain() },
        ),
    ] {
        assert_eq!(described(text), Ok(expected), "{text}");
    }
}

#[test]
fn contradictions_are_refused() {
    for (text, why) in [
        ("text", DleError::Content("dle".into())),
        ("<disk>/srv</disk>", DleError::Twice("disk".into())),
        ("<record>YES</record><record>NO</record>", DleError::Twice("record".into())),
        ("<diskdevice></diskdevice>", DleError::Value("diskdevice".into())),
        ("<diskdevice><a></a></diskdevice>", DleError::Content("diskdevice".into())),
        ("<estimate>GUESS</estimate>", DleError::Value("estimate".into())),
        ("<estimate>CLIENT CLIENT</estimate>", DleError::Value("estimate".into())),
        ("<level>400</level>", DleError::Value("level".into())),
        ("<level>-1</level>", DleError::Value("level".into())),
        ("<level>+1</level>", DleError::Value("level".into())),
        ("<level>1x</level>", DleError::Value("level".into())),
        ("<level>1<disk>x</disk></level>", DleError::Content("level".into())),
        ("<compress>CUSTOM</compress>", DleError::Missing("custom-compress-program")),
        ("<compress>FAST<custom-compress-program>/z</custom-compress-program></compress>", DleError::Value("compress".into())),
        ("<compress>CUSTOMER</compress>", DleError::Value("compress".into())),
        ("<encrypt>CUSTOM</encrypt>", DleError::Missing("custom-encrypt-program")),
        ("<record>maybe</record>", DleError::Value("record".into())),
        ("<datapath>OTHER</datapath>", DleError::Value("datapath".into())),
        ("<exclude>x</exclude>", DleError::Content("exclude".into())),
        ("<exclude><disk>x</disk></exclude>", DleError::Content("exclude".into())),
        ("<property><value>x</value></property>", DleError::Missing("name")),
        ("<script><execute_on>PRE-AMCHECK</execute_on></script>", DleError::Missing("plugin")),
    ] {
        assert_eq!(described(text), Err(why), "{text}");
    }
    for (dle, why) in [
        ("<disk>/home</disk>", DleError::NotADle("disk".into())),
        ("<dle><disk>/home</disk></dle>", DleError::Missing("program")),
        ("<dle><program>GNUTAR</program></dle>", DleError::Missing("disk")),
        ("<dle><program>APPLICATION</program><disk>/home</disk></dle>", DleError::Missing("backup-program")),
    ] {
        assert_eq!(request("selfcheck", dle), Err(RequestError::Dle { number: 1, why }), "{dle}");
    }
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    vec(1u8.., 1..12)
}

fn word() -> impl Strategy<Value = Vec<u8>> {
    "[a-z0-9]{1,8}".prop_map(String::into_bytes)
}

fn patterns() -> impl Strategy<Value = Patterns> {
    (vec(bytes(), 0..3), vec(bytes(), 0..2), any::<bool>()).prop_map(|(files, lists, optional)| Patterns { files, lists, optional })
}

fn properties() -> impl Strategy<Value = Vec<Property>> {
    vec((bytes(), any::<bool>(), vec(bytes(), 0..3)).prop_map(|(name, priority, values)| Property { name, priority, values }), 0..3)
}

fn compress() -> impl Strategy<Value = Compress> {
    prop_oneof![
        Just(Compress::None),
        Just(Compress::ClientFast),
        Just(Compress::ServerBest),
        bytes().prop_map(Compress::ClientCustom),
        bytes().prop_map(Compress::ServerCustom),
    ]
}

fn encrypt() -> impl Strategy<Value = Encrypt> {
    prop_oneof![
        Just(Encrypt::None),
        (bytes(), option::of(bytes())).prop_map(|(program, decrypt_option)| Encrypt::Client { program, decrypt_option }),
        (bytes(), option::of(bytes())).prop_map(|(program, decrypt_option)| Encrypt::Server { program, decrypt_option }),
    ]
}

fn dle() -> impl Strategy<Value = DleRequest> {
    let names = (bytes(), option::of(bytes()), vec((0..=MAX_LEVEL, any::<bool>()), 1..4), option::of(-1i32..9));
    let plugin = (bytes(), properties(), option::of(bytes()));
    let script = (word(), vec(word(), 0..3), word(), properties());
    (names, compress(), encrypt(), any::<[bool; 4]>(), patterns(), patterns(), option::of(plugin), vec(script, 0..2), properties())
        .prop_map(
            |(
                (disk, device, levels, spindle),
                compress,
                encrypt,
                [record, index, kencrypt, calcsize],
                exclude,
                include,
                plugin,
                scripts,
                properties,
            )| {
                let application = plugin.map(|(plugin, properties, client_name)| Application { plugin, properties, client_name });
                DleRequest {
                    device,
                    estimates: vec![Estimate::Client],
                    calcsize,
                    levels: levels.into_iter().map(|(level, server)| Level { level, server }).collect(),
                    spindle,
                    compress,
                    encrypt,
                    record,
                    index,
                    kencrypt,
                    exclude,
                    include,
                    properties,
                    scripts: scripts
                        .into_iter()
                        .map(|(plugin, execute_on, execute_where, properties)| Script {
                            plugin,
                            execute_on,
                            execute_where,
                            properties,
                            client_name: None,
                        })
                        .collect(),
                    ..DleRequest::of(if application.is_some() { Program::Application } else { Program::Gnutar }, disk)
                }
                .with_application(application)
            },
        )
}

impl DleRequest {
    fn with_application(mut self, application: Option<Application>) -> Self {
        self.application = application;
        self
    }
}

proptest! {
    #[test]
    fn requests_come_back(dles in vec(dle(), 0..3), hostname in option::of("[a-z][a-z.-]{0,8}"), maxdumps in option::of(any::<u32>())) {
        let options = Options { features: Some(Features::ours()), hostname: hostname.map(String::into_bytes), maxdumps, ..Options::default() };
        let request = Request { service: Service::Sendsize, options, dles };
        prop_assert_eq!(Request::parse(&request.print()), Ok(request));
    }

    #[test]
    fn altered_requests_never_panic(dle in dle(), cut in 0usize..600, at in 0usize..600, to in any::<u8>()) {
        let mut body = Request { service: Service::Sendsize, options: Options::default(), dles: vec![dle] }.print();
        if let Some(byte) = body.get_mut(at) {
            *byte = to;
        }
        body.truncate(cut);
        let _ = Request::parse(&body);
    }

    #[test]
    fn garbage_never_panics(body in vec(any::<u8>(), 0..80)) {
        let _ = Request::parse(&[b"SERVICE sendsize\n", body.as_slice()].concat());
    }
}

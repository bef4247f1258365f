use amanda::protocol::packet::{Kind, Packet};

use super::Filter;
use super::tests::{by_handle, pass, recorded, token};

/// What passes of an answer to a request for these disks' sizes, or to another request.
fn answered(service: &str, kind: Kind, body: &str) -> Result<String, String> {
    let dle = |disk: &str| format!("<dle>\n<program>GNUTAR</program>\n<disk>{disk}</disk>\n<level>0</level>\n<level>2</level>\n</dle>\n");
    let dles = if service == "noop" { String::new() } else { dle("/home") + &dle("/srv") };
    let request = Packet::new(Kind::Req, format!("SERVICE {service}\nOPTIONS features=ffff;\n{dles}"));
    let mut filter = Filter::default();
    filter.from_amanda(&mut token(1, &request.print())).expect("Amanda's own");
    let (out, caught) = pass(&mut filter, &token(1, &Packet::new(kind, body).print()), 1000);
    if let Some(caught) = caught {
        assert_eq!(out, b"", "{body}");
        return Err(caught.to_string());
    }
    let packet = Packet::parse(&by_handle(&out)[&1].0).expect("a packet");
    assert_eq!(packet.kind, kind);
    Ok(String::from_utf8(packet.body).expect("UTF-8"))
}

#[test]
fn of_an_answer_only_what_was_asked_passes() {
    use Kind::{Ack, Nak, Prep, Rep};
    const OPTIONS: &str = "OPTIONS features=ff000000000000000000000000000000000000;\n";
    let long = "x".repeat(5000);
    for (service, kind, body, passes) in [
        ("noop", Rep, "OPTIONS features=ff;hostname=other;\n".to_owned(), OPTIONS.to_owned()),
        ("noop", Nak, "ERROR unknown service: noop\n".to_owned(), "ERROR unknown service: noop\n".to_owned()),
        ("noop", Nak, format!("ERROR {long}\nERROR y\n"), format!("ERROR {}\n", &long[..1000])),
        ("noop", Ack, "anything".to_owned(), String::new()),
        ("sendsize", Rep, format!("{OPTIONS}/home 0 SIZE 10\n/srv 2 SIZE -2\n"), format!("{OPTIONS}/home 0 SIZE 10\n/srv 2 SIZE -2\n")),
        ("sendsize", Prep, format!("{OPTIONS}/home 0 SIZE 10\n"), format!("{OPTIONS}/home 0 SIZE 10\n")),
        ("sendsize", Rep, format!("{OPTIONS}/home 1 SIZE 1\n/etc 0 SIZE 1\n/srv 0 SIZE 1\n"), format!("{OPTIONS}/srv 0 SIZE 1\n")),
        (
            "sendsize",
            Rep,
            format!("{OPTIONS}/home 0 SIZE {}\n", 1u64 << 50),
            format!(
                "{OPTIONS}/home 0 SIZE -1\n/home 0 ERROR \"asyncamanda: the laptop says that it has {} KiB, which is not believed\"\n",
                1u64 << 50
            ),
        ),
        (
            "sendsize",
            Rep,
            format!("{OPTIONS}/home 0 SIZE {}\n/home 0 ERROR \"{long}\"\n", (1u64 << 50) - 1),
            format!("{OPTIONS}/home 0 SIZE {}\n/home 0 ERROR \"{}\"\n", (1u64 << 50) - 1, &long[..1000]),
        ),
        ("sendsize", Rep, "ERROR [no]\n".to_owned(), "ERROR [no]\n".to_owned()),
        ("sendsize", Rep, format!("{OPTIONS}/home 0 SIZE 1\nERROR a\nERROR b\n"), format!("{OPTIONS}/home 0 SIZE 1\nERROR a; b\n")),
        (
            "selfcheck",
            Rep,
            format!("OPTIONS features=ff;hostname=x;\nOK /home\nERROR [\u{1b}{long}]\n"),
            format!("{OPTIONS}OK /home\nERROR ['x1b{}]\n", &long[..996]),
        ),
        ("sendbackup", Rep, format!("ERROR {long}\n"), format!("ERROR {}\n", &long[..1000])),
    ] {
        assert_eq!(answered(service, kind, &body).as_deref(), Ok(passes.as_str()), "{service} {body}");
    }
    for (service, kind, body, words) in [
        ("noop", Rep, "/home 0 SIZE 10\n".to_owned(), "answer to noop cannot be followed"),
        ("noop", Prep, OPTIONS.to_owned(), "a PREP where none belongs"),
        ("noop", Nak, "no\n".to_owned(), "answer to noop cannot be followed"),
        ("selfcheck", Rep, "MESSAGE JSON\n[\n".to_owned(), "answer to selfcheck cannot be followed"),
        ("sendsize", Rep, format!("{OPTIONS}/home 0 SIZE x\n"), "answer to sendsize cannot be followed"),
        ("restore", Rep, "OPTIONS ;\n".to_owned(), "answer to its request cannot be followed"),
        ("sendsize", Rep, format!("ERROR {}\n", "x".repeat(72 * 1024)), "and 73728 are enough"),
        ("noop", Rep, format!("ERROR {}\n", "x".repeat(64 * 1024)), "and 65536 are enough"),
    ] {
        let caught = answered(service, kind, &body).expect_err("caught");
        assert!(caught.contains(words), "{service}: {caught}");
    }
}

#[test]
fn the_json_of_amandas_own_check_is_not_asked_for_and_does_not_pass() {
    let mut filter = Filter::default();
    let mut asked = recorded("check.server");
    let unmasked = asked.clone();
    filter.from_amanda(&mut asked).expect("Amanda's own");
    assert_ne!(asked, unmasked);
    let (out, caught) = pass(&mut filter, &recorded("check.client"), 1000);
    assert!(caught.expect("caught").to_string().contains("answer to selfcheck cannot be followed"));
    assert!(!String::from_utf8_lossy(&out).contains("JSON"));
    // This is how the recording in lines came to be.
    assert_eq!(asked.windows(38).filter(|digits| *digits == b"ffffffff9efefbfffffffffffffff1fffbf71f").count(), 1);
}

//! Small texts, most of them wrong.

use proptest::prelude::*;

use super::*;

fn element(name: &str, text: &str, children: Vec<Element>) -> Element {
    Element { name: name.into(), text: text.into(), children }
}

#[test]
fn what_amanda_writes_is_read() {
    for (text, expected) in [
        ("", vec![]),
        (" \n\t", vec![]),
        ("<a>x</a>", vec![element("a", "x", vec![])]),
        ("<a>x  \n</a>\n<b></b>", vec![element("a", "x", vec![]), element("b", "", vec![])]),
        ("<a>&lt;&amp;&gt;&quot;&apos;&#65;&#x42;</a>", vec![element("a", "<&>\"'AB", vec![])]),
        ("<a encoding=\"raw\" raw=\"aG9tZSBkb2Nz\">home_docs</a>", vec![element("a", "home docs", vec![])]),
        ("<a encoding=\"raw\" raw=\"ICA=\">__</a>", vec![element("a", "  ", vec![])]),
        ("<c>CUSTOM<p>/bin/gzip</p>\n  </c>", vec![element("c", "CUSTOM", vec![element("p", "/bin/gzip", vec![])])]),
        ("<a>häuser</a >", vec![element("a", "häuser", vec![])]),
    ] {
        assert_eq!(parse(text.as_bytes()), Ok(expected), "{text}");
    }
}

#[test]
fn every_fault_has_its_name() {
    let deep = "<a>".repeat(MAX_DEPTH + 1);
    for (text, what) in [
        ("text", XmlFault::Loose),
        ("<a></a>text", XmlFault::Loose),
        ("<a>x<b></b>y</a>", XmlFault::Text),
        ("<", XmlFault::Tag),
        ("<>", XmlFault::Tag),
        ("<a", XmlFault::Tag),
        ("<a/>", XmlFault::Tag),
        ("<?xml?>", XmlFault::Tag),
        ("<!-- x -->", XmlFault::Tag),
        ("<![CDATA[x]]>", XmlFault::Tag),
        ("</a>", XmlFault::Mismatch),
        ("<a></b>", XmlFault::Mismatch),
        ("<a><b></a></b>", XmlFault::Mismatch),
        ("<a>", XmlFault::Cut),
        ("<a>x", XmlFault::Cut),
        ("<a raw=\"", XmlFault::Cut),
        ("<a href=\"x\"></a>", XmlFault::Attribute),
        ("<a encoding=\"utf-8\" raw=\"Zg==\"></a>", XmlFault::Attribute),
        ("<a raw=\"Zg==\"></a>", XmlFault::Attribute),
        ("<a encoding=\"raw\"></a>", XmlFault::Attribute),
        ("<a encoding=\"raw\" raw=\"Zg==\" raw=\"Zg==\"></a>", XmlFault::Attribute),
        ("<a encoding='raw'></a>", XmlFault::Attribute),
        ("<a encoding=\"raw\" raw=\"Zg=\"></a>", XmlFault::Raw),
        ("<a encoding=\"raw\" raw=\"AA==\"></a>", XmlFault::Raw),
        ("<a>&nbsp;</a>", XmlFault::Reference),
        ("<a>&</a>", XmlFault::Reference),
        ("<a>&#0;</a>", XmlFault::Reference),
        ("<a>&#x110000;</a>", XmlFault::Reference),
        ("<a>&#+65;</a>", XmlFault::Reference),
        ("<a>\x1b</a>", XmlFault::Text),
        (deep.as_str(), XmlFault::Deep),
    ] {
        assert_eq!(parse(text.as_bytes()).unwrap_err().what, what, "{text}");
    }
    assert_eq!(parse(b"<a>\xff</a>").unwrap_err().what, XmlFault::Text);
    assert_eq!(parse("<a></a>".repeat(MAX_ELEMENTS + 1).as_bytes()).unwrap_err().what, XmlFault::Many);
}

proptest! {
    #[test]
    fn values_come_back(value in prop::collection::vec(1u8.., 1..40)) {
        let mut out = Writer::default();
        out.value("disk", &value);
        let read = parse(&out.finish()).unwrap();
        prop_assert_eq!(read, vec![Element { name: "disk".into(), text: value, children: vec![] }]);
    }

    #[test]
    fn garbage_never_panics(text in "[<>/a=\"& ;#x\\n\u{e4}]{0,60}") {
        let _ = parse(text.as_bytes());
    }

    #[test]
    fn cut_text_never_panics(cut in 0usize..120, flip in 0usize..120, to in any::<u8>()) {
        let mut text = b"<dle>\n  <disk encoding=\"raw\" raw=\"aG9tZSBkb2Nz\">home_docs</disk>\n<level>1<server>YES</server></level></dle>".to_vec();
        if let Some(byte) = text.get_mut(flip) {
            *byte = to;
        }
        text.truncate(cut);
        let _ = parse(&text);
    }
}

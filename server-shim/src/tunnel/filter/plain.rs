//! Asks the laptop for a check in lines. Amanda's own client answers a check in JSON when Amanda's request has the feature
//! `selfcheck_message`, and amcheck reads that with a parser that ends amcheck on surprise. Without the feature it answers in
//! lines, which every amcheck understands as well, so the bit is taken out on the way.

use amanda::protocol::features::Feature;
use amanda::protocol::token::HEADER;

/// How Amanda's request for a check begins, the packet's kind in front: its features always come first.
const BEGINS: &[u8] = b"\0SERVICE selfcheck\nOPTIONS features=";

/// Where the feature's digit stands in the packet: two for each byte, the higher one first.
const DIGIT: usize = BEGINS.len() + 2 * (Feature::SelfcheckMessage as usize / 8) + (Feature::SelfcheckMessage as usize % 8 < 4) as usize;

/// The feature's bit in this digit.
const BIT: u8 = 1 << (Feature::SelfcheckMessage as u8 % 4);

/// Follows Amanda's tokens.
#[derive(Debug, Default)]
pub struct Plain {
    header: Vec<u8>,
    left: usize,
    /// So much of the packet came, and was as above.
    at: Option<usize>,
}

impl Plain {
    /// Takes the bit out of what passes. Nothing grows or shrinks.
    pub fn mask(&mut self, bytes: &mut [u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            if self.left == 0 {
                let taken = rest.len().min(HEADER - self.header.len());
                let (part, after) = rest.split_at_mut(taken);
                self.header.extend_from_slice(part);
                rest = after;
                if let Some([a, b, c, d, ..]) = self.header.first_chunk::<HEADER>() {
                    self.left = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
                    self.at = Some(0);
                    self.header.clear();
                }
                continue;
            }
            let taken = rest.len().min(self.left);
            let (part, after) = rest.split_at_mut(taken);
            self.left -= taken;
            rest = after;
            for byte in part {
                let Some(at) = self.at else { break };
                self.at = match at {
                    _ if at < BEGINS.len() => (*byte == BEGINS[at]).then_some(at + 1),
                    _ if at < DIGIT => byte.is_ascii_hexdigit().then_some(at + 1),
                    _ => {
                        if let Some(digit) = char::from(*byte).to_digit(16) {
                            *byte = b"0123456789abcdef"[digit as usize & !usize::from(BIT)];
                        }
                        None
                    }
                };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use amanda::protocol::features::Features;
    use amanda::protocol::packet::{Kind, Packet};
    use amanda::protocol::token::put;

    use super::*;

    #[test]
    fn only_a_request_for_a_check_loses_the_bit() {
        const ALL: &str = "ffffffff9efefbfffffffffffffff3fffbf71f";
        let mut fewer = Features::parse(ALL.as_bytes()).expect("Amanda's");
        fewer.clear(Feature::SelfcheckMessage);
        for (service, features, passes) in [
            ("selfcheck", ALL, fewer.to_string()),
            ("selfcheck", &ALL.to_uppercase(), "FFFFFFFF9EFEFBFFFFFFFFFFFFFFF1FFFBF71F".to_owned()),
            ("selfcheck", "ffff", "ffff".to_owned()),
            ("sendsize", ALL, ALL.to_owned()),
            ("noop", ALL, ALL.to_owned()),
        ] {
            let stream = |features: &str| {
                let mut bytes = Vec::new();
                for handle in 1..3 {
                    let body = format!("SERVICE {service}\nOPTIONS features={features};hostname={ALL};\n");
                    put(&mut bytes, handle, &Packet::new(Kind::Req, body).print());
                    put(&mut bytes, handle, b"");
                }
                bytes
            };
            for piece in [1, 13, 1000] {
                let mut bytes = stream(features);
                let mut plain = Plain::default();
                bytes.chunks_mut(piece).for_each(|piece| plain.mask(piece));
                assert_eq!(bytes, stream(&passes), "{service} {features} in pieces of {piece}");
            }
        }
    }
}

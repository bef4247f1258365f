//! What of a laptop's answers passes: what was asked, in our own print. Amanda's parsers believe an answer: they take any
//! disk of the host and any number, write texts of any length into reports, and one of them ends amcheck on surprise.

use amanda::escape::printable;
use amanda::protocol::packet::{Kind, Packet};
use amanda::protocol::reply::{self, CheckLine, ReplyError, Selfcheck, Sendbackup, Sendsize, Size, SizeLine};
use amanda::protocol::request::{DleRequest, Options, Request, Service};

use super::Caught;

/// The longest text, as it is shown. A sentence of Amanda's own client has a few hundred bytes.
const TEXT: usize = 1000;

/// Sizes from here on (KiB) are none that a laptop has: 1 EiB.
const BIGGEST: u64 = 1 << 50;

/// The longest answer to anything, beside its disks: two lines for each of three levels, or four in a check.
const LONGEST: usize = 64 * 1024;
const LONGEST_DISK: usize = 4 * 1024;

/// Returns how long a packet may be that belongs to this request.
pub fn longest(request: Option<&Request>) -> usize {
    LONGEST + LONGEST_DISK * request.map_or(0, |request| request.dles.len())
}

/// Returns the packet that passes in the place of this one, which is no answer to a request for a dump.
pub fn judged(request: Option<&Request>, packet: &Packet) -> Result<Packet, Caught> {
    let service = request.map(|request| request.service);
    let body = match (packet.kind, service) {
        (Kind::Ack, _) => return Ok(Packet::ack()),
        (Kind::Nak, _) => errors(&packet.body),
        (Kind::Rep | Kind::Prep, Some(Service::Sendsize)) => sizes(request.map_or(&[], |request| &request.dles), &packet.body),
        (Kind::Rep, Some(Service::Noop)) => {
            errors(&packet.body).or_else(|_| reply::parse_noop(&packet.body).map(|options| line(&features(options))))
        }
        (Kind::Rep, Some(Service::Selfcheck)) => check(&packet.body),
        // A service that we do not follow has nothing to say but that it is not there.
        (Kind::Rep, Some(Service::Sendbackup) | None) => errors(&packet.body),
        (kind @ (Kind::Req | Kind::Prep), _) => return Err(Caught::new(format!("the laptop sent a {kind} where none belongs"))),
    };
    let asked = service.map_or("its request", Service::name);
    let body = body.map_err(|error| Caught::new(format!("the laptop's answer to {asked} cannot be followed: {error}")))?;
    Ok(Packet::new(packet.kind, body))
}

/// Returns the answer to a request for a dump as it passes.
pub fn dump(answer: Sendbackup) -> Packet {
    let answer = match answer {
        Sendbackup::Error(text) => Sendbackup::Error(short(&text)),
        Sendbackup::Connect { streams, options } => Sendbackup::Connect { streams, options: features(options) },
    };
    Packet::new(Kind::Rep, answer.print())
}

/// A text that can be shown, and is no longer than [`TEXT`].
fn short(text: &[u8]) -> Vec<u8> {
    let mut shown = printable(&text[..text.len().min(TEXT)]);
    let end = (0..=TEXT.min(shown.len())).rev().find(|end| shown.is_char_boundary(*end)).unwrap_or(0);
    shown.truncate(end);
    shown.into_bytes()
}

/// Of the options only the features are Amanda's business.
fn features(options: Options) -> Options {
    Options { features: options.features, ..Options::default() }
}

fn line(options: &Options) -> Vec<u8> {
    [options.print().as_slice(), b"\n"].concat()
}

fn errors(body: &[u8]) -> Result<Vec<u8>, ReplyError> {
    Ok(reply::error(&short(&reply::parse_errors(body)?.join(&b"; "[..]))))
}

fn check(body: &[u8]) -> Result<Vec<u8>, ReplyError> {
    let answer = Selfcheck::parse(body)?;
    let lines = answer.lines.into_iter().map(|line| match line {
        CheckLine::Ok(text) => CheckLine::Ok(short(&text)),
        CheckLine::Error(text) => CheckLine::Error(short(&text)),
    });
    Ok(Selfcheck { options: features(answer.options), lines: lines.collect() }.print())
}

fn sizes(dles: &[DleRequest], body: &[u8]) -> Result<Vec<u8>, ReplyError> {
    // What went wrong for the whole host, of which Amanda takes the first: then all its disks fail.
    let (host, about): (Vec<&[u8]>, Vec<&[u8]>) = body.split_inclusive(|byte| *byte == b'\n').partition(|line| line.starts_with(b"ERROR "));
    let failed = if host.is_empty() { Vec::new() } else { errors(&host.concat())? };
    if about.is_empty() && !failed.is_empty() {
        return Ok(failed);
    }
    let answer = Sendsize::parse(&about.concat())?;
    let asked = |line: &SizeLine| dles.iter().any(|dle| dle.disk == line.disk && dle.levels.iter().any(|level| level.level == line.level));
    let mut lines = Vec::new();
    for SizeLine { disk, level, size } in answer.lines.into_iter().filter(asked) {
        let size = match size {
            Size::Kib(kib) if kib >= BIGGEST => {
                lines.push(SizeLine { disk: disk.clone(), level, size: Size::Unknown });
                Size::Error(format!("asyncamanda: the laptop says that it has {kib} KiB, which is not believed").into_bytes())
            }
            Size::Error(text) => Size::Error(short(&text)),
            Size::Warning(text) => Size::Warning(short(&text)),
            other => other,
        };
        lines.push(SizeLine { disk, level, size });
    }
    Ok([Sendsize { options: features(answer.options), lines }.print(), failed].concat())
}

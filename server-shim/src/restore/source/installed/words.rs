//! What `amfetchdump` writes beside a dump, for a person at a terminal: what of it says why there is no more.

/// So many lines are passed on.
const LINES: usize = 3;

/// What lines begin with that say nothing of a failure.
const USUAL: [&str; 8] =
    ["Reading ", "Press enter ", "split dumpfile: ", "FILE: ", "The following volumes ", "and press enter", "  ", "amfetchdump: "];

/// Returns why, in a line; nothing when it does not say.
pub(super) fn why(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let is_usual = |line: &str| {
        let counted = line.split_once(' ').is_some_and(|(count, what)| {
            count.bytes().all(|digit| digit.is_ascii_digit()) && (what.trim() == "kb" || what.ends_with(" needed for restoration"))
        });
        counted || line.trim().is_empty() || USUAL.iter().any(|usual| line.starts_with(usual))
    };
    // Progress is written over itself.
    let lines: Vec<&str> = text.split(['\n', '\r']).filter(|line| !is_usual(line)).map(str::trim).collect();
    let last = &lines[lines.len().saturating_sub(LINES)..];
    amanda::escape::printable(last.join("; ").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_went_wrong_is_passed_on() {
        let missing = b"2 volume(s) needed for restoration\nThe following volumes are needed: d-001 d-002\n\nPress enter when ready\n\nReading label 'd-001' filenum 2\nsplit dumpfile: date 20261124102413 host h disk /d part 1/UNKNOWN lev 0 comp N program /bin/tar\nFile 0 not found\n\nInsert volume labeled 'd-002' in chg-disk:/srv/vtapes\nand press enter, or ^D to abort.\n1792 kb    \nAborted by user\n";
        assert_eq!(why(missing), "File 0 not found; Insert volume labeled 'd-002' in chg-disk:/srv/vtapes; Aborted by user");
        let held = b"1 holding file(s) needed for restoration\n  /srv/hold/20261124102413/h._d.0\n\nPress enter when ready\n\nReading '/srv/hold/20261124102413/h._d.0'\nFILE: date 20261124102413 host h disk /d lev 0 comp N program /bin/tar\n\r32 kb \r2940 kb    \n";
        assert_eq!(why(held), "");
        assert_eq!(why(b"No matching dumps found\n"), "No matching dumps found");
    }
}

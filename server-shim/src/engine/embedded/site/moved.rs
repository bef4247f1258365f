//! A vault that is found elsewhere than its amanda.conf says.

use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use amanda::conf::Config;
use amanda::quoting::quote;

use super::{CONF, failed};
use crate::engine::Trouble;

/// Returns amanda.conf with the paths of the directory that it is in now; `None` when it has them already.
///
/// Where the vault was is told by its tapelist, which lies at its top. What begins with that directory begins with the new one then;
/// other paths stay as they are, and are refused where they lead out of the vault.
pub(super) fn text(config: &Config, directory: &Path, read: impl FnOnce() -> io::Result<Vec<u8>>) -> Result<Option<Vec<u8>>, Trouble> {
    let tapelist = config.tapelist();
    let Some(was) = tapelist.parent().filter(|was| *was != directory) else { return Ok(None) };
    let conf = directory.join(CONF);
    let old = read().map_err(|error| failed("cannot read", &conf, &error))?;
    let new = moved(&old, was, directory);
    if new == old {
        return Err(Trouble::config(
            format!("{} says that the tapelist is {}, which is not in this vault", conf.display(), tapelist.display()),
            format!("name {}", directory.join("tapelist").display()),
        ));
    }
    Ok(Some(new))
}

/// What a path is between quotation marks.
fn inside(path: &Path) -> Vec<u8> {
    let quoted = quote(path.as_os_str().as_bytes());
    quoted.strip_prefix(b"\"").and_then(|text| text.strip_suffix(b"\"")).map_or_else(|| quoted.clone(), <[u8]>::to_vec)
}

fn moved(text: &[u8], was: &Path, is: &Path) -> Vec<u8> {
    let (was, is) = ([&inside(was)[..], b"/"].concat(), [&inside(is)[..], b"/"].concat());
    let mut new = Vec::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        let begins = matches!(text[..at].last(), Some(b'"' | b':'));
        if begins && text[at..].starts_with(&was) {
            new.extend(&is);
            at += was.len();
        } else {
            new.push(text[at]);
            at += 1;
        }
    }
    new
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_go_where_the_vault_went() {
        let text =
            b"logdir \"/mnt/a/v/log\"\ntpchanger \"chg-disk:/mnt/a/v/vtapes\"\nx \"/mnt/a/v2/log\"\n# /mnt/a/v/log\ny \"/b/mnt/a/v/\"\n";
        let new = moved(text, Path::new("/mnt/a/v"), Path::new("/media/my \"drive\"/v"));
        let expected = "logdir \"/media/my \\\"drive\\\"/v/log\"\ntpchanger \"chg-disk:/media/my \\\"drive\\\"/v/vtapes\"\n\
                        x \"/mnt/a/v2/log\"\n# /mnt/a/v/log\ny \"/b/mnt/a/v/\"\n";
        assert_eq!(String::from_utf8(new.clone()).expect("text"), expected);
        assert_eq!(moved(&new, Path::new("/media/my \"drive\"/v"), Path::new("/mnt/a/v")), text);
    }
}

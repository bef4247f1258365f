//! Directories that become disks of a vault: what may be one, what it is called, and what of it is left out by itself.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use wire::names::MAX_NAME;
use wire::{DiskName, Exit, HostName};

use crate::report::{Problem, show};

/// Returns the disk that somebody named: one that is known by this name, or a directory.
pub fn named(name: &OsStr, known: &[(DiskName, PathBuf)], vault: &Path) -> Result<(DiskName, PathBuf), Problem> {
    if let Some(disk) = known.iter().find(|(disk, _)| disk.as_os_str() == name) {
        return Ok(disk.clone());
    }
    let shown = show(name.as_bytes());
    if name.is_empty() {
        return Err(
            Problem::new(Exit::Usage, "an empty name is no directory").hint("leave the \"\" away, or name a directory; \".\" is this one")
        );
    }
    let no = |because: String| Problem::new(Exit::Usage, format!("{shown} cannot be backed up")).because(because);
    // By one name for ever, from wherever it is called.
    let path = fs::canonicalize(name).map_err(|error| no(plain(&error)).hint("name a directory that is there"))?;
    if let Some(disk) = known.iter().find(|(disk, _)| disk.as_os_str() == path.as_os_str()) {
        return Ok(disk.clone());
    }
    if !path.is_dir() {
        return Err(no("it is not a directory".to_owned())
            .hint("name the directory that it lies in; what else is there can be left out with exclude in agent.toml"));
    }
    fs::read_dir(&path).map_err(|error| no(plain(&error)).hint("run as a user who may read it"))?;
    let vault = real(vault);
    if path.starts_with(&vault) {
        return Err(no(format!("it lies in the vault {}, where its own backup would go", vault.display())));
    }
    let disk = DiskName::new(path.as_os_str()).map_err(|error| no(error.to_string()))?;
    Ok((disk, path))
}

/// Says that a vault is another account's.
pub fn of_another(vault: &Path) -> Option<Problem> {
    use std::os::unix::fs::MetadataExt as _;
    let (owner, ours) = (fs::metadata(vault).ok()?.uid(), nix::unistd::geteuid().as_raw());
    let user = |uid: u32| {
        let user = nix::unistd::User::from_uid(nix::unistd::Uid::from_raw(uid)).ok().flatten();
        user.map_or_else(|| format!("user {uid}"), |user| show(user.name))
    };
    (owner != ours).then(|| {
        Problem::new(Exit::Refused, format!("{} belongs to {}, and this runs as {}", vault.display(), user(owner), user(ours)))
            .hint(format!("run this as {}: files of two accounts in one directory are of no use to either", user(owner)))
    })
}

/// An error without its number.
fn plain(error: &std::io::Error) -> String {
    let errno = error.raw_os_error().map(nix::errno::Errno::from_raw);
    errno.map_or_else(|| error.to_string(), |errno| errno.desc().to_owned())
}

/// Returns a path as the kernel has it, as far as it is there.
pub fn real(path: &Path) -> PathBuf {
    for ancestor in path.ancestors() {
        if let (Ok(there), Ok(rest)) = (fs::canonicalize(ancestor), path.strip_prefix(ancestor)) {
            return there.join(rest).components().collect();
        }
    }
    path.to_path_buf()
}

/// Returns the pattern that leaves a path out of a directory; none when it does not lie below it.
pub fn pattern(path: &Path, device: &Path) -> Option<String> {
    let below = path.strip_prefix(device).ok().filter(|below| !below.as_os_str().is_empty())?;
    let mut pattern = String::from("./");
    for chunk in below.as_os_str().as_bytes().utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '*' | '?' | '[' | '\\' => pattern.extend(['\\', character]),
                // A pattern is a line.
                '\n' => pattern.push('?'),
                other => pattern.push(other),
            }
        }
        pattern.extend(std::iter::repeat_n('?', chunk.invalid().len()));
    }
    Some(pattern)
}

/// Returns this machine's name, made to fit.
pub fn machine() -> HostName {
    let name = nix::unistd::gethostname().unwrap_or_default();
    fitted(&name.to_string_lossy())
}

fn fitted(name: &str) -> HostName {
    let fit = |character: char| if character.is_ascii_alphanumeric() || "._-".contains(character) { character } else { '-' };
    let name: String = name.chars().map(fit).skip_while(|character| !character.is_ascii_alphanumeric()).take(MAX_NAME).collect();
    name.parse().unwrap_or_else(|_| "localhost".parse().expect("a name"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machines_name_is_made_to_fit() {
        for (name, fit) in [
            ("laptop1", "laptop1"),
            ("Ada's Laptop.local", "Ada-s-Laptop.local"),
            ("-dash", "dash"),
            ("", "localhost"),
            ("…", "localhost"),
            ("(none)", "none-"),
        ] {
            assert_eq!(fitted(name).as_str(), fit, "{name:?}");
        }
        assert_eq!(fitted(&"x".repeat(100)).as_str().len(), MAX_NAME);
    }

    #[test]
    fn what_lies_below_is_left_out_by_its_own_name_and_nothing_else() {
        let pattern = |path: &str| pattern(Path::new(path), Path::new("/home/ada"));
        for (path, expected) in [
            ("/home/ada/vault", Some("./vault")),
            (r"/home/ada/a[b]*?\c", Some(r"./a\[b]\*\?\\c")),
            ("/home/ada/two\nlines", Some("./two?lines")),
            ("/home/ada", None),
            ("/home/bob/vault", None),
            ("/home/adam/vault", None),
        ] {
            assert_eq!(pattern(path).as_deref(), expected, "{path:?}");
        }
        let odd = Path::new(OsStr::from_bytes(b"/home/ada/\xff\xfe"));
        assert_eq!(super::pattern(odd, Path::new("/home/ada")).as_deref(), Some("./??"));
    }

    #[test]
    fn a_directory_has_one_name_and_a_vault_is_no_disk_of_its_own() {
        let dir = tempfile::tempdir().expect("a directory");
        let root = fs::canonicalize(dir.path()).expect("there");
        for name in ["docs", "vault", "vault/holding"] {
            fs::create_dir(root.join(name)).expect("made");
        }
        fs::write(root.join("file"), "").expect("written");
        std::os::unix::fs::symlink("docs", root.join("link")).expect("made");
        let known = [(DiskName::new("home").expect("a name"), PathBuf::from("/home"))];
        let named = |name: &str| named(root.join(name).as_os_str(), &known, &root.join("vault"));
        for name in ["docs", "link", "docs/.", "docs/../docs/"] {
            assert_eq!(named(name).expect("a directory").1, root.join("docs"), "{name}");
        }
        for (name, because) in
            [("none", "No such file"), ("file", "not a directory"), ("vault", "lies in the vault"), ("vault/holding", "lies in the vault")]
        {
            let problem = named(name).expect_err(name);
            assert!(problem.exit == Exit::Usage && problem.because.contains(because), "{problem:?}");
        }
        assert_eq!(super::named("home".as_ref(), &known, &root).expect("known"), known[0]);
    }

    #[test]
    fn what_is_not_there_yet_is_named_as_it_will_be() {
        let dir = tempfile::tempdir().expect("a directory");
        let root = fs::canonicalize(dir.path()).expect("there");
        std::os::unix::fs::symlink(".", root.join("link")).expect("made");
        assert_eq!(real(&root.join("link/new/vault")), root.join("new/vault"));
    }
}

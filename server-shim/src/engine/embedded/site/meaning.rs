//! What every keyword of amanda.conf means to this engine: honoured, without meaning here, or refused by name.
//!
//! docs/configuration-of-amanda.md is printed from this, and `check` tells from it what of a config is without meaning.

mod tables;

use amanda::conf::{Config, Kind, Section, Setting};

/// What a keyword means here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// As Amanda has it; the text says where that is not all.
    Honoured(&'static str),
    /// Nothing, and why nothing is lost by it: what is backed up, and where, does not depend on it.
    Without(&'static str),
    /// It is refused with file, line and column, and the hint `engine = "amanda"`; the text says when.
    Refused(&'static str),
}

/// Returns what a keyword means in a definition of a kind; `None` is the config itself, and for a word that is no keyword there.
pub fn of(kind: Option<Kind>, keyword: &str) -> Option<Meaning> {
    tables::of(kind).iter().find(|(name, _)| *name == keyword).map(|(_, meaning)| *meaning)
}

/// A setting that is said and has no meaning here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unused {
    /// The keyword, with the kind of definition that it stands in.
    pub keyword: String,
    /// Its file and line.
    pub place: String,
    /// Why nothing is lost.
    pub why: &'static str,
}

/// Returns what a config says without a meaning here: of itself, of its storage, its tapetype, its holding disks, its changer, and of
/// the dumptypes that its disks have.
pub fn unused(config: &Config, dumptypes: &[String]) -> Vec<Unused> {
    let mut found = Vec::new();
    let mut look = |kind: Option<Kind>, section: Option<&Section>| {
        let settings = section.map_or_else(|| config.settings(), |section| &section.settings);
        for (name, setting) in settings.iter() {
            let Some(Meaning::Without(why)) = of(kind, name).filter(|_| name != "comment") else { continue };
            let keyword = section.map_or_else(|| name.to_owned(), |section| format!("{name} of a {}", section.kind.name()));
            found.push(Unused { keyword, place: place(setting), why });
        }
    };
    look(None, None);
    let holding = config.holdingdisks().into_iter().filter_map(|disk| config.section(Kind::Holdingdisk, disk.name));
    let dumptypes = dumptypes.iter().filter_map(|name| config.section(Kind::Dumptype, name));
    let parts = [config.storage(), config.policy(), config.tapetype(), config.changer()].into_iter().flatten();
    for section in parts.chain(holding).chain(dumptypes) {
        look(Some(section.kind), Some(section));
    }
    // A dumptype that others inherit from says it once.
    found.sort_by(|one, other| (&one.place, &one.keyword).cmp(&(&other.place, &other.keyword)));
    found.dedup_by(|one, other| one.place == other.place);
    found
}

fn place(setting: &Setting) -> String {
    format!("{}:{}", setting.file.display(), setting.at.line)
}

/// Prints the tables of docs/configuration-of-amanda.md.
#[cfg(test)]
fn printed() -> String {
    use amanda::conf::keywords;
    let mut text = String::new();
    for kind in std::iter::once(None).chain(Kind::ALL.into_iter().map(Some)) {
        let title = kind.map_or_else(|| "The config itself".to_owned(), |kind| format!("`define {}`", kind.name()));
        text.push_str(&format!("\n### {title}\n\n| keyword | here | |\n|---|---|---|\n"));
        for keyword in keywords::of(kind) {
            let (here, note) = match of(kind, keyword).unwrap_or(Meaning::Refused("not classified")) {
                Meaning::Honoured(note) => ("honoured", note),
                Meaning::Without(note) => ("without meaning", note),
                Meaning::Refused(note) => ("refused", note),
            };
            text.push_str(&format!("| `{keyword}` | {here} | {note} |\n"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use amanda::conf::keywords;

    const DOCS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/configuration-of-amanda.md");

    #[test]
    fn every_keyword_that_amanda_has_is_classified_and_nothing_else() {
        for kind in std::iter::once(None).chain(Kind::ALL.into_iter().map(Some)) {
            let known: Vec<_> = keywords::of(kind).collect();
            let classified: Vec<_> = tables::of(kind).iter().map(|(name, _)| *name).collect();
            assert_eq!(classified, known, "{kind:?}");
        }
    }

    #[test]
    fn the_page_has_what_the_program_does() {
        let page = std::fs::read_to_string(DOCS).expect("read");
        let (before, _) = page.split_once("\n### The config itself\n").expect("the tables");
        let ought = format!("{before}{}", printed());
        // `ASYNCAMANDA_WRITE_DOCS=1 cargo test` writes it anew.
        if std::env::var_os("ASYNCAMANDA_WRITE_DOCS").is_some() {
            std::fs::write(DOCS, &ought).expect("written");
            return;
        }
        assert!(page == ought, "docs/configuration-of-amanda.md: its tables are not what meaning/tables.rs says");
    }
}

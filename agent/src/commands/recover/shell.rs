//! The shell itself: takes a line, does what it says, says what came of it in amrecover's words.

use restore::resolve::{NoState, State};
use wire::restore::{Dump, PathBytes};
use wire::{DiskName, HostName};

use super::archive::{Archive, Person, Unanswered};
use super::browse::{By, Listings, NameError, View, path, shown};
use super::list::List;
use super::words::{HELP, Line, LineError, Word, parse};
use crate::report::show;
use crate::report::when::local;
use crate::restore_time::{At, FORMS, parse_local, state_at};

/// Whether there is another line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// There may be.
    Go,
    /// There is none.
    Quit,
}

/// What did not work, in one line.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// The line.
    #[error(transparent)]
    Line(#[from] LineError),
    /// A name in it.
    #[error(transparent)]
    Name(#[from] NameError),
    /// No answer.
    #[error(transparent)]
    Unanswered(#[from] Unanswered),
    /// Anything else.
    #[error("{0}")]
    Words(String),
}

impl Trouble {
    /// Nothing can be asked any more.
    fn is_the_end(&self) -> bool {
        matches!(self, Self::Unanswered(Unanswered::Lost) | Self::Name(NameError::Unanswered(Unanswered::Lost)))
    }
}

/// What is set, and what was chosen.
pub struct Shell<'a> {
    pub(super) archive: &'a mut dyn Archive,
    person: &'a mut dyn Person,
    clock: fn() -> i64,
    overwrite: bool,
    host: HostName,
    dumps: Vec<Dump>,
    at: Option<At>,
    pub(super) view: Option<View>,
    pub(super) listings: Listings,
    pub(super) list: List,
    failures: usize,
}

impl<'a> Shell<'a> {
    /// Begins with a host.
    ///
    /// # Errors
    /// When nothing can be asked.
    pub fn new(
        archive: &'a mut dyn Archive,
        person: &'a mut dyn Person,
        host: HostName,
        at: Option<At>,
        overwrite: bool,
    ) -> Result<Self, Unanswered> {
        let dumps = archive.dumps(&host)?;
        let clock = crate::clock::now;
        let (view, listings, list) = (None, Listings::default(), List::default());
        Ok(Self { archive, person, clock, overwrite, host, dumps, at, view, listings, list, failures: 0 })
    }

    /// Says how many lines could not be done.
    pub fn failures(&self) -> usize {
        self.failures
    }

    /// Says what could not be done.
    pub fn fail(&mut self, line: &str) {
        self.failures += 1;
        self.person.say(line);
    }

    /// Does what a line says.
    ///
    /// # Errors
    /// When nothing can be asked any more.
    pub fn line(&mut self, line: &[u8]) -> Result<Flow, Unanswered> {
        match parse(line).map_err(Trouble::from).and_then(|line| self.act(line)) {
            Ok(flow) => Ok(flow),
            Err(trouble) if trouble.is_the_end() => Err(Unanswered::Lost),
            Err(trouble) => {
                self.fail(&trouble.to_string());
                Ok(Flow::Go)
            }
        }
    }

    fn act(&mut self, line: Line) -> Result<Flow, Trouble> {
        match line {
            Line::Nothing => {}
            Line::Quit => return Ok(Flow::Quit),
            Line::Help => self.person.say(HELP),
            Line::ListHost => {
                for host in self.archive.hosts() {
                    self.person.say(host.as_str());
                }
            }
            Line::ListDisk => self.list_disk(),
            Line::SetHost(host) => self.set_host(&host)?,
            Line::SetDisk(disk, mount) => self.set_disk(&disk, mount.as_deref())?,
            Line::SetDate(text) => self.set_date(&text)?,
            Line::Cd(word) => self.cd(&word.pattern()?, By::Wildcards)?,
            Line::Cdx(word) => self.cd(&word.expression()?, By::Expression)?,
            Line::Pwd => {
                let view = self.chosen_view()?;
                let here = shown(&view.full(&view.cwd));
                self.person.say(&here);
            }
            Line::Ls => self.ls()?,
            Line::History => self.history()?,
            Line::Lcd(directory) => {
                let to = |error| Trouble::Words(format!("{}: {error}", show(&directory)));
                std::env::set_current_dir(path(&directory)).map_err(to)?;
            }
            Line::Lpwd => {
                let here = std::env::current_dir().map_err(|error| Trouble::Words(format!("the local directory is gone: {error}")))?;
                self.person.say(&shown(&here));
            }
            Line::Add(words) => self.add(&patterns(&words, By::Wildcards)?, By::Wildcards)?,
            Line::Addx(words) => self.add(&patterns(&words, By::Expression)?, By::Expression)?,
            Line::Delete(words) => self.delete(&patterns(&words, By::Wildcards)?, By::Wildcards)?,
            Line::Deletex(words) => self.delete(&patterns(&words, By::Expression)?, By::Expression)?,
            Line::List(None) => self.list.lines().iter().for_each(|line| self.person.say(line)),
            Line::List(Some(file)) => {
                let text: String = self.list.lines().iter().map(|line| format!("{line}\n")).collect();
                let cannot = |error| Trouble::Words(format!("Can't write {}: {error}", show(&file)));
                std::fs::write(path(&file), text).map_err(cannot)?;
            }
            Line::Clear => self.list = List::default(),
            Line::Extract => self.extract()?,
            Line::Needless(command) => {
                self.person
                    .say(&format!("{command} is not needed: whoever has the dumps finds them by itself, and files come back as they were"));
            }
        }
        Ok(Flow::Go)
    }

    fn chosen_view(&self) -> Result<&View, Trouble> {
        self.view.as_ref().ok_or_else(|| Trouble::Words("Must select a disk first; use the setdisk command".to_owned()))
    }

    fn list_disk(&mut self) {
        let mut disks: Vec<_> = self.dumps.iter().map(|dump| &dump.id.disk).collect();
        disks.dedup();
        disks.sort_by_key(|disk| disk.as_bytes());
        disks.dedup();
        for disk in disks {
            self.person.say(&show(disk.as_bytes()));
        }
    }

    fn set_host(&mut self, host: &[u8]) -> Result<(), Trouble> {
        if !self.list.is_empty() {
            return Err(Trouble::Words("Must clear extract list before changing host".to_owned()));
        }
        let shown = show(host);
        let host: HostName = shown.parse().map_err(|error| Trouble::Words(format!("{shown} is no host: {error}")))?;
        let dumps = self.archive.dumps(&host)?;
        if dumps.is_empty() {
            return Err(Trouble::Words(format!("Host {host} has no dumps here; listhost names those that have")));
        }
        self.person.say(&format!("Dump host set to {host}."));
        (self.host, self.dumps, self.view) = (host, dumps, None);
        Ok(())
    }

    fn set_disk(&mut self, disk: &[u8], mount: Option<&[u8]>) -> Result<(), Trouble> {
        if !self.list.is_empty() {
            return Err(Trouble::Words("Must clear extract list before changing disk".to_owned()));
        }
        if let Some(mount) = mount.filter(|mount| !mount.starts_with(b"/")) {
            return Err(Trouble::Words(format!("Mount point \"{}\" invalid - must start with /", show(mount))));
        }
        let known = self.dumps.iter().find(|dump| dump.id.disk.as_bytes() == disk).map(|dump| dump.id.disk.clone());
        let Some(disk) = known else {
            return Err(Trouble::Words(format!("Disk {}:{} has no dumps; listdisk names those that have", self.host, show(disk))));
        };
        let mount = match mount {
            Some(mount) => path(mount),
            None if disk.as_bytes().starts_with(b"/") => path(disk.as_bytes()),
            None => self.archive.directory(&disk).unwrap_or_else(|| "/".into()),
        };
        self.person.say(&format!("Disk set to {}.", show(disk.as_bytes())));
        let state = self.state(&disk);
        let (state, trouble) = state.map_or_else(|error| (None, Err(no_state(&error))), |state| (Some(state), Ok(())));
        self.view = Some(View { disk, mount, state, cwd: PathBytes::default() });
        trouble
    }

    /// A disk at the working date.
    fn state(&mut self, disk: &DiskName) -> Result<State, NoState> {
        let state = state_at(&self.dumps, &self.host, disk, self.at.as_ref(), (self.clock)())?;
        if let Some((dump, why)) = &state.passed_over {
            self.person.say(&format!("WARNING: the dump of {} cannot be restored: {}", dump.datestamp, show(why)));
        }
        if let Some(doubt) = &state.doubt {
            self.person.say(&format!("WARNING: not all of it may come back: {}", show(doubt)));
        }
        Ok(state)
    }

    fn set_date(&mut self, text: &str) -> Result<(), Trouble> {
        let date = parse_local(text, (self.clock)()).map_err(|error| Trouble::Words(format!("Invalid date: {error}; write {FORMS}")))?;
        self.person.say(&format!("Working date set to {}.", local(date.second)));
        self.at = Some(date);
        let Some(mut view) = self.view.take() else { return Ok(()) };
        let state = self.state(&view.disk);
        let (cwd, view) = (std::mem::take(&mut view.cwd), self.view.insert(view));
        match state {
            Ok(state) => view.state = Some(state),
            Err(error) => {
                view.state = None;
                return Err(no_state(&error));
            }
        }
        match view.has(self.archive, &mut self.listings, &cwd)? {
            true => view.cwd = cwd,
            false => {
                self.person.say("No such directory on new date");
                self.person.say("Setting cwd to mount point");
            }
        }
        Ok(())
    }

    fn cd(&mut self, typed: &[u8], by: By) -> Result<(), Trouble> {
        self.chosen_view()?;
        let Some(view) = &mut self.view else { return Ok(()) };
        view.cwd = view.directory(self.archive, &mut self.listings, typed, by)?;
        let here = shown(&view.full(&view.cwd));
        self.person.say(&here);
        Ok(())
    }

    fn ls(&mut self) -> Result<(), Trouble> {
        let view = self.chosen_view()?.clone();
        let state = view.state.as_ref().ok_or(NameError::NoDump)?;
        for entry in self.listings.of(self.archive, state, &view.cwd)? {
            let slash = if entry.is_directory { "/" } else { "" };
            let date = entry.dumped.map_or_else(|| " ".repeat(16), local);
            self.person.say(&format!("{date} {}{slash}", show(&entry.name)));
        }
        Ok(())
    }

    fn history(&mut self) -> Result<(), Trouble> {
        let disk = self.chosen_view()?.disk.clone();
        self.person.say(&format!("Dump history for host \"{}\" disk \"{}\"", self.host, show(disk.as_bytes())));
        for dump in self.dumps.iter().filter(|dump| dump.id.disk == disk).rev() {
            let why = if dump.chain.is_empty() { format!(" ({})", show(&dump.why_not)) } else { String::new() };
            self.person.say(&format!("{} {} {}{why}", local(dump.time), dump.id.level, show(dump.places.join(", "))));
        }
        Ok(())
    }

    fn add(&mut self, words: &[Vec<u8>], by: By) -> Result<(), Trouble> {
        let view = self.chosen_view()?.clone();
        let state = view.state.as_ref().ok_or(NameError::NoDump)?;
        let mut missing = None;
        for typed in words {
            let found = view.entries(self.archive, &mut self.listings, typed, by)?;
            if found.is_empty() {
                missing.get_or_insert_with(|| typed.clone());
            }
            for (path, is_directory) in found {
                let words = self.list.add(state, &path, is_directory);
                self.person.say(&words);
            }
        }
        missing.map_or(Ok(()), |typed| Err(Trouble::Words(format!("File {} doesn't exist in directory", show(typed)))))
    }

    fn delete(&mut self, words: &[Vec<u8>], by: By) -> Result<(), Trouble> {
        let view = self.chosen_view()?.clone();
        let mut missing = None;
        for typed in words {
            let meant = view.among(self.archive, &mut self.listings, self.list.paths(), typed, by)?;
            if meant.is_empty() {
                missing.get_or_insert_with(|| typed.clone());
            }
            for path in meant {
                self.list.delete(&path).iter().for_each(|line| self.person.say(line));
            }
        }
        missing.map_or(Ok(()), |typed| Err(Trouble::Words(format!("File {} is not on the extraction list", show(typed)))))
    }

    fn extract(&mut self) -> Result<(), Trouble> {
        super::extract::run(self.archive, self.person, &mut self.list, self.overwrite)
    }

    /// Returns the disks, for completion.
    pub(super) fn disks(&self) -> impl Iterator<Item = &DiskName> {
        self.dumps.iter().map(|dump| &dump.id.disk)
    }
}

fn no_state(error: &NoState) -> Trouble {
    Trouble::Words(format!("{}; history lists the dumps that there are", show(error.to_string())))
}

fn patterns(words: &[Word], by: By) -> Result<Vec<Vec<u8>>, LineError> {
    let one = |word: &Word| if by == By::Wildcards { word.pattern() } else { word.expression() };
    words.iter().map(one).collect()
}

//! Symbolic links, fifos and device nodes, and other names of files.

use rustix::fs::{AtFlags, FileType, Mode, makedev};
use rustix::io::Errno;

use super::attributes::{self, On};
use super::dirs::Dir;
use super::error::PutError;
use super::{Place, Target};
use crate::member::{Kind, Member};

impl Target {
    /// Makes one that is neither file nor directory. Says nothing when something got its name meanwhile.
    pub(super) fn special(&mut self, place: &Place<'_>, member: &Member, replace: bool) -> Result<Option<Vec<String>>, PutError> {
        let cannot = PutError::of("it cannot be created");
        let slot = self.stages.slot(&place.dir, &self.dirs.root).map_err(&cannot)?;
        let (stage, name, only_us) = (&*slot.stage, &*slot.name, Mode::RUSR | Mode::WUSR);
        let done = match &member.kind {
            Kind::Symlink(to) => rustix::fs::symlinkat(to.as_slice(), stage, name),
            Kind::Fifo => rustix::fs::mknodat(stage, name, FileType::Fifo, only_us, 0),
            Kind::Character(major, minor) => rustix::fs::mknodat(stage, name, FileType::CharacterDevice, only_us, makedev(*major, *minor)),
            Kind::Block(major, minor) => rustix::fs::mknodat(stage, name, FileType::BlockDevice, only_us, makedev(*major, *minor)),
            _ => Err(Errno::INVAL),
        };
        done.map_err(&cannot)?;
        // Nobody else enters there, so what has this name is what was made.
        let remarks = attributes::set(&On::Staged(stage, name), member, &self.rules, &mut self.owners, false);
        let is_there = slot.publish(&place.dir, place.name, replace).map_err(PutError::of("it cannot get its name"))?;
        Ok(is_there.then_some(remarks))
    }

    /// Gives a file that this restore has made another name. Says no when something has that name.
    pub(super) fn other_name(&mut self, place: &Place<'_>, existing: (&Dir, &[u8]), replace: bool) -> Result<bool, PutError> {
        let cannot = PutError::of("it cannot become another name of the file");
        let (from, name) = existing;
        if !replace {
            return match rustix::fs::linkat(&from.fd, name, &place.dir.fd, place.name, AtFlags::empty()) {
                Ok(()) => Ok(true),
                Err(Errno::EXIST) => Ok(false),
                Err(errno) => Err(cannot(errno)),
            };
        }
        let slot = self.stages.slot(&place.dir, &self.dirs.root).map_err(&cannot)?;
        rustix::fs::linkat(&from.fd, name, &*slot.stage, &*slot.name, AtFlags::empty()).map_err(&cannot)?;
        slot.publish(&place.dir, place.name, true).map_err(cannot)
    }
}

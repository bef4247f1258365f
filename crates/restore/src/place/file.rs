//! Regular files: all of the content and all attributes first, then the name.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;

use super::Target;
use super::attributes::{self, On};
use super::dirs::{Dir, by_number};
use super::error::PutError;
use crate::member::{Body, Member};

impl Target {
    /// Writes a file. Says nothing when something got its name meanwhile.
    pub(super) fn file(
        &mut self,
        dir: &Arc<Dir>,
        name: &[u8],
        member: &Member,
        body: &mut dyn Body,
        replace: bool,
    ) -> Result<Option<Vec<String>>, PutError> {
        let cannot = PutError::of("it cannot be created");
        let flags = OFlags::WRONLY | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        let nameless = match self.has_proc && dir.may_have_tmpfile() {
            false => None,
            true => match rustix::fs::openat(&dir.fd, c".", flags | OFlags::TMPFILE, mode) {
                Ok(file) => Some(file),
                // The file system, or the kernel, has no such thing.
                Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::NOSYS | Errno::INVAL | Errno::NOENT) => {
                    dir.has_no_tmpfile();
                    None
                }
                Err(errno) => return Err(cannot(errno)),
            },
        };
        if let Some(file) = &nameless
            && !replace
        {
            let remarks = self.fill(file, member, body, dir.passes_acl_on)?;
            return match rustix::fs::linkat(CWD, by_number(file), &dir.fd, name, AtFlags::SYMLINK_FOLLOW) {
                Ok(()) => Ok(Some(remarks)),
                Err(Errno::EXIST) => Ok(None),
                Err(errno) => Err(PutError::of("it cannot get its name")(errno)),
            };
        }
        let slot = self.stages.slot(dir, &self.dirs.root).map_err(&cannot)?;
        let remarks = match nameless {
            Some(file) => {
                let remarks = self.fill(&file, member, body, dir.passes_acl_on)?;
                rustix::fs::linkat(CWD, by_number(&file), &*slot.stage, &*slot.name, AtFlags::SYMLINK_FOLLOW).map_err(&cannot)?;
                remarks
            }
            None => {
                let file = rustix::fs::openat(&*slot.stage, &*slot.name, flags | OFlags::CREATE | OFlags::EXCL, mode).map_err(&cannot)?;
                self.fill(&file, member, body, false)?
            }
        };
        let is_there = slot.publish(dir, name, replace).map_err(PutError::of("it cannot get its name"))?;
        Ok(is_there.then_some(remarks))
    }

    fn fill(&mut self, file: &OwnedFd, member: &Member, body: &mut dyn Body, has_foreign_acl: bool) -> Result<Vec<String>, PutError> {
        write(file, member.size, body)?;
        Ok(attributes::set(&On::Open(file), member, &self.rules, &mut self.owners, has_foreign_acl))
    }
}

/// Writes the content; what lies between its pieces stays a hole.
fn write(file: &OwnedFd, size: u64, body: &mut dyn Body) -> Result<(), PutError> {
    let mut end = 0;
    while let Some((offset, bytes)) = body.next().map_err(PutError::Body)? {
        let after = offset.checked_add(bytes.len() as u64).filter(|after| offset >= end && *after <= size);
        end = after.ok_or_else(|| {
            let wrong = io::Error::new(io::ErrorKind::InvalidData, "it is longer than its header says, or out of order");
            PutError::Body(wrong)
        })?;
        write_at(file, offset, bytes).map_err(PutError::of("its content cannot be written"))?;
    }
    if end < size {
        rustix::fs::ftruncate(file, size).map_err(PutError::of("its content cannot be written"))?;
    }
    Ok(())
}

fn write_at(file: &OwnedFd, mut offset: u64, mut bytes: &[u8]) -> Result<(), Errno> {
    while !bytes.is_empty() {
        match rustix::io::pwrite(file, bytes, offset) {
            Ok(0) => return Err(Errno::NOSPC),
            Ok(written) => {
                offset += written as u64;
                bytes = &bytes[written..];
            }
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

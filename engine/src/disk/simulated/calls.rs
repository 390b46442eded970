//! A program's calls to a simulated disk.
//!
//! Owns what each call does to cache and platter, and what each fault makes of it. Calls come one after another, so that "the k-th" means something. A handle
//! belongs to one incarnation of the program: when that has ended, it does nothing any more.

use std::fs;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use super::contents::SECTOR_BYTES;
use super::faults::{Call, Fault};
use super::platter::FileId;
use super::trace::Traced;
use super::{Machine, Misdirected, cache, lock};
use crate::disk::{Disk, File, Map, ReadDisk, ReadFile};

/// A simulated disk as one incarnation of a program sees it.
#[derive(Clone)]
pub(super) struct Program {
    pub(super) machine: Arc<Mutex<Machine>>,
    pub(super) incarnation: u64,
}

/// Bytes of a call that has any.
#[derive(Clone, Copy, Default)]
struct Extent {
    offset: u64,
    length: u64,
    crc: u32,
}

impl Extent {
    fn of(offset: u64, bytes: &[u8]) -> Extent {
        Extent { offset, length: bytes.len() as u64, crc: crc32fast::hash(bytes) }
    }
}

impl Program {
    fn running(&self) -> io::Result<MutexGuard<'_, Machine>> {
        let machine = lock(&self.machine);
        if machine.incarnation != self.incarnation || machine.stopped() { Err(ended()) } else { Ok(machine) }
    }

    /// Makes a call: counts it, gives `act` the fault that it meets, and traces it.
    fn call<T>(
        &self,
        call: Call,
        path: &Path,
        extent: Extent,
        act: impl FnOnce(&mut Machine, Option<Fault>) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut machine = self.running()?;
        machine.calls += 1;
        machine.operations += u64::from(call.changes());
        let fault = machine.faults.due(call);
        let done = match fault {
            Some(late @ Fault::Late) => act(&mut machine, None).and_then(|done| failure(late).map(|()| done)),
            fault => act(&mut machine, fault),
        };
        if fault == Some(Fault::End) {
            machine.stop_at = Some(machine.operations);
        }
        let Extent { offset, length, crc } = extent;
        machine.trace.call(&Traced { call, path, offset, length, crc, error: done.as_ref().err() });
        done
    }

    /// A call that a fault keeps from doing anything.
    fn whole<T>(
        &self,
        call: Call,
        path: &Path,
        extent: Extent,
        act: impl FnOnce(&mut Machine) -> io::Result<T>,
    ) -> io::Result<T> {
        self.call(call, path, extent, |machine, fault| fault.map_or(Ok(()), failure).and_then(|()| act(machine)))
    }

    fn file(&self, path: &Path, id: FileId, cached: fs::File, write: bool) -> SimulatedFile {
        SimulatedFile { program: self.clone(), path: path.to_owned(), id, cached, write }
    }

    fn opened(&self, path: &Path, write: bool) -> io::Result<SimulatedFile> {
        let (id, cached) = self.whole(Call::Open, path, Extent::default(), |machine| {
            Ok((machine.platter.id(path).ok_or(io::ErrorKind::NotFound)?, machine.cache.open(path)?))
        })?;
        Ok(self.file(path, id, cached, write))
    }
}

/// What a call that meets a fault says.
fn failure(fault: Fault) -> io::Result<()> {
    match fault {
        Fault::Misdirect | Fault::Full { .. } => Ok(()),
        Fault::Fail | Fault::Short | Fault::Late => Err(io::Error::other("the disk failed")),
        Fault::NoRoom => Err(io::ErrorKind::StorageFull.into()),
        Fault::End => Err(ended()),
    }
}

fn ended() -> io::Error {
    io::Error::other("the program was ended, or the disk has no power")
}

impl ReadDisk for Program {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn ReadFile>> {
        Ok(Arc::new(self.opened(path, false)?))
    }

    fn map(&self, path: &Path, length: u64) -> io::Result<Map> {
        let extent = Extent { length, ..Extent::default() };
        self.whole(Call::Map, path, extent, |machine| machine.cache.map(path, length))
    }

    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        self.whole(Call::List, path, Extent::default(), |machine| machine.cache.list(path))
    }

    fn lock_to_read(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>> {
        let mut machine = self.running()?;
        if !machine.locks.insert(path.to_owned()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(Box::new(Locked { program: self.clone(), path: path.to_owned() }))
    }
}

impl Disk for Program {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        let (id, cached) = self.whole(Call::Create, path, Extent::default(), |machine| {
            let cached = machine.cache.create(path)?;
            Ok((machine.platter.create(path), cached))
        })?;
        Ok(Arc::new(self.file(path, id, cached, true)))
    }

    fn open_to_write(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        Ok(Arc::new(self.opened(path, true)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let extent = Extent::of(0, to.as_os_str().as_encoded_bytes());
        self.whole(Call::Rename, from, extent, |machine| {
            machine.cache.rename(from, to)?;
            machine.platter.rename(from, to);
            machine.name_damaged();
            Ok(())
        })
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let extent = Extent::of(0, to.as_os_str().as_encoded_bytes());
        self.whole(Call::Link, from, extent, |machine| {
            machine.cache.link(from, to)?;
            machine.platter.link(from, to);
            machine.name_damaged();
            Ok(())
        })
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.whole(Call::Remove, path, Extent::default(), |machine| {
            machine.cache.remove(path)?;
            machine.platter.remove(path);
            Ok(())
        })
    }

    fn create_directory(&self, path: &Path) -> io::Result<()> {
        self.whole(Call::CreateDirectory, path, Extent::default(), |machine| {
            machine.cache.create_directory(path)?;
            machine.platter.create_directory(path);
            Ok(())
        })
    }

    fn remove_directory(&self, path: &Path) -> io::Result<()> {
        self.whole(Call::RemoveDirectory, path, Extent::default(), |machine| machine.cache.remove_directory(path))
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        self.call(Call::SyncDirectory, path, Extent::default(), |machine, fault| {
            failure(fault.unwrap_or(Fault::Misdirect)).inspect_err(|_| {
                if fault != Some(Fault::End) {
                    machine.platter.lose_names(path);
                }
            })?;
            machine.platter.sync_directory(path);
            Ok(())
        })
    }

    fn available(&self) -> io::Result<u64> {
        Ok(if self.running()?.faults.is_full() { 0 } else { u64::MAX })
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>> {
        let mut machine = self.running()?;
        if !machine.locks.insert(path.to_owned()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        if machine.platter.id(path).is_none() {
            machine.cache.create(path)?;
            machine.platter.create(path);
        }
        Ok(Box::new(Locked { program: self.clone(), path: path.to_owned() }))
    }
}

struct Locked {
    program: Program,
    path: PathBuf,
}

impl Drop for Locked {
    fn drop(&mut self) {
        let mut machine = lock(&self.program.machine);
        if machine.incarnation == self.program.incarnation {
            machine.locks.remove(&self.path);
        }
    }
}

struct SimulatedFile {
    program: Program,
    path: PathBuf,
    id: FileId,
    cached: fs::File,
    write: bool,
}

impl ReadFile for SimulatedFile {
    fn length(&self) -> io::Result<u64> {
        let machine = self.program.running()?;
        Ok(machine.platter.file(self.id).length() as u64)
    }

    fn identity(&self) -> io::Result<u64> {
        let _running = self.program.running()?;
        Ok(self.cached.metadata()?.ino())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let extent = Extent { offset, length: buffer.len() as u64, crc: 0 };
        self.program.whole(Call::Read, &self.path, extent, |machine| {
            self.cached.read_exact_at(buffer, offset)?;
            machine.trace.bytes(buffer);
            Ok(())
        })
    }
}

impl File for SimulatedFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let at = usize::try_from(offset).map_err(io::Error::other)?;
        self.program.call(Call::Write, &self.path, Extent::of(offset, bytes), |machine, fault| {
            if !self.write {
                return Err(io::ErrorKind::PermissionDenied.into());
            }
            let extends = at + bytes.len() > machine.platter.file(self.id).length();
            let fault = fault.or_else(|| if extends { machine.faults.due_to_room() } else { None });
            match fault {
                Some(Fault::Misdirect) => self.misdirect(machine, at, bytes),
                Some(fault @ (Fault::Short | Fault::NoRoom | Fault::End)) => {
                    // Up to the end of a sector of the file, but not all of it.
                    let end = at + machine.draw.below(bytes.len().max(1));
                    let part = (end - end % SECTOR_BYTES).saturating_sub(at);
                    self.put(machine, at, &bytes[..part])?;
                    failure(fault)
                }
                Some(fault) => failure(fault),
                None => self.put(machine, at, bytes),
            }
        })
    }

    fn sync(&self) -> io::Result<()> {
        self.program.call(Call::Sync, &self.path, Extent::default(), |machine, fault| {
            failure(fault.unwrap_or(Fault::Misdirect)).inspect_err(|_| {
                if fault != Some(Fault::End) {
                    machine.platter.lose(self.id);
                }
            })?;
            machine.platter.sync(self.id);
            Ok(())
        })
    }
}

impl SimulatedFile {
    fn put(&self, machine: &mut Machine, at: usize, bytes: &[u8]) -> io::Result<()> {
        let file = machine.platter.file_mut(self.id);
        cache::write(&self.cached, file.length(), bytes, at)?;
        file.write(at, bytes);
        Ok(())
    }

    /// Writes all but one sector, which goes to another sector of some file. Where it should have gone the old bytes stay.
    fn misdirect(&self, machine: &mut Machine, at: usize, bytes: &[u8]) -> io::Result<()> {
        let end = at + bytes.len();
        let sectors = at / SECTOR_BYTES..end.div_ceil(SECTOR_BYTES);
        let sector = sectors.start + machine.draw.below(sectors.len().max(1));
        let (from, to) = ((sector * SECTOR_BYTES).max(at), ((sector + 1) * SECTOR_BYTES).min(end));
        let before = machine.platter.file(self.id).length();
        self.put(machine, at, &bytes[..from - at])?;
        self.put(machine, to, &bytes[to - at..])?;
        if end > before {
            let length = self.cached.metadata()?.len().max(end as u64);
            self.cached.set_len(length)?;
            machine.platter.file_mut(self.id).grow(end);
        }
        let places: Vec<(&PathBuf, FileId, usize)> = machine
            .platter
            .names()
            .iter()
            .map(|(path, &id)| (path, id, machine.platter.file(id).length() / SECTOR_BYTES))
            .filter(|&(_, _, sectors)| sectors > 1)
            .collect();
        let mut to_path = None;
        if !places.is_empty() {
            let (path, id, sectors) = places[machine.draw.below(places.len())];
            let mut other = machine.draw.below(sectors);
            if id == self.id && other == sector {
                other = (other + 1) % sectors;
            }
            let offset = other * SECTOR_BYTES + from % SECTOR_BYTES;
            let path = path.clone();
            machine.cache.open(&path)?.write_all_at(&bytes[from - at..to - at], offset as u64)?;
            machine.platter.lead_astray(self.id, id, offset, &bytes[from - at..to - at]);
            machine.damage(id);
            to_path = Some((path, offset as u64));
        }
        machine.damage(self.id);
        let misdirected = Misdirected { from: (self.path.clone(), from as u64), to: to_path };
        machine.trace.note(format_args!("{misdirected:?}"));
        machine.misdirected.push(misdirected);
        Ok(())
    }
}

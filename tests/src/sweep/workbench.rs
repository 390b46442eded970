//! A copy of a subject that is harmed, opened and restored, again and again.
//!
//! Owns the files of one thread. What a program did to them is known by their times of change: every file and directory that is as it should be has one long
//! past.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sesshu_engine::{Opened, Store};

use super::harm::Harm;
use super::subject::Subject;
use crate::{Place, files_below};

/// A time of change that no write leaves behind.
const LONG_PAST: SystemTime = SystemTime::UNIX_EPOCH;

pub(super) struct Workbench<'s> {
    pub(super) place: Place,
    subject: &'s Subject,
    directories: BTreeSet<PathBuf>,
    /// The file that the harm was to remove.
    removed: Option<PathBuf>,
}

impl<'s> Workbench<'s> {
    pub(super) fn of(subject: &'s Subject) -> Workbench<'s> {
        let mut directories: BTreeSet<PathBuf> =
            subject.files.keys().flat_map(|name| name.ancestors().skip(1)).map(Path::to_owned).collect();
        directories.insert("staging".into());
        let bench = Workbench { place: Place::in_memory(), subject, directories, removed: None };
        for directory in &bench.directories {
            fs::create_dir_all(bench.place.file(directory)).expect("a directory is made");
        }
        fs::write(bench.place.key(), &subject.key).expect("the key is written");
        for (name, bytes) in &subject.files {
            bench.write(name, bytes);
        }
        bench.date_directories_back();
        bench
    }

    fn write(&self, name: &Path, bytes: &[u8]) {
        let path = self.place.file(name);
        // Another inode: whoever still maps the one before sees what that held.
        let _ = fs::remove_file(&path);
        let mut file = File::create_new(&path).expect("a file is made");
        file.write_all(bytes).and_then(|()| file.set_modified(LONG_PAST)).expect("a file is written and dated back");
    }

    fn date_back(&self, name: &Path) {
        let file = File::open(self.place.file(name)).expect("the file is there");
        file.set_modified(LONG_PAST).expect("a file can be dated back");
    }

    fn date_directories_back(&self) {
        self.directories.iter().filter(|name| !self.is_as_it_was(name)).for_each(|name| self.date_back(name));
    }

    fn is_as_it_was(&self, name: &Path) -> bool {
        fs::metadata(self.place.file(name)).and_then(|data| data.modified()).is_ok_and(|at| at == LONG_PAST)
    }

    /// Does it to the files.
    pub(super) fn harm(&mut self, harm: &Harm) {
        let files = &self.subject.files;
        match harm {
            Harm::Flip { file, at, with } => self.write_byte(file, *at, files[file][*at] ^ with),
            Harm::Zero { file, at } => self.write_byte(file, *at, 0),
            Harm::Truncate { file, at } => {
                let open = OpenOptions::new().write(true).open(self.place.file(file)).expect("the file opens");
                open.set_len(*at as u64).expect("the file is truncated");
                self.date_back(file);
            }
            Harm::Remove { file } => {
                fs::remove_file(self.place.file(file)).expect("the file is removed");
                self.removed = Some(file.clone());
            }
            Harm::Extend { file } => self.write(file, &[&files[file][..], &[7]].concat()),
            Harm::Older { file, index } => self.write(file, &self.subject.older[*index].bytes),
            Harm::Foreign { file, bytes } => self.write(file, bytes),
            Harm::Exchange { files: [one, other] } => {
                self.write(one, &files[other]);
                self.write(other, &files[one]);
            }
        }
        self.date_directories_back();
    }

    fn write_byte(&self, file: &Path, at: usize, byte: u8) {
        let open = OpenOptions::new().write(true).open(self.place.file(file)).expect("the file opens");
        open.write_all_at(&[byte], at as u64).expect("the byte is written");
        open.set_modified(LONG_PAST).expect("a file can be dated back");
    }

    /// Files that a program wrote, made or removed since the last harm. What the lock says of who holds it does not count.
    pub(super) fn changed(&self) -> Vec<PathBuf> {
        let known = &self.subject.files;
        let was_removed = |name: &PathBuf| self.removed.as_ref() == Some(name) && !self.place.file(name).exists();
        let mut changed: Vec<PathBuf> =
            known.keys().filter(|name| !self.is_as_it_was(name) && !was_removed(name)).cloned().collect();
        if self.directories.iter().any(|name| !self.is_as_it_was(name)) {
            let root = self.place.path();
            let all = files_below(&root).into_iter();
            let names = all.map(|path| path.strip_prefix(&root).expect("below the store").to_owned());
            changed.extend(names.filter(|name| !known.contains_key(name)));
        }
        changed.retain(|name| name != Path::new("LOCK"));
        changed
    }

    /// Makes everything as it was before the harm. `changed`: what [`Workbench::changed`] said since the last program ended.
    pub(super) fn restore(&mut self, harm: &Harm, changed: Vec<PathBuf>) {
        let whole = &self.subject.files;
        let mut again: BTreeSet<PathBuf> = harm.files().into_iter().collect();
        self.removed = None;
        if let (Some(at), [file]) = (harm.at(), &harm.files()[..])
            && !changed.contains(file)
            && file != Path::new("LOCK")
        {
            self.write_byte(file, at, whole[file][at]);
            again.remove(file);
        }
        again.extend(changed);
        for name in again {
            match whole.get(&name) {
                Some(bytes) => self.write(&name, bytes),
                None => fs::remove_file(self.place.file(&name)).expect("a file is removed"),
            }
        }
        self.date_directories_back();
    }

    /// What a kill at this moment would leave, instead of what closing the store leaves.
    pub(super) fn kill(&self, store: Store) {
        let files = self.place.bytes();
        drop(store);
        self.place.restore(&files);
    }

    /// Opens the store as any program does.
    pub(super) fn open_with_threads(&self) -> Result<(Store, Opened), sesshu_engine::error::OpenError> {
        self.place.try_open()
    }
}

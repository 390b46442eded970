//! While a snapshot gives files second names, nothing of what it links is removed, whatever is loaded meanwhile.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use sesshu_engine::disk::{Disk, File, Map, ReadDisk, ReadFile, RealDisk};
use sesshu_engine::{Options, Platform, SnapshotName, Store};
use sesshu_tests::{CHIYODA, Place, SAPPORO, ledger, load};

/// Said when the first file of a snapshot was linked, and whoever is told may say when to go on.
type Paused = (mpsc::Sender<()>, mpsc::Receiver<()>);

/// A disk that waits behind the first link of a snapshot.
struct Waiting {
    disk: RealDisk,
    paused: Mutex<Option<Paused>>,
}

impl ReadDisk for Waiting {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn ReadFile>> {
        self.disk.open(path)
    }

    fn map(&self, path: &Path, length: u64) -> io::Result<Map> {
        self.disk.map(path, length)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        self.disk.list(path)
    }

    fn lock_to_read(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>> {
        self.disk.lock_to_read(path)
    }
}

impl Disk for Waiting {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        self.disk.create(path)
    }

    fn open_to_write(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        self.disk.open_to_write(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.link(from, to)?;
        // A manifest gets a second name, too.
        let paused = if to.starts_with("snapshots") { self.paused.lock().unwrap().take() } else { None };
        if let Some((said, go_on)) = paused {
            said.send(()).unwrap();
            // With the rule kept, the load waits for this snapshot, and this snapshot not for ever.
            let _ = go_on.recv_timeout(Duration::from_millis(500));
        }
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.disk.remove(path)
    }

    fn create_directory(&self, path: &Path) -> io::Result<()> {
        self.disk.create_directory(path)
    }

    fn remove_directory(&self, path: &Path) -> io::Result<()> {
        self.disk.remove_directory(path)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        self.disk.sync_directory(path)
    }

    fn available(&self) -> io::Result<u64> {
        self.disk.available()
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>> {
        self.disk.lock(path)
    }
}

#[test]
fn no_file_goes_while_a_snapshot_links_what_a_view_shows() {
    let place = Place::in_memory();
    std::fs::create_dir(place.path()).unwrap();
    let ((said, linked), (go_on, gone_on)) = (mpsc::channel(), mpsc::channel());
    let paused = Mutex::new(Some((said, gone_on)));
    let disk = Arc::new(Waiting { disk: RealDisk::existing(&place.path()), paused });
    let (store, _) = Store::open_on(Platform::on(disk), &place.path(), Options::default()).unwrap();
    load(&store, SAPPORO, 1..=20, 1);
    load(&store, CHIYODA, 1..=20, 1);
    let snapshot = std::thread::scope(|scope| {
        let store = &store;
        scope.spawn(move || {
            // One ledger's generation is linked; the other's is superseded, and its file would go.
            linked.recv().unwrap();
            load(store, SAPPORO, 1..=20, 2);
            load(store, CHIYODA, 1..=20, 2);
            // Nobody may wait for it any more.
            let _ = go_on.send(());
        });
        store.create_snapshot(&SnapshotName::parse("noon").unwrap()).unwrap()
    });
    snapshot.verify(&mut |_| {}).unwrap();
    let copy = Place::in_memory();
    snapshot.restore(&copy.path(), None, &mut |_| {}).unwrap();
    let (then, now) = (ledger(&copy.open().view(), CHIYODA).unwrap(), ledger(&store.view(), CHIYODA).unwrap());
    assert!(then.len() == 20 && then != now, "the register before");
}

//! What the simulated disk keeps, loses and breaks: the tests of durability stand on this.

use std::io::ErrorKind;

use super::*;
use crate::disk::File;

/// A disk, in a directory that goes away with the test.
fn machine(seed: u64) -> (tempfile::TempDir, SimulatedDisk) {
    let directory = tempfile::tempdir().unwrap();
    let disk = SimulatedDisk::on(&directory.path().join("disk"), seed).unwrap();
    (directory, disk)
}

fn path(text: &str) -> &Path {
    Path::new(text)
}

fn read(disk: &dyn Disk, name: &str) -> Vec<u8> {
    let file = disk.open(path(name)).unwrap();
    let mut bytes = vec![0; file.length().unwrap() as usize];
    file.read_at(&mut bytes, 0).unwrap();
    let map = disk.map(path(name), bytes.len().max(1) as u64);
    assert!(bytes.is_empty() || map.unwrap().bytes() == bytes, "maps and reads show the same");
    bytes
}

/// A durable file of sectors of `byte`.
fn durable(disk: &dyn Disk, name: &str, sectors: usize, byte: u8) -> Arc<dyn File> {
    let file = disk.create(path(name)).unwrap();
    file.write_at(&vec![byte; sectors * 512], 0).unwrap();
    file.sync().unwrap();
    disk.sync_directory(path("")).unwrap();
    file
}

fn sectors(bytes: &[u8]) -> impl Iterator<Item = u8> {
    bytes.chunks(512).map(|sector| {
        assert!(sector.iter().all(|byte| byte == &sector[0]), "a sector is whole");
        sector[0]
    })
}

const FATES: [Unsynced; 4] = [Unsynced::Lost, Unsynced::Zeros, Unsynced::Torn(1), Unsynced::Torn(2)];

#[test]
fn what_was_synced_survives_every_cut() {
    for unsynced in FATES {
        let (directory, disk) = machine(1);
        let mounted = disk.mount();
        mounted.create_directory(path("inside/deeper")).unwrap();
        durable(&*mounted, "a", 20, 7);
        durable(&*mounted, "empty", 0, 0);
        mounted.create(path("b.tmp")).unwrap().sync().unwrap();
        mounted.rename(path("b.tmp"), path("b")).unwrap();
        durable(&*mounted, "gone", 1, 1);
        mounted.remove(path("gone")).unwrap();
        mounted.sync_directory(path("")).unwrap();
        let elsewhere = directory.path().join("elsewhere");
        disk.platter_to(&elsewhere, unsynced).unwrap();
        disk.cut(unsynced).unwrap();
        for mounted in [disk.mount(), SimulatedDisk::on(&elsewhere, 1).unwrap().mount()] {
            let names: Vec<PathBuf> = ["a", "b", "empty", "inside"].map(PathBuf::from).into();
            assert_eq!(mounted.list(path("")).unwrap(), names);
            assert_eq!(mounted.list(path("inside")).unwrap(), [path("inside/deeper")]);
            assert_eq!(read(&*mounted, "a"), [7; 20 * 512]);
            assert_eq!(read(&*mounted, "empty"), []);
        }
    }
}

#[test]
fn what_was_not_synced_is_lost_zeroed_or_torn_by_sectors() {
    let mut seen = BTreeSet::new();
    for seed in 0..40 {
        let (_directory, disk) = machine(seed);
        let file = durable(&*disk.mount(), "a", 4, 1);
        file.write_at(&[2; 6 * 512], 0).unwrap();
        file.write_at(&[3; 2 * 512], 512).unwrap();
        disk.cut([Unsynced::Lost, Unsynced::Zeros, Unsynced::Torn(seed)][seed as usize % 3]).unwrap();
        let found = read(&*disk.mount(), "a");
        let last = &found[found.len() / 512 * 512..];
        assert!(last.iter().all(|byte| byte == &last[0]));
        let whole: Vec<u8> = sectors(&found[..found.len() / 512 * 512]).collect();
        match seed % 3 {
            0 => assert_eq!(whole, [1; 4]),
            1 => assert_eq!(whole, [1, 1, 1, 1, 0, 0]),
            _ => assert!(whole.len() >= 4 && whole.iter().all(|byte| *byte < 4) && whole[0] != 3),
        }
        seen.extend((seed % 3 == 2).then_some((whole, last.len())));
    }
    assert!(seen.len() > 8, "many ways to tear: {seen:?}");
    let shows = |byte| seen.iter().any(|(whole, _)| whole[1] == byte);
    assert!(shows(1) && shows(2) && shows(3), "any moment since the sync: {seen:?}");
    assert!(seen.iter().any(|(_, rest)| *rest > 0), "a length that is no multiple of a sector");
}

#[test]
fn unsynced_names_are_lost_in_order_and_only_those_of_their_directory() {
    let mut seen = BTreeSet::new();
    for seed in 0..60 {
        let (_directory, disk) = machine(0);
        let mounted = disk.mount();
        mounted.create_directory(path("d")).unwrap();
        for name in ["one", "d/two", "three"] {
            mounted.create(path(name)).unwrap().sync().unwrap();
        }
        mounted.rename(path("one"), path("four")).unwrap();
        disk.cut(Unsynced::Torn(seed)).unwrap();
        let names = |directory| disk.mount().list(path(directory)).unwrap();
        let top: Vec<PathBuf> = names("").into_iter().filter(|name| name != path("d")).collect();
        let allowed: [&[&str]; 4] = [&[], &["one"], &["one", "three"], &["four", "three"]];
        assert!(
            allowed.iter().any(|allowed| top.iter().map(|name| name.to_str().unwrap()).eq(allowed.iter().copied()))
        );
        seen.insert((top, names("d")));
    }
    assert_eq!(seen.len(), 8, "every directory for itself: {seen:?}");

    let (_directory, disk) = machine(0);
    let mounted = disk.mount();
    mounted.create_directory(path("d")).unwrap();
    mounted.create(path("d/one")).unwrap();
    mounted.sync_directory(path("")).unwrap();
    disk.cut(Unsynced::Lost).unwrap();
    assert!(disk.mount().list(path("d")).unwrap().is_empty(), "another directory's sync is not this one's");
}

#[test]
fn a_killed_program_leaves_its_cache_and_a_later_cut_may_still_take_it() {
    let (_directory, disk) = machine(0);
    let mounted = disk.mount();
    let old = mounted.create(path("a")).unwrap();
    old.write_at(b"unsynced", 0).unwrap();
    let guard = mounted.lock(path("LOCK")).unwrap();
    assert_eq!(disk.mount().lock(path("LOCK")).err().unwrap().kind(), ErrorKind::WouldBlock);
    disk.kill();
    let next = disk.mount();
    let held = next.lock(path("LOCK")).unwrap();
    drop(guard);
    assert!(next.lock(path("LOCK")).is_err(), "an old guard opens no new lock");
    drop(held);
    next.lock(path("LOCK")).unwrap();
    assert_eq!(read(&*next, "a"), b"unsynced");
    let before = disk.trace();
    assert!(old.write_at(b"late", 0).is_err() && old.sync().is_err() && old.read_at(&mut [0], 0).is_err());
    assert!(
        mounted.create(path("b")).is_err() && mounted.remove(path("a")).is_err() && mounted.list(path("")).is_err()
    );
    assert_eq!(disk.trace(), before, "an old handle does nothing");
    assert_eq!(read(&*next, "a"), b"unsynced");
    disk.cut(Unsynced::Lost).unwrap();
    assert!(next.open(path("a")).is_err(), "the next one is old now");
    assert_eq!(disk.mount().open(path("a")).err().unwrap().kind(), ErrorKind::NotFound);
}

#[test]
fn a_failed_sync_loses_what_waited_for_it_and_the_next_one_says_nothing_of_it() {
    let (_directory, disk) = machine(0);
    let mounted = disk.mount();
    let file = durable(&*mounted, "a", 3, 1);
    let map = mounted.map(path("a"), 3 * 512).unwrap();
    file.write_at(&[2; 512], 0).unwrap();
    disk.fail_sync(1);
    assert!(file.sync().is_err());
    file.write_at(&[3; 512], 512).unwrap();
    file.sync().unwrap();
    assert_eq!(sectors(map.bytes()).collect::<Vec<_>>(), [2, 3, 1], "the program goes on to see it");
    disk.kill();
    let cut = |unsynced| {
        let found = tempfile::tempdir().unwrap();
        disk.platter_to(found.path(), unsynced).unwrap();
        sectors(&read(&*SimulatedDisk::on(found.path(), 0).unwrap().mount(), "a")).collect::<Vec<_>>()
    };
    assert_eq!(FATES.map(cut), [[1, 3, 1]; 4]);
    assert_eq!(sectors(&read(&*disk.mount(), "a")).collect::<Vec<_>>(), [2, 3, 1], "so does the next one");
    disk.evict().unwrap();
    assert_eq!(sectors(&read(&*disk.mount(), "a")).collect::<Vec<_>>(), [1, 3, 1], "until it is evicted");
    assert_eq!(sectors(map.bytes()).collect::<Vec<_>>(), [1, 3, 1]);

    let mounted = disk.mount();
    let zeros = durable(&*mounted, "zeros", 20, 0);
    zeros.write_at(&[1; 20 * 512], 0).unwrap();
    disk.fail_sync(1);
    assert!(zeros.sync().is_err());
    disk.evict().unwrap();
    assert_eq!(read(&*mounted, "zeros"), [0; 20 * 512]);

    mounted.create(path("b")).unwrap();
    disk.fail_sync(1);
    assert!(mounted.sync_directory(path("")).is_err());
    mounted.sync_directory(path("")).unwrap();
    disk.cut(Unsynced::Zeros).unwrap();
    assert!(disk.mount().open(path("b")).is_err(), "names too");
}

#[test]
fn a_call_that_fails_late_has_done_its_work() {
    let (_directory, disk) = machine(0);
    let mounted = disk.mount();
    let file = durable(&*mounted, "a", 1, 1);
    let late = |call: usize| disk.plan(PlannedFault { on: &Call::ALL[call..=call], count: 1, fault: Fault::Late });
    [4, 5, 6, 11].into_iter().for_each(late);
    assert!(file.write_at(&[7; 512], 0).is_err());
    assert!(file.sync().is_err());
    assert!(mounted.rename(path("a"), path("b")).is_err());
    assert!(mounted.sync_directory(path("")).is_err());
    assert_eq!(disk.faults(), 4);
    disk.cut(Unsynced::Lost).unwrap();
    let mounted = disk.mount();
    assert_eq!(mounted.list(path("")).unwrap(), [path("b")]);
    let mut found = [0; 512];
    mounted.open(path("b")).unwrap().read_at(&mut found, 0).unwrap();
    assert_eq!(found, [7; 512]);
}

#[test]
fn the_call_that_was_named_fails_and_no_other() {
    for (at, call) in Call::ALL.iter().enumerate() {
        let (_directory, disk) = machine(0);
        let mounted = disk.mount();
        let file = durable(&*mounted, "a", 1, 1);
        let links = std::cell::Cell::new(0);
        let calls: [&dyn Fn() -> io::Result<()>; 13] = [
            &|| mounted.create(path("b")).map(drop),
            &|| mounted.open(path("a")).map(drop),
            &|| mounted.map(path("a"), 512).map(drop),
            &|| file.read_at(&mut [0], 0),
            &|| file.write_at(&[1; 512], 0),
            &|| file.sync(),
            &|| mounted.rename(path("b"), path("c")),
            &|| mounted.link(path("a"), path(&format!("l{}", links.replace(links.get() + 1)))),
            &|| mounted.remove(path("c")),
            &|| mounted.create_directory(path("d")),
            &|| mounted.remove_directory(path("d")),
            &|| mounted.sync_directory(path("")),
            &|| mounted.list(path("")).map(drop),
        ];
        for fault in [Fault::Fail, Fault::Short, Fault::NoRoom] {
            disk.plan(PlannedFault { on: &Call::ALL[at..=at], count: 2, fault });
            let (calls_before, faults) = (disk.calls(), disk.faults());
            for round in 0..3 {
                let failed: Vec<_> = calls.iter().map(|call| call()).collect();
                let due = |index| round == 1 && index == at;
                // Without its creation or renaming a file cannot be renamed or removed, nor a directory without its own.
                let follows = |index| {
                    let file = at == 0 && index == 6 || (at == 0 || at == 6) && index == 8;
                    round == 1 && (file || at == 9 && index == 10)
                };
                for (index, result) in failed.iter().enumerate() {
                    assert_eq!(result.is_err(), due(index) || follows(index), "{call:?} {fault:?} {round} {index}");
                }
                if round == 1 {
                    let kind = failed[at].as_ref().unwrap_err().kind();
                    assert_eq!(kind == ErrorKind::StorageFull, fault == Fault::NoRoom);
                }
                if round == 1 && (at == 6 || at == 8) {
                    mounted.remove(path(if at == 6 { "b" } else { "c" })).unwrap();
                }
            }
            assert_eq!(disk.faults(), faults + 1);
            assert!(disk.calls() >= calls_before + 39);
        }
    }
}

#[test]
fn a_write_may_be_done_in_part() {
    for fault in [Fault::Short, Fault::NoRoom, Fault::Full { calls: 1 }, Fault::End] {
        let mut parts = BTreeSet::new();
        for seed in 0..30 {
            let (_directory, disk) = machine(seed);
            let file = disk.mount().create(path("a")).unwrap();
            disk.plan(PlannedFault { on: Call::WRITES, count: 1, fault });
            let error = file.write_at(&[1; 20_000], 0).unwrap_err();
            let full = matches!(fault, Fault::NoRoom | Fault::Full { .. });
            assert_eq!(error.kind() == ErrorKind::StorageFull, full);
            assert_eq!(disk.stopped(), fault == Fault::End);
            disk.kill();
            let part = read(&*disk.mount(), "a");
            assert!(part.len() < 20_000 && part.len().is_multiple_of(512) && part.iter().all(|&byte| byte == 1));
            parts.insert(part.len());
        }
        assert!(parts.len() > 10, "{fault:?}: {parts:?}");
    }
}

#[test]
fn a_disk_is_full_for_as_long_as_it_was_told() {
    let (_directory, disk) = machine(0);
    let mounted = disk.mount();
    let file = durable(&*mounted, "a", 2, 1);
    disk.plan(PlannedFault { on: Call::ALL, count: 3, fault: Fault::Full { calls: 3 } });
    let extend = || file.write_at(&[1; 2000], file.length().unwrap()).map_err(|error| error.kind());
    let results: Vec<_> = (0..7).map(|_| extend()).collect();
    let full = Err(ErrorKind::StorageFull);
    assert_eq!(results, [Ok(()), Ok(()), full, full, full, Ok(()), Ok(())]);
    disk.set_full(true);
    file.write_at(&[2; 1024], 0).unwrap();
    file.sync().unwrap();
    assert_eq!(extend(), full, "only what needs room fails");
    disk.heal();
    assert_eq!(extend(), Ok(()));
    assert_eq!((disk.faults(), disk.without_room()), (4, 4));
}

#[test]
fn flipped_bits_are_seen_by_maps_and_survive_a_cut() {
    let (_directory, disk) = machine(0);
    let mounted = disk.mount();
    let file = durable(&*mounted, "a", 20, 0);
    let map = mounted.map(path("a"), 20 * 512).unwrap();
    file.write_at(&[1; 512], 1024).unwrap();
    disk.flip(path("a"), 5000, 0x10).unwrap();
    disk.flip(path("a"), 1030, 0x02).unwrap();
    assert_eq!((map.bytes()[5000], map.bytes()[1030]), (0x10, 3));
    mounted.rename(path("a"), path("b")).unwrap();
    assert_eq!(disk.damaged(), ["a", "b"].map(PathBuf::from).into());
    mounted.rename(path("b"), path("a")).unwrap();
    for (unsynced, unsynced_byte) in [(Unsynced::Lost, 2), (Unsynced::Zeros, 2)] {
        let found = tempfile::tempdir().unwrap();
        disk.platter_to(found.path(), unsynced).unwrap();
        let found = read(&*SimulatedDisk::on(found.path(), 0).unwrap().mount(), "a");
        assert_eq!((found[5000], found[1030]), (0x10, unsynced_byte));
    }
    file.sync().unwrap();
    let copy = tempfile::tempdir().unwrap();
    disk.platter_to(copy.path(), Unsynced::Lost).unwrap();
    let found = read(&*SimulatedDisk::on(copy.path(), 0).unwrap().mount(), "a");
    assert_eq!((found[5000], found[1030], found[1031]), (0x10, 3, 1));
    assert_eq!(disk.flip(path("a"), 20 * 512, 1).unwrap_err().kind(), ErrorKind::UnexpectedEof);
}

#[test]
fn a_misdirected_sector_is_missing_in_one_place_and_wrong_in_another() {
    let mut other_files = 0;
    for seed in 0..40 {
        let (_directory, disk) = machine(seed);
        let mounted = disk.mount();
        durable(&*mounted, "a", 8, 1);
        let file = durable(&*mounted, "b", 8, 2);
        disk.plan(PlannedFault { on: Call::WRITES, count: 1, fault: Fault::Misdirect });
        file.write_at(&[3; 3 * 512], 2 * 512).unwrap();
        let [Misdirected { from, to: Some(to) }] = &disk.misdirected()[..] else { panic!() };
        let expected = |name: &str, synced: bool| {
            let mut expected = [if name == "a" { 1 } else { 2 }; 8];
            if name == "b" && synced {
                expected[2..5].fill(3);
                expected[from.1 as usize / 512] = 2;
            }
            if to.0 == path(name) && synced {
                expected[to.1 as usize / 512] = 3;
            }
            expected.to_vec()
        };
        assert_eq!(from.0, path("b"));
        assert_ne!(from, to);
        let damaged = [&from.0, &to.0].map(Clone::clone);
        assert_eq!(disk.damaged(), damaged.into());
        other_files += u64::from(to.0 == path("a"));
        let shown = |disk: &SimulatedDisk, name| sectors(&read(&*disk.mount(), name)).collect::<Vec<_>>();
        for name in ["a", "b"] {
            assert_eq!(shown(&disk, name), expected(name, true));
        }
        if seed % 2 == 0 {
            file.sync().unwrap();
        }
        disk.cut(Unsynced::Lost).unwrap();
        for name in ["a", "b"] {
            assert_eq!(shown(&disk, name), expected(name, seed % 2 == 0), "{seed} {from:?} {to:?}");
        }
    }
    assert!(other_files > 5 && other_files < 35, "{other_files}");
}

#[test]
fn the_same_seed_and_calls_give_the_same_disk_and_trace() {
    let run = |seed: u64, byte: u8| {
        let (_directory, disk) = machine(seed);
        disk.keep_trace(3);
        for round in 0..6 {
            let mounted = disk.mount();
            let name = format!("f{round}");
            let name = path(&name);
            disk.plan(PlannedFault::draw(seed + round, 8));
            disk.plan(PlannedFault { on: Call::WRITES, count: 2, fault: Fault::Misdirect });
            let work = || {
                let file = mounted.create(name)?;
                file.write_at(&[byte; 3000], 0)?;
                file.sync()?;
                file.write_at(&[byte; 9000], 100)?;
                mounted.sync_directory(path(""))
            };
            let _ = work();
            disk.cut(Unsynced::Torn(seed)).unwrap();
            disk.heal();
            for (name, _) in disk.files() {
                let _ = disk.mount().open(&name).unwrap().read_at(&mut [0; 600], 0);
            }
        }
        assert_eq!(disk.recent_calls().len(), 3);
        (disk.trace(), disk.files(), disk.recent_calls())
    };
    let mut seen = BTreeSet::new();
    for seed in 0..20 {
        assert_eq!(run(seed, 1), run(seed, 1));
        seen.insert(run(seed, 1).0);
        seen.insert(run(seed, 2).0);
    }
    assert_eq!(seen.len(), 40, "what differs shows");

    let written = |bytes: &[u8]| {
        let (_directory, disk) = machine(0);
        disk.mount().create(path("a")).unwrap().write_at(bytes, 0).unwrap();
        disk.trace()
    };
    assert_ne!(written(b"one"), written(b"two"));
}

#[test]
fn a_map_of_a_program_that_is_no_more_shows_what_it_showed() {
    let (_directory, disk) = machine(0);
    let mounted = disk.mount();
    let file = durable(&*mounted, "a", 2, 1);
    file.write_at(&[2; 1024], 0).unwrap();
    let map = mounted.map(path("a"), 1024).unwrap();
    disk.cut(Unsynced::Lost).unwrap();
    assert_eq!(map.bytes(), [2; 1024]);
    assert_eq!(read(&*disk.mount(), "a"), [1; 1024]);
}

#[test]
fn a_file_is_one_and_damaged_under_every_name_that_a_cut_left_it() {
    let mut left_both = 0;
    for seed in 0..32 {
        let (_directory, disk) = machine(seed);
        let mounted = disk.mount();
        mounted.create_directory(path("inside")).unwrap();
        durable(&*mounted, "a", 2, 7);
        mounted.rename(path("a"), path("inside/b")).unwrap();
        disk.cut(Unsynced::Torn(seed)).unwrap();
        let names: Vec<PathBuf> = disk.files().into_iter().map(|(name, _)| name).collect();
        let Some(name) = names.first() else { continue };
        disk.flip(name, 600, 1).unwrap();
        assert_eq!(disk.damaged().into_iter().collect::<Vec<_>>(), names);
        let mounted = disk.mount();
        assert!(names.iter().all(|name| read(&*mounted, name.to_str().unwrap())[600] == 6), "it is one file");
        left_both += u32::from(names.len() == 2);
    }
    assert!(left_both > 0, "some cut keeps the new name and does not lose the old one");
}

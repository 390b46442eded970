//! Mending a log on the disk.
//!
//! Owns where the bytes come from, and the order: first segments that cannot be read at all, then the gaps of those that can, then the copies of headers. Each is
//! durable before the next.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Done, Loss};
use crate::StoreId;
use crate::disk::{Disk, ReadDisk, exchanged};
use crate::error::{Damage, OpenError, RepairError};
use crate::ledger::Effect;
use crate::log::{self, ExaminedLog, Gap, LostEvent, Named, Segment, Segments, Vouched};
use crate::platform::Platform;
use crate::ticket::Ticket;

/// A log that may be damaged.
pub(super) struct Log {
    pub(super) disk: Arc<dyn Disk>,
    /// Where a snapshot has it.
    pub(super) source: Option<Arc<dyn ReadDisk>>,
    pub(super) store_id: StoreId,
    pub(super) vouched: Vouched,
    /// Its directory, for messages.
    pub(super) place: &'static str,
}

/// What the loss of an event is: of its sequence, its ticket, its commit time.
pub(super) type LossOf<'a> = dyn Fn(u64, Option<Ticket>, u64) -> Loss + 'a;

impl Log {
    /// Whether there is anything to mend.
    pub(super) fn is_damaged(&self) -> Result<bool, RepairError> {
        let (segments, damaged) = self.open()?;
        Ok(!damaged.is_empty() || !self.examine(&segments).gaps.is_empty())
    }

    /// Whether the log goes back to where a manifest left it.
    pub(super) fn joins(&self) -> Result<bool, RepairError> {
        let (segments, _) = self.open()?;
        Ok(segments.count() == 0 || segments.begin() <= self.vouched.position)
    }

    /// Whether anything was done.
    pub(super) fn mend(
        &self,
        platform: &Platform,
        accept_loss: bool,
        done: &mut Done<'_>,
        loss: &LossOf<'_>,
    ) -> Result<bool, RepairError> {
        let mut is_something = false;
        // What was tried and did not help is not tried again.
        let mut tried = BTreeSet::new();
        loop {
            let (segments, damaged) = self.open()?;
            let examined = self.examine(&segments);
            let missing = damaged.iter().filter_map(|damage| log::number_of(&damage.file));
            let mut changed = false;
            for number in missing.filter(|&number| tried.insert((number, 0))) {
                changed |= self.bring_back(platform, number, &segments, &examined, accept_loss, done)?;
            }
            is_something |= changed;
            if changed {
                continue;
            }
            for gap in &examined.gaps {
                let Some(segment) = segments.of(gap.positions.start).filter(|it| it.limit() >= gap.positions.end)
                else {
                    continue;
                };
                let number = segment.header.number;
                if tried.insert((number, gap.positions.start)) && self.take_over(segment, gap)? {
                    done.replaced.insert(self.place_of(segment));
                    changed = true;
                }
            }
            is_something |= changed;
            if changed {
                continue;
            }
            is_something |= self.fill(&segments, &examined, accept_loss, done, loss)?;
            for damage in &examined.headers {
                let Some(segment) = log::number_of(&damage.file).and_then(|number| segments.number(number)) else {
                    continue;
                };
                self.write(segment, segment.header.base, &segment.header.encode())?;
                done.made_again.insert(self.place_of(segment));
                is_something = true;
            }
            return Ok(is_something);
        }
    }

    fn open(&self) -> Result<(Segments, Vec<Damage>), RepairError> {
        Ok(log::open_whatever_is_there(&*self.disk, self.store_id, self.vouched)?)
    }

    fn examine(&self, segments: &Segments) -> ExaminedLog {
        let told = &mut |_| ControlFlow::Continue(());
        log::examine(segments, self.vouched, None, &mut |_| {}, told).expect("nobody ends it")
    }

    fn place_of(&self, segment: &Segment) -> PathBuf {
        exchanged(&segment.path(), log::DIRECTORY.as_ref(), self.place.as_ref())
    }

    /// Makes a segment that cannot be read one that can: from the snapshot, or empty.
    fn bring_back(
        &self,
        platform: &Platform,
        number: u64,
        segments: &Segments,
        examined: &ExaminedLog,
        accept_loss: bool,
        done: &mut Done<'_>,
    ) -> Result<bool, RepairError> {
        let path = log::path(number);
        let name = exchanged(&path, log::DIRECTORY.as_ref(), self.place.as_ref());
        let kept = self.source.as_ref().and_then(|source| log::segment_bytes(&**source, self.store_id, &path));
        if let Some(bytes) = kept {
            self.put(&path, &bytes)?;
            done.replaced.insert(name);
            return Ok(true);
        }
        // One that is too short has what it has.
        if let Some(bytes) = log::segment_bytes(&*self.disk, self.store_id, &path) {
            self.put(&path, &bytes)?;
            done.made_again.insert(name);
            return Ok(true);
        }
        let gap = examined.gaps.iter().find(|gap| gap.damage.file == path);
        let Some(gap) = gap.filter(|_| accept_loss) else { return Ok(false) };
        let salt = platform.environment.random_u64();
        let salt = salt.map_err(|source| OpenError::Disk { doing: "making", path: path.clone(), source })?;
        let Some(bytes) = log::empty_segment(self.store_id, number, salt, gap, segments) else { return Ok(false) };
        self.put(&path, &bytes)?;
        Ok(true)
    }

    /// Puts a file in the place of one that is damaged, which stays beside it under another name.
    fn put(&self, path: &Path, bytes: &[u8]) -> Result<(), RepairError> {
        let failed = |source| OpenError::Disk { doing: "writing", path: path.to_owned(), source };
        let disk = &*self.disk;
        let directory = Path::new(log::DIRECTORY);
        let listed = disk.list(directory).map_err(failed)?;
        let (temporary, aside) = (path.with_extension("new"), path.with_extension("damaged"));
        if listed.contains(&temporary) {
            disk.remove(&temporary).map_err(failed)?;
        }
        let file = disk.create(&temporary).map_err(failed)?;
        file.write_at(bytes, 0).and_then(|()| file.sync()).map_err(failed)?;
        if listed.iter().any(|it| it == path) {
            disk.rename(path, &aside).map_err(failed)?;
        }
        disk.rename(&temporary, path).and_then(|()| disk.sync_directory(directory)).map_err(failed)?;
        Ok(())
    }

    /// Takes the bytes of a gap from the snapshot, as far as it has them. Whether they are right, reading them will tell.
    fn take_over(&self, segment: &Segment, gap: &Gap) -> Result<bool, RepairError> {
        let Some(source) = &self.source else { return Ok(false) };
        let range = gap.positions.start - segment.header.base..gap.positions.end - segment.header.base;
        let mut header = vec![0; crate::limits::FILE_HEADER_BYTES as usize];
        let mut bytes = Vec::new();
        let read = source.open(&segment.path()).and_then(|file| {
            file.read_at(&mut header, 0)?;
            bytes.resize(range.end.min(file.length()?).saturating_sub(range.start) as usize, 0);
            file.read_at(&mut bytes, range.start)
        });
        // Another store's, or another time's; or it does not reach so far.
        if read.is_err() || bytes.is_empty() || header != segment.header.encode() {
            return Ok(false);
        }
        let here = segment.from(gap.positions.start).get(..bytes.len());
        if here == Some(&bytes[..]) {
            return Ok(false);
        }
        self.write(segment, gap.positions.start, &bytes)?;
        Ok(true)
    }

    fn write(&self, segment: &Segment, position: u64, bytes: &[u8]) -> Result<(), RepairError> {
        let path = segment.path();
        let written = self.disk.open_to_write(&path).and_then(|file| {
            file.write_at(bytes, position - segment.header.base)?;
            file.sync()
        });
        Ok(written.map_err(|source| OpenError::Disk { doing: "writing", path, source })?)
    }

    /// Fills gaps: those in which nothing is lost, and the others if that is accepted.
    fn fill(
        &self,
        segments: &Segments,
        examined: &ExaminedLog,
        accept_loss: bool,
        done: &mut Done<'_>,
        loss: &LossOf<'_>,
    ) -> Result<bool, RepairError> {
        let mut is_something = false;
        let gaps: Vec<&Gap> = examined.gaps.iter().filter(|gap| accept_loss || gap.lost() == 0).collect();
        let named = self.named(segments, &gaps);
        for gap in gaps {
            let segment = segments.of(gap.positions.start).filter(|it| it.limit() >= gap.positions.end);
            let segment = segment.filter(|segment| !is_unreadable(examined, segment));
            let filled = segment.and_then(|segment| Some((segment, log::fill(gap, segment, &named)?)));
            let Some((segment, (bytes, lost))) = filled else { continue };
            let ticket = |lost: &LostEvent| Ticket::from_bits(lost.ticket_bits).ok();
            done.journal.give_up(lost.iter().map(|lost| loss(lost.sequence, ticket(lost), lost.time_ms)))?;
            self.write(segment, gap.positions.start, &bytes)?;
            is_something = true;
            if lost.is_empty() {
                done.made_again.insert(self.place_of(segment));
            }
        }
        Ok(is_something)
    }

    /// Places in gaps that later events lead to, and where those lead on.
    fn named(&self, segments: &Segments, gaps: &[&Gap]) -> BTreeMap<u64, Named> {
        let told = &mut |_: u64| ControlFlow::Continue(());
        let mut named = BTreeMap::new();
        let is_gone = |address: u64| {
            gaps.iter().any(|gap| gap.positions.contains(&address) && gap.whole.binary_search(&address).is_err())
        };
        let mut find = |event: &log::Event<'_>| {
            if event.previous != 0 && is_gone(event.previous) && Effect::of(event.header).is_some() {
                named.insert(event.previous, Named { ticket_bits: event.header.ticket_bits, previous: 0 });
            }
        };
        log::examine(segments, self.vouched, None, &mut find, told);
        if named.is_empty() {
            return named;
        }
        // Of each ticket the places of all its events, those that are gone too.
        let mut places = HashMap::<u64, BTreeSet<u64>>::new();
        for (&address, Named { ticket_bits, .. }) in &named {
            places.entry(*ticket_bits).or_default().insert(address);
        }
        let mut collect = |event: &log::Event<'_>| {
            // An installed register names its ledger as a ticket, and is none's.
            let of_ticket = Effect::of(event.header).and_then(|_| places.get_mut(&event.header.ticket_bits));
            if let Some(places) = of_ticket {
                places.insert(event.address);
            }
        };
        log::examine(segments, self.vouched, None, &mut collect, told);
        for (address, named) in &mut named {
            named.previous = places[&named.ticket_bits].range(..address).next_back().copied().unwrap_or(0);
        }
        named
    }
}

/// Whether the disk cannot read some part of a segment: nobody looks at it then, for that would end the program.
fn is_unreadable(examined: &ExaminedLog, segment: &Segment) -> bool {
    examined.unreadable.iter().any(|damage| damage.file == segment.path())
}

//! What goes wrong on a simulated disk, and when.
//!
//! Owns the plan: which call from now meets which fault, and whether the disk is full. What a fault does to bytes and names is for [`super::calls`].

use super::draw::Draw;

/// A kind of call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Call {
    /// `Disk::create`.
    Create,
    /// `Disk::open`.
    Open,
    /// `Disk::map`.
    Map,
    /// `File::read_at`.
    Read,
    /// `File::write_at`.
    Write,
    /// `File::sync`.
    Sync,
    /// `Disk::rename`.
    Rename,
    /// `Disk::link`.
    Link,
    /// `Disk::remove`.
    Remove,
    /// `Disk::create_directory`.
    CreateDirectory,
    /// `Disk::remove_directory`.
    RemoveDirectory,
    /// `Disk::sync_directory`.
    SyncDirectory,
    /// `Disk::list`.
    List,
}

impl Call {
    /// Every kind.
    pub const ALL: &[Call] = &[
        Call::Create,
        Call::Open,
        Call::Map,
        Call::Read,
        Call::Write,
        Call::Sync,
        Call::Rename,
        Call::Link,
        Call::Remove,
        Call::CreateDirectory,
        Call::RemoveDirectory,
        Call::SyncDirectory,
        Call::List,
    ];
    /// Writes.
    pub const WRITES: &[Call] = &[Call::Write];
    /// Syncs, of files and of directories.
    pub const SYNCS: &[Call] = &[Call::Sync, Call::SyncDirectory];

    /// Whether a crash after it may find something else than a crash before it.
    #[must_use]
    pub fn changes(self) -> bool {
        !matches!(self, Call::Open | Call::Map | Call::Read | Call::List)
    }
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The call fails and does nothing. If it is a sync, what it should have made durable never will be, and later syncs succeed without it.
    Fail,
    /// The call does all that it should, and says that it failed: nobody knows whether it did.
    Late,
    /// A write is done in part and fails, but not for want of room; any other call fails.
    Short,
    /// A write is done in part, and there is no room for the rest; any other call fails for want of room.
    NoRoom,
    /// From this call on, and for so many calls of any kind, every write that would extend a file is done in part and fails for want of room.
    Full {
        /// How long.
        calls: u64,
    },
    /// A write says that it was done, but one of its sectors goes to another place or file.
    Misdirect,
    /// The program is ended here; a write is done in part.
    End,
}

/// A fault of the `count`-th call from now, 1 being the next one, among those of the kinds `on`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlannedFault {
    /// Which calls are counted.
    pub on: &'static [Call],
    /// How many.
    pub count: u64,
    /// What the last of them meets.
    pub fault: Fault,
}

impl PlannedFault {
    /// A fault that is honest, that is any but [`Fault::Misdirect`], within so many calls.
    #[must_use]
    pub fn draw(seed: u64, calls_max: u64) -> PlannedFault {
        let mut draw = Draw(seed);
        let one = draw.below(Call::ALL.len());
        let kinds = [Call::ALL, Call::WRITES, Call::SYNCS, &Call::ALL[one..=one]];
        let on = kinds[draw.below(kinds.len())];
        let count = 1 + draw.below(calls_max.max(1) as usize) as u64;
        let calls = 1 + draw.below(50) as u64;
        let faults =
            [Fault::Fail, Fault::Fail, Fault::Late, Fault::Short, Fault::NoRoom, Fault::Full { calls }, Fault::End];
        PlannedFault { on, count, fault: faults[draw.below(faults.len())] }
    }
}

#[derive(Default)]
pub(super) struct Faults {
    planned: Vec<PlannedFault>,
    full: bool,
    /// Full for so many calls more.
    full_calls: u64,
    /// Faults that came.
    pub(super) came: u64,
    /// Of them, writes for which the disk was full.
    pub(super) without_room: u64,
}

impl Faults {
    pub(super) fn plan(&mut self, fault: PlannedFault) {
        self.planned.push(fault);
    }

    pub(super) fn set_full(&mut self, full: bool) {
        self.full = full;
    }

    /// Whether there is no room now.
    pub(super) fn is_full(&self) -> bool {
        self.full || self.full_calls > 0
    }

    /// A write that would extend a file; the fault that it meets if the disk is full.
    pub(super) fn due_to_room(&mut self) -> Option<Fault> {
        let full = self.is_full();
        self.came += u64::from(full);
        self.without_room += u64::from(full);
        full.then_some(Fault::NoRoom)
    }

    /// Takes back what has not come yet.
    pub(super) fn heal(&mut self) {
        *self = Faults { came: self.came, without_room: self.without_room, ..Faults::default() };
    }

    /// Counts a call; the fault that it meets.
    pub(super) fn due(&mut self, call: Call) -> Option<Fault> {
        self.full_calls = self.full_calls.saturating_sub(1);
        let mut due = None;
        self.planned.retain_mut(|planned| {
            planned.count = planned.count.saturating_sub(u64::from(planned.on.contains(&call)));
            if planned.count > 0 || due.is_some() {
                return true;
            }
            due = Some(planned.fault);
            false
        });
        if let Some(Fault::Full { calls }) = due {
            self.full_calls = self.full_calls.max(calls);
            return None;
        }
        if due == Some(Fault::Misdirect) && call != Call::Write {
            return None;
        }
        self.came += u64::from(due.is_some());
        due
    }
}

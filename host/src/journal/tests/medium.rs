//! A disk that forgets what was not synced, and fails when it is told to.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::journal::disk::{Disk, Output};

/// Clones are the same disk.
#[derive(Clone, Debug, Default)]
pub(crate) struct Medium(Arc<Mutex<State>>);

/// What is asked of a disk. There is no rename: a segment has its name from the beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    List,
    Read,
    Create,
    Write,
    /// Of what a file holds.
    Sync,
    /// Of the names of files.
    SyncNames,
    Cut,
    Remove,
}

impl Kind {
    pub(crate) const ALL: [Self; 8] =
        [Self::List, Self::Read, Self::Create, Self::Write, Self::Sync, Self::SyncNames, Self::Cut, Self::Remove];
}

#[derive(Debug, Default)]
struct State {
    /// As a process sees them now, by numbers into `files`.
    names: BTreeMap<String, usize>,
    /// As they are if the machine ends now.
    synced_names: BTreeMap<String, usize>,
    files: Vec<Content>,
    operations: usize,
    /// How many of them there were of each kind.
    kinds: BTreeMap<Kind, usize>,
    failing: BTreeSet<usize>,
    failing_from: Option<usize>,
    failing_kinds: BTreeSet<(Kind, usize)>,
    /// Parts of files that cannot be read, whatever else is well.
    spoiled: Vec<(String, Range<u64>)>,
    syncs: usize,
}

#[derive(Clone, Debug, Default)]
struct Content {
    bytes: Vec<u8>,
    /// How many of them are there if the machine ends now.
    synced: usize,
    /// A sync has failed. The system has forgotten what it could not write; further syncs succeed, and do nothing.
    lost: bool,
}

impl Medium {
    pub(crate) fn with(name: &str, bytes: &[u8]) -> Self {
        let medium = Self::default();
        {
            let mut state = medium.lock();
            state.files.push(Content { bytes: bytes.to_vec(), synced: bytes.len(), lost: false });
            state.names.insert(name.to_owned(), 0);
            state.synced_names.insert(name.to_owned(), 0);
        }
        medium
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// Every operation waits until what this gives is dropped.
    pub(crate) fn hold(&self) -> impl Drop {
        self.lock()
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.lock().names.keys().cloned().collect()
    }

    /// Of the file that was made as this one, counted from none.
    pub(crate) fn length(&self, file: usize) -> u64 {
        self.lock().files[file].bytes.len() as u64
    }

    pub(crate) fn syncs(&self) -> usize {
        self.lock().syncs
    }

    /// Operations so far.
    pub(crate) fn operations(&self) -> usize {
        self.lock().operations
    }

    /// These operations fail, counted from now.
    pub(crate) fn fail(&self, operations: impl IntoIterator<Item = usize>) {
        let mut state = self.lock();
        let now = state.operations;
        state.failing.extend(operations.into_iter().map(|it| now + it));
    }

    /// All operations fail, from this one on, counted from now.
    pub(crate) fn fail_from(&self, operation: usize) {
        let mut state = self.lock();
        state.failing_from = Some(state.operations + operation);
    }

    /// Operations of this kind so far.
    pub(crate) fn operations_of(&self, kind: Kind) -> usize {
        self.lock().kinds.get(&kind).copied().unwrap_or_default()
    }

    /// The same as [`Medium::fail`], but only operations of this kind count.
    pub(crate) fn fail_of(&self, kind: Kind, operations: impl IntoIterator<Item = usize>) {
        let now = self.operations_of(kind);
        self.lock().failing_kinds.extend(operations.into_iter().map(|it| (kind, now + it)));
    }

    pub(crate) fn fail_no_more(&self) {
        let mut state = self.lock();
        (state.failing, state.failing_from, state.failing_kinds) = (BTreeSet::new(), None, BTreeSet::new());
    }

    /// This part of a file cannot be read any more, not by the next process either: a sector has gone bad.
    pub(crate) fn spoil(&self, name: &str, part: Range<u64>) {
        self.lock().spoiled.push((name.to_owned(), part));
    }

    /// All can be read again; gives what could not.
    pub(crate) fn spoil_no_more(&self) -> Vec<(String, Range<u64>)> {
        std::mem::take(&mut self.lock().spoiled)
    }

    pub(crate) fn change(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.lock();
        let file = state.names[name];
        change(&mut state.files[file].bytes);
    }

    /// The machine ends and starts again. Of what was not synced, `chance` says by and by what is there nevertheless. Who
    /// has the disk open still writes to the one that was.
    pub(crate) fn crash(&self, chance: &mut dyn FnMut(usize) -> bool) -> Self {
        let state = self.lock();
        let mut next = State { spoiled: state.spoiled.clone(), ..State::default() };
        let names: BTreeSet<_> = state.names.keys().chain(state.synced_names.keys()).collect();
        for name in names {
            let (now, synced) = (state.names.get(name), state.synced_names.get(name));
            let Some(file) = (if now == synced || chance(0) { now } else { synced }) else { continue };
            let mut content = state.files[*file].clone();
            let more = (content.synced..content.bytes.len()).take_while(|at| chance(*at)).count();
            content.bytes.truncate(content.synced + more);
            content.synced = content.bytes.len();
            content.lost = false;
            next.names.insert(name.clone(), next.files.len());
            next.synced_names.insert(name.clone(), next.files.len());
            next.files.push(content);
        }
        Self(Arc::new(Mutex::new(next)))
    }

    fn operation(&self, kind: Kind) -> (MutexGuard<'_, State>, io::Result<()>) {
        let mut state = self.lock();
        state.operations += 1;
        let operation = state.operations;
        let of_kind = state.kinds.entry(kind).or_default();
        *of_kind += 1;
        let of_kind = (kind, *of_kind);
        let fails = state.failing.contains(&operation)
            || state.failing_from.is_some_and(|from| operation >= from)
            || state.failing_kinds.contains(&of_kind);
        let result = if fails { Err(io::Error::other(format!("operation {operation} fails"))) } else { Ok(()) };
        (state, result)
    }
}

impl State {
    /// What a file holds, if this part of it can be read.
    fn content(&self, name: &str, part: &Range<u64>) -> io::Result<&[u8]> {
        let file = self.names.get(name).ok_or_else(missing)?;
        let bytes = &self.files[*file].bytes;
        let end = part.end.min(bytes.len() as u64);
        let meets = |spoiled: &Range<u64>| spoiled.start < end && part.start < spoiled.end;
        if self.spoiled.iter().any(|(of, spoiled)| of == name && meets(spoiled)) {
            return Err(io::Error::other("a sector cannot be read"));
        }
        Ok(bytes)
    }
}

fn missing() -> io::Error {
    io::ErrorKind::NotFound.into()
}

impl Disk for Medium {
    fn list(&self) -> io::Result<Vec<String>> {
        let (state, result) = self.operation(Kind::List);
        result.map(|()| state.names.keys().cloned().collect())
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        let (state, result) = self.operation(Kind::Read);
        result?;
        Ok(state.content(name, &(0..u64::MAX))?.to_vec())
    }

    fn read_at(&self, name: &str, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let (state, result) = self.operation(Kind::Read);
        result?;
        let content = state.content(name, &(offset..offset + length as u64))?;
        let offset = usize::try_from(offset).unwrap();
        let bytes = content.get(offset..offset + length);
        Ok(bytes.ok_or(io::ErrorKind::UnexpectedEof)?.to_vec())
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn Output>> {
        let (mut state, result) = self.operation(Kind::Create);
        result?;
        let file = state.files.len();
        if state.names.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        state.files.push(Content::default());
        state.names.insert(name.to_owned(), file);
        Ok(Box::new(Open { medium: self.clone(), file }))
    }

    fn cut(&self, name: &str, length: u64) -> io::Result<()> {
        let (mut state, result) = self.operation(Kind::Cut);
        result?;
        let file = *state.names.get(name).ok_or_else(missing)?;
        let content = &mut state.files[file];
        content.bytes.truncate(usize::try_from(length).unwrap());
        content.synced = content.bytes.len();
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let (mut state, result) = self.operation(Kind::Remove);
        result?;
        state.names.remove(name).map(drop).ok_or_else(missing)
    }

    fn sync(&self) -> io::Result<()> {
        let (mut state, result) = self.operation(Kind::SyncNames);
        result?;
        state.synced_names = state.names.clone();
        Ok(())
    }
}

#[derive(Debug)]
struct Open {
    medium: Medium,
    file: usize,
}

impl Output for Open {
    /// One that fails has written a half, as on a disk that is full.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let (mut state, result) = self.medium.operation(Kind::Write);
        let written = if result.is_ok() { bytes } else { &bytes[..bytes.len() / 2] };
        state.files[self.file].bytes.extend(written);
        result
    }

    fn sync(&mut self) -> io::Result<()> {
        let (mut state, result) = self.medium.operation(Kind::Sync);
        state.syncs += 1;
        let content = &mut state.files[self.file];
        if result.is_err() {
            content.lost = true;
        }
        if !content.lost {
            content.synced = content.bytes.len();
        }
        result
    }
}

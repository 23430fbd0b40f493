//! The thread that writes a journal. Each round takes all that waits, writes it at once, and waits for the medium once.
//!
//! A file is trusted until the first error. What the system has done then is not known, not even after a second try that
//! succeeds: it may have forgotten what it could not write. So whoever waits is refused, and the next round begins a new
//! file.

mod carry;

use std::io;
use std::mem;
use std::sync::{Arc, PoisonError};

use super::disk::{Disk, Output};
use super::format::{self, Header};
use super::index::{Pending, Place, Segment};
use super::replay::file_name;
use super::{Append, AppendError, Sequence, Shared, State};

/// Bytes that one round takes from the queue, so that those who came first do not wait for all others.
const ROUND: u64 = 1024 * 1024;

/// Files in a journal. Each failure of the disk may leave one behind; a folder must not fill with them.
const MAX_SEGMENTS: usize = 1024;

#[derive(Debug)]
pub(super) struct Writer {
    disk: Arc<dyn Disk>,
    shared: Arc<Shared>,
    /// A file is closed when it has this many bytes.
    segment: u64,
    active: Option<Active>,
}

/// The file that is being written.
#[derive(Debug)]
struct Active {
    number: u64,
    salt: u32,
    output: Box<dyn Output>,
    bytes: u64,
    /// Whether the file's name is on the medium.
    named: bool,
}

/// What one round does.
struct Round {
    appends: Vec<Append>,
    delivered: Vec<Sequence>,
    closing: bool,
}

impl Writer {
    pub(super) fn new(disk: Arc<dyn Disk>, shared: Arc<Shared>, segment: u64) -> Self {
        Self { disk, shared, segment, active: None }
    }

    /// Writes until the journal is closed.
    pub(super) fn run(self) {
        // However this ends: nobody may wait for ever. Told when the rest has been dropped, and with it the folder's lock.
        let _ended = Ended(Arc::clone(&self.shared));
        let mut writer = self;
        while writer.round() {}
    }

    /// Whether there will be more.
    pub(super) fn round(&mut self) -> bool {
        let Round { appends, delivered, closing } = self.wait();
        if !appends.is_empty() {
            self.append(appends);
        }
        if !delivered.is_empty() {
            self.deliver(delivered);
        }
        if closing {
            self.close_active();
        }
        self.remove();
        !closing
    }

    fn wait(&self) -> Round {
        let mut state = self.shared.lock();
        while !state.has_work() {
            state = self.shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let mut appends = Vec::new();
        let mut bytes = 0;
        while bytes < ROUND
            && let Some(append) = state.queue.pop_front()
        {
            bytes += format::record_size(append.payload.len()) as u64;
            appends.push(append);
        }
        // What a round takes counts as queued until it is in the index or refused: see `append`.
        let closing = state.closing && state.queue.is_empty();
        let mut delivered = mem::take(&mut state.unwritten);
        delivered.append(&mut state.delivered);
        Round { appends, delivered, closing }
    }

    fn append(&mut self, appends: Vec<Append>) {
        let sequences: Vec<Sequence> = {
            let mut state = self.shared.lock();
            appends.iter().map(|_| state.sequence()).collect()
        };
        let records: Vec<_> =
            sequences.iter().zip(&appends).map(|(sequence, it)| (*sequence, it.time, &it.payload[..])).collect();
        let written = self.begin().and_then(|()| self.write_records(&records));
        let mut state = self.shared.lock();
        state.queued -= appends.iter().map(|it| format::record_size(it.payload.len()) as u64).sum::<u64>();
        match written {
            Ok(written) => {
                state.add(written);
                state.news += 1;
                drop(state);
                self.shared.changed.notify_all();
                for (sequence, append) in sequences.into_iter().zip(appends) {
                    // Whoever waited may have gone.
                    let _ = append.done.send(Ok(sequence));
                }
            }
            Err(error) => {
                state.last_error = Some(error.to_string());
                drop(state);
                let error = Arc::new(error);
                for append in appends {
                    let _ = append.done.send(Err(AppendError::Disk(Arc::clone(&error))));
                }
            }
        }
    }

    /// Writes that records have been delivered, and does not wait for the medium. If it cannot be written it waits for
    /// the next round that can, or is forgotten with the process.
    fn deliver(&mut self, sequences: Vec<Sequence>) {
        let written = self.begin().and_then(|()| {
            let Some(active) = &mut self.active else { return Ok(()) };
            let mut bytes = Vec::new();
            format::write_delivered(&mut bytes, active.salt, &sequences);
            let written = active.write(&bytes);
            self.after(written, true)
        });
        if let Err(error) = written {
            let mut state = self.shared.lock();
            state.last_error = Some(error.to_string());
            state.unwritten = sequences;
        }
    }

    /// Makes sure that there is a file to write to.
    fn begin(&mut self) -> io::Result<()> {
        if self.active.as_ref().is_some_and(|active| active.bytes >= self.segment) {
            self.close_active();
            self.carry();
        }
        if self.active.is_some() {
            return Ok(());
        }
        let number = {
            let state = self.shared.lock();
            if state.index.segments.len() >= MAX_SEGMENTS {
                return Err(io::Error::other(format!("the folder has {MAX_SEGMENTS} segments")));
            }
            state.index.segments.last_key_value().map_or(1, |(number, _)| number + 1)
        };
        let salt = uuid::Uuid::new_v4().as_fields().0;
        let output = self.disk.create(&file_name(number))?;
        let segment = Segment { salt, open: true, ..Segment::default() };
        self.shared.lock().index.segments.insert(number, segment);
        let mut active = Active { number, salt, output, bytes: 0, named: false };
        let written = active.write(&Header::write(salt));
        self.active = Some(active);
        self.after(written, false)
    }

    /// Writes records, and waits until they are on the medium.
    fn write_records(&mut self, records: &[(Sequence, u64, &[u8])]) -> io::Result<Vec<(Sequence, Pending)>> {
        let Some(active) = &mut self.active else { return Err(io::Error::other("no file to write to")) };
        let (mut bytes, mut written) = (Vec::new(), Vec::new());
        for (sequence, time, payload) in records {
            let place = Place::Segment { number: active.number, offset: active.bytes + bytes.len() as u64 };
            let size = format::record_size(payload.len());
            format::write_record(&mut bytes, active.salt, *sequence, *time, payload);
            written.push((*sequence, Pending { time: *time, size, place }));
        }
        let done = active.write(&bytes).and_then(|()| active.sync(&*self.disk));
        self.after(done, true)?;
        Ok(written)
    }

    /// Tells the index how long the file is now, and whether it has `entries`; after an error it is written to no more.
    fn after(&mut self, written: io::Result<()>, entries: bool) -> io::Result<()> {
        if let Some(active) = &self.active
            && let Some(segment) = self.shared.lock().index.segments.get_mut(&active.number)
        {
            segment.bytes = active.bytes;
            segment.used |= entries && written.is_ok();
        }
        if written.is_err() {
            self.close_active();
        }
        written
    }

    fn close_active(&mut self) {
        if let Some(active) = self.active.take()
            && let Some(segment) = self.shared.lock().index.segments.get_mut(&active.number)
        {
            segment.open = false;
        }
    }

    /// Removes the segments that nobody needs.
    fn remove(&self) {
        loop {
            let Some(number) = self.shared.lock().index.removable() else { return };
            let removed = self.disk.remove(&file_name(number));
            let mut state = self.shared.lock();
            match removed {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    state.last_error = Some(format!("{} cannot be removed: {error}", file_name(number)));
                    return;
                }
                _ => drop(state.index.segments.remove(&number)),
            }
        }
    }
}

impl Active {
    /// The length counts what an error may have left behind.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.bytes += bytes.len() as u64;
        self.output.write(bytes)
    }

    fn sync(&mut self, disk: &dyn Disk) -> io::Result<()> {
        self.output.sync()?;
        if !self.named {
            disk.sync()?;
            self.named = true;
        }
        Ok(())
    }
}

impl State {
    /// Whether there is anything for the thread to do.
    pub(super) fn has_work(&self) -> bool {
        !self.queue.is_empty() || !self.delivered.is_empty() || self.closing
    }

    fn add(&mut self, records: Vec<(Sequence, Pending)>) {
        for (sequence, record) in records {
            self.index.insert(sequence, record);
        }
    }
}

/// Tells when nobody writes any more.
#[derive(Debug)]
pub(super) struct Ended(pub(super) Arc<Shared>);

impl Drop for Ended {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.ended = true;
        // Whoever is in the queue gets no answer, which is one.
        state.queue.clear();
        self.0.changed.notify_all();
    }
}

//! Old records that hold what lies behind them: written once more, so that their segments can go. One that the disk cannot
//! read stays where it is, and holds nothing any more.

use std::io;

use super::Writer;
use crate::journal::Sequence;
use crate::journal::index::Pending;
use crate::journal::read::payload;

/// Records are written once more if they take at most this part of a segment.
const PART: u64 = 4;

impl Writer {
    /// Writes the few records of the oldest segments again where they hold all segments behind them: one that can never
    /// be delivered must not keep the journal from shrinking.
    pub(super) fn carry(&mut self) {
        loop {
            let stuck = self.shared.lock().index.stuck(self.segment / PART);
            let Some((number, records)) = stuck.filter(|(_, records)| !records.is_empty()) else { return };
            if let Err(error) = self.carry_from(number, &records) {
                self.shared.lock().last_error = Some(error.to_string());
                return;
            }
            self.remove();
        }
    }

    fn carry_from(&mut self, number: u64, records: &[(Sequence, Pending)]) -> io::Result<()> {
        let salt = self.shared.lock().index.segments.get(&number).map_or(0, |segment| segment.salt);
        let mut payloads = Vec::new();
        for (sequence, record) in records {
            match payload(&*self.disk, *sequence, record, salt) {
                Ok(Some(payload)) => payloads.push((*sequence, record.time, payload)),
                Ok(None) => {
                    let mut state = self.shared.lock();
                    state.damage.corrupt += usize::from(state.index.remove(*sequence));
                }
                Err(error) => self.shared.lock().unread(record, &error),
            }
        }
        if payloads.is_empty() {
            return Ok(());
        }
        self.begin()?;
        let records: Vec<_> = payloads.iter().map(|(sequence, time, it)| (*sequence, *time, &it[..])).collect();
        let written = self.write_records(&records)?;
        let mut state = self.shared.lock();
        // Some may have been delivered in the meantime.
        let written = written.into_iter().filter(|(sequence, _)| state.index.pending().contains_key(sequence));
        let written = written.collect();
        state.add(written);
        Ok(())
    }
}

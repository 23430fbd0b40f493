//! A part of a data set, for many runs at the same time that share nothing: which lines are of it. Pure.

use std::fmt;
use std::str::FromStr;

/// Part `index` of `count`, the first being 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    index: usize,
    count: usize,
}

/// Why a text names no part.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected I/N, part I of N, the first being 0: 0/4 to 3/4 are the parts of four")]
pub struct NoShard;

impl Shard {
    /// All there is.
    pub const WHOLE: Self = Self { index: 0, count: 1 };

    pub fn is_whole(self) -> bool {
        self.count == 1
    }

    /// Whether what stands at a position, from 0, is of this part. Neighbours are of different ones, so that lines that
    /// were sorted by size or topic are spread evenly.
    pub fn has(self, position: usize) -> bool {
        position % self.count == self.index
    }
}

impl FromStr for Shard {
    type Err = NoShard;

    fn from_str(text: &str) -> Result<Self, NoShard> {
        let (index, count) = text.split_once('/').ok_or(NoShard)?;
        let number = |text: &str| text.parse().map_err(|_| NoShard);
        let (index, count) = (number(index)?, number(count)?);
        if index < count { Ok(Self { index, count }) } else { Err(NoShard) }
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_of_one_part() {
        for count in [1, 2, 7, 50] {
            let shards: Vec<Shard> = (0..count).map(|index| format!("{index}/{count}").parse().unwrap()).collect();
            for position in 0..20 {
                let owners: Vec<_> = shards.iter().filter(|shard| shard.has(position)).collect();
                assert_eq!(owners.len(), 1, "line {position} of {count} parts: {owners:?}");
            }
            let mut sizes = shards.iter().map(|shard| (0..20).filter(|line| shard.has(*line)).count());
            let (least, most) =
                sizes.try_fold((20, 0), |(least, most), size| Some((size.min(least), size.max(most)))).unwrap();
            assert!(most - least <= 1, "{count} parts of {least} to {most} lines");
        }
    }

    #[test]
    fn what_names_no_part_is_refused() {
        for text in ["", "1", "/", "1/", "/2", "2/2", "0/0", "-1/2", "1/2/3", "a/b", "0x1/2", " 0/1"] {
            assert_eq!(text.parse::<Shard>(), Err(NoShard), "{text:?}");
        }
        assert_eq!("0/1".parse(), Ok(Shard::WHOLE));
    }
}

//! Sets of pending changes by their place in the queue.

/// A set of places; all sets of one snapshot have the same length.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Bits(Box<[u64]>);

impl Bits {
    pub(super) fn empty(places: usize) -> Self {
        Self(vec![0; places.div_ceil(64)].into_boxed_slice())
    }

    pub(super) fn of(places: usize, members: impl IntoIterator<Item = usize>) -> Self {
        let mut bits = Self::empty(places);
        for member in members {
            bits.insert(member);
        }
        bits
    }

    pub(super) fn insert(&mut self, place: usize) {
        self.0[place / 64] |= 1 << (place % 64);
    }

    pub(super) fn remove(&mut self, place: usize) {
        self.0[place / 64] &= !(1 << (place % 64));
    }

    pub(super) fn contains(&self, place: usize) -> bool {
        self.0[place / 64] >> (place % 64) & 1 == 1
    }

    pub(super) fn add(&mut self, other: &Self) {
        for (word, more) in self.0.iter_mut().zip(&other.0) {
            *word |= more;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    pub(super) fn is_within(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).all(|(word, wider)| word & !wider == 0)
    }

    pub(super) fn meets(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).any(|(word, other)| word & other != 0)
    }

    pub(super) fn count(&self) -> u32 {
        self.0.iter().map(|word| word.count_ones()).sum()
    }

    /// How many places are in `self` and in `other`, but not in `without`.
    pub(super) fn count_common(&self, other: &Self, without: Option<&Self>) -> u32 {
        let common = self.0.iter().zip(&other.0).map(|(word, other)| word & other);
        match without {
            None => common.map(u64::count_ones).sum(),
            Some(without) => common.zip(&without.0).map(|(word, without)| (word & !without).count_ones()).sum(),
        }
    }

    /// The places in `self` that are not in `other`.
    pub(super) fn minus(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(word, other)| word & !other).collect())
    }

    /// The places in `self` and in `other`.
    pub(super) fn common(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(word, other)| word & other).collect())
    }

    /// The places in ascending order.
    pub(super) fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.0.iter().enumerate().flat_map(|(index, word)| {
            let mut rest = *word;
            std::iter::from_fn(move || {
                (rest != 0).then(|| {
                    let place = index * 64 + rest.trailing_zeros() as usize;
                    rest &= rest - 1;
                    place
                })
            })
        })
    }

    pub(super) fn last(&self) -> Option<usize> {
        let index = self.0.iter().rposition(|word| *word != 0)?;
        Some(index * 64 + 63 - self.0[index].leading_zeros() as usize)
    }
}

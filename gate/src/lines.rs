//! The lines of a file that ran, joined over all sections of a report.

/// Lines, or other numbered places, that ran or could have.
#[derive(Debug)]
pub(crate) struct Places<K> {
    places: Vec<(K, bool)>,
}

impl<K> Default for Places<K> {
    fn default() -> Self {
        Self { places: Vec::new() }
    }
}

impl<K: Ord> Places<K> {
    pub(crate) fn add(&mut self, place: K, ran: bool) {
        self.places.push((place, ran));
    }

    /// The number that ran, and the number of all; a line with two records is one, and ran if either says so.
    pub(crate) fn count(mut self) -> (u64, u64) {
        // What ran goes first, and is the one that is kept.
        self.places.sort_unstable_by(|(one, ran), (other, also)| one.cmp(other).then(also.cmp(ran)));
        self.places.dedup_by(|(one, _), (other, _)| one == other);
        let ran = self.places.iter().filter(|(_, ran)| *ran).count();
        (ran as u64, self.places.len() as u64)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }
}

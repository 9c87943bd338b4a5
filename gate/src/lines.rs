//! What ran of a file, joined over all that a report says of it.

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

    /// How many ran, and how many there are; one that is told of twice is one, and ran if it ever did.
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

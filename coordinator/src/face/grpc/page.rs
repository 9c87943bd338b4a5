//! Lists in answers: a message holds so many bytes.

use prost::Message;
use sprint_core::bounds::PAGE;

use crate::service::Page;

/// The newest rows that a message holds, oldest first, and whether there are older ones.
pub(super) fn page<E, M: Message + From<E>>(Page { rows, more }: Page<E>) -> (Vec<M>, bool) {
    fitting(rows.into_iter().map(Into::into).collect(), more)
}

pub(super) fn fitting<M: Message>(mut rows: Vec<M>, more: bool) -> (Vec<M>, bool) {
    let mut bytes = 0;
    let fits = |row: &&M| {
        let before = bytes;
        bytes += row.encoded_len() as u64;
        before < PAGE
    };
    let older = rows.len() - rows.iter().rev().take_while(fits).count();
    rows.drain(..older);
    (rows, more || older > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_fit_and_the_others_are_announced() {
        let row = |bytes: usize| "x".repeat(bytes);
        let sizes = |rows: &[String]| rows.iter().map(String::len).collect::<Vec<_>>();
        let most = usize::try_from(PAGE).expect("small");
        for (given, fitting_sizes, more) in [
            (vec![], vec![], false),
            (vec![1, 2, 3], vec![1, 2, 3], false),
            (vec![1, most, 2], vec![most, 2], true),
            // One that is too large alone is sent nevertheless: there would be no end.
            (vec![1, most * 2], vec![most * 2], true),
            (vec![most * 2], vec![most * 2], false),
        ] {
            let (rows, said) = fitting(given.into_iter().map(row).collect(), false);
            assert_eq!((sizes(&rows), said), (fitting_sizes, more));
        }
        assert!(fitting(vec![row(1)], true).1);
    }
}

//! The graph of what items need.

use std::collections::BTreeSet;

use crate::ids::ItemId;

/// Finds a cycle in the graph of needs, if there is one, as the path that closes it.
///
/// `needs_of` answers for every item that can be reached. Iterative depth-first
/// search with three colours, so that a chain of 100,000 items cannot overflow the stack.
pub fn find_cycle<'a, N>(starts: impl IntoIterator<Item = ItemId>, needs_of: N) -> Option<Vec<ItemId>>
where
    N: Fn(ItemId) -> Option<&'a BTreeSet<ItemId>>,
{
    let mut finished = BTreeSet::new();
    for start in starts {
        let mut path = vec![start];
        let mut on_path = BTreeSet::from([start]);
        let mut iters = vec![needs_of(start).into_iter().flatten()];
        if finished.contains(&start) {
            continue;
        }
        while let Some(iter) = iters.last_mut() {
            match iter.next() {
                Some(next) if on_path.contains(next) => {
                    let from = path.iter().position(|id| id == next).unwrap_or(0);
                    let mut cycle = path.split_off(from);
                    cycle.push(*next);
                    return Some(cycle);
                }
                Some(next) if finished.contains(next) => {}
                Some(next) => {
                    path.push(*next);
                    on_path.insert(*next);
                    iters.push(needs_of(*next).into_iter().flatten());
                }
                None => {
                    iters.pop();
                    if let Some(done) = path.pop() {
                        on_path.remove(&done);
                        finished.insert(done);
                    }
                }
            }
        }
    }
    None
}

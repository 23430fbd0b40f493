//! In which order nodes can run. Not when they do: see scheduler/plan.rs.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::NodeIndex;

/// Every node after the ones it waits for; among those that could come next, the first in the file.
///
/// `waits_for` has, for every node, the nodes whose outputs it needs.
///
/// # Errors
/// The nodes of the cycles and those that wait for one, in the order of the file.
pub(super) fn order(waits_for: &[Vec<NodeIndex>]) -> Result<Vec<NodeIndex>, Vec<NodeIndex>> {
    let mut missing: Vec<usize> = waits_for.iter().map(Vec::len).collect();
    let mut followers = vec![Vec::new(); waits_for.len()];
    for (follower, needed) in waits_for.iter().enumerate() {
        needed.iter().for_each(|node| followers[node.0].push(follower));
    }

    let mut next: BinaryHeap<_> = (0..missing.len()).filter(|node| missing[*node] == 0).map(Reverse).collect();
    let mut order = Vec::with_capacity(missing.len());
    while let Some(Reverse(node)) = next.pop() {
        order.push(NodeIndex(node));
        for &follower in &followers[node] {
            missing[follower] -= 1;
            if missing[follower] == 0 {
                next.push(Reverse(follower));
            }
        }
    }
    let stuck: Vec<_> = (0..missing.len()).filter(|node| missing[*node] > 0).map(NodeIndex).collect();
    if stuck.is_empty() { Ok(order) } else { Err(stuck) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(waits_for: &[&[usize]], expected: Result<&[usize], &[usize]>) {
        let waits_for: Vec<Vec<_>> =
            waits_for.iter().map(|nodes| nodes.iter().copied().map(NodeIndex).collect()).collect();
        let plain = |nodes: Vec<NodeIndex>| nodes.into_iter().map(|node| node.0).collect::<Vec<_>>();
        assert_eq!(order(&waits_for).map(plain).map_err(plain), expected.map(<[_]>::to_vec).map_err(<[_]>::to_vec));
    }

    #[test]
    fn nodes_come_after_what_they_need_and_else_as_in_the_file() {
        check(&[], Ok(&[]));
        check(&[&[2], &[], &[]], Ok(&[1, 2, 0]));
        check(&[&[1, 2], &[3, 3], &[3], &[]], Ok(&[3, 1, 2, 0]));
    }

    #[test]
    fn cycles_are_found_with_all_that_waits_for_them() {
        check(&[&[0]], Err(&[0]));
        check(&[&[1], &[0], &[1], &[]], Err(&[0, 1, 2]));
    }
}

//! Finding what is moved without need: a negative cycle in the graph of possible moves.
//!
//! Members are nodes, and an edge leads from who has a partition to who may have it. It costs 1 if it
//! takes the partition from its owner of before, −1 if it brings it back, else nothing. A cycle of
//! edges changes nobody's number. One more node for each number lets a chain begin at a member with
//! one more than the member at whose end it stops: they change places, and it is as even as before.
//! As long as there is a cycle of negative cost there is a division as even with fewer moves, and when
//! there is none there is none (the optimality condition of minimum-cost flows).

use std::collections::BTreeMap;

use super::Division;

/// An edge's end, what it costs, and the partition that is moved along it, if any.
struct Edge {
    from: usize,
    to: usize,
    cost: i64,
    place: Option<usize>,
}

/// Moves that together save some: what goes where.
pub(super) fn cheaper(division: &Division<'_>) -> Option<Vec<(usize, usize)>> {
    let edges = edges(division);
    let nodes = edges.iter().map(|edge| edge.from.max(edge.to) + 1).max()?;
    // Bellman and Ford: what still gets cheaper after as many rounds as there are nodes is on, or
    // behind, a negative cycle.
    let mut cost = vec![0_i64; nodes];
    let mut by: Vec<Option<&Edge>> = vec![None; nodes];
    let mut changed = None;
    for _ in 0..nodes {
        changed = None;
        for edge in &edges {
            let reached = cost.get(edge.from).copied()? + edge.cost;
            if reached < cost.get(edge.to).copied()? {
                *cost.get_mut(edge.to)? = reached;
                *by.get_mut(edge.to)? = Some(edge);
                changed = Some(edge.to);
            }
        }
        changed?;
    }
    // As many steps back end on the cycle itself.
    let mut on_it = changed?;
    for _ in 0..nodes {
        on_it = by.get(on_it).copied().flatten()?.from;
    }
    let (mut moves, mut node) = (Vec::new(), on_it);
    loop {
        let edge = by.get(node).copied().flatten()?;
        moves.extend(edge.place.map(|place| (place, edge.to)));
        node = edge.from;
        if node == on_it {
            return Some(moves);
        }
    }
}

fn edges(division: &Division<'_>) -> Vec<Edge> {
    let members = division.held.len();
    let mut cheapest: BTreeMap<(usize, usize), (i64, usize)> = BTreeMap::new();
    for (from, held) in division.held.iter().enumerate() {
        for place in held.iter().copied() {
            let before = division.before.get(place).copied().flatten();
            for to in division.readers_of(place).iter().copied().filter(|to| *to != from) {
                let cost = i64::from(before == Some(from)) - i64::from(before == Some(to));
                let known = cheapest.entry((from, to)).or_insert((cost, place));
                *known = (*known).min((cost, place));
            }
        }
    }
    let moves = cheapest.into_iter();
    let mut edges: Vec<Edge> = moves
        .map(|((from, to), (cost, place))| Edge { from, to, cost, place: Some(place) })
        .collect();
    for member in 0..members {
        let load = division.load(member);
        edges.push(Edge { from: member, to: members + load, cost: 0, place: None });
        if let Some(fewer) = load.checked_sub(1) {
            edges.push(Edge { from: members + fewer, to: member, cost: 0, place: None });
        }
    }
    edges
}

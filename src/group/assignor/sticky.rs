//! `sticky`: as even as can be, and as little moved as that allows (KIP-54, KIP-341).
//!
//! Where all members subscribe alike the result is Java's. Where they do not it is as even and moves
//! no more than a chain of moves that makes it more even needs; Java's may be another one.

mod alike;
mod claims;
mod differing;

use super::{Member, Shares, Topics};
pub(super) use claims::Claims;

/// Keeps what members own, as far as the shares stay even, and deals out the rest.
#[must_use]
pub fn sticky(members: &[Member], topics: &Topics) -> Shares {
    shares(members, topics, &Claims::of(members, topics))
}

pub(super) fn shares(members: &[Member], topics: &Topics, claims: &Claims<'_>) -> Shares {
    let alike = members.windows(2).all(|pair| match pair {
        [a, b] => a.topics == b.topics,
        _ => true,
    });
    match alike {
        true => alike::share_out(members, topics, claims),
        false => differing::share_out(members, topics, claims),
    }
}

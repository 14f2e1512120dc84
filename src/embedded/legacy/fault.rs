//! Faults that tests inject into brokers of 0.7.

use crate::embedded::{FaultId, turn};
use crate::protocol::legacy::RequestId;

/// What happens to a request that a fault meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// The connection is closed before the request is looked at.
    CloseBefore,
    /// The request is done, then the connection is closed; what would be answered is not.
    CloseAfter,
    /// The request is not looked at, and neither it nor any later one of its connection is answered.
    Silence,
    /// The request is done and its answer cut after so many bytes; then the connection is closed.
    Cut(usize),
    /// A fetch is answered with this code. Other requests are done as usual, for their answers
    /// have no code.
    Code(i16),
}

/// A rule that meets requests; hand it to [`Cluster::inject`](super::Cluster::inject).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What happens.
    pub kind: FaultKind,
    /// The request that it meets; None meets any.
    pub request: Option<RequestId>,
    /// The broker that it meets; None meets any.
    pub broker: Option<i32>,
    /// How many matching requests pass first.
    pub skip: u32,
    /// How many are met after that; `u32::MAX` = all.
    pub times: u32,
}

impl Fault {
    /// A fault that meets the next request of any kind at any broker.
    #[must_use]
    pub fn new(kind: FaultKind) -> Self {
        Self { kind, request: None, broker: None, skip: 0, times: 1 }
    }

    /// Meets only this request.
    #[must_use]
    pub fn request(mut self, request: RequestId) -> Self {
        self.request = Some(request);
        self
    }

    /// Meets only requests to this broker.
    #[must_use]
    pub fn broker(mut self, broker: i32) -> Self {
        self.broker = Some(broker);
        self
    }

    /// Lets so many matching requests pass first.
    #[must_use]
    pub fn skip(mut self, skip: u32) -> Self {
        self.skip = skip;
        self
    }

    /// Meets so many requests instead of one.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = times;
        self
    }

    /// Looks at a request: whether the fault meets it.
    pub(super) fn meets(&mut self, broker: i32, request: RequestId) -> bool {
        let fits = self.broker.is_none_or(|wanted| wanted == broker)
            && self.request.is_none_or(|wanted| wanted == request);
        fits && turn::has_come(&mut self.skip, &mut self.times)
    }
}

/// The faults that were injected, in their order; those that are used up are kept for their counts.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<(Fault, u64)>);

impl Faults {
    pub(super) fn inject(&mut self, fault: Fault) -> FaultId {
        self.0.push((fault, 0));
        FaultId(self.0.len() as u64)
    }

    /// What the first fault that meets a request says to do with it.
    pub(super) fn meet(&mut self, broker: i32, request: RequestId) -> Option<FaultKind> {
        self.0.iter_mut().find_map(|(fault, met)| {
            let meets = fault.meets(broker, request);
            *met += u64::from(meets);
            meets.then_some(fault.kind)
        })
    }

    fn get(&mut self, id: FaultId) -> Option<&mut (Fault, u64)> {
        let at = usize::try_from(id.0.checked_sub(1)?).ok()?;
        self.0.get_mut(at)
    }

    /// How many requests a fault has met.
    pub(super) fn met(&mut self, id: FaultId) -> u64 {
        self.get(id).map_or(0, |(_, met)| *met)
    }

    pub(super) fn withdraw(&mut self, id: FaultId) {
        if let Some((fault, _)) = self.get(id) {
            fault.times = 0;
        }
    }

    pub(super) fn withdraw_all(&mut self) {
        self.0.iter_mut().for_each(|(fault, _)| fault.times = 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_passes_some_meets_some_and_then_none() {
        let mut fault = Fault::new(FaultKind::Silence).request(RequestId::Fetch).skip(1).times(2);
        let met = [0; 5].map(|broker| fault.meets(broker, RequestId::Fetch));
        assert_eq!(met, [false, true, true, false, false]);
        let mut other = Fault::new(FaultKind::Silence).broker(1);
        assert!(!other.meets(0, RequestId::Fetch) && other.meets(1, RequestId::Offsets));
    }
}

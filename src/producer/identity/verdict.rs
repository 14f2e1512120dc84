//! What an answer about the producer's identity means for a batch: one pure table.

use super::books::Renewal;
use crate::error::{Code, Persistence};

/// A batch with a stamp, and what the broker said to it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    pub(crate) code: Code,
    /// No earlier batch of the partition is unresolved.
    pub(crate) head_of_line: bool,
    /// An earlier attempt may have been written.
    pub(crate) maybe_written: bool,
    /// The log's first offset as the broker told it, −1 for not told.
    pub(crate) log_start: i64,
    /// The offset of the last record that was acknowledged in this partition.
    pub(crate) last_offset: Option<i64>,
    /// It follows a batch of ours that ended without being acknowledged: the broker misses that one.
    pub(crate) after_hole: bool,
    /// `enable.idempotence=true` was asked for and does not give way.
    pub(crate) required: bool,
}

/// What follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Send it again as it is.
    Again,
    /// It is not in the log and never will be, nor will what follows it: the partition begins anew under
    /// another era, in the old order, once nothing is in flight.
    Restart(Renewal, Why),
    /// Give up, and this is what is known of it.
    Fail(Persistence),
}

/// Why a partition begins anew: for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// The broker misses what came before the batch.
    Gap,
    /// The broker dropped what it knew of the producer together with its records: nothing is lost.
    Expired,
    /// The broker does not know the producer any more.
    Forgotten,
    /// The broker knows a newer epoch of the producer.
    Fenced,
    /// Batches ended without an answer, and their numbers cannot be used again.
    Hole,
    /// The topic was made anew: another log.
    Recreated,
    /// The topic's message format has no place for identities.
    OldFormat,
}

impl Why {
    /// Whether somebody should look into it.
    pub(crate) fn is_bad(self) -> bool {
        matches!(self, Self::Gap | Self::OldFormat)
    }

    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Gap => {
                "the broker misses what came before: records that were acknowledged may be gone \
                 from the log (an unclean leader election?)"
            }
            Self::Expired => "its last records were deleted, and the broker's memory with them",
            Self::Forgotten => "the broker does not know the producer any more",
            Self::Fenced => "the broker knows a newer epoch of this producer",
            Self::Hole => "a batch ended without an answer or was refused",
            Self::Recreated => "the topic was made anew",
            Self::OldFormat => "the topic's message format is older than v2",
        }
    }
}

/// Judges the codes 43, 45, 47 and 59 for a batch with a stamp.
pub(crate) fn judge(case: &Case) -> Verdict {
    let retained = match (case.last_offset, case.log_start) {
        (Some(last), start) => start > last,
        (None, _) => false,
    };
    match case.code {
        Code::UNSUPPORTED_FOR_MESSAGE_FORMAT if case.maybe_written => {
            Verdict::Fail(Persistence::PossiblyPersisted)
        }
        Code::UNSUPPORTED_FOR_MESSAGE_FORMAT if case.required => {
            Verdict::Fail(Persistence::NotPersisted)
        }
        Code::UNSUPPORTED_FOR_MESSAGE_FORMAT => Verdict::Restart(Renewal::Without, Why::OldFormat),

        // Invariant 5.15: the broker could not even look into its log.
        Code::UNKNOWN_PRODUCER_ID if case.log_start < 0 => Verdict::Again,

        // Invariant 5.7: an echo of what an earlier batch met. That one decides (5.11).
        Code::OUT_OF_ORDER_SEQUENCE_NUMBER
        | Code::UNKNOWN_PRODUCER_ID
        | Code::INVALID_PRODUCER_EPOCH
            if !case.head_of_line =>
        {
            Verdict::Again
        }

        // The broker would know the batch if it were there: it is among the last five. But a request
        // whose connection broke may still wait somewhere in that broker, behind the one that is
        // missed, and be written later: under another stamp the batch would then be there twice.
        Code::OUT_OF_ORDER_SEQUENCE_NUMBER if case.maybe_written => {
            Verdict::Fail(Persistence::PossiblyPersisted)
        }
        // Invariant 5.16.
        Code::OUT_OF_ORDER_SEQUENCE_NUMBER if retained => {
            Verdict::Restart(Renewal::Epoch, Why::Expired)
        }
        // Invariant 5.12: known before, and no loss.
        Code::OUT_OF_ORDER_SEQUENCE_NUMBER if case.after_hole => {
            Verdict::Restart(Renewal::Epoch, Why::Hole)
        }
        Code::OUT_OF_ORDER_SEQUENCE_NUMBER => Verdict::Restart(Renewal::Epoch, Why::Gap),
        // Such a broker refuses every batch but one that begins at 0: nothing of before can follow.
        Code::UNKNOWN_PRODUCER_ID if retained => Verdict::Restart(Renewal::Epoch, Why::Expired),
        Code::UNKNOWN_PRODUCER_ID => Verdict::Restart(Renewal::Epoch, Why::Forgotten),

        // A broker that fences an epoch does not look whether it knows the batch.
        Code::INVALID_PRODUCER_EPOCH if case.maybe_written => {
            Verdict::Fail(Persistence::PossiblyPersisted)
        }
        // By how much the broker is ahead is not said: another id is always new (invariant 5.17).
        Code::INVALID_PRODUCER_EPOCH => Verdict::Restart(Renewal::Id, Why::Fenced),
        _ => Verdict::Fail(Persistence::NotPersisted),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CASE: Case = Case {
        code: Code::OUT_OF_ORDER_SEQUENCE_NUMBER,
        head_of_line: true,
        maybe_written: false,
        log_start: 0,
        last_offset: Some(10),
        after_hole: false,
        required: false,
    };

    fn of(code: i16) -> Case {
        Case { code: Code::from(code), ..CASE }
    }

    #[test]
    fn rule_5_7_out_of_order_is_an_echo_unless_the_batch_is_the_first_unresolved_one() {
        for maybe_written in [false, true] {
            let echo = Case { head_of_line: false, maybe_written, ..of(45) };
            assert_eq!(judge(&echo), Verdict::Again);
        }
        assert_eq!(judge(&of(45)), Verdict::Restart(Renewal::Epoch, Why::Gap));
        let expected = Verdict::Restart(Renewal::Epoch, Why::Hole);
        assert_eq!(judge(&Case { after_hole: true, ..of(45) }), expected, "no alarm");
        let doubtful = Case { maybe_written: true, ..of(45) };
        assert_eq!(judge(&doubtful), Verdict::Fail(Persistence::PossiblyPersisted));
        // Whatever the log start: only the head knows.
        assert_eq!(judge(&Case { head_of_line: false, log_start: 50, ..of(45) }), Verdict::Again);
    }

    #[test]
    fn rule_5_15_an_unknown_producer_id_is_judged_by_the_start_of_the_log() {
        for (log_start, last_offset, verdict) in [
            (-1, Some(10), Verdict::Again),
            (-1, None, Verdict::Again),
            (11, Some(10), Verdict::Restart(Renewal::Epoch, Why::Expired)),
            (10, Some(10), Verdict::Restart(Renewal::Epoch, Why::Forgotten)),
            (0, None, Verdict::Restart(Renewal::Epoch, Why::Forgotten)),
        ] {
            let case = Case { log_start, last_offset, ..of(59) };
            assert_eq!(judge(&case), verdict, "{log_start} {last_offset:?}");
        }
        assert_eq!(judge(&Case { head_of_line: false, ..of(59) }), Verdict::Again);
    }

    #[test]
    fn rule_5_16_out_of_order_behind_a_deleted_log_is_no_loss() {
        let idle = Case { log_start: 11, ..of(45) };
        assert_eq!(judge(&idle), Verdict::Restart(Renewal::Epoch, Why::Expired));
        let unknown = Case { last_offset: None, ..idle };
        assert_eq!(judge(&unknown), Verdict::Restart(Renewal::Epoch, Why::Gap));
    }

    #[test]
    fn rule_5_17_a_fenced_batch_goes_on_under_another_id_if_it_was_surely_not_written() {
        assert_eq!(judge(&of(47)), Verdict::Restart(Renewal::Id, Why::Fenced));
        let doubtful = Case { maybe_written: true, ..of(47) };
        assert_eq!(judge(&doubtful), Verdict::Fail(Persistence::PossiblyPersisted));
        assert_eq!(judge(&Case { head_of_line: false, ..doubtful }), Verdict::Again);
    }

    #[test]
    fn rule_5_18_a_topic_format_without_identities_makes_the_default_give_way_and_fails_a_demand() {
        assert_eq!(judge(&of(43)), Verdict::Restart(Renewal::Without, Why::OldFormat));
        let required = Case { required: true, ..of(43) };
        assert_eq!(judge(&required), Verdict::Fail(Persistence::NotPersisted));
    }
}

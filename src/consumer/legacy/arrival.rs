//! Taking in the answer to a multi-fetch: each partition's share is checked against what counts now
//! (6.11), then queued. On the I/O thread: sizes of messages, none of their payloads.

use std::sync::Arc;
use std::time::Instant;

use super::super::budget::{Lease, Unread};
use super::super::decode::{Outline, Source};
use super::super::fetcher::{Asked, Verdict, classify};
use super::super::partition::{Item, Partition};
use super::super::share::Share;
use super::super::state::State;
use super::begin::{Begin, begin};
use super::plan::Sizes;
use super::reader::Reader;
use super::sizes;
use crate::config::ConsumerConfig;
use crate::error::{Code, Error};
use crate::protocol::legacy::Answer;

/// What an answer is taken in with.
pub(super) struct Context<'a> {
    pub(super) config: &'a ConsumerConfig,
    pub(super) now: Instant,
    /// What keeps the answer; none for one without bytes, which nobody has to read.
    pub(super) keep: Option<(Arc<Lease>, Arc<Unread>)>,
}

/// What an answer asks for beyond itself.
#[derive(Debug, Default)]
pub(super) struct Aftermath {
    /// Whether there was anything to read, for any partition, or a message that is to be asked for whole:
    /// a reason to ask again at once.
    pub(super) has_data: bool,
    /// The registry may have changed.
    pub(super) refresh: bool,
    /// Positions that do not exist: they need a look-up.
    pub(super) gone: Vec<Asked>,
    /// Positions within a message, and where reading goes on.
    pub(super) moved: Vec<(Asked, i64, i64)>,
}

/// Takes in the shares, which come in the order asked.
pub(super) fn accept(
    state: &mut State,
    asked: &[Asked],
    shares: Vec<Answer>,
    needs: &mut Sizes,
    context: &Context<'_>,
) -> Aftermath {
    let mut aftermath = Aftermath::default();
    for (asked, share) in asked.iter().zip(shares) {
        if !state.current(asked.slot).is_some_and(|p| asked.still_counts(p)) {
            continue;
        }
        if share.code == Code::NONE {
            take_set(state, asked, share, needs, context, &mut aftermath);
        } else {
            refused(state, asked, share.code, context, &mut aftermath);
        }
    }
    aftermath
}

fn refused(
    state: &mut State,
    asked: &Asked,
    code: Code,
    context: &Context<'_>,
    aftermath: &mut Aftermath,
) {
    let verdict = match classify(code) {
        Verdict::Reset => {
            aftermath.gone.push(asked.clone());
            state.out_of_range(asked.slot.index);
            return;
        }
        // 0.7 says so of a name that it does not take, and never of anything that passes.
        _ if code == Code::UNKNOWN_SERVER_ERROR => Verdict::Tell,
        verdict => verdict,
    };
    let Some(partition) = state.current(asked.slot) else { return };
    context.config.back_off(&mut partition.retry, context.now);
    aftermath.refresh |= verdict == Verdict::Move;
    if verdict == Verdict::Tell && partition.tell_once(code, asked.offset) {
        let error = of_partition(partition, code, asked.offset, code.text());
        state.report(asked.slot, error);
    }
}

fn take_set(
    state: &mut State,
    asked: &Asked,
    share: Answer,
    needs: &mut Sizes,
    context: &Context<'_>,
    aftermath: &mut Aftermath,
) {
    let Some(partition) = state.current(asked.slot) else { return };
    let (mut set, mut asked) = (share.body, asked.clone());
    if partition.is_guess && !set.is_empty() {
        let size = usize::try_from(asked.size).unwrap_or(0);
        let begin = begin(&set, size, most(context.config));
        let skipped = match begin {
            Begin::Here => 0,
            Begin::After(bytes) | Begin::Further(bytes) => bytes,
            Begin::Needs(bytes) => {
                aftermath.has_data = true;
                return needs.need(&asked, bytes);
            }
            Begin::TooLarge => return cut(state, &asked, &set, needs, (context, aftermath)),
            // A segment, or the log, ends behind what came: there the next message begins.
            Begin::Nowhere if set.len() < size => set.len(),
            Begin::Nowhere => return look_further(state, &asked, needs, (context, aftermath)),
        };
        // What is still to be searched comes with the next fetch: nothing is passed over unseen.
        partition.is_guess = matches!(begin, Begin::Further(_));
        if skipped > 0 {
            set = set.slice(skipped..);
            let from = asked.offset;
            asked.offset = from.saturating_add(skipped as i64);
            partition.advance(asked.offset, -1);
            partition.fetch_offset = asked.offset;
            aftermath.moved.push((asked.clone(), from, asked.offset));
            aftermath.has_data = true;
            if set.is_empty() || partition.is_guess {
                return;
            }
        }
    }
    match sizes::outline(&set, asked.offset) {
        Outline::Empty => {
            partition.retry.clear();
            if partition.position == asked.offset {
                // What waits to be read before it may still be what was told of.
                partition.reported = None;
            }
            // Nothing is behind it now: the only way in which 0.7 tells of an end.
            partition.marks.high_watermark = asked.offset;
            partition.marks.last_stable = asked.offset;
            return announce_end(state, &asked, context);
        }
        Outline::Cut => return cut(state, &asked, &set, needs, (context, aftermath)),
        Outline::UpTo(end, _) => partition.fetch_offset = end,
        Outline::Unclear => partition.awaits_reader = true,
    }
    aftermath.has_data = true;
    needs.forget(&asked);
    (partition.marks.high_watermark, partition.marks.last_stable) = (-1, -1);
    let Some(keep) = context.keep.clone() else { return };
    let source = Source {
        topic: partition.name.clone(),
        partition: partition.number,
        marks: partition.marks,
    };
    let reader = Reader::new(source, (set, asked.offset), context.config.decoding(), keep);
    state.push(asked.slot, Item::Data(Share::Messages(Box::new(reader))));
}

fn most(config: &ConsumerConfig) -> usize {
    usize::try_from(config.fetch_max_bytes).unwrap_or(0)
}

/// A message larger than what was asked for: all of it next time, as far as a fetch goes (6.9).
fn cut(
    state: &mut State,
    asked: &Asked,
    set: &[u8],
    needs: &mut Sizes,
    (context, aftermath): (&Context<'_>, &mut Aftermath),
) {
    let (size, most) = (usize::try_from(asked.size).unwrap_or(0), most(context.config));
    let needed = sizes::needs(set).unwrap_or(size.saturating_mul(2).max(8));
    if needed <= most && size < needed {
        aftermath.has_data = true;
        return needs.need(asked, needed);
    }
    let Some(partition) = state.current(asked.slot) else { return };
    context.config.back_off(&mut partition.retry, context.now);
    let (code, why) = if needed > most {
        let why = format!(
            "a message of {needed} bytes is larger than fetch.max.bytes ({most}), if it is a message"
        );
        (Code::RECORD_TOO_LARGE, why)
    } else {
        let why = format!("a message of {needed} bytes is announced, and there are {}", set.len());
        (Code::CORRUPT_MESSAGE, why)
    };
    if is_next(partition, asked) && partition.tell_once(code, asked.offset) {
        let error = of_partition(partition, code, asked.offset, &why);
        let error = match code {
            Code::RECORD_TOO_LARGE => error.with_property("fetch.max.bytes"),
            _ => error,
        };
        state.report(asked.slot, error);
    }
}

/// No message begins in all that came from the middle of one: more is asked for, as far as it goes.
fn look_further(
    state: &mut State,
    asked: &Asked,
    needs: &mut Sizes,
    (context, aftermath): (&Context<'_>, &mut Aftermath),
) {
    let (size, most) = (usize::try_from(asked.size).unwrap_or(0), most(context.config));
    if size < most {
        aftermath.has_data = true;
        return needs.need(asked, size.saturating_mul(2).clamp(1, most));
    }
    let Some(partition) = state.current(asked.slot) else { return };
    context.config.back_off(&mut partition.retry, context.now);
    if is_next(partition, asked) && partition.tell_once(Code::CORRUPT_MESSAGE, asked.offset) {
        let why = format!("no message begins within {size} bytes");
        let error = of_partition(partition, Code::CORRUPT_MESSAGE, asked.offset, &why);
        state.report(asked.slot, error);
    }
}

/// Whether everything before it was handed out: an error does not overtake the messages that are in front
/// of it. If not, it is met again by the next try.
fn is_next(partition: &Partition, asked: &Asked) -> bool {
    partition.position == asked.offset
}

/// Marks the end of the partition in its place, once, if the application asked for it.
fn announce_end(state: &mut State, asked: &Asked, context: &Context<'_>) {
    let Some(partition) = state.current(asked.slot) else { return };
    let offset = asked.offset;
    if context.config.events.partition_end && partition.announced_end != offset {
        partition.announced_end = offset;
        state.push(asked.slot, Item::End(offset));
    }
}

fn of_partition(partition: &Partition, code: Code, offset: i64, why: &str) -> Error {
    let Partition { name, number, .. } = partition;
    let text = format!("fetching topic {name}, partition {number}, at offset {offset}: {why}");
    Error::new(code, text).with_topic(name.as_str()).with_partition(*number)
}

#[cfg(test)]
mod tests {
    use super::super::super::fixture;
    use super::*;
    use crate::protocol::legacy::append_message;
    use crate::protocol::modern::Uuid;

    /// Takes in the first bytes of what stands at offset 0, where the application said to begin or not;
    /// whether to ask again at once.
    fn asks_again(bytes: &[u8], size: usize, is_guess: bool) -> bool {
        let (config, mut state) = (fixture::config(), fixture::state(1));
        state.partitions[0].is_guess = is_guess;
        let asked = Asked {
            slot: state.slot(0),
            topic: 0,
            name: state.partitions[0].name.clone(),
            id: Uuid::ZERO,
            number: 0,
            offset: 0,
            leader_epoch: state.partitions[0].leader_epoch,
            size: size as i32,
        };
        let body = bytes[..size.min(bytes.len())].to_vec().into();
        let answer = Answer { code: Code::NONE, body };
        let context = Context { config: &config, now: fixture::now(), keep: None };
        accept(&mut state, &[asked], vec![answer], &mut Sizes::default(), &context).has_data
    }

    #[test]
    fn a_message_that_did_not_come_whole_is_asked_for_without_a_pause() {
        let mut large = Vec::new();
        append_message(&mut large, &[b'x'; 5_000]);
        for is_guess in [false, true] {
            assert!(asks_again(&large, 1_000, is_guess), "{is_guess}");
            assert!(asks_again(&large, 3, is_guess), "{is_guess}: not even its size");
            assert!(!asks_again(&[], 1_000, is_guess), "{is_guess}: the end");
        }
        assert!(!asks_again(&large[..1_000], 6_000, false), "all there is");
        assert!(asks_again(&large[10..], 1_000, true), "the search for the next message");
        let most = fixture::config().fetch_max_bytes as usize;
        let mut over = vec![0; 1_000];
        over[..5].copy_from_slice(&[5, 0, 0, 0, 1]);
        assert!(most < 5 << 24 && !asks_again(&over, 1_000, true), "it is never asked for");
    }
}

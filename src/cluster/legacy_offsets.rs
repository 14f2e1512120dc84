//! Offsets by time, asked of a broker of Kafka 0.7.
//!
//! It knows where its segments begin and when each was last written, and the end of what was flushed.
//! A request is about one partition, and many are on their way at once.

use std::time::{Duration, Instant};

use super::offsets::{NOTHING, Numbered, OffsetAt, Outcome, Question};
use crate::error::{Code, Error, Persistence, Result};

/// The newest offset of an answer; none when there is none that early.
type Found = Result<Option<i64>, Outcome>;

use crate::net::{Connection, LegacyAnswer};
use crate::protocol::legacy::{EARLIEST, Offsets, Request, read_offsets};

/// Asks for each place; an outcome for each question. A broker closes the connection over a partition
/// that it does not have, as over any other trouble: both are asked again, on another connection.
pub(super) async fn ask(
    connection: &Connection,
    questions: Vec<Numbered>,
    request_timeout: Duration,
) -> Vec<(usize, Outcome)> {
    let deadline = Instant::now() + request_timeout;
    let first = exchange(connection, &questions, None, deadline).await;
    let mut outcomes = Vec::with_capacity(questions.len());
    let mut before_all = Vec::new();
    for (numbered, found) in questions.into_iter().zip(first) {
        match found {
            // Before the first segment was written there is nothing: the first offset is meant.
            Ok(None) if numbered.1.when >= 0 => before_all.push(numbered),
            found => outcomes.push((numbered.0, outcome(found))),
        }
    }
    let second = exchange(connection, &before_all, Some(EARLIEST), deadline).await;
    outcomes.extend(before_all.iter().zip(second).map(|((at, _), found)| (*at, outcome(found))));
    outcomes
}

async fn exchange(
    connection: &Connection,
    questions: &[Numbered],
    instead: Option<i64>,
    deadline: Instant,
) -> Vec<Found> {
    let asked: Vec<_> = questions
        .iter()
        .map(|(_, question)| {
            connection.ask(&request(question, instead.unwrap_or(question.when)), deadline)
        })
        .collect();
    let mut found = Vec::with_capacity(asked.len());
    let mut closed = false;
    for answer in asked {
        let answer = match answer {
            Ok(answer) => read(answer).await,
            Err(error) => Err(error),
        };
        found.push(answer.map_err(|error| {
            // Answers come in order: what is behind the first that is missing was never looked at.
            let is_first = !connection.is_open() && !std::mem::replace(&mut closed, true);
            if is_first { Outcome::Closed(error) } else { Outcome::Again(error) }
        }));
    }
    found
}

fn request(question: &Question, time: i64) -> Request<'_> {
    let (topic, partition) = (&**question.topic.name(), question.wire_number());
    Request::Offsets(Offsets { topic, partition, time, max_number: 1 })
}

/// The newest offset of an answer; none when there is none that early.
async fn read(answer: LegacyAnswer) -> Result<Option<i64>> {
    let connection = answer.connection().clone();
    let answer = answer.await?;
    if answer.code != Code::NONE {
        return Err(Error::new(answer.code, "the broker gives no offsets"));
    }
    match read_offsets(&answer.body) {
        Ok(offsets) => Ok(offsets.first().copied()),
        Err(error) => {
            let error = error.with_persistence(Persistence::PossiblyPersisted);
            connection.close(error.clone());
            Err(error)
        }
    }
}

fn outcome(found: Found) -> Outcome {
    match found {
        Ok(Some(offset)) => Outcome::Found(OffsetAt { offset, ..NOTHING }),
        Ok(None) => Outcome::Found(NOTHING),
        Err(outcome) => outcome,
    }
}

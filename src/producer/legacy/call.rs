//! Message sets on their way to a broker of Kafka 0.7.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use super::super::accumulator::{Answer, Flight};
use super::super::core::Core;
use super::super::mail::InFlight;
use super::super::sender::{land, refused};
use crate::cluster::{ANY_OF_BROKER, partition_within};
use crate::config::Acks;
use crate::error::{Error, Result};
use crate::net::{Connection, Flush, LegacyAnswer};
use crate::protocol::legacy::{LATEST, Offsets, Request, produce_head};
use crate::runtime::inject_panic;

/// Writes the sets of some partitions; a task of its own awaits what becomes of them.
///
/// Each set is a request with a barrier of its own, so that a set over which the broker closes the
/// connection takes none with it that came before. It is one write all the same.
pub(crate) fn launch(
    core: &Arc<Core>,
    connection: &Connection,
    flights: Vec<Flight>,
    in_flight: InFlight,
) {
    let call = Call { core: Arc::clone(core), broker: connection.broker().to_string(), in_flight };
    let broken = Arc::clone(core);
    let on_panic = move |error| broken.fail(&error);
    let deadline = Instant::now() + core.config.request_timeout;
    let last = flights.len().saturating_sub(1);
    let flush = |at| if at == last { Flush::Now } else { Flush::Soon };
    if core.config.acks == Acks::None {
        let tell = |flight: Flight| {
            let told =
                told(&flight).and_then(|bytes| connection.tell_bytes("Produce", bytes, deadline));
            (flight, told)
        };
        let written: Vec<_> = flights.into_iter().map(tell).collect();
        core.runtime.spawn("produce call", on_panic, call.written(written));
        return;
    }
    let ask = |(at, flight): (usize, Flight)| {
        let asked = proved(&flight)
            .and_then(|bytes| connection.ask_bytes("Produce", bytes, deadline, flush(at)));
        (flight, asked)
    };
    let answers: Vec<_> = flights.into_iter().enumerate().map(ask).collect();
    core.runtime.spawn("produce call", on_panic, call.answered(answers));
}

/// A produce, which nobody answers.
fn told(flight: &Flight) -> Result<Vec<Bytes>> {
    let (topic, set) = (flight.queue.topic().name(), flight.body.bytes());
    let head = produce_head(topic, partition_within(flight.queue.number()), set.len())?;
    Ok(vec![head.into(), set.clone()])
}

/// A produce, and a question behind it that the broker comes to when it is done with the produce.
fn proved(flight: &Flight) -> Result<Vec<Bytes>> {
    let mut bytes = told(flight)?;
    let partition = match partition_within(flight.queue.number()) {
        ANY_OF_BROKER => 0, // wherever the broker puts it, this one is there
        partition => partition,
    };
    let topic = flight.queue.topic().name();
    let barrier = Offsets { topic, partition, time: LATEST, max_number: 1 };
    let mut encoded = Vec::new();
    Request::Offsets(barrier).encode(&mut encoded)?;
    bytes.push(encoded.into());
    Ok(bytes)
}

/// Sets under way.
struct Call {
    core: Arc<Core>,
    broker: String,
    /// Rings the sender when it is dropped.
    in_flight: InFlight,
}

impl Call {
    async fn answered(self, answers: Vec<(Flight, Result<LegacyAnswer>)>) {
        for (flight, asked) in answers {
            let answer = match asked {
                Ok(answer) => tokio::select! {
                    answer = answer => answer.map(drop),
                    // Every batch has its outcome then: nobody waits for this answer.
                    () = self.in_flight.ended() => return,
                },
                Err(error) => Err(error),
            };
            inject_panic("produce-call");
            match answer {
                // Processed without a close: where it is the broker does not say.
                Ok(()) => {
                    self.land(&flight, Answer::Written { base_offset: -1, log_append_time: -1 })
                }
                Err(error) => self.failed(&flight, &error),
            }
        }
    }

    async fn written(self, flights: Vec<(Flight, Result<impl Future<Output = Result<()>>>)>) {
        for (flight, told) in flights {
            let written = match told {
                Ok(written) => tokio::select! {
                    written = written => written,
                    () = self.in_flight.ended() => return,
                },
                Err(error) => Err(error),
            };
            inject_panic("produce-call");
            match written {
                Ok(()) => self.land(&flight, Answer::Unacknowledged),
                Err(error) => self.failed(&flight, &error),
            }
        }
    }

    fn failed(&self, flight: &Flight, error: &Error) {
        self.land(flight, refused(error));
        self.core.rescue(&flight.queue);
    }

    fn land(&self, flight: &Flight, answer: Answer) {
        land(&self.core, flight, &self.broker, answer);
    }
}

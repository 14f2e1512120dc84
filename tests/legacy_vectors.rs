//! Kafka 0.7's protocol against what a 0.7.2 broker and its Scala clients were seen to write and
//! read: `golden/kafka-0.7/exchanges.json` and the byte streams beside it.

use bytes::Bytes;
use samsa::protocol::legacy::{
    Answer, EARLIEST, Fetch, LATEST, Message, MessageSet, Offsets, Produce, RANDOM_PARTITION,
    Request, Search, Tail, answer_fetch, answer_multi_fetch, answer_offsets, append_message,
    read_answer, read_multi_fetch, read_offsets, resynchronise, wrap,
};
use samsa::protocol::record::Compression;
use samsa::{Code, Error};
use serde_json::Value;

const CAP: usize = 1 << 24;

fn exchanges() -> Vec<Value> {
    let text = include_str!("golden/kafka-0.7/exchanges.json");
    let exchanges: Vec<Value> = serde_json::from_str(text).expect("JSON");
    assert_eq!(exchanges.len(), 86);
    exchanges
}

fn named<'a>(exchanges: &'a [Value], name: &str) -> &'a Value {
    exchanges.iter().find(|e| e["name"] == name).unwrap_or_else(|| panic!("no exchange {name}"))
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).expect("hex"), 16);
    digits.chunks(2).map(|pair| byte(pair).expect("hex")).collect()
}

fn field(exchange: &Value, name: &str) -> Option<Vec<u8>> {
    let text = exchange[name].as_str()?;
    // Requests of a megabyte are recorded by their beginning and their length.
    (!text.contains("...")).then(|| hex(text))
}

/// The frames of a stream, without their sizes.
fn frames(stream: &[u8]) -> Vec<Bytes> {
    let (mut rest, mut frames) = (stream, Vec::new());
    while let Some((size, behind)) = rest.split_first_chunk() {
        let (frame, behind) = behind.split_at(u32::from_be_bytes(*size) as usize);
        frames.push(Bytes::copy_from_slice(frame));
        rest = behind;
    }
    assert!(rest.is_empty(), "a stream ends with a frame");
    frames
}

fn written(request: &Request<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    request.encode(&mut out).expect("encoded");
    out
}

fn payloads(set: MessageSet) -> Result<Vec<Vec<u8>>, Error> {
    let mut payloads = Vec::new();
    for message in set {
        let opened = message?.open(true, CAP)?;
        let bytes = |inner: samsa::protocol::legacy::Inner| inner.payload.of(&opened.buffer);
        payloads.extend(opened.messages().filter_map(bytes).map(<[u8]>::to_vec));
    }
    Ok(payloads)
}

#[test]
fn every_request_that_the_broker_took_is_read_and_written_byte_for_byte() {
    let mut compared = 0;
    for exchange in exchanges() {
        let Some(bytes) = field(&exchange, "request").filter(|bytes| bytes.len() > 6) else {
            continue;
        };
        let name = exchange["name"].as_str().expect("a name");
        let Ok(request) = Request::decode(&bytes[4..]) else { continue };
        let mut again = written(&request);
        if name.ends_with("trailing junk after set") {
            // What a broker ignores we do not write.
            again.extend_from_slice(b"junk");
            again[..4].copy_from_slice(&bytes[..4]);
        }
        assert_eq!(again, bytes, "{name}");
        compared += 1;
    }
    assert_eq!(compared, 67);
}

#[test]
fn what_the_broker_closes_the_connection_over_by_its_form_is_refused() {
    let exchanges = exchanges();
    for name in [
        "fetch null topic",
        "multifetch count -1",
        "produce-fault topic null",
        "produce-fault set size lies (too big)",
        "produce-fault set size negative",
        "produce-fault unknown request id 5",
        "produce-fault request id -1",
        "produce-fault frame size 1",
        "produce-fault frame size 3 (id only+1)",
    ] {
        let exchange = named(&exchanges, name);
        assert_eq!(exchange["outcome"], "closed", "{name}");
        let bytes = field(exchange, "request").expect("bytes");
        let error = Request::decode(&bytes[4..]).expect_err(name);
        assert_eq!(error.code(), Code::PROTOCOL, "{name}");
    }
}

#[test]
fn every_answer_is_read_and_written_byte_for_byte() {
    let mut compared = 0;
    for exchange in exchanges() {
        let name = exchange["name"].as_str().expect("a name");
        let request = field(&exchange, "request");
        let Some((request, response)) = request.zip(field(&exchange, "response")) else { continue };
        let request = Request::decode(&request[4..]).expect(name);
        assert_eq!(answered_again(&request, &response), response, "{name}");
        compared += 1;
    }
    assert_eq!(compared, 25);
}

/// Reads the answer to a request and writes it anew.
fn answered_again(request: &Request<'_>, response: &[u8]) -> Vec<u8> {
    let [frame] = &frames(response)[..] else { panic!("one frame") };
    let Answer { code, body } = read_answer(frame.clone()).expect("an answer");
    let number = |code: Code| i16::try_from(code.0).expect("Kafka's");
    let mut out = Vec::new();
    match request {
        Request::Fetch(_) => answer_fetch(&mut out, number(code), &body),
        Request::MultiFetch(fetches) => {
            let parts = read_multi_fetch(&body, fetches.len()).expect("parts");
            let parts: Vec<_> =
                parts.iter().map(|part| (number(part.code), &part.body[..])).collect();
            answer_multi_fetch(&mut out, &parts);
        }
        Request::Offsets(_) => answer_offsets(&mut out, &read_offsets(&body).expect("offsets")),
        Request::Produce(_) | Request::MultiProduce(_) => panic!("never answered"),
    }
    out
}

#[test]
fn fetched_sets_hold_what_was_produced() {
    let exchanges = exchanges();
    for (name, expected) in [
        ("produce gzip", &["zlone", "two", "three"][..]),
        ("produce snappy", &["zlone", "two", "three"]),
        ("produce snappy-raw-block", &["zlone", "two", "three"]),
        ("produce gzip-empty", &[]),
        ("produce attr-0xfc", &["hi"]),
    ] {
        let exchange = named(&exchanges, name);
        let request = field(exchange, "request").expect("bytes");
        let Ok(Request::Produce(produce)) = Request::decode(&request[4..]) else {
            panic!("{name} is a produce");
        };
        let produced = payloads(MessageSet::new(Bytes::copy_from_slice(produce.set), 0));
        let texts: Vec<_> = produced
            .unwrap_or_else(|error| panic!("{name}: {error}"))
            .into_iter()
            .map(|bytes| String::from_utf8_lossy(&bytes).trim_start_matches("zl").to_owned())
            .collect();
        let expected: Vec<_> = expected.iter().map(|name| name.trim_start_matches("zl")).collect();
        assert_eq!(texts, expected, "{name}");
        let after = frames(&field(exchange, "fetch_after").expect("bytes")).remove(0);
        let after = read_answer(after).expect("an answer").body;
        // A wrapper of nothing counts no messages, so that nothing makes the broker flush it.
        if name != "produce gzip-empty" {
            assert_eq!(after, produce.set, "{name}: the log is what was written");
        }
    }
}

#[test]
fn nested_wrappers_are_read_and_magic_0_is_never_a_wrapper() {
    let exchanges = exchanges();
    let set = |name: &str| {
        let request = field(named(&exchanges, name), "request").expect("bytes");
        let Ok(Request::Produce(produce)) = Request::decode(&request[4..]) else {
            panic!("{name}")
        };
        MessageSet::new(Bytes::copy_from_slice(produce.set), 0)
    };
    assert!(payloads(set("produce gzip-nested")).expect("read").len() > 1);
    let gzip_looking = payloads(set("produce magic0 gzip-looking")).expect("read");
    assert_eq!(gzip_looking.len(), 1);
    assert!(gzip_looking[0].starts_with(&[0x1f, 0x8b]), "left as it is");
    assert_eq!(payloads(set("produce magic0")).expect("read"), [b"old"]);
}

#[test]
fn sets_that_the_broker_refuses_are_errors_here_too() {
    let exchanges = exchanges();
    for (name, code) in [
        ("produce gzip-badinner", Code::CORRUPT_MESSAGE),
        ("produce gzip-notgzip", Code::UNDECODABLE),
        ("produce attr-codec3", Code::CORRUPT_MESSAGE),
        ("produce-fault bad crc", Code::CORRUPT_MESSAGE),
        ("produce-fault good then bad crc", Code::CORRUPT_MESSAGE),
        ("produce-fault magic 2", Code::CORRUPT_MESSAGE),
        ("produce-fault negative msg size", Code::CORRUPT_MESSAGE),
        ("produce-fault msg size 0", Code::CORRUPT_MESSAGE),
        ("produce-fault msg size 4", Code::CORRUPT_MESSAGE),
    ] {
        let exchange = named(&exchanges, name);
        assert_eq!(exchange["outcome"], "closed", "{name}");
        let request = field(exchange, "request").expect("bytes");
        let Ok(Request::Produce(produce)) = Request::decode(&request[4..]) else {
            panic!("{name}")
        };
        let set = MessageSet::new(Bytes::copy_from_slice(produce.set), 0);
        assert_eq!(payloads(set).expect_err(name).code(), code, "{name}");
    }
}

#[test]
fn a_cut_tail_says_how_much_to_ask_for_and_a_middle_is_left_behind() {
    let exchanges = exchanges();
    let body = |name: &str| {
        let response = field(named(&exchanges, name), "response").expect("bytes");
        read_answer(frames(&response).remove(0)).expect("an answer").body
    };
    let mut part = MessageSet::new(body("fetch maxSize 20 (1 msg + part)"), 0);
    assert_eq!(part.by_ref().filter_map(Result::ok).count(), 1);
    assert_eq!((part.next_offset(), part.tail()), (15, Tail::Cut(15)));
    let mut stray = MessageSet::new(body("fetch maxSize 3"), 0);
    assert!(stray.next().is_none(), "not an error: there is no size yet");
    assert_eq!(stray.tail(), Tail::None);
    let middle = body("fetch mid-message");
    let Search::Found(found) = resynchronise(&middle) else { panic!("the second message") };
    let set = MessageSet::new(middle.slice(found..), 3 + found as i64);
    assert_eq!(set.clone().map(|m| m.expect("whole").next_offset).collect::<Vec<_>>(), [30]);
    assert_eq!(payloads(set).expect("read"), [b"world"]);
}

#[test]
fn pipelined_requests_are_answered_in_order_and_produces_take_no_place() {
    let exchanges = exchanges();
    let responses = named(&exchanges, "pipelined P,F,O,P,F")["responses"].as_array();
    let responses: Vec<_> =
        responses.expect("three").iter().map(|r| hex(r.as_str().expect("hex"))).collect();
    assert_eq!(responses.len(), 3, "two produces are not answered");
    let answers = responses.concat();
    let first = read_answer(frames(&answers).remove(0)).expect("an answer");
    assert_eq!(payloads(MessageSet::new(first.body, 0)).expect("read"), [b"hello"]);
    let second = read_answer(frames(&answers).remove(1)).expect("an answer");
    assert_eq!(read_offsets(&second.body).expect("offsets"), [15]);
    let third = read_answer(frames(&answers).remove(2)).expect("an answer");
    let both = payloads(MessageSet::new(third.body, 0)).expect("read");
    assert_eq!(both, [b"hello", b"world"]);
}

#[test]
fn what_the_scala_producer_wrote_is_read_and_plain_sets_are_written_alike() {
    let streams: [(&str, &str, Compression); 3] = [
        (
            "none",
            include_str!("golden/kafka-0.7/scala_producer_none.request.hex"),
            Compression::None,
        ),
        (
            "gzip",
            include_str!("golden/kafka-0.7/scala_producer_gzip.request.hex"),
            Compression::Gzip,
        ),
        (
            "snappy",
            include_str!("golden/kafka-0.7/scala_producer_snappy.request.hex"),
            Compression::Snappy,
        ),
    ];
    for (name, stream, codec) in streams {
        let stream = hex(stream);
        let frames = frames(&stream);
        let mut again = Vec::new();
        for frame in &frames {
            let request = Request::decode(frame).expect(name);
            let Request::Produce(produce) = &request else { panic!("{name}: a produce") };
            let set = MessageSet::new(Bytes::copy_from_slice(produce.set), 0);
            for message in set.clone() {
                assert_eq!(message.expect(name).compression, codec, "{name}");
            }
            let (mut plain, mut set_again) = (Vec::new(), Vec::new());
            for payload in payloads(set).expect(name) {
                append_message(&mut plain, &payload);
            }
            wrap(&mut set_again, &plain, codec, None).expect(name);
            // Two gzip encoders need not agree; what they hold must.
            let ours = match codec {
                Compression::Gzip => produce.set,
                _ => &set_again,
            };
            again.extend(written(&Request::Produce(Produce { set: ours, ..*produce })));
            assert_eq!(
                payloads(MessageSet::new(set_again.clone().into(), 0)).expect(name),
                payloads(MessageSet::new(Bytes::copy_from_slice(produce.set), 0)).expect(name),
                "{name}"
            );
        }
        if codec != Compression::Snappy {
            assert_eq!(again, stream, "{name}");
        }
    }
}

#[test]
fn a_snappy_set_of_two_blocks_and_a_batch_of_the_asynchronous_producer_are_read() {
    let big = hex(include_str!("golden/kafka-0.7/scala_producer_snappy_2000msgs.request.hex"));
    let asynchronous =
        hex(include_str!("golden/kafka-0.7/scala_producer_async-batch3.request.hex"));
    let messages = |stream: &[u8]| {
        let mut all = 0;
        for frame in frames(stream) {
            let request = Request::decode(&frame).expect("a request");
            assert_eq!(written(&request)[4..], frame[..], "written as it was read");
            let produces = match request {
                Request::Produce(produce) => vec![produce],
                Request::MultiProduce(produces) => produces,
                other => panic!("{other:?}"),
            };
            for produce in produces {
                let set = MessageSet::new(Bytes::copy_from_slice(produce.set), 0);
                all += payloads(set).expect("read").len();
            }
        }
        all
    };
    assert_eq!(messages(&big), 2_000);
    assert_eq!(messages(&asynchronous), 5, "a batch of three, and one of two");
}

#[test]
fn the_scala_consumers_conversations_are_understood_from_both_ends() {
    let offsets = hex(include_str!("golden/kafka-0.7/scala_consumer_offsets.c2s.hex"));
    let answer = hex(include_str!("golden/kafka-0.7/scala_consumer_offsets.s2c.hex"));
    understood(&offsets, &answer);
    let fetches = hex(include_str!("golden/kafka-0.7/scala_consumer_multifetch.c2s.hex"));
    let answers = hex(include_str!("golden/kafka-0.7/scala_consumer_multifetch.s2c.hex"));
    understood(&fetches, &answers);
}

fn understood(client: &[u8], broker: &[u8]) {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let requests = frames(client);
    for (frame, answer) in requests.iter().zip(frames(broker)) {
        let request = Request::decode(frame).expect("a request");
        let mut framed = (answer.len() as u32).to_be_bytes().to_vec();
        framed.extend_from_slice(&answer);
        theirs.extend(answered_again(&request, &framed));
        ours.extend(written(&request));
    }
    assert!(!theirs.is_empty());
    assert_eq!(theirs, broker);
    assert!(client.starts_with(&ours), "as far as there were answers");
}

#[test]
fn hand_made_requests_have_the_bytes_of_the_recorded_ones() {
    let topic = "cap1795251744";
    let exchanges = exchanges();
    let mut set = Vec::new();
    append_message(&mut set, b"hello");
    append_message(&mut set, b"world");
    for (name, request) in [
        ("produce magic1 x2", Request::Produce(Produce { topic, partition: 0, set: &set })),
        (
            "fetch offset 0",
            Request::Fetch(Fetch { topic, partition: 0, offset: 0, max_size: 65_536 }),
        ),
        (
            "offsets latest",
            Request::Offsets(Offsets { topic, partition: 0, time: LATEST, max_number: 10 }),
        ),
        (
            "offsets earliest",
            Request::Offsets(Offsets { topic, partition: 0, time: EARLIEST, max_number: 10 }),
        ),
        ("multifetch count 0", Request::MultiFetch(Vec::new())),
        ("produce-fault multiproduce count 0", Request::MultiProduce(Vec::new())),
    ] {
        let recorded = field(named(&exchanges, name), "request").expect("bytes");
        assert_eq!(written(&request), recorded, "{name}");
    }
    let random = field(named(&exchanges, "produce-fault partition -1 (random)"), "request");
    let random = random.expect("bytes");
    let Ok(Request::Produce(produce)) = Request::decode(&random[4..]) else { panic!("a produce") };
    assert_eq!(produce.partition, RANDOM_PARTITION);
}

#[test]
fn no_cut_and_no_changed_byte_of_anything_recorded_panics_or_grows() {
    for exchange in exchanges() {
        for name in ["request", "response", "fetch_after"] {
            let Some(bytes) = field(&exchange, name).filter(|bytes| bytes.len() < 4_096) else {
                continue;
            };
            for at in 0..bytes.len() {
                read_everything(&bytes[at..]);
                read_everything(&bytes[..at]);
                for bit in [0x80, 0x01, 0xff] {
                    let mut changed = bytes.clone();
                    changed[at] ^= bit;
                    read_everything(changed.get(4..).unwrap_or_default());
                }
            }
        }
    }
}

/// Reads bytes as everything they could be.
fn read_everything(bytes: &[u8]) {
    let _ = Request::decode(bytes);
    let frame = Bytes::copy_from_slice(bytes);
    let _ = read_offsets(bytes);
    let _ = read_multi_fetch(&frame, 3);
    if let Ok(answer) = read_answer(frame.clone()) {
        let whole: Vec<Message> = MessageSet::new(answer.body, 0).map_while(Result::ok).collect();
        assert!(whole.len() <= bytes.len() / 9 + 1);
        for message in whole {
            let _ = message.open(true, CAP).map(|opened| assert!(opened.buffer.len() <= CAP));
        }
    }
    let _ = resynchronise(&frame);
}

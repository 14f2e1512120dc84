use bytes::Bytes;

use super::*;
use crate::error::{Code, Error, Result};

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(pair).collect()
}

fn body<R: Request>(request: &R) -> Vec<u8> {
    let mut w = Writer::new();
    request.write(&mut w).unwrap();
    frame(7, R::OP, &w.finish()).unwrap().to_vec()
}

const STAT: &str = "0000000000000001 0000000000000002 0000000000000003 0000000000000004
                    00000005 00000006 00000007 0000000000000008 00000009 0000000a 000000000000000b";

fn stat() -> Stat {
    Stat {
        created: 1,
        modified: 2,
        created_at: 3,
        modified_at: 4,
        version: 5,
        children_version: 6,
        acl_version: 7,
        ephemeral_owner: 8,
        data_length: 9,
        children: 10,
        children_modified: 11,
    }
}

#[test]
fn requests_have_the_bytes_that_zookeeper_reads() {
    let acl = Acl::open();
    let create = Create { path: "/a", data: b"xy", acl: &acl, mode: CreateMode::Ephemeral };
    for (request, expected) in [
        (
            body(&create),
            "00000033 00000007 00000001 00000002 2f61 00000002 7879 00000001 0000001f
             00000005 776f726c64 00000006 616e796f6e65 00000001",
        ),
        (
            body(&Delete { path: "/a", version: -1 }),
            "00000012 00000007 00000002 00000002 2f61 ffffffff",
        ),
        (body(&Exists { path: "/a", watch: true }), "0000000f 00000007 00000003 00000002 2f61 01"),
        (
            body(&GetData { path: "/a", watch: false }),
            "0000000f 00000007 00000004 00000002 2f61 00",
        ),
        (
            body(&SetData { path: "/a", data: b"", version: 3 }),
            "00000016 00000007 00000005 00000002 2f61 00000000 00000003",
        ),
        (
            body(&GetChildren { path: "/", watch: true }),
            "0000000e 00000007 0000000c 00000001 2f 01",
        ),
        (body(&Sync { path: "/" }), "0000000d 00000007 00000009 00000001 2f"),
        (body(&Ping), "00000008 00000007 0000000b"),
        (body(&CloseSession), "00000008 00000007 fffffff5"),
        (
            body(&Auth { scheme: "digest", credentials: b"u:p" }),
            "0000001d 00000007 00000064 00000000 00000006 646967657374 00000003 753a70",
        ),
        (
            body(&SetWatches { zxid: 9, data: vec!["/d".into()], ..SetWatches::default() }),
            "00000022 00000007 00000065 0000000000000009 00000001 00000002 2f64 00000000 00000000",
        ),
    ] {
        assert_eq!(request, hex(expected), "{expected}");
    }
}

#[test]
fn a_session_is_opened_and_taken_up_again_by_its_password() {
    let request = ConnectRequest {
        last_zxid: 2,
        timeout_ms: 6_000,
        session_id: 3,
        password: Bytes::from(vec![7; 16]),
        read_only: false,
    };
    let expected = "0000002d 00000000 0000000000000002 00001770 0000000000000003
                    00000010 07070707070707070707070707070707 00";
    assert_eq!(request.frame().unwrap(), hex(expected));
    assert!(!format!("{request:?}").contains('7'), "a password is not shown: {request:?}");

    let response = "00000000 00000fa0 0000000000000003 00000002 0102";
    for (tail, read_only) in [("", false), ("00", false), ("01", true), ("01ff", true)] {
        let frame = Bytes::from(hex(&format!("{response}{tail}")));
        let response = ConnectResponse::read(frame).unwrap();
        assert_eq!((response.timeout_ms, response.session_id), (4_000, 3));
        assert_eq!((&response.password[..], response.read_only), (&[1, 2][..], read_only));
        assert!(!response.is_expired());
    }
    let gone = ConnectResponse::read(Bytes::from(vec![0; 37])).unwrap();
    assert!(gone.is_expired());
    let error = ConnectResponse::read(Bytes::from(vec![1; 37])).unwrap_err();
    assert_eq!(error.code(), Code::PROTOCOL);
}

fn read<R: Request>(bytes: &[u8]) -> Result<R::Answer> {
    let mut reader = Reader::new(Bytes::copy_from_slice(bytes));
    let answer = R::read(&mut reader)?;
    reader.finish()?;
    Ok(answer)
}

#[test]
fn answers_are_read_and_a_cut_at_any_byte_is_an_error() {
    let data = hex(&format!("00000002 7879 {STAT}"));
    assert_eq!(read::<GetData<'_>>(&data).unwrap(), (Bytes::from_static(b"xy"), stat()));
    let null = hex(&format!("ffffffff {STAT}"));
    assert_eq!(read::<GetData<'_>>(&null).unwrap().0, Bytes::new());
    let children = hex(&format!("00000002 00000001 61 00000002 6262 {STAT}"));
    let names = vec!["a".to_owned(), "bb".to_owned()];
    assert_eq!(read::<GetChildren<'_>>(&children).unwrap(), (names, stat()));
    assert_eq!(read::<Exists<'_>>(&hex(STAT)).unwrap(), stat());
    assert_eq!(read::<Create<'_>>(&hex("00000002 2f61")).unwrap(), "/a");
    for cut in 0..data.len() {
        assert_eq!(read::<GetData<'_>>(&data[..cut]).unwrap_err().code(), Code::PROTOCOL);
    }
    for cut in 0..children.len() {
        assert_eq!(read::<GetChildren<'_>>(&children[..cut]).unwrap_err().code(), Code::PROTOCOL);
    }
}

#[test]
fn a_header_and_events_are_read() {
    let bytes = hex("00000009 0000000000000005 ffffff9b 00000004 00000003 00000002 2f61");
    let mut reader = Reader::new(Bytes::from(bytes));
    let header = ReplyHeader::read(&mut reader).unwrap();
    assert_eq!(header, ReplyHeader { xid: 9, zxid: 5, error: ErrorCode::NO_NODE });
    let event = NodeEvent::read(&mut reader).unwrap().unwrap();
    assert_eq!(event, NodeEvent { kind: EventKind::ChildrenChanged, path: "/a".to_owned() });
    reader.finish().unwrap();
    let session = Bytes::from(hex("ffffffff 00000003 00000000"));
    assert_eq!(NodeEvent::read(&mut Reader::new(session)).unwrap(), None);
}

fn refused(error: Error, what: &str) {
    assert_eq!(error.code(), Code::PROTOCOL, "{what}: {error}");
}

#[test]
fn what_a_hostile_server_claims_costs_nothing_and_is_an_error() {
    for (bytes, what) in [
        (hex("7fffffff"), "a count of 2^31-1"),
        (hex("7fffffff 00000001 61"), "a count beyond the frame"),
        (hex("fffffffe"), "a negative count"),
        (hex("00000001 7fffffff"), "a text of 2^31-1 bytes"),
        (hex("00000001 fffffffe"), "a text of negative length"),
        (hex("00000001 ffffffff"), "a child without name"),
        (hex("00000001 00000002 c328"), "text that is not UTF-8"),
    ] {
        refused(read::<GetChildren<'_>>(&bytes).unwrap_err(), what);
    }
    refused(read::<GetData<'_>>(&hex("7fffffff")).unwrap_err(), "data of 2^31-1 bytes");
    refused(read::<Create<'_>>(&hex("00000002 2f61 00")).unwrap_err(), "a byte too many");
    let unknown = Bytes::from(hex("00000063 00000003 00000000"));
    refused(NodeEvent::read(&mut Reader::new(unknown)).unwrap_err(), "an unknown event");
}

#[test]
fn any_bytes_are_read_or_refused_without_a_panic() {
    use proptest::prelude::*;
    proptest!(|(bytes in proptest::collection::vec(any::<u8>(), 0..120))| {
        let frame = Bytes::from(bytes.clone());
        let _ = ConnectResponse::read(frame.clone());
        let _ = ReplyHeader::read(&mut Reader::new(frame.clone()));
        let _ = NodeEvent::read(&mut Reader::new(frame));
        let _ = read::<GetChildren<'_>>(&bytes);
        let _ = read::<GetData<'_>>(&bytes);
        let _ = read::<Exists<'_>>(&bytes);
        let _ = read::<Create<'_>>(&bytes);
    });
}

#[test]
fn every_error_has_a_text_and_unknown_ones_too() {
    assert_eq!(ErrorCode::NO_NODE.text(), "the node does not exist");
    assert!(ErrorCode(-9_999).text().contains("does not know"));
}

//! What members write is what the other clients of their time wrote.

use super::*;

fn wish(topics: &[&str], patterns: &[&str], except: &[&str]) -> Subscription {
    let list = |names: &[&str]| names.iter().map(|name| Arc::from(*name)).collect();
    Subscription { topics: list(topics), patterns: list(patterns), except: list(except) }
}

#[test]
fn every_client_s_node_is_read() {
    let (legacy, scala, pykafka) = (Layout::Legacy, Layout::Scala, Layout::PyKafka);
    for (layout, data, topic, threads) in [
        (legacy, r#"{ "load": 2 }"#, "load", 2),
        (legacy, r#"{ "a": 1,"b": 2 }"#, "b", 2),
        (legacy, "{  }", "a", 0),
        (legacy, "*2*wild.*", "wilder", 2),
        (legacy, r#"{ "load": 1000 }"#, "load", 1000),
        (legacy, "!3!wild.*", "wilder", 0),
        (legacy, "!3!wild.*", "tame", 3),
        (legacy, "load", "load", 1),
        (legacy, "load", "other", 0),
        (legacy, "tö … 1", "tö … 1", 1),
        (legacy, "tö … 1", "t", 0),
        (
            scala,
            r#"{"version":1,"subscription":{"zt":1},"pattern":"white_list","timestamp":"1795258536695"}"#,
            "zt",
            1,
        ),
        (scala, r#"{"version":1,"subscription":{"w.":4},"pattern":"white_list"}"#, "wa", 4),
        (scala, r#"{"version":1,"subscription":{"w.":4},"pattern":"black_list"}"#, "wa", 0),
        (scala, r#"{"version":1,"subscription":{"a":1,"b":3},"pattern":"static"}"#, "b", 3),
        (scala, r#"{"version":1,"subscription":{"a":2}}"#, "a", 2),
        (scala, "zt", "zt", 1),
        (pykafka, "zt", "zt", 1),
        (pykafka, "zt", "other", 0),
    ] {
        assert_eq!(Wish::parse(layout, data.as_bytes()).threads(topic, true), threads, "{data}");
    }
}

#[test]
fn rule_10_10_a_member_whose_data_cannot_be_read_counts_for_every_topic() {
    for (layout, data) in [
        (Layout::Scala, &b"{"[..]),
        (Layout::Scala, b""),
        (Layout::Scala, b"a topic?"),
        (Layout::Scala, br#"{"version":1}"#),
        (Layout::Scala, br#"{"subscription":{"a":-1}}"#),
        (Layout::Scala, br#"{"subscription":{"a":2147483647}}"#),
        (Layout::Scala, br#"{"subscription":{"a":1},"pattern":"new"}"#),
        (Layout::Scala, br#"{"subscription":{"(?=a)":1},"pattern":"white_list"}"#),
        (Layout::Legacy, b"*x*a"),
        (Layout::Legacy, b"*1"),
        (Layout::Legacy, b"{ \"a\": }"),
        (Layout::Legacy, b"a/b"),
        (Layout::Legacy, br#"{ "a": 1001 }"#),
        (Layout::Legacy, b"*1001*a"),
        (Layout::PyKafka, b"{}"),
        (Layout::Scala, &[0xff]),
    ] {
        let wish = Wish::parse(layout, data);
        assert!(matches!(wish, Wish::Unreadable), "{data:?}: {wish:?}");
        assert_eq!(wish.threads("anything", true), 1);
    }
}

#[test]
fn what_we_write_is_what_the_scala_client_and_pykafka_write() {
    let named = Registration::of(&wish(&["b", "a"], &[], &[]), &[], true).unwrap();
    assert_eq!(named.data(Layout::Legacy, 1), r#"{ "a": 1,"b": 1 }"#);
    let expected =
        r#"{"version":1,"subscription":{"a":1,"b":1},"pattern":"static","timestamp":"7"}"#;
    assert_eq!(named.data(Layout::Scala, 7), expected);
    let one = Registration::of(&wish(&["zt"], &[], &[]), &[], true).unwrap();
    assert_eq!(one.data(Layout::PyKafka, 1), "zt");

    let white = Registration::of(&wish(&["a.b"], &["w.*"], &[]), &[], true).unwrap();
    assert_eq!(white.data(Layout::Legacy, 1), r"*1*a\.b|w.*");
    let expected =
        r#"{"version":1,"subscription":{"a\\.b|w.*":1},"pattern":"white_list","timestamp":"7"}"#;
    assert_eq!(white.data(Layout::Scala, 7), expected);

    let black = Registration::of(&wish(&[], &[".*"], &["x", "y.*"]), &[], true).unwrap();
    assert_eq!(black.data(Layout::Legacy, 1), "!1!x|y.*");
    let expected =
        r#"{"version":1,"subscription":{"x|y.*":1},"pattern":"black_list","timestamp":"7"}"#;
    assert_eq!(black.data(Layout::Scala, 7), expected);
}

#[test]
fn names_that_only_0_7_allows_are_written_so_that_all_can_read_them() {
    let name = r#"a "b" \ (c)"#;
    let named = Registration::of(&wish(&[name], &[], &[]), &[], true).unwrap();
    assert_eq!(named.data(Layout::Legacy, 1), r#"{ "a \"b\" \\ (c)": 1 }"#);
    let names = [name, "c+d", "cd", "w1"].map(Arc::from);
    for (wish, read) in [
        (wish(&[name], &[], &[]), vec![name]),
        (wish(&[name], &["w."], &[]), vec![name, "w1"]),
        (wish(&["c+d"], &["w."], &[]), vec!["c+d", "w1"]),
    ] {
        let registration = Registration::of(&wish, &names, true).unwrap();
        let parsed = Wish::parse(Layout::Legacy, registration.data(Layout::Legacy, 1).as_bytes());
        let ours = names.iter().filter(|topic| parsed.threads(topic, true) == 1);
        assert_eq!(ours.map(|topic| &**topic).collect::<Vec<_>>(), read, "{wish:?}");
    }
}

#[test]
fn what_we_write_we_read_alike() {
    let existing: Vec<Arc<str>> = ["a.b", "aab", "w1", "x"].map(Arc::from).to_vec();
    for (wish, read) in [
        (wish(&["a.b", "x"], &[], &[]), vec!["a.b", "x"]),
        (wish(&["a.b"], &["w."], &[]), vec!["a.b", "w1"]),
        (wish(&[], &[".*"], &["a.*"]), vec!["w1", "x"]),
        (wish(&[], &["[a-z]{1,3}"], &[]), vec!["aab", "x"]),
        (wish(&["x"], &["a.*"], &["aa.*"]), vec!["a.b", "x"]),
    ] {
        let registration = Registration::of(&wish, &existing, true).unwrap();
        for layout in [Layout::Legacy, Layout::Scala] {
            let parsed = Wish::parse(layout, registration.data(layout, 1).as_bytes());
            let ours = existing.iter().filter(|topic| parsed.threads(topic, true) == 1);
            assert_eq!(ours.map(|topic| &**topic).collect::<Vec<_>>(), read, "{layout:?} {wish:?}");
        }
    }
}

#[test]
fn a_pattern_that_no_filter_can_say_stands_for_its_topics_without_internal_ones() {
    let existing: Vec<Arc<str>> = ["ab", "__consumer_offsets"].map(Arc::from).to_vec();
    let wish = wish(&[], &[".{1,99}"], &[]);
    let told = |exclude| Registration::of(&wish, &existing, exclude).unwrap();
    assert_eq!(told(true), Registration::Topics(["ab".into()].into()));
    assert_eq!(told(false), Registration::Topics(existing.iter().cloned().collect()));
}

#[test]
fn a_pattern_that_is_none_is_refused() {
    let error = Registration::of(&wish(&[], &["("], &[]), &[], true).unwrap_err();
    assert_eq!(error.code(), crate::error::Code::INVALID_REGULAR_EXPRESSION);
}

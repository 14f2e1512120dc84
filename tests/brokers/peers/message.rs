//! A message as every peer sees it, and the set that is sent back and forth.

/// One message; null and empty differ.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// The key.
    pub key: Option<Vec<u8>>,
    /// The value.
    pub value: Option<Vec<u8>>,
    /// The headers, in order; names may repeat.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
    /// Milliseconds since the epoch, where a case is about them.
    pub timestamp: Option<i64>,
}

impl Message {
    /// A message with a key and a value.
    pub fn new(key: Option<&[u8]>, value: Option<&[u8]>) -> Message {
        let (key, value) = (key.map(<[u8]>::to_vec), value.map(<[u8]>::to_vec));
        Message { key, value, ..Message::default() }
    }

    /// The message with a header more.
    pub fn with(mut self, name: &str, value: Option<&[u8]>) -> Message {
        self.headers.push((name.to_owned(), value.map(<[u8]>::to_vec)));
        self
    }
}

/// Messages with times of their own: old, not in order, one for all.
pub fn with_times() -> Vec<Message> {
    [1_700_000_000_000, 1_600_000_000_000, 1_700_000_000_001, 1, 1_700_000_000_000]
        .into_iter()
        .map(|time: i64| {
            let value = format!("at {time}");
            let message = Message::new(None, Some(value.as_bytes()));
            Message { timestamp: Some(time), ..message }
        })
        .collect()
}

/// The same without their times.
pub fn timeless(mut messages: Vec<Message>) -> Vec<Message> {
    for message in &mut messages {
        message.timestamp = None;
    }
    messages
}

/// Keys and values of every kind: null, empty, text, all bytes, and one larger than a small batch.
pub fn of_every_kind() -> Vec<Message> {
    let all_bytes: Vec<u8> = (0..=255).collect();
    let large: Vec<u8> = (0..40_000_u32).map(|i| ((i * i) >> 7) as u8).collect();
    vec![
        Message::new(None, Some(b"no key")),
        Message::new(Some(b""), Some(b"empty key")),
        Message::new(Some(b"k"), Some(b"")),
        Message::new(Some(b"null value"), None),
        Message::new(None, Some("smörgås \u{1f35e}".as_bytes())),
        Message::new(Some(&all_bytes), Some(&all_bytes)),
        Message::new(Some(b"large"), Some(&large)),
    ]
}

/// Headers of every kind: repeated names, null and empty values, bytes.
pub fn with_headers() -> Vec<Message> {
    vec![
        Message::new(Some(b"k"), Some(b"v")).with("a", Some(b"1")).with("a", Some(b"2")),
        Message::new(None, Some(b"v")).with("null", None).with("empty", Some(b"")),
        Message::new(None, None).with("bytes", Some(&[0, 255, 9, 10])),
    ]
}

/// Messages that tools made for lines of text can carry.
pub fn of_text() -> Vec<Message> {
    (0..20)
        .map(|i| {
            let (key, value) = (format!("key-{i}"), format!("value number {i}, {}", "x".repeat(i)));
            Message::new(Some(key.as_bytes()), Some(value.as_bytes()))
        })
        .collect()
}

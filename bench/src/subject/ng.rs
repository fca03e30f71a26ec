//! The ng control protocol of rtpengine: bencoded dictionaries over UDP, each answer with the
//! cookie of its question.

use std::collections::BTreeMap;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use crate::Failure;

/// A question is repeated when there is no answer for this long, so many times.
const PATIENCE: Duration = Duration::from_millis(500);
const ATTEMPTS: usize = 20;
const ANSWER_BYTES_MAX: usize = 65_536;

/// What is known of bencode: enough for SDP and flags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Integer(i64),
    Text(String),
    List(Vec<Self>),
    Dictionary(BTreeMap<String, Self>),
}

impl Value {
    pub(super) fn dictionary(entries: &[(&str, &str)]) -> BTreeMap<String, Self> {
        let entries = entries.iter();
        entries
            .map(|(key, value)| ((*key).to_owned(), Self::Text((*value).to_owned())))
            .collect()
    }

    pub(super) fn list(texts: &[&str]) -> Self {
        Self::List(
            texts
                .iter()
                .map(|text| Self::Text((*text).to_owned()))
                .collect(),
        )
    }

    pub(super) fn text(&self, key: &str) -> Option<&str> {
        match self {
            Self::Dictionary(entries) => match entries.get(key)? {
                Self::Text(text) => Some(text),
                Self::Integer(_) | Self::List(_) | Self::Dictionary(_) => None,
            },
            Self::Integer(_) | Self::Text(_) | Self::List(_) => None,
        }
    }

    fn encode(&self, out: &mut String) {
        match self {
            Self::Integer(value) => out.push_str(&format!("i{value}e")),
            Self::Text(text) => out.push_str(&format!("{}:{text}", text.len())),
            Self::List(values) => {
                out.push('l');
                values.iter().for_each(|value| value.encode(out));
                out.push('e');
            }
            Self::Dictionary(entries) => {
                out.push('d');
                for (key, value) in entries {
                    out.push_str(&format!("{}:{key}", key.len()));
                    value.encode(out);
                }
                out.push('e');
            }
        }
    }

    /// Reads a value, and returns what follows it.
    fn decode(text: &str) -> Option<(Self, &str)> {
        if let Some(rest) = text.strip_prefix('i') {
            let (number, rest) = rest.split_once('e')?;
            return Some((Self::Integer(number.parse().ok()?), rest));
        }
        if let Some(mut rest) = text.strip_prefix('l') {
            let mut values = Vec::new();
            while !rest.starts_with('e') {
                let (value, after) = Self::decode(rest)?;
                values.push(value);
                rest = after;
            }
            return Some((Self::List(values), rest.get(1..)?));
        }
        if let Some(mut rest) = text.strip_prefix('d') {
            let mut entries = BTreeMap::new();
            while !rest.starts_with('e') {
                let (key, after) = string(rest)?;
                let (value, after) = Self::decode(after)?;
                entries.insert(key.to_owned(), value);
                rest = after;
            }
            return Some((Self::Dictionary(entries), rest.get(1..)?));
        }
        string(text).map(|(text, rest)| (Self::Text(text.to_owned()), rest))
    }
}

fn string(text: &str) -> Option<(&str, &str)> {
    let (length, rest) = text.split_once(':')?;
    rest.split_at_checked(length.parse().ok()?)
}

/// Asks one rtpengine.
pub(super) struct Client {
    socket: UdpSocket,
    next_cookie: u32,
}

impl Client {
    pub(super) fn new(to: SocketAddr) -> Result<Self, Failure> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.connect(to)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        Ok(Self {
            socket,
            next_cookie: 0,
        })
    }

    /// Asks, and returns the answer if it is a good one.
    ///
    /// # Errors
    /// No answer, or one whose result is an error.
    pub(super) fn ask(&mut self, question: BTreeMap<String, Value>) -> Result<Value, Failure> {
        self.next_cookie += 1;
        let cookie = format!("{:08x} ", self.next_cookie);
        let mut text = cookie.clone();
        Value::Dictionary(question).encode(&mut text);
        let mut buffer = vec![0; ANSWER_BYTES_MAX];
        for _ in 0..ATTEMPTS {
            // Until it listens, the kernel says that nobody does.
            if self.socket.send(text.as_bytes()).is_err() {
                crate::clock::sleep(PATIENCE / 10);
                continue;
            }
            let Ok(length) = self.socket.recv(&mut buffer) else {
                crate::clock::sleep(PATIENCE / 10);
                continue;
            };
            let answer = String::from_utf8_lossy(buffer.get(..length).unwrap_or_default());
            let body = answer.strip_prefix(&cookie).and_then(Value::decode);
            let Some((answer, _)) = body else { continue };
            return match answer.text("result") {
                Some("ok" | "pong") => Ok(answer),
                _ => Err(format!("rtpengine answers {answer:?}").into()),
            };
        }
        Err("rtpengine does not answer".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_reads_as_it_was_written() {
        let mut question = Value::dictionary(&[("command", "offer"), ("sdp", "v=0\r\n")]);
        question.insert("flags".to_owned(), Value::list(&["a", "b"]));
        question.insert("n".to_owned(), Value::Integer(-3));
        let question = Value::Dictionary(question);
        let mut text = String::new();
        question.encode(&mut text);
        assert_eq!(
            text,
            "d7:command5:offer5:flagsl1:a1:be1:ni-3e3:sdp5:v=0\r\ne"
        );
        assert_eq!(Value::decode(&text), Some((question, "")));
    }

    #[test]
    fn what_is_cut_off_or_lies_about_its_length_is_no_value() {
        for text in [
            "", "d", "d3:ab", "i5", "9:short", "l1:a", "x", "d1:ai1e", "2:é",
        ] {
            let whole = Value::decode(text).is_some_and(|(_, rest)| rest.is_empty());
            assert_eq!(whole, text == "2:é", "{text}");
        }
    }
}

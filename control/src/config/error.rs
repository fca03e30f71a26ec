//! What is wrong with a configuration, said so that it can be mended.

use std::fmt;

/// Why a configuration was refused: what is wrong, where, and what was meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    what: String,
    place: Option<Place>,
    remedy: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    file: String,
    /// Counted from 1.
    line: Option<usize>,
}

impl ConfigError {
    pub(super) fn new(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            place: None,
            remedy: remedy.into(),
        }
    }

    pub(super) fn at(mut self, file: &str, line: Option<usize>) -> Self {
        self.place = Some(Place {
            file: file.to_owned(),
            line,
        });
        self
    }

    pub(super) fn unreadable(file: &str, error: &std::io::Error) -> Self {
        Self::new(format!("cannot read {file}"), error.to_string())
    }

    /// Turns the message of the TOML reader into ours; `span` is where in `text` it looks.
    pub(super) fn from_toml(file: &str, text: &str, error: &toml::de::Error) -> Self {
        let offset = error.span().map(|span| span.start);
        let line = offset.map(|offset| line_of(text, offset));
        let message = error.message().trim();
        let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
        let table = || offset.map_or_else(|| "[?]".to_owned(), |offset| table_of(text, offset));
        let error = match (quoted.split_first(), message.split_once(' ')) {
            (Some((key, valid)), _) if message.starts_with("unknown field") => {
                let place = table();
                let inside = if place.is_empty() {
                    String::new()
                } else {
                    format!(" in {place}")
                };
                let what = format!("unknown key `{key}`{inside}");
                let remedy = match nearest(key, valid) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("valid here are {}", valid.join(", ")),
                };
                Self::new(what, remedy)
            }
            (Some((key, _)), _) if message.starts_with("missing field") => Self::new(
                format!("key `{key}` is missing in {}", table()),
                "it has no default",
            ),
            _ => {
                let message = message.replace('\n', ", ");
                let message = message.replace("expected u16", "expected a number up to 65535");
                Self::new("cannot understand the value", message)
            }
        };
        error.at(file, line)
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        if let Some(place) = &self.place {
            write!(f, " at {}", place.file)?;
            if let Some(line) = place.line {
                write!(f, " line {line}")?;
            }
        }
        write!(f, ": {}", self.remedy)
    }
}

impl std::error::Error for ConfigError {}

/// The number of the line, from 1, that `offset` is in.
pub(super) fn line_of(text: &str, offset: usize) -> usize {
    text.bytes()
        .take(offset)
        .filter(|byte| *byte == b'\n')
        .count()
        + 1
}

/// The header of the table that `offset` is in, such as `[media]` or `[[trunk]]`; empty at the
/// top.
fn table_of(text: &str, offset: usize) -> String {
    let line = line_of(text, offset);
    let headers = text
        .lines()
        .take(line)
        .filter(|line| line.trim_start().starts_with('['));
    let last = headers.last().unwrap_or_default();
    last.split('#').next().unwrap_or_default().trim().to_owned()
}

/// The valid key that a mistyped one is closest to, if it is close at all.
pub(super) fn nearest<'a>(key: &str, valid: &[&'a str]) -> Option<&'a str> {
    let (distance, near) = valid
        .iter()
        .map(|valid| (edit_distance(key, valid), *valid))
        .min_by_key(|(d, _)| *d)?;
    let part = valid
        .iter()
        .find(|valid| valid.ends_with(key) || valid.starts_with(key));
    if distance <= 1 + key.len() / 4 {
        Some(near)
    } else {
        part.copied()
    }
}

/// Levenshtein distance, in bytes.
fn edit_distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.bytes().enumerate() {
        let mut next = Vec::with_capacity(row.len());
        next.push(i + 1);
        for ((to, above), diagonal) in b.bytes().zip(row.iter().skip(1)).zip(&row) {
            let left = next.last().copied().unwrap_or(usize::MAX - 1);
            let change = diagonal + usize::from(from != to);
            next.push(change.min(above + 1).min(left + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edit_distance_counts_single_changes() {
        assert_eq!(edit_distance("", "abc"), 3);
        assert_eq!(edit_distance("kitten", "sitting"), 3);
        assert_eq!(edit_distance("adress", "address"), 1);
    }

    #[test]
    fn suggests_only_what_is_near() {
        assert_eq!(nearest("lisen", &["listen", "advertise"]), Some("listen"));
        assert_eq!(
            nearest("port_min", &["rtp_port_min", "cores"]),
            Some("rtp_port_min")
        );
        assert_eq!(nearest("zzz", &["listen", "advertise"]), None);
    }
}

//! One thing that was looked at, and how it is told.

use std::fmt;

use serde::Serialize;

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// Calls are carried, but worse than they could be, or not for long.
    Warning,
    /// Calls cannot be carried.
    Failure,
    /// It could not be looked at, or does not matter here; the reason is in [`Finding::is`].
    Skipped,
}

impl Verdict {
    /// The word for it, as in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failure => "failure",
            Self::Skipped => "skipped",
        }
    }
}

/// One thing that was looked at. Its JSON form is documented in README.md: scripts rely on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at: stays the same for ever. Several findings may have one name.
    pub name: &'static str,
    /// How it is.
    pub verdict: Verdict,
    /// What was found.
    pub is: String,
    /// What there should be; empty if it was skipped.
    pub wanted: String,
    /// The command or the line of the configuration that mends it; `None` if nothing is to be mended.
    pub cure: Option<String>,
    /// True for a failure with which the daemon does not start.
    #[serde(skip)]
    pub stops: bool,
}

impl Finding {
    pub(super) fn ok(name: &'static str, is: impl Into<String>, wanted: impl Into<String>) -> Self {
        Self {
            name,
            verdict: Verdict::Ok,
            is: is.into(),
            wanted: wanted.into(),
            cure: None,
            stops: false,
        }
    }

    pub(super) fn skipped(name: &'static str, because: impl fmt::Display) -> Self {
        Self {
            verdict: Verdict::Skipped,
            ..Self::ok(name, format!("skipped, because {because}"), "")
        }
    }

    /// Turns a finding that was [`ok`](Self::ok) into one that is to be mended.
    pub(super) fn warning(self, cure: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Warning,
            cure: Some(cure.into()),
            ..self
        }
    }

    /// The same, if calls cannot be carried.
    pub(super) fn failure(self, cure: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Failure,
            ..self.warning(cure)
        }
    }

    /// The same, if the daemon does not even start.
    pub(super) fn stopping(self, cure: impl Into<String>) -> Self {
        Self {
            stops: true,
            ..self.failure(cure)
        }
    }
}

/// For a line of the log.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.is)?;
        match &self.cure {
            None => Ok(()),
            Some(cure) => write!(f, ". Wanted: {}. Cure: {cure}", self.wanted),
        }
    }
}

/// For people: one aligned line each, below it what is wanted and the cure where it is not well,
/// and how many there are of each kind.
#[derive(Debug)]
pub struct Report<'a>(pub &'a [Finding]);

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let findings = self.0;
        let width = findings.iter().map(|finding| finding.name.len()).max();
        let width = width.unwrap_or_default();
        for finding in findings {
            let (verdict, name) = (finding.verdict.as_str(), finding.name);
            // The first column says it already.
            let is = finding.is.strip_prefix("skipped, ").unwrap_or(&finding.is);
            writeln!(f, "{verdict:<8} {name:<width$}  {is}")?;
            if let Some(cure) = &finding.cure {
                let (indent, wanted) = (width + 11, &finding.wanted);
                writeln!(f, "{:indent$}wanted: {wanted}", "")?;
                writeln!(f, "{:indent$}cure: {cure}", "")?;
            }
        }
        let count = |verdict, word: &str| {
            let count = findings.iter().filter(|f| f.verdict == verdict).count();
            let ending = if count == 1 { "" } else { "s" };
            format!("{count} {word}{ending}")
        };
        let (warnings, failures) = (
            count(Verdict::Warning, "warning"),
            count(Verdict::Failure, "failure"),
        );
        writeln!(f, "\n{} checks: {failures}, {warnings}", findings.len())
    }
}

//! Which system calls a thread makes, as strace(1) counts them.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use std::{fs, io};

use crate::Failure;
use crate::clock;
use crate::network::run;

/// strace must say by then that it is attached.
const ATTACH_LOOKS: u32 = 200;
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(10);

/// A thread that is being watched.
pub(crate) struct Watch {
    strace: Child,
    thread: u32,
    output: PathBuf,
}

/// Calls by name.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Calls(Vec<(String, u64)>);

impl Watch {
    /// Watches the first thread of a process whose name begins so; `None` where there is no strace.
    pub(crate) fn begin(process: u32, threads: &str) -> Result<Option<Self>, Failure> {
        let tasks = fs::read_dir(format!("/proc/{process}/task"))?.flatten();
        let mut names = tasks.filter(|task| {
            let name = fs::read_to_string(task.path().join("comm"));
            name.is_ok_and(|name| name.starts_with(threads))
        });
        let thread = names.next().ok_or("no such thread")?.file_name();
        let thread = thread.to_string_lossy().parse()?;
        let output = std::env::temp_dir().join(format!("ringway-bench-strace-{thread}"));
        let spawned = Command::new("strace")
            .args(["-c", "-q", "-p", &format!("{thread}"), "-o"])
            .arg(&output)
            .stderr(Stdio::null())
            .spawn();
        let strace = match spawned {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            spawned => spawned?,
        };
        let watch = Self {
            strace,
            thread,
            output,
        };
        for _ in 0..ATTACH_LOOKS {
            let status = fs::read_to_string(format!("/proc/{thread}/status"))?;
            if !status.contains("TracerPid:\t0\n") {
                return Ok(Some(watch));
            }
            clock::sleep(LOOK_AGAIN_AFTER);
        }
        Err("strace cannot attach: is ptrace allowed here?".into())
    }

    /// What the thread has called since.
    pub(crate) fn end(mut self) -> Result<Calls, Failure> {
        run("kill", &["-INT", &self.strace.id().to_string()])?;
        self.strace.wait()?;
        let text = fs::read_to_string(&self.output)?;
        Calls::read(&text).ok_or_else(|| format!("thread {}: {text}", self.thread).into())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _gone = self.strace.kill();
        let _gone = self.strace.wait();
        let _gone = fs::remove_file(&self.output);
    }
}

impl Calls {
    /// Of the table that `strace -c` writes: the number of calls is the fourth column, the name is
    /// the last one. `None` if it is no such table.
    fn read(text: &str) -> Option<Self> {
        let mut calls = Vec::new();
        for line in text.lines() {
            let columns: Vec<_> = line.split_whitespace().collect();
            let (Some(count), Some(name)) = (columns.get(3), columns.last()) else {
                continue;
            };
            if let Ok(count) = count.parse()
                && *name != "total"
            {
                calls.push(((*name).to_owned(), count));
            }
        }
        (!calls.is_empty()).then_some(Self(calls))
    }

    pub(crate) fn of(&self, name: &str) -> u64 {
        let named = self.0.iter().filter(|(known, _)| known == name);
        named.map(|(_, count)| count).sum()
    }

    pub(crate) fn total(&self) -> u64 {
        self.0.iter().map(|(_, count)| count).sum()
    }

    /// For the operator.
    pub(crate) fn text(&self) -> String {
        let each = self.0.iter().map(|(name, count)| format!("{name} {count}"));
        each.collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_with_and_without_errors_and_the_sum_is_none_of_them() {
        let text = "\
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 99.00    0.123456           2     54321        12 io_uring_enter
  1.00    0.000100           5        20           futex
------ ----------- ----------- --------- --------- ----------------
100.00    0.123556           2     54341        12 total
";
        let calls = Calls::read(text).unwrap();
        assert_eq!(
            (calls.of("io_uring_enter"), calls.total()),
            (54_321, 54_341)
        );
        assert_eq!(calls.text(), "io_uring_enter 54321, futex 20");
        assert_eq!(Calls::read("strace: attach: Operation not permitted"), None);
    }
}

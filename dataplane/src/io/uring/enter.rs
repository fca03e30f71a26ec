//! The one system call of a turn: what it waits for, and for how long.

use std::io;
use std::time::Duration;

use io_uring::types;

use super::Uring;
use crate::limits::{GATHER_PACKETS_MIN, GATHER_SOCKETS};

impl Uring {
    pub(super) fn enter(&self, wait: Option<Duration>) -> io::Result<()> {
        // With completions left over, only submits: the kernel receives nothing more until asked
        // to complete something, so under overload packets are lost in the sockets' queues, where
        // it costs nothing, and not after they have taken our buffers.
        //
        // Else one completion is asked for, even with no time to wait for it: only then does the
        // kernel work on what has arrived. Those of sends, which never wait, are there at once and
        // come besides: they are no news, and would only end the wait.
        //
        // How many are asked for is also how many sockets the kernel looks at in one go (at least
        // 20, since Linux 6.13). No more of them: when queues stand, each has many packets, and what
        // is received long before it is handled has left the caches by then.
        //
        // To wake up costs as much as to forward a packet. So where they come quickly, it waits for
        // a few together: a moment, at the end of which one is enough.
        let sends = self.sends_under_way;
        let outcome = match wait {
            _ if self.backlog => self.ring.submit(),
            None => self.ring.submit_and_wait(sends + 1),
            Some(wait) => {
                let is_busy = self.packets_of_last_turn >= GATHER_PACKETS_MIN;
                let (news, least_us) = if self.gather_us > 0 && is_busy && !wait.is_zero() {
                    (GATHER_SOCKETS, self.gather_us)
                } else {
                    (1, 0)
                };
                let time = types::Timespec::from(wait);
                let arguments = types::SubmitArgs::new().timespec(&time);
                let arguments = arguments.min_wait_usec(least_us);
                let submitter = self.ring.submitter();
                submitter.submit_with_args(sends + news, &arguments)
            }
        };
        match outcome.map_err(|error| (error.raw_os_error(), error)) {
            // The time is over; a signal; or completions must be taken before more is submitted.
            Ok(_) | Err((Some(libc::ETIME | libc::EINTR | libc::EBUSY | libc::EAGAIN), _)) => {
                Ok(())
            }
            Err((_, error)) => Err(error),
        }
    }
}

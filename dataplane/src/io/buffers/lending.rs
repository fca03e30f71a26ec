//! How many buffers the kernel gets at a time.
//!
//! It fills them in the order in which it got them. If it had all, each packet would come to the
//! one that was used longest ago, which no cache holds any more. So it has few, those that were
//! used last, and more as soon as these were nearly used up.

/// Turns without need of more than half of what is lent, until that is halved.
const TURNS_BEFORE_LESS: u32 = 4096;

/// The number of buffers that are lent.
#[derive(Debug)]
pub(in crate::io) struct Lending {
    now: usize,
    least: usize,
    most: usize,
    quiet_turns: u32,
}

impl Lending {
    /// Begins with `least`.
    pub(in crate::io) fn new(least: usize, most: usize) -> Self {
        Self {
            now: least.min(most),
            least: least.min(most),
            most,
            quiet_turns: 0,
        }
    }

    /// How many the kernel shall have now.
    pub(in crate::io) fn now(&self) -> usize {
        self.now
    }

    /// How many the kernel shall have for the next turn, when of the last one's it has `left`.
    pub(in crate::io) fn next(&mut self, left: usize) -> usize {
        if left < self.now / 4 {
            self.now = self.most.min(2 * self.now);
            self.quiet_turns = 0;
        } else if left < self.now / 2 {
            self.quiet_turns = 0;
        } else {
            self.quiet_turns += 1;
        }
        if self.quiet_turns == TURNS_BEFORE_LESS {
            self.now = self.least.max(self.now / 2);
            self.quiet_turns = 0;
        }
        self.now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_are_lent_when_few_are_left_up_to_all() {
        let mut lending = Lending::new(100, 300);
        assert_eq!(lending.next(25), 100);
        assert_eq!(lending.next(24), 200);
        assert_eq!(lending.next(50), 200);
        assert_eq!(lending.next(49), 300);
        assert_eq!(lending.next(0), 300);
    }

    #[test]
    fn fewer_are_lent_after_a_long_time_without_need() {
        let mut lending = Lending::new(100, 400);
        assert_eq!(lending.next(0), 200);
        assert_eq!(lending.next(0), 400);
        for _ in 1..TURNS_BEFORE_LESS {
            assert_eq!(lending.next(200), 400);
        }
        // One turn that needed more than half of them: the count begins again.
        assert_eq!(lending.next(199), 400);
        for _ in 1..TURNS_BEFORE_LESS {
            assert_eq!(lending.next(200), 400);
        }
        assert_eq!(lending.next(200), 200);
        for _ in 0..2 * TURNS_BEFORE_LESS {
            lending.next(200);
        }
        assert_eq!(lending.next(200), 100);
    }

    #[test]
    fn no_more_are_lent_than_there_are() {
        assert_eq!(Lending::new(100, 0).next(0), 0);
    }
}

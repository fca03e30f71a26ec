//! The states of a call and the steps between them: one table.

/// Where a call stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum State {
    /// The caller's INVITE is accepted for routing; workers open the flows.
    Opening,
    /// The callee's INVITE is out; no final answer yet.
    Calling,
    /// The caller has its 200; its ACK is awaited.
    Answered,
    /// The caller's ACK arrived.
    Talking,
    /// One side is in another call now; the other one, which wanted that, is to hang up.
    Left,
    /// One side hung up or something failed; flows are being closed.
    Ending,
}

impl State {
    /// Every state, in order of a call's life.
    #[cfg(test)]
    pub(crate) const ALL: [Self; 6] = [
        Self::Opening,
        Self::Calling,
        Self::Answered,
        Self::Talking,
        Self::Left,
        Self::Ending,
    ];

    /// May a call go from here to there?
    pub(crate) const fn may_become(self, next: Self) -> bool {
        match self {
            // An echo call has no second leg to call: it is answered when its flow is open.
            Self::Opening => matches!(next, Self::Calling | Self::Answered | Self::Ending),
            Self::Calling => matches!(next, Self::Answered | Self::Ending),
            Self::Answered => matches!(next, Self::Talking | Self::Ending),
            Self::Talking => matches!(next, Self::Left | Self::Ending),
            Self::Left => matches!(next, Self::Ending),
            Self::Ending => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_steps_is_what_was_reviewed() {
        let mut table = String::new();
        for from in State::ALL {
            let steps = State::ALL.iter().filter(|next| from.may_become(**next));
            table.push_str(&format!("{from:?} -> {:?}\n", steps.collect::<Vec<_>>()));
        }
        assert_eq!(
            table,
            "Opening -> [Calling, Answered, Ending]\n\
             Calling -> [Answered, Ending]\n\
             Answered -> [Talking, Ending]\n\
             Talking -> [Left, Ending]\n\
             Left -> [Ending]\n\
             Ending -> []\n"
        );
    }
}

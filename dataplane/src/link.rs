//! The boundary between control and data plane: the whole contract, in one place.
//!
//! Control says what should be done with a *flow* (a [`Command`]); the worker that owns the flow
//! says what happened to it (an [`Event`]). DTLS datagrams travel beside, in fixed slots
//! ([`Datagram`]). Counters are shared memory that only the worker writes ([`Counters`]).
//!
//! | Channel | From → to | When full |
//! |---|---|---|
//! | commands | control → worker | `send` gives the command back; new calls get 503 |
//! | events | worker → control | when full, they wait in the engine: one per flow and kind |
//! | datagrams | both ways | dropped and counted; DTLS sends again by itself |
//! | counters | worker writes, anyone reads | not a queue |
//!
//! Commands are applied in the order in which they were sent.

mod command;
mod counters;
mod event;
mod queue;

pub use command::{
    BrowserFlow, Cname, Command, Feedback, FlowId, FlowKind, IceCredentials, IceFragment,
    IcePassword, InvalidIceText, Media, OpenFlow, PayloadTypeMap, PeerAddresses, PeerPolicy, Route,
    SendDigit, Ssrc, TrunkFlow,
};
pub use counters::{Counters, CountersSnapshot};
pub use event::{CloseReason, Datagram, Event, FlowTotals, RefuseReason, StreamTotals};
pub(crate) use queue::WorkerEnd;
pub use queue::{CommandQueueFull, WorkerHandle};

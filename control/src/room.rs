//! Tables that were large once give their memory back.
//!
//! Hash tables never shrink by themselves: after a burst they would keep the room of its peak. What
//! a table gives back goes to the system by the allocator of the process.

use std::hash::{BuildHasher, Hash};

use hashbrown::HashMap;

/// Room for so many entries is kept in any case.
const KEPT: usize = 1024;

/// Halves the room of a table of which less than a quarter is used; call it after each removal.
pub(crate) fn give_back<K, V, S>(table: &mut HashMap<K, V, S>)
where
    K: Eq + Hash,
    S: BuildHasher,
{
    if table.capacity() > KEPT && table.len() < table.capacity() / 4 {
        table.shrink_to((table.len() * 2).max(KEPT / 2));
    }
}

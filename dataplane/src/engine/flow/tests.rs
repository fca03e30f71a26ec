//! Where the fields lie: with thousands of calls each line of them comes from far away.

use std::mem::{align_of, offset_of, size_of};

use super::*;
use crate::engine::reception::Reception;
use crate::engine::rewrite::Rewrite;
use crate::engine::sending::Sending;

const LINE: usize = 64;

#[test]
fn who_it_is_and_where_packets_go_is_one_cache_line() {
    assert_eq!(offset_of!(Flow, id), 0);
    assert_eq!(offset_of!(Flow, kind) + size_of::<Kind>(), LINE);
    assert_eq!(align_of::<Flow>(), LINE);
}

#[test]
fn times_and_counts_are_the_second_line_and_the_sound_lies_behind_it() {
    assert_eq!(offset_of!(Flow, opened_at), LINE);
    assert!(offset_of!(Flow, report_is_due) < 2 * LINE);
    assert_eq!(offset_of!(Flow, audio), 2 * LINE);
    // A slot of the table has nothing beside the flow.
    assert_eq!(size_of::<Option<Flow>>(), size_of::<Flow>());
    assert!(size_of::<Flow>() <= 9 * LINE);
}

#[test]
fn each_part_of_a_medium_begins_with_the_line_that_packets_touch() {
    let begins = [
        offset_of!(Medium, rewrite),
        offset_of!(Medium, reception),
        offset_of!(Medium, sending),
    ];
    // The route is the line before them.
    assert_eq!(begins, [LINE, 2 * LINE, 4 * LINE]);
    assert_eq!(size_of::<Rewrite>(), LINE);
    const { assert!(Reception::HOT_BYTES <= LINE && Sending::HOT_BYTES <= LINE) };
    assert_eq!(size_of::<Medium>(), 6 * LINE);
}

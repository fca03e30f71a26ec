//! What is shown of the next packets.

use std::ops::Range;
use std::ptr;

use super::*;

#[derive(Default)]
struct Seen(Vec<Range<usize>>);

impl Seen {
    fn has<T>(&self, value: &T) -> bool {
        let address = ptr::from_ref(value).addr();
        self.0.iter().any(|range| range.contains(&address))
    }

    /// How many parts of a value were shown.
    fn parts_of<T>(&self, value: &T) -> usize {
        let start = ptr::from_ref(value).addr();
        let parts = start..start + size_of::<T>();
        let shown = self.0.iter().filter(|range| parts.contains(&range.start));
        shown.count()
    }
}

impl Visitor for Seen {
    fn visit<T: ?Sized>(&mut self, part: &T) {
        let start = ptr::from_ref(part).cast::<u8>().addr();
        self.0.push(start..start + size_of_val(part));
    }
}

fn world() -> World {
    let mut world = World::new();
    world.connect_browser(0, "usus", BROWSER);
    world.open_trunk(1, TRUNK);
    world.command(Command::SetRoute(route(0, Media::Audio, 1, (0, 0), 77)));
    world.command(Command::SetRoute(route(1, Media::Audio, 0, (0, 0), 78)));
    world
}

#[test]
fn both_flows_of_a_packet_and_the_keys_of_the_browser_are_shown() {
    let world = world();
    let from_browser = (SocketId::Browser, address(BROWSER));
    let from_trunk = (SocketId::TrunkRtp(1), address(TRUNK));
    let flow = |slot| world.engine.table.at(slot).unwrap();
    let contexts = flow(0).contexts.as_deref().unwrap();
    for (packet, from, to) in [(from_browser, 0, 1), (from_trunk, 1, 0)] {
        let mut seen = Seen::default();
        let count = world.engine.foresee([packet].into_iter(), &mut seen);
        assert_eq!(count, 1);
        let (from_flow, to_flow) = (flow(from), flow(to));
        assert!(seen.has(&from_flow.opened_at));
        assert!(seen.has(&from_flow.audio.rewrite) && seen.has(&from_flow.audio.reception));
        assert!(seen.has(&to_flow.id) && seen.has(&to_flow.opened_at));
        assert!(seen.has(&to_flow.audio.sending));
        // Tag, cipher, authentication, budget, sources.
        let expected = if from == 0 { (5, 0) } else { (0, 5) };
        let shown = (
            seen.parts_of(&contexts.receiver),
            seen.parts_of(&contexts.sender),
        );
        assert_eq!(shown, expected);
    }
}

#[test]
fn packets_of_nobody_are_counted_and_no_more_than_a_few_are_looked_at() {
    let world = world();
    let stranger = (SocketId::Browser, address("192.0.2.1:9"));
    let nowhere = (SocketId::TrunkRtp(u16::MAX), address(TRUNK));
    let mut seen = Seen::default();
    let packets = [stranger, nowhere].into_iter();
    assert_eq!(world.engine.foresee(packets, &mut seen), 2);
    assert!(seen.0.is_empty());
    let many = std::iter::repeat_n(stranger, PACKETS_FORESEEN_MAX + 1);
    assert_eq!(world.engine.foresee(many, &mut seen), PACKETS_FORESEEN_MAX);
    assert_eq!(world.engine.foresee(std::iter::empty(), &mut seen), 0);
}

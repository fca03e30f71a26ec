//! Workers that panic on purpose, which debug builds can.

use super::*;
use crate::limits::RESTARTS_IN_A_ROW_MAX;
use crate::link::FlowTotals;

fn media_f1_a_worker_that_panics_loses_its_flows_and_begins_anew(kind: BackendKind) {
    let dataplane = start(config(kind, 2)).unwrap();
    let (worker, other) = (&dataplane.workers[0], &dataplane.workers[1]);
    let (a, b) = (flow(0, 1), flow(1, 1));
    let ports = (open_trunk(worker, a), open_trunk(worker, b));
    let mut flows = (a, b);
    for generation in 2..4 {
        // A call has media,
        let (peer_a, peer_b) = (peer(worker, flows.0), peer(worker, flows.1));
        route(worker, flows.0, flows.1, (0, 0), 0xAAAA);
        settle_quietly(worker);
        passes(&peer_a, &peer_b, ports.0, 10);
        worker.ask_panic();
        let lost = loop {
            match next_event(worker) {
                Event::MediaStarted { .. } => {}
                event => break event,
            }
        };
        let Event::WorkerLost { worker: 0, why } = lost else {
            panic!("{lost:?}");
        };
        assert!(why.contains("was asked for"), "{why}");
        // what is asked for meanwhile waits,
        for flow in [flows.0, flows.1] {
            worker.send(Command::CloseFlow { flow }).unwrap();
        }
        let runs = next_event(worker);
        assert!(matches!(runs, Event::WorkerRuns { worker: 0 }), "{runs:?}");
        for flow in [flows.0, flows.1] {
            let closed = next_event(worker);
            let Event::FlowClosed {
                flow: of,
                reason: CloseReason::Lost,
                totals,
            } = closed
            else {
                panic!("{closed:?}");
            };
            assert_eq!((of, totals), (flow, FlowTotals::default()));
        }
        // and the next call has media, with the same ports and the same address for browsers.
        flows = (flow(0, generation), flow(1, generation));
        for (id, port) in [(flows.0, ports.0), (flows.1, ports.1)] {
            let opened = open_at(worker, id, port.port());
            assert!(matches!(opened, Event::FlowOpened { .. }), "{opened:?}");
        }
        assert_eq!(worker.counters().open_flows, 2);
        UdpSocket::bind(worker.browser_address()).unwrap_err();
    }
    assert!(other.is_running() && other.poll_event().is_none());
    dataplane.stop().unwrap();
}

fn media_f1_a_worker_that_fails_again_and_again_ends(kind: BackendKind) {
    let dataplane = start(config(kind, 1)).unwrap();
    let worker = dataplane.workers[0].clone();
    let (mut lost, mut runs) = (0, 0);
    while worker.is_running() {
        worker.ask_panic();
        let _woken = worker.wait_events(Duration::from_millis(100));
        while let Some(event) = worker.poll_event() {
            match event {
                Event::WorkerLost { .. } => lost += 1,
                Event::WorkerRuns { .. } => runs += 1,
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(runs, RESTARTS_IN_A_ROW_MAX);
    assert_eq!(lost, runs + 1);
    let error = dataplane.stop().unwrap_err();
    assert!(error.to_string().contains("was asked for"), "{error}");
}

fn media_f1_a_worker_that_was_lost_can_be_stopped(kind: BackendKind) {
    let dataplane = start(config(kind, 1)).unwrap();
    let worker = dataplane.workers[0].clone();
    worker.ask_panic();
    assert!(matches!(next_event(&worker), Event::WorkerLost { .. }));
    dataplane.stop().unwrap();
}

on_every_backend! {
    media_f1_a_worker_that_panics_loses_its_flows_and_begins_anew,
    media_f1_a_worker_that_fails_again_and_again_ends,
    media_f1_a_worker_that_was_lost_can_be_stopped,
}

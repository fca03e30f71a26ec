//! Every bound of the data plane, each with its reason, and the relations between them.

use std::time::Duration;

/// Longest ICE user fragment that is kept. RFC 8839 allows 256; browsers use 4 to 8.
pub const ICE_FRAGMENT_BYTES_MAX: usize = 32;
/// Longest ICE password of ours. We make 24; only our own password is ever needed by ICE-lite.
pub const ICE_PASSWORD_BYTES_MAX: usize = 32;
/// Payload types in one route: four codecs and two telephone-events, each under two numbers where
/// the peer has numbers of its own.
pub const PAYLOAD_TYPES_PER_ROUTE_MAX: usize = 12;
/// Longest canonical name of ours (RFC 3550 section 6.5.1 allows 255).
pub const CNAME_BYTES_MAX: usize = 24;
/// Largest DTLS datagram that is passed up: an Ethernet MTU.
pub const DATAGRAM_BYTES_MAX: usize = 1500;
/// Address pairs of one browser flow that may be validated at a time: a browser with several
/// interfaces checks each of them. The oldest makes room.
pub const VALIDATED_PEERS_MAX: usize = 8;
/// The same on average over all flows of a worker, of which about half are browsers with one
/// validated pair most of the time. Checks from further addresses are not answered.
pub const VALIDATED_PEERS_PER_FLOW_MEAN_MAX: usize = 2;

/// Most workers of one process; a `FlowId` could name more.
pub const WORKERS_MAX: usize = 64;
/// Most flows of one worker.
pub const FLOWS_PER_WORKER_MAX: usize = 16_384;
/// Commands waiting for one worker. Beyond it, new calls get 503.
pub const COMMAND_QUEUE_LENGTH: usize = 4096;
/// DTLS datagrams waiting, each way. A handshake has about ten; beyond it they are dropped and
/// sent again by DTLS.
pub const DATAGRAM_QUEUE_LENGTH: usize = 512;
/// Events that wait for control in one queue, besides those that commands cause: one for each
/// flow. There are hardly ever more; if control takes none for so long, they wait in the engine,
/// at most one of each kind for each flow.
pub const EVENTS_PER_FLOW_READY: usize = 1;
/// A worker whose queue of events is full looks for room again after this long; meanwhile it
/// forwards packets, and applies no commands.
pub const FULL_EVENTS_RETRY_AFTER: Duration = Duration::from_millis(1);

/// DTLS datagrams of one browser flow that are passed up within one [`SWEEP_PERIOD`]: several
/// handshakes. The queue is shared by all flows of a worker, and nobody may fill it alone.
pub const DTLS_DATAGRAMS_PER_SWEEP_MAX: u8 = 64;

/// Received packets handled in one turn of a worker. (A run of several that begins below it is taken
/// whole.) With 256, what a packet needs has left the caches when it is its turn: a worker that
/// found a queue took half as long again for each packet, and the queue stayed.
pub const PACKETS_PER_TURN_MAX: usize = 64;
/// Of these, what one trunk socket may deliver before the next one is looked at.
pub const PACKETS_PER_SOCKET_MAX: usize = 32;
/// Packets for which the caches are told in advance what they will need: it fits the first of them.
pub const PACKETS_FORESEEN_MAX: usize = 16;
/// A worker that had so many packets in one turn …
pub const GATHER_PACKETS_MIN: usize = 2;
/// … waits so many microseconds for more before it wakes up for the next one, where io_uring can
/// (since Linux 6.12): a seventh less CPU time at half load, for a tenth of a millisecond. Packets of
/// audio come every 20 ms.
pub const GATHER_US: u32 = 30;
/// It waits no longer when so many sockets have some.
pub const GATHER_SOCKETS: usize = 32;
/// Packets to one peer that are handed to the kernel as one. Linux takes 64 and more; together
/// they may have 65 507 bytes.
pub const SEGMENTS_PER_SEND_MAX: usize = 32;
/// Sends of several packets at once that can be under way in one worker; further ones go singly.
pub const SEGMENTED_SENDS_MAX: usize = 128;
/// Commands applied in one turn of a worker.
pub const COMMANDS_PER_TURN_MAX: usize = 64;
/// Trunk sockets whose peer changes in one turn: one for each packet, two for each command.
pub const PEER_CHANGES_PER_TURN_MAX: usize = PACKETS_PER_TURN_MAX + 2 * COMMANDS_PER_TURN_MAX;
/// Room for one packet with its receive header and the SRTP tag behind it.
pub const BUFFER_BYTES: usize = 2048;
/// The oldest kernel that has what `io/uring.rs` uses (deferred task work, multishot receives).
pub const KERNEL_MIN: (u32, u32) = (6, 1);
/// Descriptors of a worker besides its trunk sockets: ring, event descriptors, browser socket.
const FILES_PER_WORKER: usize = 8;
/// Descriptors left for the rest of the process: signalling, logs, listeners.
const FILES_SPARE: usize = 64;

/// Open files without which workers do not start: two sockets for every second flow, since a call
/// has one flow to a browser, which needs none, and one to a trunk.
#[must_use]
pub const fn files_needed(workers: usize, flows_max: usize) -> usize {
    workers * (flows_max + FILES_PER_WORKER) + FILES_SPARE
}

/// Queue of the browser socket, which all calls of a worker share: 20 ms of 100 000 packets/s.
/// The kernel may grant less (`net.core.rmem_max`, `net.core.wmem_max`).
pub const BROWSER_QUEUE_BYTES: usize = 4 << 20;
/// Buffers of one worker, power of two (a provided buffer ring): received, being sent, and spare.
/// Under overload the trunk sockets would take all of 1024, and the browser socket lose nearly
/// everything.
pub const BUFFERS_PER_WORKER: usize = 4096;
/// Of these, what the kernel has to receive into while that is enough: those in use then fit the
/// caches of a core.
pub const BUFFERS_LENT_MIN: usize = 512;
/// Of these, kept out of the kernel's reach for datagrams that control sends.
pub const SPARE_BUFFERS_PER_WORKER: usize = 192;
/// Buffers for runs of datagrams that come as one (UDP receive offload): enough that the kernel need
/// not stop between two turns.
pub const RUNS_PER_WORKER: usize = 512;
/// Of these, what the kernel has while that is enough, for the same reason.
pub const RUNS_LENT_MIN: usize = 128;
/// Room for the longest run, one datagram of 65 507 bytes, with its receive header. An odd number of
/// cache lines: the beginnings of short ones, which most are, shall not fight for the same places.
pub const RUN_BYTES: usize = 65_536 + 33 * 64;
/// Datagrams in one run. Linux puts 64 together; a sender on the same machine may send 128 as one.
pub const SEGMENTS_PER_RUN_MAX: usize = 128;
/// Spare buffers that datagrams out of runs are copied into: those of one turn, and those of the one
/// before, which are still being sent. Beyond it they are dropped.
pub const RUN_COPIES_MAX: usize = 2 * (PACKETS_PER_TURN_MAX + SEGMENTS_PER_RUN_MAX);
/// Buffers that must be back with the kernel before a receive that ran out of them is armed again:
/// a few at a time would only end it again at once.
pub const BUFFERS_TO_REARM_MIN: usize = 64;
/// DTLS datagrams from control that are sent in one turn of a worker.
pub const DATAGRAMS_PER_TURN_MAX: usize = 64;
/// Largest UDP payload that is handled: an Ethernet MTU. Longer ones are dropped as truncated.
pub const PACKET_BYTES_MAX: usize = 1500;
/// What SRTP protection may add to a packet: a GCM tag and the SRTCP index.
pub const SRTP_OVERHEAD_BYTES_MAX: usize = 20;

/// A browser that has sent no authentic check for this long has withdrawn its consent (RFC 7675
/// section 5.1): nothing more is sent to it.
pub const CONSENT_EXPIRES_AFTER: Duration = Duration::from_secs(30);
/// A browser from whose selected address nothing authentic has come for so long, but media from
/// another one, has moved there: its address translator has forgotten the old one. Browsers check
/// every 2.5 to 6 seconds, and those that send audio send it all the time.
pub const PEER_MOVED_AFTER: Duration = Duration::from_secs(3);
/// So many packets of media from a stranger's address are told to control, once for each flow: less
/// may be what is left of an earlier call on the same port.
pub const REFUSED_PACKETS_TOLD_AT: u8 = 10;
/// An address that proved itself for one flow cannot be taken over by a check for another flow
/// until it has been quiet for this long. Browsers check every 2.5 to 6 seconds.
pub const ADDRESS_HELD_FOR: Duration = Duration::from_secs(10);
/// Every flow is looked at for silence and consent once in this time …
pub const SWEEP_PERIOD: Duration = Duration::from_secs(1);
/// … and no more than this many in one call, so that no turn becomes long.
pub const SWEEP_SLOTS_MAX: usize = 256;
/// RTP packets, with the newest one, of which is known whether they have arrived.
pub const REORDER_WINDOW_PACKETS: u16 = 128;
/// A sequence number so far ahead of the newest one, or farther, is none of its numbering (RFC 3550
/// appendix A.1, MAX_DROPOUT) …
pub const SEQUENCE_DROPOUT_MAX: u16 = 3000;
/// … nor is one so far behind it (MAX_MISORDER): two in a row begin a new numbering.
pub const SEQUENCE_MISORDER_MAX: u16 = 100;
/// A stream of ours begins at most here: a receiver that misses its first packets guesses the
/// rollover counter, and must not meet a wrap before (RFC 3711 section 3.3.1).
pub const FIRST_SEQUENCE_MAX: u16 = 0x7FFF;
/// Timestamps of a source that move by more than this against the time that goes by are those of
/// another clock. A packet may be late by the longest telephone-event, 8 seconds.
pub const TIMESTAMP_JUMP_MAX: Duration = Duration::from_secs(10);

/// Mean time between two reports of ours to one peer (RFC 3550 section 6.2: at least five seconds).
pub const REPORT_INTERVAL: Duration = Duration::from_secs(5);
/// The same where there is video, for which the reduced minimum of RFC 3550 section 6.2 (360
/// divided by the bandwidth in kbit/s) is below this.
pub const REPORT_INTERVAL_VIDEO: Duration = Duration::from_secs(1);
/// Largest report of ours, with the headers of SRTCP, UDP and IPv6: two sender reports with two
/// blocks in the first, two canonical names, and a full intra request.
pub const REPORT_BYTES_MAX: usize =
    2 * 28 + 2 * 24 + 4 + 2 * (8 + CNAME_BYTES_MAX) + 20 + SRTP_OVERHEAD_BYTES_MAX + 48;
/// The sender of a stream is asked for key frames at most once in this time: each costs as much as many
/// pictures. What is asked meanwhile is asked once at the end.
pub const KEY_FRAME_INTERVAL: Duration = Duration::from_millis(500);
/// Reports of ours that are sent in one turn of a worker; further ones wait for the next.
pub const REPORTS_PER_TURN_MAX: usize = 64;
/// Digits of one flow that wait to be sent: a telephone number. Beyond it, they are refused.
pub const DIGITS_PER_FLOW_MAX: usize = 32;
/// A digit is sent for at least so long: receivers need not know a shorter one (ITU-T Q.24).
pub const DIGIT_DURATION_MIN: Duration = Duration::from_millis(40);
/// A digit is sent for at most so long: audio is withheld meanwhile.
pub const DIGIT_DURATION_MAX: Duration = Duration::from_secs(1);
/// Time between two packets of a digit: that between two packets of audio (RFC 4733 section
/// 2.5.1.2).
pub const DIGIT_PACKET_INTERVAL: Duration = Duration::from_millis(20);
/// Time between the end of a digit and the next: twice what receivers need (ITU-T Q.24).
pub const DIGIT_PAUSE: Duration = Duration::from_millis(80);
/// Largest packet of a digit.
pub const DIGIT_PACKET_BYTES_MAX: usize = 16 + SRTP_OVERHEAD_BYTES_MAX;
/// A digit of a peer that has had no packet for so long is over: its end was lost. Packets come
/// every 20 to 50 ms.
pub const DIGIT_LOST_AFTER: Duration = Duration::from_millis(200);
/// Digits of one flow that control is told of within one [`SWEEP_PERIOD`]: more than fingers can
/// press. Beyond it, they are dropped and counted.
pub const DIGITS_PER_SWEEP_MAX: u8 = 16;
/// Packets of digits that are sent in one turn of a worker; further ones wait for the next.
pub const DIGIT_PACKETS_PER_TURN_MAX: usize = 64;
/// A source's report that puts its media further than this from where its packets are is not
/// believed: there are peers whose reports tell some other clock.
pub const MEDIA_TIME_DEVIATION_MAX: Duration = Duration::from_secs(5);
/// When the NTP clock of a source moves by more than this against ours, it was set.
pub const SOURCE_CLOCK_STEP_MIN: Duration = Duration::from_secs(1);

/// Time until a worker that has failed begins anew; doubled each time.
pub const RESTART_AFTER: Duration = Duration::from_millis(100);
/// Times in a row that it does: within 6.3 seconds.
pub const RESTARTS_IN_A_ROW_MAX: u32 = 6;
/// A worker that has run this long is well again: its next failure counts as the first.
pub const RESTARTED_WELL_AFTER: Duration = Duration::from_secs(60);

/// Huge pages of x86-64, and of AArch64 with pages of 4 KiB: what packet buffers are laid out for.
pub const HUGE_PAGE_BYTES: usize = 2 << 20;
/// An entry of the ring through which the kernel takes a buffer (`struct io_uring_buf`).
pub(crate) const RING_ENTRY_BYTES: usize = 16;
/// Memory for the packet buffers of one worker, in whole huge pages.
pub const POOL_BYTES_PER_WORKER: usize = (BUFFERS_PER_WORKER * (BUFFER_BYTES + RING_ENTRY_BYTES))
    .next_multiple_of(HUGE_PAGE_BYTES)
    + (RUNS_PER_WORKER * (RUN_BYTES + RING_ENTRY_BYTES)).next_multiple_of(HUGE_PAGE_BYTES);

const _: () = assert!(BUFFERS_PER_WORKER.is_power_of_two() && BUFFERS_PER_WORKER <= 32_768);
const _: () = assert!(PACKET_BYTES_MAX + SRTP_OVERHEAD_BYTES_MAX + 128 <= BUFFER_BYTES);
const _: () = assert!(
    SEGMENTS_PER_SEND_MAX * (PACKET_BYTES_MAX + SRTP_OVERHEAD_BYTES_MAX) <= u16::MAX as usize
);
const _: () = assert!(DATAGRAM_BYTES_MAX <= PACKET_BYTES_MAX);
const _: () = assert!((DTLS_DATAGRAMS_PER_SWEEP_MAX as usize) * 4 <= DATAGRAM_QUEUE_LENGTH);
const _: () = assert!(PEER_MOVED_AFTER.as_secs() < CONSENT_EXPIRES_AFTER.as_secs());
const _: () = assert!(ADDRESS_HELD_FOR.as_secs() < CONSENT_EXPIRES_AFTER.as_secs());
const _: () = assert!(REORDER_WINDOW_PACKETS as u32 == u128::BITS);
const _: () = assert!(REORDER_WINDOW_PACKETS <= u8::MAX as u16);
const _: () = assert!(SEQUENCE_MISORDER_MAX < REORDER_WINDOW_PACKETS);
const _: () = assert!(SEQUENCE_DROPOUT_MAX > REORDER_WINDOW_PACKETS);
const _: () = assert!(FLOWS_PER_WORKER_MAX <= u16::MAX as usize + 1);
const _: () = assert!(BUFFERS_PER_WORKER >= 4 * PACKETS_PER_TURN_MAX);
const _: () = assert!(GATHER_SOCKETS <= PACKETS_PER_TURN_MAX);
const _: () = assert!(BUFFERS_LENT_MIN >= PACKETS_PER_TURN_MAX + BUFFERS_TO_REARM_MIN);
const _: () =
    assert!(RUNS_LENT_MIN >= PACKETS_PER_TURN_MAX && RUNS_LENT_MIN > BUFFERS_TO_REARM_MIN);
const _: () = assert!(RUNS_PER_WORKER.is_power_of_two() && RUNS_PER_WORKER > BUFFERS_TO_REARM_MIN);
const _: () = assert!(
    SPARE_BUFFERS_PER_WORKER
        >= DATAGRAMS_PER_TURN_MAX + REPORTS_PER_TURN_MAX + DIGIT_PACKETS_PER_TURN_MAX
);
// The duration field has 16 bits, and opus 48 kHz.
const _: () = assert!(DIGIT_DURATION_MAX.as_millis() * 48 <= u16::MAX as u128);
// RFC 3550 section 6.3.1: the interval is the longer one of the minimum and of what both sides'
// reports take of 5 % of the bandwidth. At 32 kbit/s of audio and 100 kbit/s of video, headers
// included, that is the minimum: the other need not be calculated.
const _: () = assert!(2 * REPORT_BYTES_MAX as u64 * 8 * 20 <= 32_000 * REPORT_INTERVAL.as_secs());
const _: () =
    assert!(2 * REPORT_BYTES_MAX as u64 * 8 * 20 <= 100_000 * REPORT_INTERVAL_VIDEO.as_secs());
const _: () = assert!(
    SPARE_BUFFERS_PER_WORKER + RUN_COPIES_MAX + PACKETS_PER_TURN_MAX + BUFFERS_TO_REARM_MIN
        <= BUFFERS_PER_WORKER / 2
);

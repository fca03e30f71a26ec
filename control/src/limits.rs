//! Every bound of the control plane outside `sip` and `sdp`, each with its reason.

use std::time::Duration;

use dataplane::limits::{DIGIT_DURATION_MIN, DIGIT_PAUSE, DIGITS_PER_FLOW_MAX};

/// Length of our ICE user fragments: 48 bits, unique among the flows of a worker by chance.
pub const ICE_FRAGMENT_LENGTH: usize = 8;
/// Length of our ICE passwords: 144 bits (RFC 8445 section 5.3 wants 128).
pub const ICE_PASSWORD_LENGTH: usize = 24;
/// Times that a trunk flow is tried on another port pair when its ports cannot be bound.
pub const PORT_ATTEMPTS_MAX: u8 = 4;

/// Calls at a time unless configured; beyond it, 503. Twice this many legs.
pub const CALLS_DEFAULT: usize = 20_000;
/// Largest such count.
pub const CALLS_MAX: usize = 200_000;
const _: () = assert!(CALLS_MAX * 4 <= crate::sip::limits::TRANSACTIONS_MAX);
/// Calls that the browser on one connection may have at a time; beyond it, 503.
pub const CALLS_PER_CONNECTION_MAX: usize = 128;
/// Requests within one call that wait for the other side at a time; beyond it, 503.
pub const RELAYS_PER_CALL_MAX: usize = 16;
/// Digits of a leg that wait for a worker to send them, by the time that it takes; beyond it, 503.
pub const DIGITS_BACKLOG_MAX: Duration = Duration::from_secs(3);
const _: () = assert!(
    DIGITS_BACKLOG_MAX.as_millis() / (DIGIT_DURATION_MIN.as_millis() + DIGIT_PAUSE.as_millis()) + 2
        < DIGITS_PER_FLOW_MAX as u128
);
/// Digits that wait for the answer to the INFO with the one before; beyond it, they are dropped.
pub const DIGITS_WAITING_MAX: usize = 32;
/// Our first sequence number of a dialog is the caller's, of which as many bits count, times this:
/// room for attempts of our own between two of the caller's.
pub const FIRST_SEQUENCE_FACTOR: u32 = 4 * SEQUENCE_STRIDE;
/// See [`FIRST_SEQUENCE_FACTOR`]; below 2^31 with it, and room for the requests of the dialog.
pub const FIRST_SEQUENCE_MASK: u32 = (1 << 26) - 1;
const _: () = assert!(FIRST_SEQUENCE_MASK < (1 << 30) / FIRST_SEQUENCE_FACTOR);
/// Shortest session interval of all, in seconds (RFC 4028 section 4); what is below is no timer.
pub const SESSION_EXPIRES_MIN_S: u32 = 90;
/// Longest session interval, in seconds: a day. A peer that names a longer one gets this.
pub const SESSION_EXPIRES_MAX_S: u32 = 86_400;
/// The session interval that trunks are asked for, in seconds, unless configured.
pub const SESSION_EXPIRES_DEFAULT_S: u32 = 1800;
/// REFERs of a call whose numbers are remembered for their NOTIFYs; the oldest makes room.
pub const REFERS_PER_CALL_MAX: usize = 8;
/// Time that who has transferred the other side of its call has to hang up; then it gets a BYE.
pub const REFERRER_LEAVES_WITHIN: Duration = Duration::from_secs(10);
/// Headers that one trunk may pass beside the usual ones.
pub const PASS_HEADERS_MAX: usize = 32;
/// Networks of one trunk that its media may come from: each packet before the first good one is
/// looked up in them.
pub const MEDIA_NETWORKS_MAX: usize = 64;
/// Dialogs of one INVITE that are remembered beside the one in use: forks behind a carrier. The
/// oldest is forgotten; its 2xx is still acknowledged and ended.
pub const FORKS_PER_CALL_MAX: usize = 16;
/// Times that an offer of ours is sent to a peer that answers 491; then the change is refused.
pub const OFFER_ATTEMPTS_MAX: u8 = 3;
/// Times that video comes and goes on a trunk's leg of one call; after that it is refused.
pub const VIDEO_FLOWS_PER_LEG_MAX: usize = 8;
/// Offers of ours in a row, without one of a peer between them, that bring the sides of a call
/// together; more than that, and the peers contradict themselves.
pub const OWN_OFFERS_MAX: u8 = 8;
/// T1: time until a reliable provisional response is repeated first (RFC 3262 section 3).
pub const RELIABLE_REPEAT_AFTER: Duration = Duration::from_millis(500);
/// 64·T1: time for the PRACK to a reliable provisional response; then the call fails with 504.
pub const RELIABLE_GIVE_UP_AFTER: Duration = Duration::from_secs(32);
/// Provisional responses of a call that wait for the PRACK to the one before; more are not sent.
pub const RELIABLE_WAITING_MAX: usize = 4;
/// Time until a session refresh is tried again that could not be made or was refused.
pub const REFRESH_AGAIN_AFTER: Duration = Duration::from_secs(5);
/// Seconds that a caller is told to wait when there is no room (`Retry-After`).
pub const RETRY_AFTER_S: u32 = 5;
/// Longest time between the INVITE and its final answer: a phone that rings for three minutes is
/// not answered any more (timer C of RFC 3261 is longer than three minutes).
pub const RINGING_TIME_MAX: Duration = Duration::from_secs(185);
/// Time that media workers have to open a call's flows: a turn or two in practice.
pub const FLOWS_OPEN_WITHIN: Duration = Duration::from_secs(2);
/// Time between the 200 and the browser's keys, before the call is given up.
pub const MEDIA_KEYED_WITHIN: Duration = Duration::from_secs(30);
/// Time between the 200 and the first media of each side, before the log says that none comes.
pub const MEDIA_HEARD_WITHIN: Duration = Duration::from_secs(5);
/// Time that a browser has to hang up once it has closed its DTLS association without keys.
pub const HANG_UP_AFTER_CLOSE_WITHIN: Duration = Duration::from_secs(1);
/// DTLS associations that a browser may close before the answer and begin again.
pub const ASSOCIATIONS_PER_LEG_MAX: u8 = 4;
/// Time that the dialogs of a call which is over are kept for the NOTIFYs of its transfers; each
/// NOTIFY that goes on begins it anew (RFC 5057).
pub const SUBSCRIPTION_OUTLIVES_CALL: Duration = Duration::from_secs(64);
/// NOTIFYs that pass after the end of one call; more are 481.
pub const NOTIFIES_AFTER_CALL_MAX: u8 = 16;
/// Calls that are over and whose transfers are still told of; the oldest is forgotten.
pub const AFTERLIVES_MAX: usize = 1024;
/// Time that workers have to report a call's totals at its end.
pub const FLOWS_CLOSE_WITHIN: Duration = Duration::from_secs(2);
/// Time between two looks whether the service manager is to be told another status.
pub const STATUS_EVERY: Duration = Duration::from_secs(1);
/// Time that each step of a self-test may take.
pub const SELFTEST_STEP_WITHIN: Duration = Duration::from_secs(5);
/// Time between two ICE checks of a self-test.
pub const SELFTEST_CHECK_EVERY: Duration = Duration::from_millis(100);
/// Time between two packets of sound of a self-test.
pub const SELFTEST_PACKET_EVERY: Duration = Duration::from_millis(20);
/// Time that the echo of the last of them has to come back.
pub const SELFTEST_LAST_ECHO_WITHIN: Duration = Duration::from_secs(1);
/// Largest answer of the demo's settings to a self-test.
pub const SELFTEST_ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Time until a part of the process that has ended by itself is started again; doubled each time.
pub const RESTART_AFTER: Duration = Duration::from_millis(100);
/// Longest such time.
pub const RESTART_AFTER_MAX: Duration = Duration::from_secs(5);
/// A part that has run this long is well again: the next time counts as the first.
pub const RESTARTED_WELL_AFTER: Duration = Duration::from_secs(60);
/// Time that peers have to answer our BYEs when the process stops.
pub const STOP_WITHIN: Duration = Duration::from_secs(3);

/// Connections that the brain keeps state for; the shell limits them first.
pub const CONNECTIONS_MAX: usize = 100_000;
/// Bindings of one line: open tabs of one user. The oldest makes room.
pub const CONTACTS_PER_LINE_MAX: usize = 10;
/// Wrong passwords of one source address that cost nothing; each further one doubles its delay.
pub const GUESSES_FREE_PER_SOURCE: u32 = 5;
/// The same for one line, whoever guesses.
pub const GUESSES_FREE_PER_LINE: u32 = 20;
/// Longest delay of a source.
pub const GUESS_DELAY_OF_SOURCE_MAX: Duration = Duration::from_secs(600);
/// Longest delay of a line: short, for it hits its user too.
pub const GUESS_DELAY_OF_LINE_MAX: Duration = Duration::from_secs(32);
/// A source or line without wrong passwords for so long starts again.
pub const GUESSES_REMEMBERED_FOR: Duration = Duration::from_secs(1800);
/// Sources and lines whose wrong passwords are remembered; the quietest is forgotten first.
pub const GUESSERS_MAX: usize = 16_384;
/// Registrations passed on to trunks.
pub const BINDINGS_MAX: usize = 200_000;
/// Identities and Service-Routes that are kept of one registration; what is beyond is ignored.
pub const ROUTES_PER_BINDING_MAX: usize = 8;
/// Longest registration that the built-in registrar grants.
pub const REGISTRATION_EXPIRES_MAX: Duration = Duration::from_secs(3600);
/// What it grants when nothing is asked for.
pub const REGISTRATION_EXPIRES_DEFAULT: Duration = Duration::from_secs(600);
/// Seconds that a carrier's registration counts for when its registrar does not say: as RFC 3261
/// section 10.2.1.1 suggests, and what the browser's refresh falls well below.
pub const TRUNK_REGISTRATION_EXPIRES_DEFAULT_S: u32 = 600;
/// Below this it answers 423.
pub const REGISTRATION_EXPIRES_MIN: Duration = Duration::from_secs(30);
/// Requests relayed by the edge proxy at a time.
pub const RELAYED_REQUESTS_MAX: usize = 50_000;
/// Those of one connection among them; beyond it, 503.
pub const RELAYED_PER_CONNECTION_MAX: u32 = 64;

// The shell.

/// What comes in and waits for the brain: messages, events. Beyond it, sockets are read later.
pub const ARRIVALS_MAX: usize = 4096;
/// So many waiting arrivals make the brain late: new calls are refused from then on.
pub const ARRIVALS_LATE: usize = ARRIVALS_MAX / 2;
/// New calls are taken again once no more arrivals wait than this.
pub const ARRIVALS_IN_TIME: usize = ARRIVALS_MAX / 16;
/// Arrivals handled before the clock is read again and timers get their turn.
pub const ARRIVALS_PER_TURN_MAX: usize = 64;
/// Longest SIP message over WebSocket: ten times the largest browser offer. Beyond it, close 1009.
pub const WEBSOCKET_MESSAGE_BYTES_MAX: usize = 64 * 1024;
/// Read buffer of one WebSocket: small, because there are many of them and most are idle.
pub const WEBSOCKET_READ_BUFFER_BYTES: usize = 4096;
/// Unsent bytes that one WebSocket keeps below its queue.
pub const WEBSOCKET_WRITE_BUFFER_BYTES_MAX: usize = 256 * 1024;
/// Messages that wait for one browser to read them. Beyond it, close 1013.
pub const OUTGOING_MESSAGES_MAX: usize = 256;
/// Bytes that wait for one browser to read them. Beyond it, close 1013.
pub const OUTGOING_BYTES_MAX: usize = 1024 * 1024;
/// A browser that does not take one message within this time is gone.
pub const WEBSOCKET_WRITE_WITHIN: Duration = Duration::from_secs(20);
/// A message of a browser that has begun is there as a whole within this time: the longest one
/// over a line of 20 kbit/s. Beyond it, close 1008.
pub const WEBSOCKET_MESSAGE_WITHIN: Duration = Duration::from_secs(30);
/// Mean time between our pings: load balancers forget connections that are idle for a minute.
pub const PING_INTERVAL: Duration = Duration::from_secs(25);
/// Pings without any sign of life before a connection counts as dead.
pub const PINGS_UNANSWERED_MAX: u32 = 2;
/// Time for the other end to answer our Close.
pub const CLOSE_WITHIN: Duration = Duration::from_secs(2);
/// What is read and thrown away while we wait for that answer.
pub const CLOSE_DRAIN_BYTES_MAX: usize = 1024 * 1024;
/// Time for the TLS handshake, and again for the head of an HTTP request.
pub const HTTP_HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);
/// Life of an HTTP connection that becomes no WebSocket: a slow line loads the phone in half of it,
/// and who does not read the answer gives the place back.
pub const HTTP_CONNECTION_WITHIN: Duration = Duration::from_secs(120);
/// Life of a self-signed TLS certificate: what browsers accept of anybody's.
pub const SELF_SIGNED_VALID_FOR: Duration = Duration::from_secs(397 * 24 * 3600);
/// A self-signed certificate is made anew so long before it ends.
pub const SELF_SIGNED_RENEWED_BEFORE: Duration = Duration::from_secs(30 * 24 * 3600);
/// Time between two looks at the files of certificates.
pub const CERTIFICATE_CHECK_INTERVAL: Duration = Duration::from_secs(10);
/// Names of the certificate that is obtained by ACME: what Let's Encrypt takes.
pub const ACME_DOMAINS_MAX: usize = 100;
/// One request to the authority, from the connection to the end of the answer.
pub const ACME_REQUEST_WITHIN: Duration = Duration::from_secs(30);
/// Longest answer of the authority: a certificate with its chain is a tenth of it.
pub const ACME_ANSWER_BYTES_MAX: usize = 256 * 1024;
/// Time for the authority to look at our names, and again to sign.
pub const ACME_POLL_WITHIN: Duration = Duration::from_secs(120);
/// One attempt to get a certificate. Then it has failed.
pub const ACME_ATTEMPT_WITHIN: Duration = Duration::from_secs(600);
/// Time until the first failed attempt is repeated; each further one doubles it.
pub const ACME_RETRY_AFTER_MIN: Duration = Duration::from_secs(60);
/// Longest time between two attempts.
pub const ACME_RETRY_AFTER_MAX: Duration = Duration::from_secs(6 * 3600);
/// A certificate that has just been issued is not renewed before this, however short its life.
pub const ACME_RENEW_AFTER_MIN: Duration = Duration::from_secs(10);
/// Longest wait for a renewal without a look at the calendar, which may be set anew.
pub const ACME_LOOK_INTERVAL: Duration = Duration::from_secs(3600);
/// Longest head of an HTTP request.
pub const HTTP_HEAD_BYTES_MAX: usize = 8 * 1024;
/// Longest header of the PROXY protocol: addresses, and extensions that are not read. Beyond it
/// the connection is closed.
pub const PROXY_HEADER_BYTES_MAX: usize = 1024;
/// TLS handshakes at a time; others wait, within [`HTTP_HANDSHAKE_WITHIN`].
pub const TLS_HANDSHAKES_MAX: usize = 256;
/// Bytes of browsers' messages that wait for the brain. Beyond it, WebSockets are read later.
pub const BROWSER_ARRIVALS_BYTES_MAX: u32 = 16 * 1024 * 1024;
/// Bytes that wait for all browsers together. Beyond it, a connection that others wait on already
/// closes with 1013 when more is sent to it.
pub const OUTGOING_BYTES_TOTAL_MAX: usize = 256 * 1024 * 1024;
/// Longest access token: half of what a request's head may be. A longer one is malformed.
pub const TOKEN_BYTES_MAX: usize = 4096;
/// Shortest secret that tokens are signed with (RFC 7518 section 3.2: as long as the hash).
pub const TOKEN_SECRET_BYTES_MIN: usize = 32;
/// Most header lines of an HTTP request.
pub const HTTP_HEADERS_MAX: usize = 64;
/// Source addresses whose connection rate is remembered; idle ones are forgotten first.
pub const SOURCES_MAX: usize = 100_000;
/// Largest SIP datagram: all that UDP can carry.
pub const SIP_DATAGRAM_BYTES_MAX: usize = 65_535;
/// Targets of one trunk in the configuration; more are refused at the start.
pub const TARGETS_PER_TRUNK_MAX: usize = 16;
/// Targets that one call tries, one after the other.
pub const ATTEMPTS_MAX: usize = 8;
/// Times that a request which is challenged is sent again with credentials: for the challenge, and
/// for a nonce that has grown old meanwhile.
pub const CHALLENGE_TRIES_MAX: u32 = 3;
/// Realms of one trunk that ringway answers for; further ones are not answered.
pub const CHALLENGES_PER_TRUNK_MAX: usize = 8;
/// Room between the numbers of two requests in a dialog with a trunk that has an account: one that
/// is challenged is sent again with the numbers in between.
pub const SEQUENCE_STRIDE: u32 = CHALLENGE_TRIES_MAX + 1;
/// Shortest and longest interval that a registration of our own asks for, in seconds.
pub const TRUNK_REGISTER_EXPIRES_MIN_S: u32 = 60;
/// What a shorter grant of a registration of our own is taken for, in seconds.
pub const TRUNK_REGISTER_GRANT_MIN_S: u32 = 10;
/// Pause after the first round of a registration of our own that failed; then it doubles (RFC 5626
/// section 4.5).
pub const REGISTER_PAUSE: Duration = Duration::from_secs(30);
/// Longest pause between two rounds of a registration of our own (RFC 5626 section 4.5).
pub const REGISTER_PAUSE_MAX: Duration = Duration::from_secs(1800);
/// See [`TRUNK_REGISTER_EXPIRES_MIN_S`].
pub const TRUNK_REGISTER_EXPIRES_MAX_S: u32 = 86_400;
/// Addresses of one trunk that are known at a time, of each of its targets and of all together; what
/// would be tried last is left out.
pub const ADDRESSES_PER_TRUNK_MAX: usize = 64;
/// Addresses that a trunk has had before, which calls under way may still use; the oldest is
/// forgotten.
pub const FORMER_ADDRESSES_PER_TRUNK_MAX: usize = 64;
/// Names that lead from one target to its addresses (NAPTR, SRV, hosts); what is beyond is not
/// looked up.
pub const QUESTIONS_PER_TARGET_MAX: usize = 48;
/// Records of one DNS answer; those that would be tried last are left out.
pub const RECORDS_PER_ANSWER_MAX: usize = 32;
/// Aliases (CNAME) between a name and its records; a longer chain is a failure.
pub const ALIASES_PER_ANSWER_MAX: usize = 8;
/// Shortest time that a DNS answer is believed: a TTL of 0 must not make us ask for each call.
pub const LOCATION_TTL_MIN: Duration = Duration::from_secs(30);
/// Longest time: a carrier that moves in spite of a TTL of a week is found again within the hour.
pub const LOCATION_TTL_MAX: Duration = Duration::from_secs(3600);
/// Longest time that "no such name" is believed: somebody is just adding it.
pub const LOCATION_NEGATIVE_TTL_MAX: Duration = Duration::from_secs(300);
/// Time until the DNS is asked again after a failure; doubled with each further one.
pub const LOCATION_RETRY_FIRST: Duration = Duration::from_secs(2);
/// Longest such time.
pub const LOCATION_RETRY_MAX: Duration = Duration::from_secs(60);
/// Addresses that cannot be looked up again are used for so long: stale is better than none (RFC
/// 8767 section 5 suggests one to three days), but not for ever, for they are given to others.
pub const LOCATION_STALE_MAX: Duration = Duration::from_secs(24 * 3600);
/// Time for the DNS to answer one question, whatever its servers do.
pub const DNS_ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// Time that one DNS server has for one try.
pub const DNS_TRY_WITHIN: Duration = Duration::from_secs(2);
/// DNS servers in the configuration.
pub const RESOLVERS_MAX: usize = 8;
/// Time for a request that is no call, over all targets that it is tried at: then its sender has
/// given up (timer F).
pub const REQUEST_WITHIN: Duration = Duration::from_secs(32);
/// A limit of a trunk that has refused no call for so long does not bite any more: the log says how
/// many it had refused.
pub const LIMIT_QUIET_AFTER: Duration = Duration::from_secs(60);
/// Times that a call may come again with credentials without counting as a new one: a proxy's
/// challenge, that of who is called, and a nonce that was too old.
pub const CHALLENGES_FREE_MAX: u8 = 3;
/// A challenged call is expected again within this time: 64·T1.
pub const CHALLENGE_ANSWERED_WITHIN: Duration = Duration::from_secs(32);
/// Challenged calls of one trunk that are expected again; those beyond it count as new ones.
pub const CHALLENGED_CALLS_MAX: usize = 4096;
/// Longest pause that a carrier's Retry-After is believed to ask for.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(600);
/// TCP and TLS connections of the trunk side at a time, those that carriers opened and ours.
/// Beyond it, new ones are closed, and requests that need one fail at once.
pub const STREAMS_MAX: usize = 2048;
/// Those that carriers opened, in all and from one of their addresses.
pub const TRUNK_STREAMS_MAX: usize = 1024;
/// Those from one address of a carrier.
pub const TRUNK_STREAMS_PER_SOURCE_MAX: usize = 256;
/// Those that strangers opened: each gets a 403 and is closed; beyond it, they are closed at once.
pub const STRANGER_STREAMS_MAX: usize = 64;
/// Those from one strange address.
pub const STRANGER_STREAMS_PER_SOURCE_MAX: usize = 4;
/// New connections per second from one address of the trunk side.
pub const STREAMS_PER_SECOND_PER_SOURCE: u32 = 50;
/// Time for a TCP connection to a carrier to stand.
pub const STREAM_CONNECT_WITHIN: Duration = Duration::from_secs(4);
/// Time that a request which is too large for a datagram waits for a TCP connection: firewalls that
/// know no SIP over TCP are silent, and calls wait.
pub const LARGE_CONNECT_WITHIN: Duration = Duration::from_secs(1);
/// A carrier that has taken no such connection is not asked for one again so long.
pub const NO_TCP_FOR: Duration = Duration::from_secs(600);
/// Time for a TLS handshake on the trunk side.
pub const STREAM_HANDSHAKE_WITHIN: Duration = Duration::from_secs(5);
/// A connection that a carrier opened says something within this time, or is closed.
pub const STREAM_SPEAKS_WITHIN: Duration = Duration::from_secs(10);
/// A message whose first byte has come is there as a whole within this time.
pub const STREAM_MESSAGE_WITHIN: Duration = Duration::from_secs(10);
/// A connection that a carrier opened and that is silent for this long is closed.
pub const STREAM_IDLE_MAX: Duration = Duration::from_secs(1800);
/// Mean time between our keep-alives on connections that we opened: firewalls forget what is idle
/// (RFC 5626 section 4.4.1 has 95 to 120 s).
pub const STREAM_KEEP_ALIVE: Duration = Duration::from_secs(100);
/// Time for the answer to a keep-alive, of a carrier that has answered one before.
pub const STREAM_PONG_WITHIN: Duration = Duration::from_secs(10);
/// What we sent and the other end's kernel has not confirmed for this long ends the connection.
pub const STREAM_UNCONFIRMED_MAX: Duration = Duration::from_secs(20);
/// A carrier that does not take one message within this time is too slow: the connection is closed.
pub const STREAM_WRITE_WITHIN: Duration = Duration::from_secs(10);
/// Messages that wait for one connection. Beyond it, the connection is closed.
pub const STREAM_QUEUE_MESSAGES_MAX: usize = 4096;
/// Bytes that wait for one connection. Beyond it, the connection is closed.
pub const STREAM_QUEUE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// What is read from a connection at once.
pub const STREAM_READ_BYTES: usize = 16 * 1024;
/// Kernel buffer of the SIP socket, as far as the kernel allows: a second of traffic.
pub const SIP_SOCKET_BUFFER_BYTES: usize = 4 * 1024 * 1024;
/// Commands that wait for the handshake thread.
pub const HANDSHAKE_COMMANDS_MAX: usize = 4096;
/// Time until commands are tried again for which a queue had no room.
pub const COMMAND_RETRY_AFTER: Duration = Duration::from_millis(5);
/// The brain ends calls for this long after the signal; then it is asked no more.
pub const BRAIN_STOPS_WITHIN: Duration = Duration::from_millis(4000);
/// Open WebSockets get their Close for this long after the brain has stopped.
pub const WEBSOCKETS_CLOSE_WITHIN: Duration = Duration::from_millis(300);
/// The process is gone this long after the signal, whatever happens.
pub const PROCESS_STOPS_WITHIN: Duration = Duration::from_millis(4800);

// Every format that is agreed on has its map.
const _: () =
    assert!(crate::sdp::limits::ROUTE_PAIRS_MAX <= dataplane::limits::PAYLOAD_TYPES_PER_ROUTE_MAX);
const _: () = assert!(STOP_WITHIN.as_millis() < BRAIN_STOPS_WITHIN.as_millis());
const _: () = assert!(
    BRAIN_STOPS_WITHIN.as_millis() + WEBSOCKETS_CLOSE_WITHIN.as_millis()
        < PROCESS_STOPS_WITHIN.as_millis()
);
const _: () = assert!(LARGE_CONNECT_WITHIN.as_secs() < STREAM_CONNECT_WITHIN.as_secs());
const _: () = assert!(WEBSOCKET_MESSAGE_BYTES_MAX <= WEBSOCKET_WRITE_BUFFER_BYTES_MAX);
const _: () = assert!(WEBSOCKET_MESSAGE_BYTES_MAX <= BROWSER_ARRIVALS_BYTES_MAX as usize);
const _: () = assert!(SIP_DATAGRAM_BYTES_MAX <= OUTGOING_BYTES_MAX);
const _: () = assert!(SIP_DATAGRAM_BYTES_MAX <= STREAM_QUEUE_BYTES_MAX);
const _: () = assert!(TRUNK_STREAMS_MAX + STRANGER_STREAMS_MAX < STREAMS_MAX);
/// Origins of refused pages that the log names, in the life of a process.
pub const REFUSED_ORIGINS_MAX: usize = 64;
/// Characters of such an origin.
pub const REFUSED_ORIGIN_CHARS_MAX: usize = 200;
/// Longest time that a cancelled INVITE is kept for its final answer: the transaction layer gives
/// up after 64·T1.
pub const LATE_ANSWER_WITHIN: Duration = Duration::from_secs(70);

const _: () = assert!(LOCATION_TTL_MIN.as_secs() <= LOCATION_NEGATIVE_TTL_MAX.as_secs());
const _: () = assert!(LOCATION_NEGATIVE_TTL_MAX.as_secs() <= LOCATION_TTL_MAX.as_secs());
const _: () = assert!(DNS_TRY_WITHIN.as_secs() * 4 <= DNS_ANSWER_WITHIN.as_secs());

/// Refused calls and failed logins that the log names per second; the next line says how many it
/// did not name.
pub const REFUSALS_LOGGED_PER_SECOND: u32 = 10;
/// The same, at once after a rest.
pub const REFUSALS_LOGGED_AT_ONCE: u32 = 20;

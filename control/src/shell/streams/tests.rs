//! TCP and TLS towards carriers, with real sockets on loopback.

use std::path::PathBuf;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::super::stream::Ending;
use super::super::trunk_tls;
use super::*;
use crate::config::Config;
use crate::limits::STREAM_QUEUE_BYTES_MAX;

/// Nothing on loopback takes this long.
const PATIENCE: Duration = Duration::from_secs(10);
const BRIEF: Duration = Duration::from_millis(50);

const OPTIONS: &str = "OPTIONS sip:a SIP/2.0\r\nContent-Length: 2\r\n\r\nhi";

fn peer() -> Peer {
    Peer::Tcp(([192, 0, 2, 1], 5060).into())
}

/// One connection that is served, and the other end of it.
struct Served {
    other_end: DuplexStream,
    queue: StreamQueue,
    arrivals: mpsc::Receiver<Arrival>,
    task: tokio::task::JoinHandle<Ending>,
}

impl Served {
    fn new(manners: Manners) -> Self {
        let (ours, other_end) = tokio::io::duplex(1024);
        let (sender, arrivals) = mpsc::channel(16);
        let (queue, receiver) = StreamQueue::new();
        let task =
            tokio::spawn(async move { serve(ours, peer(), receiver, &sender, manners).await });
        Self {
            other_end,
            queue,
            arrivals,
            task,
        }
    }

    async fn message(&mut self) -> Bytes {
        match timeout(PATIENCE, self.arrivals.recv()).await.unwrap() {
            Some(Arrival::Message { bytes, .. }) => bytes,
            other => panic!("no message: {other:?}"),
        }
    }

    async fn ending(self) -> Ending {
        timeout(PATIENCE, self.task).await.unwrap().unwrap()
    }
}

fn theirs() -> Manners {
    Manners::new(false)
}

#[tokio::test]
async fn c17_messages_are_cut_by_their_length_wherever_the_stream_is_cut() {
    let mut served = Served::new(theirs());
    let both = format!("{OPTIONS}\r\n{OPTIONS}");
    let (first, second) = both.split_at(20);
    served.other_end.write_all(first.as_bytes()).await.unwrap();
    tokio::task::yield_now().await;
    served.other_end.write_all(second.as_bytes()).await.unwrap();
    assert_eq!(served.message().await, OPTIONS);
    assert_eq!(served.message().await, OPTIONS);
}

#[tokio::test]
async fn c17_a_keep_alive_is_answered() {
    let mut served = Served::new(theirs());
    served.other_end.write_all(b"\r\n\r\n").await.unwrap();
    let mut answer = [0; 2];
    served.other_end.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"\r\n");
    served.queue.send(Bytes::from_static(b"next"));
    let mut next = [0; 4];
    served.other_end.read_exact(&mut next).await.unwrap();
    assert_eq!(&next, b"next");
}

#[tokio::test]
async fn c17_what_cannot_be_cut_is_answered_and_ends_the_connection() {
    let mut served = Served::new(theirs());
    let without_length = b"OPTIONS sip:a SIP/2.0\r\nTo: a\r\n\r\n";
    served.other_end.write_all(without_length).await.unwrap();
    let arrival = timeout(PATIENCE, served.arrivals.recv()).await.unwrap();
    let Some(Arrival::StreamBroken { rest, .. }) = arrival else {
        panic!("{arrival:?}");
    };
    assert_eq!(&rest[..], without_length);
    served.queue.send(Bytes::from_static(b"400"));
    served.queue.close();
    let mut answer = Vec::new();
    served.other_end.read_to_end(&mut answer).await.unwrap();
    assert_eq!(answer, b"400");
    assert_eq!(served.ending().await, Ending::Malformed);
}

#[tokio::test]
async fn who_connects_and_says_nothing_is_closed() {
    let manners = Manners {
        speaks_within: BRIEF,
        ..theirs()
    };
    assert_eq!(Served::new(manners).ending().await, Ending::Silent);
}

#[tokio::test]
async fn who_begins_a_message_and_does_not_end_it_is_closed() {
    let manners = Manners {
        message_within: BRIEF,
        ..theirs()
    };
    let mut served = Served::new(manners);
    // A byte now and then does not buy more time.
    let dripping = async {
        for byte in OPTIONS.as_bytes().iter().cycle() {
            tokio::time::sleep(BRIEF / 5).await;
            if served.other_end.write_all(&[*byte]).await.is_err() {
                break;
            }
        }
    };
    timeout(PATIENCE, dripping).await.unwrap();
    assert_eq!(served.ending().await, Ending::Silent);
}

#[tokio::test]
async fn who_is_idle_for_too_long_is_closed() {
    let manners = Manners {
        idle_max: BRIEF,
        ..theirs()
    };
    let mut served = Served::new(manners);
    served
        .other_end
        .write_all(OPTIONS.as_bytes())
        .await
        .unwrap();
    served.message().await;
    assert_eq!(served.ending().await, Ending::Silent);
}

#[tokio::test]
async fn who_does_not_read_is_closed() {
    let served = Served::new(theirs());
    let message = Bytes::from(vec![b'x'; STREAM_QUEUE_BYTES_MAX / 4]);
    for _ in 0..6 {
        served.queue.send(message.clone());
    }
    assert_eq!(served.ending().await, Ending::SlowReader);
}

#[tokio::test]
async fn c17_who_stops_to_answer_keep_alives_is_dead_but_who_never_did_is_not() {
    let manners = Manners {
        keep_alive: BRIEF,
        pong_within: BRIEF * 2,
        ..Manners::new(true)
    };
    let mut silent = Served::new(manners);
    let mut pings = [0; 16];
    silent.other_end.read_exact(&mut pings).await.unwrap();
    assert_eq!(&pings, b"\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n");
    assert!(!silent.task.is_finished());

    let mut served = Served::new(manners);
    served.other_end.write_all(b"\r\n").await.unwrap();
    assert_eq!(served.ending().await, Ending::Dead);
}

/// The trunk side as it is in the daemon, on loopback, and the arrivals at its brain.
struct Side {
    streams: Streams,
    arrivals: mpsc::Receiver<Arrival>,
    listener: SocketAddr,
}

/// A configuration with one trunk, which has these keys, and certificates for it and for us.
fn config(name: &str, sip: &str, trunk: &str) -> Config {
    let directory = std::env::temp_dir();
    let id = std::process::id();
    let write = |kind: &str, subject: &str| {
        let key = rcgen::KeyPair::generate().unwrap();
        let parameters = rcgen::CertificateParams::new(vec![subject.to_owned()]).unwrap();
        let certificate = parameters.self_signed(&key).unwrap();
        let path = directory.join(format!("ringway-{id}-{name}-{kind}.pem"));
        let text = format!("{}{}", certificate.pem(), key.serialize_pem());
        std::fs::write(&path, text).unwrap();
        path
    };
    let (us, other) = (write("us", "sbc.test"), write("other", "other.test"));
    let fill = |text: &str| {
        let text = text.replace("US", &format!("{us:?}"));
        text.replace("OTHER", &format!("{other:?}"))
    };
    let text = format!(
        "[sip]\nlisten = \"127.0.0.1:5060\"\nlisten_tcp = \"127.0.0.1:5060\"\n\
         listen_tls = \"127.0.0.1:5061\"\ncertificate = {us:?}\nprivate_key = {us:?}\n{}\n\
         [[trunk]]\nname = \"a\"\ntarget = \"127.0.0.1\"\ntransport = \"tls\"\n{}\n",
        fill(sip),
        fill(trunk)
    );
    Config::parse("test.toml", &text, &|_| None).unwrap()
}

/// Listens as this configuration says (on a free port), and can connect as it says.
fn side(config: &Config, secure: bool) -> Side {
    let sip = config.sip.as_ref().unwrap();
    let (sender, arrivals) = mpsc::channel(64);
    let listener = Arc::new(bind(([127, 0, 0, 1], 0).into()).unwrap());
    let address = listener.local_addr().unwrap();
    let acceptor = trunk_tls::acceptor(sip).unwrap().filter(|_| secure);
    let doors = Doors::new();
    *doors.sources() = vec![[127, 0, 0, 1].into()];
    tokio::spawn(listen(listener, acceptor, doors.clone(), sender.clone()));
    let connectors = trunk_tls::connectors(config).unwrap();
    Side {
        streams: Streams::new(sender, sip, connectors, doors),
        arrivals,
        listener: address,
    }
}

impl Side {
    async fn arrival(&mut self) -> Arrival {
        timeout(PATIENCE, self.arrivals.recv())
            .await
            .unwrap()
            .unwrap()
    }

    /// Connects to itself; true if that stands.
    async fn connects(&mut self, secure: bool, name: &str) -> bool {
        let peer = Peer::of_trunk(
            if secure {
                Transport::Tls
            } else {
                Transport::Tcp
            },
            self.listener,
        );
        self.streams.connect(peer, 0, name);
        self.streams
            .send(peer, Bytes::from_static(OPTIONS.as_bytes()));
        loop {
            let arrival = self.arrival().await;
            if matches!(arrival, Arrival::StreamClosed { peer: of, .. } if of == peer) {
                return false;
            }
            if let Arrival::Message { bytes, .. } = arrival {
                assert_eq!(bytes, OPTIONS);
                return true;
            }
        }
    }
}

fn remove_files(name: &str) {
    let id = std::process::id();
    for kind in ["us", "other"] {
        let path: PathBuf = std::env::temp_dir().join(format!("ringway-{id}-{name}-{kind}.pem"));
        std::fs::remove_file(path).unwrap();
    }
}

#[tokio::test]
async fn c17_what_waits_is_sent_once_the_tcp_connection_stands() {
    let mut side = side(&config("tcp", "", ""), false);
    assert!(side.connects(false, "").await);
    remove_files("tcp");
}

#[tokio::test]
async fn c14_a_connection_that_is_refused_is_told_at_once() {
    let mut side = side(&config("refused", "", ""), false);
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let peer = Peer::Tcp(closed.local_addr().unwrap());
    drop(closed);
    side.streams.connect(peer, 0, "");
    let arrival = side.arrival().await;
    let Arrival::StreamClosed { peer: of, id } = arrival else {
        panic!("{arrival:?}");
    };
    assert!(of == peer && side.streams.closed(of, id));
    remove_files("refused");
}

#[tokio::test]
async fn tls_needs_an_authority_that_is_known_and_the_right_name() {
    let mut known = side(&config("known", "", "ca = US"), true);
    assert!(known.connects(true, "sbc.test").await);
    assert!(!known.connects(true, "other.test").await);
    let mut unknown = side(&config("unknown", "", "ca = OTHER"), true);
    assert!(!unknown.connects(true, "sbc.test").await);
    let mut blind = side(&config("blind", "", "verify = false"), true);
    assert!(blind.connects(true, "any.test").await);
    for name in ["known", "unknown", "blind"] {
        remove_files(name);
    }
}

#[tokio::test]
async fn who_connects_needs_a_certificate_where_one_is_asked_for() {
    let known = config("client-known", "client_ca = US", "ca = US");
    assert!(side(&known, true).connects(true, "sbc.test").await);
    let other = config("client-other", "client_ca = OTHER", "ca = US");
    assert!(!side(&other, true).connects(true, "sbc.test").await);
    for name in ["client-known", "client-other"] {
        remove_files(name);
    }
}

#[test]
fn strangers_do_not_take_the_room_of_carriers() {
    let carrier: IpAddr = [192, 0, 2, 1].into();
    let doors = Doors::new();
    *doors.sources() = vec![carrier];
    let mut held = Vec::new();
    for source in 0..200_u8 {
        let ip: IpAddr = [198, 51, 100, source].into();
        held.extend(doors.door(ip).admit(ip, clock::now()));
    }
    assert_eq!(held.len(), STRANGER_STREAMS_MAX);
    assert!(doors.door(carrier).admit(carrier, clock::now()).is_ok());
}

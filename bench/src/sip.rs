//! What parsing, editing and printing a SIP message costs, next to rsip in the same run.
//!
//! The subjects take turns, round by round, so that what disturbs the machine disturbs both. rsip
//! leaves header values unread until they are asked for; ringway has checked the mandatory ones.

use std::hint::black_box;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use control::sip::{HeaderName, Message};
use rsip::message::HasHeaders as _;
use serde::Serialize;

use crate::Failure;
use crate::clock;

/// At most this part of rsip's time.
const TIME_RATIO_MAX: f64 = 0.4;
/// At most this for parsing the REGISTER.
const REGISTER_PARSE_NS_MAX: f64 = 1000.0;

/// Arguments of `ringway-bench sip`.
#[derive(Args)]
pub(crate) struct SipArguments {
    /// Rounds; median, smallest and largest are reported.
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u32).range(5..=1000))]
    rounds: u32,
    /// Time for one subject, message and operation in one round.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    step_ms: u64,
    /// Write the result here too, as an array of rows.
    #[arg(long)]
    json: Option<PathBuf>,
}

/// One line of the report: nanoseconds per message.
#[derive(Clone, Debug, Serialize)]
struct Row {
    subject: &'static str,
    message: &'static str,
    op: &'static str,
    ns_median: f64,
    ns_min: f64,
    ns_max: f64,
}

/// A message that is measured.
struct Sample {
    name: &'static str,
    bytes: Bytes,
}

/// What is done with it; returns a size, so that the work cannot be left out.
type Work = fn(&Bytes) -> usize;

const SUBJECTS: [(&str, &str, Work); 4] = [
    ("ringway", "parse", ringway_parse),
    ("rsip", "parse", rsip_parse),
    ("ringway", "parse_edit_print", ringway_edit),
    ("rsip", "parse_edit_print", rsip_edit),
];

/// Measures and reports.
pub(crate) fn run(arguments: &SipArguments) -> Result<(), Failure> {
    let samples = samples();
    check(&samples)?;
    let step = Duration::from_millis(arguments.step_ms);
    let mut rows = Vec::new();
    for sample in &samples {
        let mut rounds = SUBJECTS.map(|_| Vec::new());
        for _ in 0..arguments.rounds {
            for ((_, _, work), times) in SUBJECTS.iter().zip(&mut rounds) {
                times.push(measure(*work, &sample.bytes, step));
            }
        }
        for ((subject, op, _), mut times) in SUBJECTS.into_iter().zip(rounds) {
            times.sort_by(f64::total_cmp);
            let nth = |index: usize| times.get(index).copied().unwrap_or(f64::NAN);
            rows.push(Row {
                subject,
                message: sample.name,
                op,
                ns_median: nth(times.len() / 2),
                ns_min: nth(0),
                ns_max: nth(times.len() - 1),
            });
        }
    }
    print(&samples, &rows)?;
    match &arguments.json {
        Some(path) => write_json(path, &rows),
        None => Ok(()),
    }
}

/// Nanoseconds for one call, over about the given time.
#[expect(clippy::cast_precision_loss, reason = "a mean of many calls")]
fn measure(work: Work, bytes: &Bytes, step: Duration) -> f64 {
    const BATCH: u32 = 256;
    let begin = clock::now();
    let mut calls = 0_u64;
    loop {
        for _ in 0..BATCH {
            black_box(work(black_box(bytes)));
        }
        calls += u64::from(BATCH);
        let taken = clock::now() - begin;
        if taken >= step {
            return taken.as_nanos() as f64 / calls as f64;
        }
    }
}

fn ringway_parse(bytes: &Bytes) -> usize {
    Message::parse(bytes.clone()).map_or(0, |message| black_box(message).body().len() + 1)
}

fn rsip_parse(bytes: &Bytes) -> usize {
    rsip::Request::try_from(bytes.as_ref()).map_or(0, |request| black_box(request).body.len() + 1)
}

/// The edit of a proxy: next target, a Via of its own, one hop less, a Record-Route.
const TARGET: &str = "sip:bob@192.0.2.20:5060";
const VIA: &str = "SIP/2.0/UDP 198.51.100.1:5060;branch=z9hG4bK-edge-7f3a1c";
const RECORD_ROUTE: &str = "<sip:token@198.51.100.1:5060;lr>";

fn ringway_edit(bytes: &Bytes) -> usize {
    let Ok(mut message) = Message::parse(bytes.clone()) else {
        return 0;
    };
    message.set_request_uri(TARGET);
    message.push_front(HeaderName::Via, VIA);
    message.set(HeaderName::MaxForwards, "68");
    message.push_front(HeaderName::RecordRoute, RECORD_ROUTE);
    message.to_bytes().len()
}

fn rsip_edit(bytes: &Bytes) -> usize {
    use rsip::headers::{MaxForwards, RecordRoute, UntypedHeader as _, Via};
    let Ok(mut request) = rsip::Request::try_from(bytes.as_ref()) else {
        return 0;
    };
    let Ok(target) = rsip::Uri::try_from(TARGET) else {
        return 0;
    };
    request.uri = target;
    let headers = request.headers_mut();
    headers.unique_push(MaxForwards::new("68").into());
    let mut all = vec![RecordRoute::new(RECORD_ROUTE).into(), Via::new(VIA).into()];
    all.extend(std::mem::take(headers));
    *headers = all.into();
    Bytes::from(request).len()
}

/// Both subjects must have understood the messages, or the times mean nothing.
fn check(samples: &[Sample]) -> Result<(), Failure> {
    for sample in samples {
        for (subject, op, work) in SUBJECTS {
            if work(&sample.bytes) == 0 {
                return Err(format!("{subject} refuses {} ({op})", sample.name).into());
            }
        }
    }
    Ok(())
}

fn samples() -> [Sample; 3] {
    let chromium = include_str!("../../tests/fixtures/chromium_offer_max_bundle.sdp");
    [
        Sample {
            name: "register_600",
            bytes: REGISTER.replace('\n', "\r\n").into(),
        },
        Sample {
            name: "invite_1200",
            bytes: invite(&SMALL_OFFER.replace('\n', "\r\n")),
        },
        Sample {
            name: "invite_chromium",
            bytes: invite(chromium),
        },
    ]
}

fn invite(offer: &str) -> Bytes {
    let head = format!("{INVITE}Content-Length: {}\n\n", offer.len());
    (head.replace('\n', "\r\n") + offer).into()
}

const REGISTER: &str = "REGISTER sip:example.com SIP/2.0
Via: SIP/2.0/WSS 2qv5b4kbcvah.invalid;branch=z9hG4bK6687512
Max-Forwards: 69
To: <sip:alice@example.com>
From: \"Alice\" <sip:alice@example.com>;tag=t8gd0k3ho2
Call-ID: bpf3nmqlj9khq3ivtlbf5k
CSeq: 1 REGISTER
Contact: <sip:r3n2kp0s@2qv5b4kbcvah.invalid;transport=ws>;+sip.ice;reg-id=1;\
+sip.instance=\"<urn:uuid:0b3c6f3e-6a0f-4d6b-9a43-0e8a2d2a4f51>\";expires=600
Expires: 600
Allow: INVITE,ACK,CANCEL,BYE,UPDATE,MESSAGE,OPTIONS,REFER,INFO,NOTIFY
Supported: path,gruu,outbound
User-Agent: JsSIP 3.13.8
Content-Length: 0

";

const INVITE: &str = "INVITE sip:+4930123456@example.com SIP/2.0
Via: SIP/2.0/WSS 2qv5b4kbcvah.invalid;branch=z9hG4bK8846173
Max-Forwards: 69
Route: <sip:edge.example.com;transport=ws;lr>
To: <sip:+4930123456@example.com>
From: \"Alice\" <sip:alice@example.com>;tag=8r1dcm1bqf
Call-ID: 2qv5bm9c6t9k0i3n1d2h
CSeq: 4310 INVITE
Contact: <sip:alice@example.com;gr=urn:uuid:0b3c6f3e-6a0f-4d6b-9a43-0e8a2d2a4f51;ob>
Content-Type: application/sdp
Session-Expires: 90
Allow: INVITE,ACK,CANCEL,BYE,UPDATE,MESSAGE,OPTIONS,REFER,INFO,NOTIFY
Supported: timer,gruu,ice,replaces,outbound
User-Agent: JsSIP 3.13.8
";

const SMALL_OFFER: &str = "v=0
o=- 20518 0 IN IP4 203.0.113.1
s=-
c=IN IP4 203.0.113.1
t=0 0
m=audio 54400 RTP/SAVPF 0 8 96
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
a=rtpmap:96 opus/48000/2
a=fmtp:96 useinbandfec=1
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-15
a=ptime:20
a=maxptime:60
a=sendrecv
a=rtcp-mux
a=setup:actpass
a=mid:0
a=ice-ufrag:F7gI
a=ice-pwd:x9cml/YzichV2+XlhiMu8g
a=ice-options:trickle
a=candidate:1 1 udp 2130706431 203.0.113.1 54400 typ host
";

#[expect(clippy::print_stdout, reason = "the report is the program's output")]
fn print(samples: &[Sample], rows: &[Row]) -> Result<(), Failure> {
    println!(
        "{:<17}{:>6}  {:<17}{:>11}{:>11}{:>7}   nanoseconds per message: median (min to max)",
        "message", "bytes", "operation", "ringway", "rsip", "ratio"
    );
    let mut is_met = true;
    for pair in rows.chunks(2) {
        let [ours, theirs] = pair else {
            return Err("rows come in pairs".into());
        };
        let bytes = samples.iter().find(|sample| sample.name == ours.message);
        let ratio = ours.ns_median / theirs.ns_median;
        is_met &= ratio <= TIME_RATIO_MAX;
        is_met &= (ours.message, ours.op) != ("register_600", "parse")
            || ours.ns_median <= REGISTER_PARSE_NS_MAX;
        println!(
            "{:<17}{:>6}  {:<17}{:>11.0}{:>11.0}{:>7.2}   {:.0} to {:.0}, {:.0} to {:.0}",
            ours.message,
            bytes.map_or(0, |sample| sample.bytes.len()),
            ours.op,
            ours.ns_median,
            theirs.ns_median,
            ratio,
            ours.ns_min,
            ours.ns_max,
            theirs.ns_min,
            theirs.ns_max
        );
    }
    println!(
        "\nat most {TIME_RATIO_MAX} of rsip's time and {REGISTER_PARSE_NS_MAX:.0} ns for the \
         REGISTER's parse: {}",
        if is_met { "met" } else { "missed" }
    );
    Ok(())
}

fn write_json(path: &Path, rows: &[Row]) -> Result<(), Failure> {
    let mut file = std::fs::File::create(path)?;
    serde_json::to_writer_pretty(&mut file, rows)?;
    file.write_all(b"\n")?;
    Ok(())
}

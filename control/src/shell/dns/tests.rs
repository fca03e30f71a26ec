use hickory_resolver::proto::op::{Message, Query, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, CNAME, NAPTR, SOA, SRV};
use hickory_resolver::proto::rr::{Name, RData};
use tokio::net::UdpSocket;

use super::*;
use crate::config::Config;

fn name(text: &str) -> Name {
    Name::from_ascii(text).unwrap()
}

fn record(owner: &str, ttl: u32, data: RData) -> WireRecord {
    WireRecord::from_rdata(name(owner), ttl, data)
}

fn address(owner: &str, ttl: u32) -> WireRecord {
    record(owner, ttl, RData::A(A::new(192, 0, 2, 1)))
}

fn alias(owner: &str, ttl: u32, target: &str) -> WireRecord {
    record(owner, ttl, RData::CNAME(CNAME(name(target))))
}

/// A DNS server for one question, which answers it with these records and this status; and what
/// becomes of the question.
async fn asked(
    kind: RecordKind,
    records: Vec<WireRecord>,
    authorities: Vec<WireRecord>,
    status: ResponseCode,
) -> Answer {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let text = format!("[sip]\nlisten = \"127.0.0.1:5060\"\nresolvers = \"{address}\"\n");
    let config = Config::parse("test.toml", &text, &|_| None).unwrap();
    let server = tokio::spawn(async move {
        let mut bytes = [0; 1500];
        loop {
            let (length, from) = socket.recv_from(&mut bytes).await.unwrap();
            let question = Message::from_vec(&bytes[..length]).unwrap();
            let mut response = question.into_response();
            response.metadata.response_code = status;
            response.add_answers(records.clone());
            response.add_authorities(authorities.clone());
            socket
                .send_to(&response.to_vec().unwrap(), from)
                .await
                .unwrap();
        }
    });
    let (sender, mut arrivals) = mpsc::channel(1);
    let question = Question {
        name: "sbc.carrier.test.".to_owned(),
        kind,
    };
    Dns::new(config.sip.as_ref().unwrap(), sender).ask(question.clone());
    let arrival = timeout(DNS_ANSWER_WITHIN * 2, arrivals.recv())
        .await
        .unwrap();
    server.abort();
    let Some(Arrival::Resolved {
        question: answered,
        answer,
    }) = arrival
    else {
        panic!("{arrival:?}");
    };
    assert_eq!(answered, question);
    answer
}

#[tokio::test]
async fn d1_records_live_as_long_as_the_shortest_of_them_and_their_aliases() {
    let records = vec![
        alias("sbc.carrier.test.", 20, "real.carrier.test."),
        address("real.carrier.test.", 600),
    ];
    let answer = asked(RecordKind::A, records, Vec::new(), ResponseCode::NoError).await;
    assert_eq!(
        answer,
        Answer::Records {
            records: vec![Record::Address([192, 0, 2, 1].into())],
            ttl: Duration::from_secs(20),
        }
    );
}

#[tokio::test]
async fn d1_srv_and_naptr_are_read() {
    let srv = SRV::new(10, 60, 5070, name("one.carrier.test."));
    let records = vec![record("sbc.carrier.test.", 300, RData::SRV(srv))];
    let answer = asked(RecordKind::Srv, records, Vec::new(), ResponseCode::NoError).await;
    let srv = Record::Srv(Srv {
        priority: 10,
        weight: 60,
        port: 5070,
        target: "one.carrier.test.".to_owned(),
    });
    let ttl = Duration::from_secs(300);
    let records = vec![srv];
    assert_eq!(answer, Answer::Records { records, ttl });

    let service = name("_sip._udp.carrier.test.");
    let (flags, services) = (b"s".to_vec().into(), b"SIP+D2U".to_vec().into());
    let naptr = NAPTR::new(50, 20, flags, services, Vec::new().into(), service);
    let records = vec![record("sbc.carrier.test.", 300, RData::NAPTR(naptr))];
    let answer = asked(
        RecordKind::Naptr,
        records,
        Vec::new(),
        ResponseCode::NoError,
    )
    .await;
    let naptr = Record::Naptr(Naptr {
        order: 50,
        preference: 20,
        flags: "s".to_owned(),
        services: "SIP+D2U".to_owned(),
        replacement: "_sip._udp.carrier.test.".to_owned(),
    });
    let records = vec![naptr];
    assert_eq!(answer, Answer::Records { records, ttl });
}

#[tokio::test]
async fn d1_no_such_name_is_believed_as_long_as_its_zone_says() {
    let soa = SOA::new(name("ns.test."), name("x.test."), 1, 60, 60, 60, 90);
    let soa = record("carrier.test.", 3600, RData::SOA(soa));
    let answer = asked(RecordKind::A, Vec::new(), vec![soa], ResponseCode::NXDomain).await;
    let ttl = Some(Duration::from_secs(90));
    assert_eq!(answer, Answer::Nothing { ttl });
    let answer = asked(RecordKind::A, Vec::new(), Vec::new(), ResponseCode::NoError).await;
    assert_eq!(answer, Answer::Nothing { ttl: None });
}

#[tokio::test]
async fn d1_a_server_that_cannot_answer_is_a_failure_and_no_missing_name() {
    for status in [ResponseCode::ServFail, ResponseCode::Refused] {
        let answer = asked(RecordKind::A, Vec::new(), Vec::new(), status).await;
        assert!(matches!(answer, Answer::Failed(_)), "{answer:?}");
    }
}

#[test]
fn d1_a_long_chain_of_aliases_is_a_failure() {
    let chain = |length: usize| {
        let host = |number: usize| format!("n{number}.test.");
        let aliases = (0..length).map(|number| alias(&host(number), 60, &host(number + 1)));
        let end = address(&host(length), 60);
        let query = Query::query(name("n0.test."), RecordType::A);
        Lookup::new_with_max_ttl(query, aliases.chain([end]))
    };
    let answer = answer_of(&chain(8), RecordType::A);
    assert!(matches!(answer, Answer::Records { .. }), "{answer:?}");
    let answer = answer_of(&chain(9), RecordType::A);
    assert!(matches!(answer, Answer::Failed(_)), "{answer:?}");
}

//! Trunks that are found in the DNS (D1): by SRV and NAPTR, again and again while the process runs.

use std::time::Duration;

use control::engine::input::Peer;
use control::sip::{HeaderName, Message, Method};
use tests::world::{CONFIG, TRUNK, World};

use crate::peers::{
    BROWSER_OFFER, CARRIER_ANSWER, CARRIER_OFFER, answer_to, browser_invite, carrier_invite,
    in_dialog, in_dialog_of_callee, log_in, register_at,
};

const SERVICE: &str = "_sip._udp.carrier.test";

fn at(last: u8) -> Peer {
    Peer::Udp(([198, 51, 100, last], 5060).into())
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// A carrier that has a name only, in a DNS without records.
fn unlocated(keys: &str) -> World {
    let config = CONFIG.replace(
        &format!("target = \"{TRUNK}\""),
        &format!("target = \"carrier.test\"\n{keys}"),
    );
    let mut world = World::with_config(&config);
    world.dns.ttl = seconds(300);
    world
}

/// One with these servers: priority, last number of the address.
fn located(servers: &[(u16, u8)]) -> World {
    let mut world = unlocated("");
    set_servers(&mut world, servers);
    world.advance(Duration::ZERO);
    world
}

fn set_servers(world: &mut World, servers: &[(u16, u8)]) {
    let names: Vec<String> = servers
        .iter()
        .map(|(_, last)| format!("sbc{last}.carrier.test"))
        .collect();
    let records: Vec<(u16, u16, u16, &str)> = servers
        .iter()
        .zip(&names)
        .map(|((priority, _), name)| (*priority, 0, 5060, name.as_str()))
        .collect();
    world.dns.service(SERVICE, &records);
    for ((_, last), name) in servers.iter().zip(&names) {
        world.dns.host(name, &[&format!("198.51.100.{last}")]);
    }
}

fn register(world: &mut World, id: &str) -> Peer {
    let browser = world.browser();
    let request = World::register_message("alice", "carrier.test", id);
    world.sent.clear();
    world.receive(browser, &request);
    browser
}

/// The browser's REGISTER goes there first.
fn registers_at(world: &mut World, id: &str, target: Peer) {
    register(world, id);
    world.expect_request(target, &Method::Register);
}

fn warnings(world: &World) -> usize {
    let is_one = |line: &&String| line.contains("Stale") || line.contains("Lost");
    world.logged.iter().filter(is_one).count()
}

#[test]
fn d1_a_call_tries_all_servers_of_the_domain_one_after_the_other() {
    let mut world = located(&[(30, 23), (10, 21), (20, 22)]);
    let browser = register_at(&mut world, at(21), "alice");
    let invite = browser_invite("alice", "carrier.test", "bob", BROWSER_OFFER);
    world.receive(browser, &invite);
    world.expect_status(browser, 100);
    world.expect_request(at(21), &Method::Invite);
    world.expect_silence(at(22));
    world.advance(seconds(7));
    let second = world.expect_request(at(22), &Method::Invite);
    world.receive(at(22), &answer_to(&second, 503, "no", None));
    let third = world.expect_request(at(23), &Method::Invite);
    world.receive(at(23), &answer_to(&third, 200, "bob", Some(CARRIER_ANSWER)));
    world.expect_status(browser, 200);
}

#[test]
fn d1_a_name_without_srv_is_a_host() {
    let mut world = unlocated("");
    world.dns.host("carrier.test", &["198.51.100.40"]);
    world.advance(Duration::ZERO);
    registers_at(&mut world, "reg-1", at(40));
}

#[test]
fn d1_until_a_trunk_is_found_requests_to_it_are_answered_with_503() {
    let mut world = unlocated("");
    world.dns.is_down = true;
    world.advance(Duration::ZERO);
    let browser = register(&mut world, "reg-1");
    let refusal = world.expect_status(browser, 503);
    assert!(refusal.header(HeaderName::RetryAfter).is_some());
    // Everybody else is served.
    log_in(&mut world, "1001", "secret-one");
    world.advance(seconds(100));
    assert_eq!(warnings(&world), 1, "{:#?}", world.logged);

    world.dns.is_down = false;
    set_servers(&mut world, &[(10, 21)]);
    world.advance(seconds(120));
    registers_at(&mut world, "reg-2", at(21));
}

#[test]
fn d1_a_carrier_that_moves_is_followed_when_its_records_have_run_out() {
    let mut world = located(&[(10, 21)]);
    registers_at(&mut world, "reg-1", at(21));
    set_servers(&mut world, &[(10, 31)]);
    world.advance(seconds(260));
    registers_at(&mut world, "reg-2", at(21));
    world.advance(seconds(40));
    registers_at(&mut world, "reg-3", at(31));
    let moved = |line: &&String| line.contains("Relocated") && line.contains("198.51.100.31");
    assert_eq!(world.logged.iter().filter(moved).count(), 1);
}

#[test]
fn d1_calls_under_way_stay_where_they_are_when_the_carrier_moves() {
    let mut world = unlocated("");
    world.dns.ttl = seconds(1);
    set_servers(&mut world, &[(10, 21)]);
    world.advance(Duration::ZERO);
    let browser = register_at(&mut world, at(21), "alice");
    let invite = browser_invite("alice", "carrier.test", "bob", BROWSER_OFFER);
    world.receive(browser, &invite);
    world.expect_status(browser, 100);
    let onward = world.expect_request(at(21), &Method::Invite);
    let answer = answer_to(&onward, 200, "bob", Some(CARRIER_ANSWER));
    world.receive(at(21), &answer);
    world.expect_request(at(21), &Method::Ack);
    let accepted = world.expect_status(browser, 200);
    world.receive(browser, &in_dialog(&invite, &accepted, &Method::Ack, 0));
    world.complete_handshakes();

    set_servers(&mut world, &[(10, 31)]);
    world.advance(seconds(30));
    assert_eq!(world.sources.len(), 2, "the old one may connect still");
    // No new calls come from there, but the end of the old one does.
    let stranger = carrier_invite("sip:1001@198.51.100.1", CARRIER_OFFER);
    world.receive(at(21), &stranger);
    world.expect_status(at(21), 100);
    world.expect_status(at(21), 403);
    world.receive(at(21), &in_dialog_of_callee(&onward, "bob", &Method::Bye));
    world.expect_status(at(21), 200);
    world.expect_request(browser, &Method::Bye);
}

#[test]
fn d1_addresses_that_cannot_be_looked_up_again_are_used_and_that_is_said_once() {
    let mut world = located(&[(10, 21)]);
    world.dns.is_down = true;
    world.advance(seconds(290));
    assert_eq!(warnings(&world), 0, "they are known still");
    world.advance(seconds(3600));
    registers_at(&mut world, "reg-1", at(21));
    assert_eq!(warnings(&world), 1, "{:#?}", world.logged);
    world.dns.is_down = false;
    set_servers(&mut world, &[(10, 31)]);
    world.advance(seconds(70));
    registers_at(&mut world, "reg-2", at(31));
    // Longer than a day is too long.
    world.dns.is_down = true;
    world.advance(seconds(25 * 3600));
    let browser = register(&mut world, "reg-3");
    world.expect_status(browser, 503);
    assert!(world.logged.iter().any(|line| line.contains("Lost")));
}

#[test]
fn d1_a_name_that_has_vanished_keeps_its_addresses() {
    let mut world = located(&[(10, 21)]);
    world.dns.service(SERVICE, &[]);
    world.dns.host("sbc21.carrier.test", &[]);
    world.advance(seconds(3600));
    registers_at(&mut world, "reg-1", at(21));
    assert_eq!(warnings(&world), 1, "{:#?}", world.logged);
}

#[test]
fn d1_a_service_that_its_domain_denies_gets_no_requests() {
    let mut world = located(&[(10, 21)]);
    world.dns.service(SERVICE, &[(0, 0, 0, ".")]);
    world.advance(seconds(300));
    let browser = register(&mut world, "reg-1");
    world.expect_status(browser, 503);
    world.expect_silence(at(21));
}

#[test]
fn d1_what_is_known_of_an_address_outlives_a_look_up() {
    let mut world = unlocated("down_for_s = 3600");
    set_servers(&mut world, &[(10, 21), (20, 22)]);
    world.advance(Duration::ZERO);
    registers_at(&mut world, "reg-1", at(21));
    world.advance(seconds(7));
    let request = world.expect_request(at(22), &Method::Register);
    world.receive(at(22), &granted(&request));
    set_servers(&mut world, &[(5, 23), (10, 21), (20, 22)]);
    world.advance(seconds(300));
    registers_at(&mut world, "reg-2", at(23));
    // The first of those that were known before is down still.
    world.advance(seconds(7));
    world.expect_silence(at(21));
    world.expect_request(at(22), &Method::Register);
}

#[test]
fn d1_only_addresses_that_the_name_has_may_send_requests() {
    let mut world = unlocated("");
    set_servers(&mut world, &[(10, 21)]);
    let line = log_in(&mut world, "1001", "secret-one");
    let invite = carrier_invite("sip:1001@198.51.100.1", CARRIER_OFFER);
    world.receive(at(21), &invite);
    world.expect_status(at(21), 403);
    assert!(world.sources.is_empty());
    world.advance(Duration::ZERO);
    world.receive(at(21), &invite);
    world.expect_status(at(21), 100);
    world.expect_request(line, &Method::Invite);
    world.receive(at(22), &invite);
    world.expect_status(at(22), 403);
    assert_eq!(world.sources, [std::net::IpAddr::from([198, 51, 100, 21])]);
}

/// A trunk whose transport the domain chooses, and listeners for all of them.
fn auto() -> World {
    let config = CONFIG
        .replace(
            &format!("target = \"{TRUNK}\""),
            "target = \"carrier.test\"\ntransport = \"auto\"",
        )
        .replace(
            "[sip]\n",
            "[sip]\nlisten_tcp = \"198.51.100.1:5060\"\nlisten_tls = \"198.51.100.1:5061\"\n\
             certificate = \"none.pem\"\nprivate_key = \"none.pem\"\n",
        );
    let mut world = World::with_config(&config);
    world.dns.ttl = seconds(300);
    world.dns.host("sbc.carrier.test", &["198.51.100.21"]);
    world
}

#[test]
fn d1_naptr_chooses_the_transport_and_the_contact_follows() {
    let mut world = auto();
    let tcp = "_sip._tcp.carrier.test";
    let ways = [(10, "SIP+D2T", tcp), (20, "SIP+D2U", SERVICE)];
    world.dns.domain("carrier.test", &ways);
    world.dns.service(tcp, &[(0, 0, 5070, "sbc.carrier.test")]);
    world.advance(Duration::ZERO);
    let peer = Peer::Tcp(([198, 51, 100, 21], 5070).into());
    register(&mut world, "reg-1");
    let request = world.expect_request(peer, &Method::Register);
    let contact = request.header(HeaderName::Contact).unwrap();
    assert!(contact.contains(";transport=tcp>"), "{contact}");
    let via = request.header(HeaderName::Via).unwrap();
    assert!(via.starts_with("SIP/2.0/TCP "), "{via}");
}

#[test]
fn d1_a_certificate_must_name_the_domain_not_the_server_that_srv_named() {
    let mut world = auto();
    let tls = "_sips._tcp.carrier.test";
    world.dns.domain("carrier.test", &[(10, "SIPS+D2T", tls)]);
    world.dns.service(tls, &[(0, 0, 5061, "sbc.carrier.test")]);
    world.advance(Duration::ZERO);
    register(&mut world, "reg-1");
    let peer = Peer::Tls(([198, 51, 100, 21], 5061).into());
    assert_eq!(world.connects, [(peer, "carrier.test".to_owned())]);
    // What the domain wants over TLS, nobody says without.
    let invite = carrier_invite("sip:1001@198.51.100.1", CARRIER_OFFER);
    world.receive(at(21), &invite);
    world.expect_status(at(21), 403);
}

#[test]
fn d1_new_addresses_are_asked_whether_they_live_and_old_ones_no_longer() {
    let mut world = unlocated("probe_s = 10");
    set_servers(&mut world, &[(10, 21)]);
    world.advance(Duration::ZERO);
    world.expect_request(at(21), &Method::Options);
    set_servers(&mut world, &[(10, 31)]);
    world.advance(seconds(280));
    world.expect_request(at(31), &Method::Options);
    world.advance(seconds(20));
    world.sent.clear();
    world.advance(seconds(30));
    world.expect_silence(at(21));
    world.expect_request(at(31), &Method::Options);
}

#[test]
fn d1_a_registration_of_our_own_waits_for_the_address_and_follows_it() {
    let keys = "username = \"ringway\"\npassword = \"secret\"\nregister = true";
    let mut world = unlocated(keys);
    set_servers(&mut world, &[(10, 21)]);
    world.advance(Duration::ZERO);
    let request = world.expect_request(at(21), &Method::Register);
    world.receive(at(21), &granted(&request));
    set_servers(&mut world, &[(10, 31)]);
    world.advance(seconds(271));
    world.expect_request(at(31), &Method::Register);
    world.expect_silence(at(21));
}

fn granted(register: &Message) -> Message {
    let mut response = answer_to(register, 200, "registrar", None);
    let contact = register.header(HeaderName::Contact).unwrap();
    response.push(HeaderName::Contact, contact);
    response
}

#[test]
fn d1_srv_records_that_cannot_be_asked_for_are_not_taken_for_none() {
    let mut world = unlocated("");
    world.dns.host("carrier.test", &["198.51.100.40"]);
    world.dns.failing = vec![SERVICE.to_owned()];
    world.advance(Duration::ZERO);
    let browser = register(&mut world, "reg-1");
    world.expect_status(browser, 503);
    world.expect_silence(at(40));
    assert_eq!(warnings(&world), 1, "{:?}", world.logged);
    // It is asked again soon, and believed when it says that there are none.
    world.dns.failing.clear();
    world.advance(seconds(3));
    registers_at(&mut world, "reg-2", at(40));
}

#[test]
fn d1_that_there_were_none_is_remembered_when_they_cannot_be_asked_for_again() {
    let mut world = unlocated("");
    world.dns.host("carrier.test", &["198.51.100.40"]);
    world.advance(Duration::ZERO);
    world.dns.failing = vec![SERVICE.to_owned()];
    world.advance(seconds(3600));
    registers_at(&mut world, "reg-1", at(40));
}

#[test]
fn d1_a_domain_whose_naptr_cannot_be_asked_for_does_not_fall_back_to_udp() {
    let config = CONFIG
        .replace(
            &format!("target = \"{TRUNK}\""),
            "target = \"carrier.test\"\ntransport = \"auto\"",
        )
        .replace("[sip]\n", "[sip]\nlisten_tcp = \"198.51.100.1:5060\"\n");
    let mut world = World::with_config(&config);
    world.dns.ttl = seconds(300);
    set_servers(&mut world, &[(10, 21)]);
    world.dns.host("carrier.test", &["198.51.100.40"]);
    world.dns.failing = vec!["_sip._tcp.carrier.test".to_owned()];
    world.advance(Duration::ZERO);
    let browser = register(&mut world, "reg-1");
    world.expect_status(browser, 503);
    // TCP is preferred; once it is known that there is none, UDP is right.
    world.dns.failing.clear();
    world.advance(seconds(3));
    registers_at(&mut world, "reg-2", at(21));
}

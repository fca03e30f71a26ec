//! Each rule with facts made by hand: well and not well.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use super::*;
use crate::acme::Validity;

const DAY: Duration = Duration::from_secs(24 * 3600);
const GATEWAY: &str = "[web]\nlisten = \"192.0.2.7:443\"\n[sip]\nlisten = \"192.0.2.7:5060\"\n\
    [[trunk]]\nname = \"carrier\"\ntarget = \"192.0.2.9\"\ndomain = \"example.com\"\n";

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + DAY * 20_000
}

/// A host on which all is well for a gateway with two workers.
fn facts() -> Facts {
    let card = Interface {
        name: "eth0".to_owned(),
        receive_queues: 4,
        is_spread: false,
    };
    Facts {
        purpose: Purpose::Check,
        now: now(),
        os: Some(Os {
            id: "debian".to_owned(),
            version: "12".to_owned(),
            name: "Debian GNU/Linux 12 (bookworm)".to_owned(),
        }),
        kernel: Some("6.1.0-13-amd64".to_owned()),
        io_uring: IoUring {
            disabled: Some(0),
            tried: Ok(()),
        },
        cores: Cores {
            online: Ranges::parse("0-3"),
            allowed: Ranges::parse("0-3"),
            refused: Vec::new(),
            siblings: Vec::new(),
        },
        limits: Limits {
            whose: "ringway.service".to_owned(),
            open_files: Some(65_536),
            locked_bytes: Some(u64::MAX),
        },
        memory: Memory {
            total: Some(4 << 30),
            available: Some(3 << 30),
        },
        queues: Some(Queues {
            receive: 4 << 20,
            send: 4 << 20,
        }),
        interfaces: vec![card],
        ports: Ports {
            ephemeral: Ranges::parse("32768-60999"),
            reserved: Some(Ranges::default()),
            taken_rtp: Vec::new(),
            listeners: Vec::new(),
        },
        clock_in_step: Ok(true),
        certificates: Vec::new(),
        files: Vec::new(),
    }
}

/// A gateway; this is added to `[media]`.
fn config(media: &str) -> Config {
    let text = format!(
        "{GATEWAY}[media]\nrtp_port_min = 16384\nrtp_port_max = 24575\nbrowser_port = 25000\n{media}"
    );
    Config::parse("test.toml", &text, &|_| None).unwrap()
}

fn with(media: &str, change: impl FnOnce(&mut Facts)) -> Vec<Finding> {
    let mut facts = facts();
    change(&mut facts);
    check(&facts, &config(media))
}

const TWO: &str = "cores = [2, 3]\n";

#[track_caller]
fn find<'a>(findings: &'a [Finding], name: &str) -> &'a Finding {
    let mut found = findings.iter().filter(|finding| finding.name == name);
    let first = found.next().unwrap();
    assert!(found.next().is_none(), "{findings:#?}");
    first
}

/// The one finding of this name is this, and all others are well.
#[track_caller]
fn says(findings: &[Finding], name: &str, verdict: Verdict, is: &str, cure: &str) {
    let finding = find(findings, name);
    let said = (finding.verdict, finding.is.as_str());
    assert_eq!(said, (verdict, is));
    assert_eq!(finding.cure.as_deref().unwrap_or_default(), cure);
    for other in findings.iter().filter(|other| other.name != name) {
        let is_well = matches!(other.verdict, Verdict::Ok | Verdict::Skipped);
        assert!(is_well, "{other}");
    }
}

#[track_caller]
fn is_well(findings: &[Finding], name: &str, is: &str) {
    says(findings, name, Verdict::Ok, is, "");
}

#[track_caller]
fn is_skipped(findings: &[Finding], name: &str, because: &str) {
    let is = format!("skipped, because {because}");
    says(findings, name, Verdict::Skipped, &is, "");
}

#[test]
fn where_all_is_well_each_finding_says_what_is() {
    let findings = with(TWO, |_| {});
    for (name, is) in [
        ("os", "Debian GNU/Linux 12 (bookworm)"),
        ("kernel", "Linux 6.1.0-13-amd64"),
        ("io_uring", "allowed"),
        ("cores", "2 workers on cores 2, 3 of 0-3"),
        ("nofile", "65536 open files for ringway.service"),
        ("memlock", "unlimited of locked memory for ringway.service"),
        ("memory", "4096 MiB, of which 3072 MiB are available"),
        ("socket_queues", "4194304 bytes to receive, 4194304 to send"),
        ("nic_queues", "eth0 has 4 receive queues"),
        ("rtp_ports", "16384 to 24575: room for 4096 calls"),
        ("port_slices", "4096 ports for each worker, from 16384 on"),
        (
            "reserved_ports",
            "16384-24575,25000-25001 are given to nobody else",
        ),
        ("clock", "held in step"),
        (
            "certificate",
            "self-signed, made at each start: browsers warn of it",
        ),
    ] {
        is_well(&findings, name, is);
    }
    is_skipped(&findings, "files", "the configuration names none");
    assert_eq!(findings.len(), 15);
    let is_told = |f: &Finding| f.verdict == Verdict::Skipped || !f.wanted.is_empty();
    assert!(findings.iter().all(is_told));
}

#[test]
fn what_cannot_be_found_out_is_skipped_and_says_why() {
    let findings = with(TWO, |facts| {
        facts.os = None;
        facts.kernel = None;
        facts.limits.open_files = None;
        facts.limits.locked_bytes = None;
        facts.memory = Memory::default();
        facts.queues = None;
        facts.interfaces.clear();
        facts.ports.ephemeral = None;
        facts.cores.online = None;
        facts.clock_in_step = Err("the kernel does not tell".to_owned());
    });
    for (name, because) in [
        ("os", "there is no /etc/os-release"),
        ("kernel", "/proc/sys/kernel/osrelease cannot be read"),
        ("nofile", "the limits of the process cannot be read"),
        ("memlock", "the limits of the process cannot be read"),
        ("memory", "/proc/meminfo cannot be read"),
        ("socket_queues", "no UDP socket can be made"),
        ("nic_queues", "no network card can be seen"),
        (
            "port_slices",
            "no network card has several queues to steer packets to",
        ),
        (
            "reserved_ports",
            "net.ipv4.ip_local_port_range cannot be read",
        ),
        ("clock", "the kernel does not tell"),
    ] {
        is_skipped(&findings, name, because);
    }
    is_well(&findings, "cores", "2 workers on cores 2, 3 of unknown");
}

#[test]
fn an_old_debian_is_a_warning_and_another_distribution_is_taken() {
    let on = |id: &str, version: &str| {
        with(TWO, |facts| {
            facts.os = Some(Os {
                id: id.to_owned(),
                version: version.to_owned(),
                name: format!("{id} {version}"),
            });
        })
    };
    let cure = "upgrade Debian: ringway is not tested on this release";
    says(
        &on("debian", "11"),
        "os",
        Verdict::Warning,
        "debian 11",
        cure,
    );
    is_well(&on("debian", "13"), "os", "debian 13");
    is_well(&on("ubuntu", "9"), "os", "ubuntu 9");
    is_well(&on("arch", ""), "os", "arch ");
}

#[test]
fn an_old_kernel_is_a_failure_only_where_io_uring_was_asked_for() {
    let old = |media: &str| {
        with(&format!("{TWO}{media}"), |facts| {
            facts.kernel = Some("5.10.0-26-amd64".to_owned());
        })
    };
    let cure = "install a newer kernel (on Debian: `apt install linux-image-amd64`, then reboot), or \
        be content with recvmmsg and sendmmsg: `backend = \"mmsg\"` in [media]";
    let is = "Linux 5.10.0-26-amd64";
    says(&old(""), "kernel", Verdict::Warning, is, cure);
    is_skipped_among(&old(""), "io_uring", "the kernel is too old for it");
    let asked = old("backend = \"uring\"\n");
    says(&asked, "kernel", Verdict::Failure, is, cure);
    assert!(find(&asked, "kernel").stops);
    is_well(&old("backend = \"mmsg\"\n"), "kernel", is);
}

/// As [`is_skipped`], whatever else there is.
#[track_caller]
fn is_skipped_among(findings: &[Finding], name: &str, because: &str) {
    let finding = find(findings, name);
    assert_eq!(finding.verdict, Verdict::Skipped);
    assert_eq!(finding.is, format!("skipped, because {because}"));
}

#[test]
fn forbidden_io_uring_names_what_allows_it() {
    let content = "; or be content with recvmmsg and sendmmsg: `backend = \"mmsg\"` in [media]";
    let sysctl = format!(
        "`sysctl -w kernel.io_uring_disabled=0`, with `kernel.io_uring_disabled = 0` in \
         /etc/sysctl.d/60-ringway.conf for the next boot{content}"
    );
    let seccomp = format!(
        "allow the system calls io_uring_setup, io_uring_enter and io_uring_register in the seccomp \
         profile of the container, or in SystemCallFilter= of the unit{content}"
    );
    let memory = format!(
        "`LimitMEMLOCK=infinity` in [Service] of the unit, in a shell `ulimit -l unlimited`, or more \
         memory for the container{content}"
    );
    let forbidden = || NoIoUring::Forbidden("Operation not permitted".to_owned());
    for (disabled, tried, is, cure) in [
        (
            Some(2),
            Err(forbidden()),
            "forbidden (kernel.io_uring_disabled = 2)",
            &sysctl,
        ),
        (
            Some(1),
            Ok(()),
            "allowed to privileged processes only (kernel.io_uring_disabled = 1)",
            &sysctl,
        ),
        (
            Some(0),
            Err(forbidden()),
            "forbidden (Operation not permitted)",
            &seccomp,
        ),
        (
            None,
            Err(NoIoUring::NoMemory),
            "there is no memory for it",
            &memory,
        ),
    ] {
        let say = |media: &str| {
            with(&format!("{TWO}{media}"), |facts| {
                facts.io_uring.disabled = disabled;
                facts.io_uring.tried = tried.clone();
            })
        };
        says(&say(""), "io_uring", Verdict::Warning, is, cure);
        let asked = say("backend = \"uring\"\n");
        let stops = tried.is_err();
        assert_eq!(find(&asked, "io_uring").stops, stops, "{is}");
        let because = "`backend = \"mmsg\"` in [media] does without it";
        is_skipped(&say("backend = \"mmsg\"\n"), "io_uring", because);
    }
    // The daemon knows what it may do itself.
    let findings = with(TWO, |facts| {
        facts.purpose = Purpose::Start;
        facts.io_uring.disabled = Some(1);
    });
    is_well(&findings, "io_uring", "allowed");
}

#[test]
fn each_core_that_is_not_well_is_named() {
    let missing = with("cores = [2, 7]\n", |_| {});
    says(
        &missing,
        "cores",
        Verdict::Failure,
        "core 7 of `cores` in [media] is missing: this host has 0-3",
        "name cores of this host in `cores` of [media]",
    );
    assert!(find(&missing, "cores").stops);
    let refused = with(TWO, |facts| facts.cores.refused = vec![3]);
    says(
        &refused,
        "cores",
        Verdict::Failure,
        "core 3 of `cores` in [media] is there, but not for this process",
        "allow it in the cpuset of the container or slice (AllowedCPUs= of the unit), or name \
         another in `cores` of [media]",
    );
    assert!(find(&refused, "cores").stops);
    says(
        &with("cores = [0, 2]\n", |_| {}),
        "cores",
        Verdict::Warning,
        "a worker is pinned to core 0, on which the kernel does work of its own",
        "name another core in `cores` of [media]",
    );
    let siblings = with(TWO, |facts| {
        let both = Ranges::parse("2-3").unwrap();
        facts.cores.siblings = vec![(2, both.clone()), (3, both)];
    });
    says(
        &siblings,
        "cores",
        Verdict::Warning,
        "workers on cores 2, 3 share one physical core",
        "name one of them in `cores` of [media]; `lscpu -e` says which belong together",
    );
    let apart = with(TWO, |facts| {
        let pair = |text| Ranges::parse(text).unwrap();
        facts.cores.siblings = vec![(2, pair("0,2")), (3, pair("1,3"))];
    });
    is_well(&apart, "cores", "2 workers on cores 2, 3 of 0-3");
    // The only core there is.
    let only = with("cores = [0]\n", |facts| {
        facts.cores.online = Ranges::parse("0");
    });
    is_well(&only, "cores", "1 worker on core 0 of 0");
}

#[test]
fn workers_that_are_not_pinned_need_a_core_each() {
    is_well(
        &with("cores = 4\n", |_| {}),
        "cores",
        "4 workers, not pinned, on 4 cores",
    );
    let few = with("cores = 2\n", |facts| {
        facts.cores.allowed = Ranges::parse("1");
    });
    says(
        &few,
        "cores",
        Verdict::Warning,
        "2 workers, not pinned, on 1 core",
        "`cores = 1` in [media], or more cores",
    );
}

#[test]
fn open_files_are_for_calls_and_connections_and_below_what_workers_need_nothing_starts() {
    let files = |count| with(TWO, |facts| facts.limits.open_files = Some(count));
    // 4 for each of 2048 calls, 2 for each of 10,000 connections, 4096.
    let cure = "`LimitNOFILE=32288` in [Service] of the unit (`systemctl edit ringway`), in a shell \
        `ulimit -n 32288`; or lower `flows_max` in [media] and `connections_max` in [web]";
    is_well(
        &files(32_288),
        "nofile",
        "32288 open files for ringway.service",
    );
    let few = files(32_287);
    says(
        &few,
        "nofile",
        Verdict::Warning,
        "32287 open files for ringway.service",
        cure,
    );
    assert_eq!(
        find(&few, "nofile").wanted,
        "32288 for 2048 calls and 10000 connections"
    );
    let needed = 2 * (2048 + 8) + 64;
    assert_eq!(find(&files(needed), "nofile").verdict, Verdict::Warning);
    let too_few = files(needed - 1);
    let is = "4175 open files for ringway.service";
    says(&too_few, "nofile", Verdict::Failure, is, cure);
    assert!(find(&too_few, "nofile").stops);
}

#[test]
fn locked_memory_and_memory_are_for_each_worker() {
    let locked = |bytes| with(TWO, |facts| facts.limits.locked_bytes = Some(bytes));
    is_well(
        &locked(2 << 20),
        "memlock",
        "2048 KiB of locked memory for ringway.service",
    );
    says(
        &locked(64 << 10),
        "memlock",
        Verdict::Warning,
        "64 KiB of locked memory for ringway.service",
        "`LimitMEMLOCK=infinity` in [Service] of the unit (`systemctl edit ringway`), in a shell \
         `ulimit -l unlimited`",
    );
    let memory = |total: u64, available: u64| {
        with(TWO, |facts| {
            facts.memory = Memory {
                total: Some(total << 20),
                available: Some(available << 20),
            };
        })
    };
    let cure =
        "give the host or container more memory, or name fewer workers in `cores` of [media]";
    for (total, available, verdict) in [
        (176, 88, Verdict::Ok),
        (176, 87, Verdict::Warning),
        (175, 175, Verdict::Warning),
        (87, 80, Verdict::Failure),
    ] {
        let is = format!("{total} MiB, of which {available} MiB are available");
        let cure = if verdict == Verdict::Ok { "" } else { cure };
        says(&memory(total, available), "memory", verdict, &is, cure);
    }
    assert!(!find(&memory(87, 80), "memory").stops);
}

#[test]
fn small_socket_queues_name_the_setting_of_each() {
    let queues = |receive, send| with(TWO, |facts| facts.queues = Some(Queues { receive, send }));
    says(
        &queues(212_992, 4 << 20),
        "socket_queues",
        Verdict::Warning,
        "212992 bytes to receive, 4194304 to send",
        "`sysctl -w net.core.rmem_max=4194304`, with the same in /etc/sysctl.d/60-ringway.conf for \
         the next boot (for all containers on the host itself)",
    );
    let both = queues(1, 2);
    let cure = find(&both, "socket_queues").cure.as_deref().unwrap();
    assert!(cure.contains("net.core.rmem_max=4194304 net.core.wmem_max=4194304`"));
}

#[test]
fn cards_have_a_queue_for_each_worker_or_spread_their_packets() {
    let cards = |queues: usize, is_spread| {
        with(TWO, |facts| {
            facts.interfaces = vec![Interface {
                name: "ens1".to_owned(),
                receive_queues: queues,
                is_spread,
            }];
        })
    };
    is_well(&cards(2, false), "nic_queues", "ens1 has 2 receive queues");
    is_well(
        &cards(1, true),
        "nic_queues",
        "ens1 has 1 receive queue, spread by RPS",
    );
    says(
        &cards(1, false),
        "nic_queues",
        Verdict::Warning,
        "ens1 has 1 receive queue",
        "`ethtool -L ens1 combined 2`; a card that has no more: spread packets over cores with \
         `/sys/class/net/ens1/queues/rx-0/rps_cpus`",
    );
    let because = "one media worker needs no more than one queue";
    is_skipped(&with("", |_| {}), "nic_queues", because);
    let here = with("cores = 2\nbrowser_bind = \"127.0.0.1\"\n", |_| {});
    is_skipped(&here, "nic_queues", "media is for this machine only");
}

#[test]
fn the_demo_needs_an_interface() {
    let demo = |address: &str| {
        let passwords = ["a".to_owned(), "b".to_owned()];
        let own = |_| Some(address.parse().unwrap());
        let config = Config::without_file(passwords, &own, &|_| None).unwrap();
        let mut facts = facts();
        facts.limits.open_files = Some(2120);
        check(&facts, &config)
    };
    let is = "browsers send media to 192.0.2.7";
    is_well(&demo("192.0.2.7"), "network", is);
    let cure = "bring a network interface up (`ip link`), or connect to a network";
    let is = "browsers send media to 127.0.0.1";
    says(&demo("127.0.0.1"), "network", Verdict::Warning, is, cure);
    assert!(with(TWO, |_| {}).iter().all(|f| f.name != "network"));
}

#[test]
fn ports_of_media_suffice_for_the_calls_and_are_nobody_elses() {
    let few = with("flows_max = 16384\ncores = [2, 3]\n", |facts| {
        facts.limits.open_files = Some(u64::MAX);
    });
    says(
        &few,
        "rtp_ports",
        Verdict::Warning,
        "16384 to 24575: room for 4096 calls",
        "widen `rtp_port_min` to `rtp_port_max` in [media], or lower `flows_max`: further calls are \
         refused with 503",
    );
    assert_eq!(
        find(&few, "rtp_ports").wanted,
        "two ports for each of 16384 calls (`calls_max`, `flows_max`)"
    );
    let other = Process {
        pid: 812,
        name: "asterisk".to_owned(),
    };
    let taken = with(TWO, |facts| {
        facts.ports.taken_rtp = vec![(16_390, Some(other)), (16_391, None)];
    });
    let texts: Vec<_> = taken.iter().filter(|f| f.name == "rtp_ports").collect();
    assert_eq!(texts.len(), 2);
    assert_eq!(texts[0].verdict, Verdict::Ok);
    assert_eq!(texts[1].verdict, Verdict::Warning);
    assert_eq!(
        texts[1].is,
        "2 ports are taken, the first, 16390, by asterisk (process 812)"
    );
}

#[test]
fn slices_that_no_mask_describes_come_with_a_range_that_one_does() {
    let sliced = |min: u16, max: u16, cores: &str| {
        let text = format!(
            "{GATEWAY}[media]\nrtp_port_min = {min}\nrtp_port_max = {max}\nbrowser_port = 9000\n\
             cores = {cores}\n"
        );
        let config = Config::parse("test.toml", &text, &|_| None).unwrap();
        check(&facts(), &config)
    };
    let findings = sliced(10_000, 19_999, "[2, 3]");
    says(
        &findings,
        "port_slices",
        Verdict::Warning,
        "5000 ports for each worker, from 10000 on",
        "`rtp_port_min = 16384` and `rtp_port_max = 32767` in [media]",
    );
    is_well(
        &sliced(16_384, 32_767, "[2, 3]"),
        "port_slices",
        "8192 ports for each worker, from 16384 on",
    );
    let because = "packets need no steering to one of several workers";
    is_skipped(&sliced(10_000, 19_999, "1"), "port_slices", because);
}

#[test]
fn ports_that_the_kernel_gives_away_are_to_be_reserved_beside_those_that_are() {
    let ports = |reserved: &str| {
        with("", |facts| {
            facts.ports.ephemeral = Ranges::parse("20000-60999");
            facts.ports.reserved = Ranges::parse(reserved);
        })
    };
    says(
        &ports("30000"),
        "reserved_ports",
        Verdict::Warning,
        "20000-24575,25000 may be given to any program (net.ipv4.ip_local_port_range)",
        "`sysctl -w net.ipv4.ip_local_reserved_ports=16384-24575,25000,30000`, with the same in \
         /etc/sysctl.d/60-ringway.conf for the next boot",
    );
    let is = "16384-24575,25000 are given to nobody else";
    is_well(&ports("16384-24575,25000"), "reserved_ports", is);
}

fn socket(state: ListenerState) -> Listener {
    Listener {
        key: "`listen` of [web]",
        address_key: "`listen` of [web]",
        protocol: Protocol::Tcp,
        address: "192.0.2.7:443".parse().unwrap(),
        state,
    }
}

fn process(name: &str) -> Process {
    Process {
        pid: 812,
        name: name.to_owned(),
    }
}

#[test]
fn a_socket_that_cannot_be_bound_names_the_key_and_who_has_it() {
    let at = "TCP 192.0.2.7:443 (`listen` of [web])";
    for (state, is, cure) in [
        (
            ListenerState::Taken(Some(process("nginx"))),
            " is taken by nginx (process 812)",
            "end process 812, or choose another port in `listen` of [web]",
        ),
        (
            ListenerState::Taken(None),
            " is taken by another program",
            "end the program that has it (`ss -lntup` as root), or choose another port in `listen` \
             of [web]",
        ),
        (
            ListenerState::NoSuchAddress,
            ": 192.0.2.7 is no address of this host",
            "name an address that `ip address` lists in `listen` of [web]",
        ),
        (
            ListenerState::Forbidden,
            ": ports below 1024 are for the privileged",
            "`AmbientCapabilities=CAP_NET_BIND_SERVICE` in [Service] of the unit, or choose another \
             port in `listen` of [web]",
        ),
        (
            ListenerState::Failed("no buffers".to_owned()),
            " cannot be bound: no buffers",
            "choose another port in `listen` of [web]",
        ),
    ] {
        let findings = with(TWO, |facts| facts.ports.listeners = vec![socket(state)]);
        let is = format!("{at}{is}");
        says(&findings, "listener", Verdict::Failure, &is, cure);
        assert!(find(&findings, "listener").stops);
    }
    let free = with(TWO, |facts| {
        facts.ports.listeners = vec![socket(ListenerState::Free)];
    });
    is_well(&free, "listener", &format!("{at} is free"));
}

#[test]
fn a_port_of_ringway_itself_or_of_systemd_may_be_as_it_should() {
    let at = "TCP 192.0.2.7:443 (`listen` of [web])";
    let init = Process {
        pid: 1,
        name: "systemd".to_owned(),
    };
    let held = socket(ListenerState::Taken(Some(init)));
    assert!(listener(&held, Purpose::Start).stops);
    let findings = with(TWO, |facts| facts.ports.listeners = vec![held]);
    says(
        &findings,
        "listener",
        Verdict::Warning,
        &format!("{at} is held by systemd for a socket unit"),
        "see that `systemctl list-sockets` shows it for ringway.service; else `systemctl disable \
         --now` that socket unit",
    );
    let own = socket(ListenerState::Taken(Some(process("ringway"))));
    let checked = listener(&own, Purpose::Check);
    assert_eq!(checked.verdict, Verdict::Ok);
    assert_eq!(
        checked.is,
        format!("{at} is listened on by ringway (process 812)")
    );
    // A second instance does not start.
    assert!(listener(&own, Purpose::Start).stops);
}

#[test]
fn files_are_what_they_should_be_and_the_daemon_may_read_them() {
    let file = |fault: Option<&str>, access| {
        with(TWO, |facts| {
            facts.files = vec![FileFact {
                key: "`client_ca` of [sip]",
                path: PathBuf::from("/etc/ringway/ca.pem"),
                fault: fault.map(str::to_owned),
                access,
            }];
        })
    };
    is_well(&file(None, Access::Granted), "files", "1 can be read");
    let bad = file(
        Some("/etc/ringway/ca.pem holds no certificate"),
        Access::Granted,
    );
    says(
        &bad,
        "files",
        Verdict::Failure,
        "/etc/ringway/ca.pem holds no certificate (`client_ca` of [sip])",
        "name the right file in `client_ca` of [sip], or mend /etc/ringway/ca.pem",
    );
    assert!(find(&bad, "files").stops);
    let denied = |path: &str, is_certain| Access::Denied {
        user: "ringway".to_owned(),
        path: PathBuf::from(path),
        is_certain,
    };
    says(
        &file(None, denied("/etc/ringway/ca.pem", true)),
        "files",
        Verdict::Failure,
        "the user ringway of the unit may not read /etc/ringway/ca.pem (`client_ca` of [sip])",
        "`chgrp ringway /etc/ringway/ca.pem` and `chmod g+r /etc/ringway/ca.pem`",
    );
    says(
        &file(None, denied("/etc/ringway", false)),
        "files",
        Verdict::Warning,
        "the user ringway of the unit may not enter /etc/ringway (`client_ca` of [sip])",
        "`chgrp ringway /etc/ringway` and `chmod g+x /etc/ringway`, unless an access control list \
         lets it (`getfacl`)",
    );
}

#[test]
fn a_clock_that_nobody_holds_is_a_warning() {
    says(
        &with(TWO, |facts| facts.clock_in_step = Ok(false)),
        "clock",
        Verdict::Warning,
        "not held in step by any time service",
        "`apt install chrony`, and wait until `chronyc tracking` says \"Leap status: Normal\"",
    );
}

/// A certificate of `[[web.host]]`, valid for so many days of ninety.
fn host_certificate(days_left: u32, names: &[&str]) -> Vec<Finding> {
    let to = now() + DAY * days_left + Duration::from_secs(1);
    with_certificate(
        CertificateUse::Host(vec!["phone.example.com".to_owned()]),
        Ok(Identity {
            validity: Some(Validity {
                from: to - DAY * 90,
                to,
            }),
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            addresses: Vec::new(),
        }),
    )
}

fn with_certificate(used_for: CertificateUse, identity: Result<Identity, String>) -> Vec<Finding> {
    let mut facts = facts();
    facts.certificates = vec![CertificateFact {
        used_for,
        path: PathBuf::from("/etc/ringway/phone.pem"),
        identity: Some(identity),
    }];
    let text = GATEWAY.replace("[sip]", "certificate = \"a\"\nprivate_key = \"b\"\n[sip]");
    check(
        &facts,
        &Config::parse("test.toml", &text, &|_| None).unwrap(),
    )
}

#[test]
fn a_certificate_is_in_force_and_has_the_names() {
    let path = "/etc/ringway/phone.pem";
    let renew = format!("renew it and put it at {path}: ringway reads it again by itself");
    for names in ["phone.example.com", "*.example.com", "PHONE.example.com"] {
        let is = format!("{path} fits its key and is valid for 14 more days");
        is_well(&host_certificate(14, &[names]), "certificate", &is);
    }
    let is = format!("{path} fits its key and is valid for 13 more days");
    let soon = host_certificate(13, &["phone.example.com"]);
    says(&soon, "certificate", Verdict::Warning, &is, &renew);
    let get = format!(
        "get one whose subjectAltName has phone.example.com (`openssl x509 -noout -ext \
         subjectAltName -in {path}` prints it), or mend the names in [[web.host]]"
    );
    let is = format!("{path} is not for phone.example.com, which [[web.host]] names");
    for names in ["example.com", "*.phone.example.com", "*.com"] {
        let other = host_certificate(60, &[names]);
        says(&other, "certificate", Verdict::Failure, &is, &get);
        assert!(!find(&other, "certificate").stops);
    }
    let mut expired = facts();
    expired.now = now() + DAY * 100;
    let validity = Validity {
        from: now(),
        to: now() + DAY * 90,
    };
    let identity = Identity {
        validity: Some(validity),
        names: Vec::new(),
        addresses: Vec::new(),
    };
    expired.certificates = vec![CertificateFact {
        used_for: CertificateUse::Web,
        path: PathBuf::from(path),
        identity: Some(Ok(identity)),
    }];
    let of = |facts: &Facts| {
        let findings = check(facts, &config(TWO));
        let mut found = findings.iter().filter(|f| f.name == "certificate");
        let first = found.next().unwrap();
        (first.verdict, first.is.clone(), first.stops)
    };
    let is = format!("{path} has expired");
    assert_eq!(of(&expired), (Verdict::Failure, is, false));
    expired.now = now() - DAY;
    let is = format!("{path} is not in force yet");
    assert_eq!(of(&expired), (Verdict::Failure, is, false));
}

#[test]
fn a_certificate_that_cannot_be_used_says_why_and_stops_the_start() {
    let why = "/etc/ringway/phone.pem does not fit the key /etc/ringway/key.pem";
    let findings = with_certificate(CertificateUse::Web, Err(why.to_owned()));
    says(
        &findings,
        "certificate",
        Verdict::Failure,
        "/etc/ringway/phone.pem does not fit the key /etc/ringway/key.pem (`certificate` of [web])",
        "name the certificate and its own key, readable by the user of the unit, in `certificate` \
         and `private_key` of [web]; `openssl x509 -noout -pubkey -in CERTIFICATE` and `openssl pkey \
         -pubout -in KEY` print the same",
    );
    assert!(find(&findings, "certificate").stops);
    // What ringway obtains itself keeps nobody from the listeners.
    let domains = CertificateUse::Acme(vec!["phone.example.com".to_owned()]);
    let obtained = with_certificate(domains, Err("broken".to_owned()));
    let finding = find(&obtained, "certificate");
    assert_eq!((finding.verdict, finding.stops), (Verdict::Warning, false));
}

#[test]
fn a_certificate_towards_carriers_may_have_another_name() {
    let identity = Identity {
        validity: Some(Validity {
            from: now() - DAY,
            to: now() + DAY * 80,
        }),
        names: vec!["edge.example.com".to_owned()],
        addresses: vec!["192.0.2.7".parse().unwrap()],
    };
    let named = |name: &str| {
        let used_for = CertificateUse::Sip(Some(name.to_owned()));
        let findings = with_certificate(used_for, Ok(identity.clone()));
        find(&findings, "certificate").verdict
    };
    assert_eq!(named("edge.example.com"), Verdict::Ok);
    assert_eq!(named("192.0.2.7"), Verdict::Ok);
    assert_eq!(named("sbc.example.com"), Verdict::Warning);
}

#[test]
fn a_report_is_aligned_and_tells_the_cure_where_there_is_one() {
    let findings = [
        Finding::ok("os", "Debian 12", "Debian"),
        Finding::ok("nofile", "12", "13").failure("more"),
        Finding::skipped("clock", "it is dark"),
    ];
    let text = "\
ok       os      Debian 12
failure  nofile  12
                 wanted: 13
                 cure: more
skipped  clock   because it is dark

3 checks: 1 failure, 0 warnings
";
    assert_eq!(Report(&findings).to_string(), text);
    assert_eq!(
        findings[1].to_string(),
        "nofile: 12. Wanted: 13. Cure: more"
    );
    assert_eq!(findings[0].to_string(), "os: Debian 12");
    assert_eq!(
        serde_json::to_value(&findings[1]).unwrap(),
        serde_json::json!({
            "name": "nofile", "verdict": "failure", "is": "12", "wanted": "13", "cure": "more"
        })
    );
    assert!(serde_json::to_value(&findings[0]).unwrap()["cure"].is_null());
}

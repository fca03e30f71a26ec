//! The reader, on a folder laid out like a host.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::PathBuf;

use super::*;
use crate::host::{Access, Interface, Limits, Memory, Os, Process, Ranges};

/// A folder that is removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let name = format!("ringway-host-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        drop(fs::remove_dir_all(&path));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, path: &str, text: &str) {
        let path = self.0.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn root(&self) -> Root {
        Root::new(&self.0)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

fn gateway() -> Config {
    let text = "[web]\nlisten = [\"192.0.2.7:8443\", \"127.0.0.1:0\"]\n[sip]\n\
        listen = \"192.0.2.7:5060\"\nlisten_tcp = \"192.0.2.7:5070\"\n[media]\ncores = 2\n\
        [[trunk]]\nname = \"c\"\ntarget = \"192.0.2.9\"\n";
    Config::parse("test.toml", text, &|_| None).unwrap()
}

#[test]
fn a_host_is_read_from_its_files() {
    let host = Folder::new("files");
    host.file(
        "etc/os-release",
        "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nVERSION_ID=\"12\"\nID=debian\n",
    );
    host.file("proc/sys/kernel/osrelease", "6.1.0-13-amd64\n");
    host.file("proc/sys/kernel/io_uring_disabled", "2\n");
    host.file("proc/sys/net/ipv4/ip_local_port_range", "32768\t60999\n");
    host.file("proc/sys/net/ipv4/ip_local_reserved_ports", "10000-19999\n");
    host.file("proc/self/status", "Name:\tx\nCpus_allowed_list:\t0-1,3\n");
    host.file("sys/devices/system/cpu/online", "0-3\n");
    host.file(
        "proc/self/limits",
        "Limit                     Soft Limit           Hard Limit           Units     \n\
         Max open files            1024                 524288               files     \n\
         Max locked memory         8388608              unlimited            bytes     \n",
    );
    let facts = facts(&host.0, &gateway(), Purpose::Start);
    let os = Os {
        id: "debian".to_owned(),
        version: "12".to_owned(),
        name: "Debian GNU/Linux 12 (bookworm)".to_owned(),
    };
    assert_eq!(facts.os, Some(os));
    assert_eq!(facts.kernel.as_deref(), Some("6.1.0-13-amd64"));
    assert_eq!(facts.io_uring.disabled, Some(2));
    assert_eq!(facts.ports.ephemeral, Ranges::parse("32768-60999"));
    assert_eq!(facts.ports.reserved, Ranges::parse("10000-19999"));
    assert_eq!(facts.cores.online, Ranges::parse("0-3"));
    assert_eq!(facts.cores.allowed, Ranges::parse("0-1,3"));
    assert_eq!(facts.limits.open_files, Some(524_288));
    assert_eq!(facts.limits.locked_bytes, Some(8_388_608));
    assert!(facts.ports.listeners.is_empty());
}

#[test]
fn an_empty_host_is_unknown_and_no_error() {
    let host = Folder::new("empty");
    let facts = facts(&host.0, &gateway(), Purpose::Check);
    assert_eq!((facts.os, facts.kernel), (None, None));
    assert_eq!(facts.limits.open_files, None);
    assert_eq!(facts.memory.total, None);
    assert!(facts.interfaces.is_empty() && facts.ports.taken_rtp.is_empty());
    // What is asked of the kernel itself is not in the folder.
    assert!(facts.queues.is_some());
}

#[test]
fn the_clock_is_asked_for_where_that_may_be_done() {
    let host = Folder::new("clock");
    let forbidden = || Err(io::Error::from(io::ErrorKind::PermissionDenied));
    let at = |purpose, ask| clock_in_step(&host.root(), purpose, ask);
    assert_eq!(at(Purpose::Check, || Ok(false)), Ok(false));
    let why = "the kernel does not tell this process: permission denied";
    assert_eq!(at(Purpose::Check, forbidden), Err(why.to_owned()));
    host.file("run/systemd/timesync/synchronized", "");
    assert_eq!(at(Purpose::Check, forbidden), Ok(true));
    assert_eq!(at(Purpose::Check, || Ok(false)), Ok(false));
    let early = "a daemon may start before the clock is set";
    assert_eq!(at(Purpose::Start, || Ok(true)), Err(early.to_owned()));
}

#[test]
fn memory_is_what_the_control_group_leaves_of_it() {
    let host = Folder::new("memory");
    let meminfo = "MemTotal:        8388608 kB\nMemAvailable:    4194304 kB\n\
        HugePages_Free:       10\nHugepagesize:       2048 kB\n";
    host.file("proc/meminfo", meminfo);
    let mib = |memory: Memory| (memory.total.unwrap() >> 20, memory.available.unwrap() >> 20);
    assert_eq!(mib(sysfs::memory(&host.root())), (8192, 4096 + 20));
    host.file("proc/self/cgroup", "0::/system.slice/ringway.service\n");
    host.file(
        "sys/fs/cgroup/system.slice/ringway.service/memory.max",
        "max\n",
    );
    assert_eq!(mib(sysfs::memory(&host.root())), (8192, 4116));
    host.file("sys/fs/cgroup/system.slice/memory.max", "1073741824\n");
    assert_eq!(mib(sysfs::memory(&host.root())), (1024, 1024));
    host.file("proc/self/cgroup", "4:memory:/box\n1:cpu:/\n");
    host.file(
        "sys/fs/cgroup/memory/box/memory.limit_in_bytes",
        "536870912\n",
    );
    assert_eq!(mib(sysfs::memory(&host.root())), (512, 512));
}

#[test]
fn cards_are_told_from_bridges_and_counted_by_their_queues() {
    let host = Folder::new("cards");
    let queue = |card: &str, queue: &str, mask: &str| {
        host.file(
            &format!("sys/class/net/{card}/queues/{queue}/rps_cpus"),
            mask,
        );
    };
    for (card, state) in [("eth0", "up"), ("eth1", "unknown"), ("eth2", "down")] {
        host.file(&format!("sys/class/net/{card}/device/vendor"), "0x1af4\n");
        host.file(&format!("sys/class/net/{card}/operstate"), state);
        queue(card, "rx-0", "00000000,00000000\n");
        queue(card, "tx-0", "");
    }
    queue("eth0", "rx-1", "0\n");
    queue("eth1", "rx-0", "00000000,00000006\n");
    queue("br0", "rx-0", "0\n");
    let card = |name: &str, receive_queues, is_spread| Interface {
        name: name.to_owned(),
        receive_queues,
        is_spread,
    };
    assert_eq!(
        sysfs::interfaces(&host.root()),
        [card("eth0", 2, false), card("eth1", 1, true)]
    );
}

#[test]
fn cores_that_a_thread_cannot_be_pinned_to_are_told() {
    let host = Folder::new("cores");
    host.file(
        "sys/devices/system/cpu/cpu2/topology/thread_siblings_list",
        "0,2\n",
    );
    let configured = [Some(2), Some(5), None];
    let cores = sysfs::cores(&host.root(), &configured, &|core| core != 5);
    assert_eq!(cores.refused, [5]);
    assert_eq!(cores.siblings, [(2, Ranges::parse("0,2").unwrap())]);
}

#[test]
fn the_limits_of_the_unit_count_and_what_overrides_it() {
    let host = Folder::new("unit");
    let of = |purpose| {
        let Limits {
            whose,
            open_files,
            locked_bytes,
        } = facts(&host.0, &gateway(), purpose).limits;
        (whose, open_files, locked_bytes)
    };
    host.file(
        "proc/self/limits",
        "Max open files            1024                 4096                 files\n\
         Max locked memory         unlimited            unlimited            bytes\n",
    );
    let own = ("this process".to_owned(), Some(4096), Some(u64::MAX));
    assert_eq!(of(Purpose::Check), own);
    let unit = |files, locked| ("ringway.service".to_owned(), Some(files), Some(locked));
    host.file(
        "lib/systemd/system/ringway.service",
        "[Service]\nExecStart=x\n",
    );
    assert_eq!(of(Purpose::Check), unit(524_288, 8 << 20));
    host.file(
        "lib/systemd/system/ringway.service",
        "[Service]\nLimitNOFILE=65536\nLimitMEMLOCK=64M:infinity\n",
    );
    assert_eq!(of(Purpose::Check), unit(65_536, 64 << 20));
    host.file(
        "etc/systemd/system/ringway.service.d/override.conf",
        "[Service]\n LimitNOFILE = 1024:131072\nLimitMEMLOCK=infinity\n",
    );
    assert_eq!(of(Purpose::Check), unit(131_072, u64::MAX));
    // The daemon itself knows what it has.
    assert_eq!(of(Purpose::Start), own);
}

#[test]
fn what_the_user_of_the_unit_may_not_is_told_though_this_process_may() {
    const UNIT: &str = "usr/lib/systemd/system/ringway.service";
    let host = Folder::new("user");
    let unit = || Unit::find(&host.root()).unwrap();
    host.file(UNIT, "[Service]\nUser=ringway\nGroup=ringway\n");
    host.file(
        "etc/passwd",
        "root:x:0:0::/root:/bin/sh\nringway:x:990:991::/:/bin/false\n",
    );
    host.file("etc/group", "ringway:x:991:\nssl-cert:x:992:www,ringway\n");
    assert!(!unit().may_bind(443) && unit().may_bind(1024));
    host.file("proc/sys/net/ipv4/ip_unprivileged_port_start", "443\n");
    assert!(unit().may_bind(443) && !unit().may_bind(442));
    let at = "192.0.2.7:80".parse().unwrap();
    let as_unit = |state| for_unit(state, &host.root(), &unit(), (Protocol::Tcp, at));
    assert_eq!(as_unit(ListenerState::Free), ListenerState::Forbidden);
    let capability = "[Service]\nAmbientCapabilities = CAP_NET_BIND_SERVICE\n";
    host.file(&format!("{UNIT}.d/ports.conf"), capability);
    assert!(unit().may_bind(80));
    assert_eq!(as_unit(ListenerState::Free), ListenerState::Free);
    assert_eq!(as_unit(ListenerState::Forbidden), ListenerState::Free);

    let key = host.0.join("private/key.pem");
    host.file("private/key.pem", "");
    let mode = |path: &Path, mode: u32| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    let denied = |path: &Path, is_certain| Access::Denied {
        user: "ringway".to_owned(),
        path: path.to_owned(),
        is_certain,
    };
    mode(&key, 0o604);
    assert_eq!(unit().access(&key), Access::Granted);
    mode(&key, 0o600);
    assert_eq!(unit().access(&key), denied(&key, true));
    mode(&key, 0o640);
    assert_eq!(unit().access(&key), denied(&key, false));
    let folder = key.parent().unwrap();
    mode(folder, 0o700);
    assert_eq!(unit().access(&key), denied(folder, true));
    mode(folder, 0o755);
    // Its own group, or another one that it is in: that of the file.
    let group = fs::metadata(&key).unwrap().gid();
    host.file("etc/group", &format!("files:x:{group}:www,ringway\n"));
    assert_eq!(unit().access(&key), Access::Granted);
    host.file("etc/group", &format!("files:x:{group}:\n"));
    assert_eq!(unit().access(&key), denied(&key, false));
    host.file(
        &format!("{UNIT}.d/more.conf"),
        "SupplementaryGroups=files\n",
    );
    assert_eq!(unit().access(&key), Access::Granted);
    // root may read everything.
    host.file(UNIT, "[Service]\nExecStart=x\n");
    mode(&key, 0o000);
    assert_eq!(unit().access(&key), Access::Granted);
    assert!(unit().may_bind(1));
}

/// A line of `/proc/net/tcp` or `udp` for this address, in words of this machine.
fn line(address: &str, state: &str, inode: u32) -> String {
    let address: SocketAddr = address.parse().unwrap();
    let bytes = match address.ip() {
        std::net::IpAddr::V4(ip) => ip.octets().to_vec(),
        std::net::IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    let words = bytes.chunks(4).map(|word| {
        let word = u32::from_ne_bytes(word.try_into().unwrap());
        format!("{word:08X}")
    });
    let ip: String = words.collect();
    let port = address.port();
    format!(
        "   0: {ip}:{port:04X} 00000000:0000 {state} 00000000:00000000 00:00000000 00000000     0        0 {inode} 2 0 0\n"
    )
}

#[test]
fn who_has_a_port_is_found_by_its_socket() {
    const HEAD: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when\n";
    let host = Folder::new("sockets");
    let process = |pid: u32, name: &str, inode: u32| {
        host.file(&format!("proc/{pid}/comm"), &format!("{name}\n"));
        let folder = host.0.join(format!("proc/{pid}/fd"));
        fs::create_dir_all(&folder).unwrap();
        symlink(format!("socket:[{inode}]"), folder.join("7")).unwrap();
        Process {
            pid,
            name: name.to_owned(),
        }
    };
    let tcp = [
        line("127.0.0.1:8443", "0A", 100),
        line("192.0.2.7:8443", "01", 101),
        line("192.0.2.7:8443", "0A", 102),
        line("0.0.0.0:22", "0A", 103),
    ];
    host.file("proc/net/tcp", &format!("{HEAD}{}", tcp.concat()));
    host.file(
        "proc/net/tcp6",
        &format!("{HEAD}{}", line("[::]:80", "0A", 104)),
    );
    let udp = [
        line("192.0.2.7:10500", "07", 105),
        line("192.0.2.8:10502", "07", 106),
        line("0.0.0.0:10400", "07", 107),
        line("192.0.2.7:9999", "07", 108),
        line("192.0.2.7:10600", "07", 109),
    ];
    host.file("proc/net/udp", &format!("{HEAD}{}", udp.concat()));
    process(11, "client", 101);
    let nginx = process(12, "nginx", 102);
    let sshd = process(13, "sshd", 103);
    let apache = process(14, "apache2", 104);
    let asterisk = process(15, "asterisk", 105);
    process(16, "ringway", 109);
    let holder =
        |protocol, address: &str| sockets::holder(&host.root(), protocol, address.parse().unwrap());
    assert_eq!(holder(Protocol::Tcp, "192.0.2.7:8443"), Some(nginx));
    assert_eq!(holder(Protocol::Tcp, "192.0.2.7:22"), Some(sshd));
    assert_eq!(holder(Protocol::Tcp, "192.0.2.7:80"), Some(apache.clone()));
    assert_eq!(holder(Protocol::Tcp, "[2001:db8::1]:80"), Some(apache));
    // Its process is hidden, or there is none.
    assert_eq!(holder(Protocol::Tcp, "127.0.0.1:8443"), None);
    assert_eq!(holder(Protocol::Udp, "192.0.2.7:8443"), None);
    // Of the range alone, at our address, and not our own.
    assert_eq!(
        sockets::taken_rtp(&host.root(), &gateway()),
        [(10_400, None), (10_500, Some(asterisk))]
    );
}

#[test]
fn a_bind_that_fails_is_told_by_its_kind() {
    let host = Folder::new("bind");
    let state = |kind: io::ErrorKind| {
        let address = "192.0.2.7:443".parse().unwrap();
        let failed = Err(kind.into());
        listener(&host.root(), WEB, Protocol::Tcp, address, failed).state
    };
    assert_eq!(state(io::ErrorKind::AddrInUse), ListenerState::Taken(None));
    assert_eq!(
        state(io::ErrorKind::AddrNotAvailable),
        ListenerState::NoSuchAddress
    );
    assert_eq!(
        state(io::ErrorKind::PermissionDenied),
        ListenerState::Forbidden
    );
    let other = state(io::ErrorKind::OutOfMemory);
    assert!(matches!(other, ListenerState::Failed(_)), "{other:?}");
}

#[test]
fn every_socket_of_the_configuration_is_looked_at() {
    let all: Vec<_> = listening(&gateway())
        .into_iter()
        .map(|((key, _), protocol, address)| format!("{key} {protocol:?} {address}"))
        .collect();
    assert_eq!(
        all,
        [
            "`listen` of [web] Tcp 192.0.2.7:8443",
            "`listen` of [web] Tcp 127.0.0.1:0",
            "`listen` of [sip] Udp 192.0.2.7:5060",
            "`listen_tcp` of [sip] Tcp 192.0.2.7:5070",
            "`browser_port` of [media] Udp 192.0.2.7:20000",
            "`browser_port` of [media] Udp 192.0.2.7:20001",
            "`rtp_port_min` of [media] Udp 192.0.2.7:0",
        ]
    );
    // The documentation's address is none of this host, the other one's port is any free one.
    let host = Folder::new("listeners");
    let told: Vec<_> = listeners(&host.root(), &gateway(), None)
        .into_iter()
        .map(|socket| (socket.address_key, socket.address.port(), socket.state))
        .collect();
    assert_eq!(told.len(), 6);
    let none = |key, port| (key, port, ListenerState::NoSuchAddress);
    assert_eq!(told[0], none("`listen` of [web]", 8443));
    assert_eq!(told[4], none("`browser_bind` of [media]", 20_001));
    assert_eq!(told[5], none("`trunk_bind` of [media]", 0));
    // Whoever cannot be bound is found among them by its address.
    let failed = || io::ErrorKind::AddrNotAvailable.into();
    let address = "192.0.2.7:0".parse().unwrap();
    let finding = bind_failed(&gateway(), Protocol::Udp, address, failed());
    let cure = "name an address that `ip address` lists in `trunk_bind` of [media]";
    assert_eq!(finding.cure.as_deref(), Some(cure));
}

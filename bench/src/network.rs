//! Two network namespaces with a cable between them: nothing else is on that network, and nothing
//! of the machine's own is touched.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Failure;

/// Begins the names of all namespaces of this program; the process id follows.
const PREFIX: &str = "ringway-bench-";
/// Address of the generator on the cable: the trunk peer, and the way to the browsers.
pub(crate) const GENERATOR_ADDRESS: &str = "198.18.0.2";
/// The network of the browsers (RFC 2544 appendix C.2.2 keeps 198.18.0.0/15 for measurements).
const BROWSERS: &str = "198.19.0.0/16";
/// Addresses of the targets, one each.
const TARGET_ADDRESSES: &str = "198.18.0.1/24";

/// Lets an interface put runs of datagrams together. What a veth pair does with them by itself is
/// to poll like a network card; a real card forwards them as well.
fn offload(mut ethtool: Command, interface: &str) -> Result<(), Failure> {
    ethtool.args(["-K", interface, "gro", "on"]);
    let output = ethtool.output()?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    Err(format!("ethtool cannot set gro on {interface}: {}", text.trim()).into())
}

/// What the targets send to over a veth pair: an address that is not the generator's. Its packet
/// socket sees such frames too, and its kernel drops them before it looks up sockets and routes for
/// them, which would cost CPU time of the target, and more so the more calls there are.
const BYSTANDER_MAC: [u8; 6] = [0x02, 0, 0, 0, 0, 0x01];

/// The namespaces and what is between them; gone when dropped.
pub(crate) struct Network {
    generator: Namespace,
    subject: Namespace,
    generator_interface: String,
    pub(crate) generator_mac: [u8; 6],
    pub(crate) subject_mac: [u8; 6],
    /// For the report.
    pub(crate) description: String,
}

struct Namespace {
    name: String,
}

impl Network {
    /// Makes both namespaces. The cable is a veth pair, or the two interfaces that are given
    /// (generator, target), which must be connected with each other; they return to where they
    /// were when their namespace goes. `receive_offload`: see `--receive-offload`.
    ///
    /// # Errors
    /// No privilege, or no such interface.
    pub(crate) fn make(
        interfaces: Option<(&str, &str)>,
        receive_offload: bool,
    ) -> Result<Self, Failure> {
        remove_stale();
        let id = std::process::id();
        let generator = Namespace::make(format!("{PREFIX}{id}-gen"))?;
        let subject = Namespace::make(format!("{PREFIX}{id}-sut"))?;
        let (near, far) = if let Some((near, far)) = interfaces {
            ip(&["link", "set", near, "netns", &generator.name])?;
            ip(&["link", "set", far, "netns", &subject.name])?;
            (near.to_owned(), far.to_owned())
        } else {
            let peer = ["peer", "name", "sut", "netns", &subject.name];
            let pair = ["link", "add", "gen", "type", "veth"];
            generator.ip(&[&pair[..], &peer].concat())?;
            ("gen".to_owned(), "sut".to_owned())
        };
        let generator_mac = generator.mac_address(&near)?;
        let subject_mac = subject.mac_address(&far)?;
        let described = if interfaces.is_some() { "real" } else { "veth" };
        let network = Self {
            description: format!("{described}: {near} to {far}, two network namespaces"),
            generator,
            subject,
            generator_interface: near,
            generator_mac,
            subject_mac,
        };
        // The far end of a real cable takes only what is sent to it; that of a veth pair takes all.
        let mac = if interfaces.is_some() {
            generator_mac
        } else {
            BYSTANDER_MAC
        };
        if receive_offload {
            let ethtool = network.subject_command(Path::new("ethtool"));
            offload(ethtool, &far)?;
        }
        network.bring_up(&far, mac)?;
        Ok(network)
    }

    /// The file of the generator's namespace.
    pub(crate) fn generator_namespace(&self) -> PathBuf {
        Path::new("/run/netns").join(&self.generator.name)
    }

    pub(crate) fn generator_interface_index(&self) -> Result<u32, Failure> {
        let ask = ["-o", "link", "show", &self.generator_interface];
        let answer = self.generator.ip(&ask)?;
        let index = answer.split(':').next().unwrap_or_default();
        Ok(index.trim().parse()?)
    }

    /// A command that runs where the targets are.
    pub(crate) fn subject_command(&self, program: &Path) -> Command {
        let mut command = Command::new("ip");
        command
            .args(["netns", "exec", &self.subject.name])
            .arg(program);
        command
    }

    fn bring_up(&self, far: &str, mac: [u8; 6]) -> Result<(), Failure> {
        let near = &self.generator_interface;
        self.subject.ip(&["link", "set", "lo", "up"])?;
        self.subject
            .ip(&["addr", "add", TARGET_ADDRESSES, "dev", far])?;
        for host in 10..20 {
            let address = format!("198.18.0.{host}/24");
            self.subject.ip(&["addr", "add", &address, "dev", far])?;
        }
        // Whole datagrams only: the generator's ring would cut what a target sends as one.
        self.subject
            .ip(&["link", "set", far, "gso_max_segs", "1"])?;
        self.subject.ip(&["link", "set", far, "up"])?;
        self.generator.ip(&["link", "set", near, "up"])?;
        // The generator has no addresses, and so does not answer for them.
        let mac = text_of(mac);
        let neighbour = ["neigh", "replace", GENERATOR_ADDRESS, "lladdr", &mac];
        self.subject
            .ip(&[&neighbour[..], &["dev", far, "nud", "permanent"]].concat())?;
        self.subject
            .ip(&["route", "add", BROWSERS, "via", GENERATOR_ADDRESS])?;
        // What the generator has taken from its ring need not go up the stack. Where traffic
        // control is missing it goes there, and is dropped later.
        let tc = |arguments: &str| {
            let words: Vec<_> = arguments.split(' ').collect();
            run(
                "ip",
                &[&["netns", "exec", &self.generator.name, "tc"], &words[..]].concat(),
            )
        };
        let _without = tc(&format!("qdisc add dev {near} clsact")).and_then(|_| {
            tc(&format!(
                "filter add dev {near} ingress matchall action drop"
            ))
        });
        Ok(())
    }
}

impl Namespace {
    fn make(name: String) -> Result<Self, Failure> {
        ip(&["netns", "add", &name])
            .map_err(|why| format!("{why}; as root it works, and without with --loopback"))?;
        Ok(Self { name })
    }

    fn ip(&self, arguments: &[&str]) -> Result<String, Failure> {
        ip(&[&["-n", &self.name], arguments].concat())
    }

    fn mac_address(&self, interface: &str) -> Result<[u8; 6], Failure> {
        let answer = self.ip(&["-o", "link", "show", interface])?;
        let text = answer.split("link/ether ").nth(1).unwrap_or_default();
        let mut mac = [0; 6];
        let digits = text.split(' ').next().unwrap_or_default().split(':');
        for (byte, digits) in mac.iter_mut().zip(digits) {
            *byte = u8::from_str_radix(digits, 16)?;
        }
        Ok(mac)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        remove(&self.name);
    }
}

/// Ends what else runs in a namespace, and removes it.
fn remove(name: &str) {
    let this = std::process::id().to_string();
    let processes = ip(&["netns", "pids", name]).unwrap_or_default();
    for process in processes
        .split_whitespace()
        .filter(|process| *process != this)
    {
        let _gone = run("kill", &["-KILL", process]);
    }
    let _gone = ip(&["netns", "del", name]);
}

/// Removes what a process left behind that was killed.
fn remove_stale() {
    let names = fs::read_dir("/run/netns").into_iter().flatten().flatten();
    for name in names.filter_map(|entry| entry.file_name().into_string().ok()) {
        let id = name
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.split('-').next());
        if let Some(id) = id
            && !Path::new("/proc").join(id).exists()
        {
            remove(&name);
        }
    }
}

fn ip(arguments: &[&str]) -> Result<String, Failure> {
    run("ip", arguments)
}

/// Runs a program to its end and returns what it printed.
pub(crate) fn run(program: &str, arguments: &[&str]) -> Result<String, Failure> {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .map_err(|why| format!("{program}: {why}"))?;
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{program} {}: {}", arguments.join(" "), why.trim()).into());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn text_of(mac: [u8; 6]) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}

//! The unit that runs the daemon, as far as it says what the daemon may do.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::files::Root;
use crate::host::Access;

pub(super) const NAME: &str = "ringway.service";
/// Where units are, those first that win (systemd.unit(5)).
const FOLDERS: [&str; 4] = [
    "etc/systemd/system",
    "run/systemd/system",
    "usr/lib/systemd/system",
    "lib/systemd/system",
];
/// The lowest port that needs no privilege, unless `net.ipv4.ip_unprivileged_port_start` says so.
const UNPRIVILEGED_PORT: u16 = 1024;

/// The unit with what overrides parts of it.
#[derive(Debug)]
pub(super) struct Unit {
    text: String,
    unprivileged_port: u16,
    user: Option<User>,
}

/// Whom the daemon runs as, if that is not root.
#[derive(Debug)]
struct User {
    name: String,
    /// `None` for one that the start makes (`DynamicUser=`, or not there yet).
    id: Option<u32>,
    groups: Vec<u32>,
}

impl Unit {
    /// The unit that is installed; `None` without one.
    pub(super) fn find(root: &Root) -> Option<Self> {
        let main = |folder: &&str| root.text(&format!("{folder}/{NAME}"));
        let mut text = FOLDERS.iter().find_map(main)?;
        // The last line wins, so the folders that win are read last.
        for folder in FOLDERS.iter().rev() {
            let folder = format!("{folder}/{NAME}.d");
            let names = root.names(&folder).into_iter();
            for name in names.filter(|name| name.ends_with(".conf")) {
                let part = root.text(&format!("{folder}/{name}"));
                text = format!("{text}\n{}", part.unwrap_or_default());
            }
        }
        let port = root.number("proc/sys/net/ipv4/ip_unprivileged_port_start");
        let mut unit = Self {
            text,
            unprivileged_port: port.unwrap_or(UNPRIVILEGED_PORT),
            user: None,
        };
        unit.user = unit.find_user(root);
        Some(unit)
    }

    fn values<'a>(&'a self, key: &'a str) -> impl DoubleEndedIterator<Item = &'a str> {
        let lines = self.text.lines();
        let lines = lines.filter_map(move |line| line.trim().strip_prefix(key));
        let values = lines.filter_map(|line| line.trim_start().strip_prefix('='));
        values.map(str::trim)
    }

    /// What the last line with this key says.
    pub(super) fn last<'a>(&'a self, key: &'a str) -> Option<&'a str> {
        self.values(key).next_back()
    }

    /// May the daemon bind this port?
    pub(super) fn may_bind(&self, port: u16) -> bool {
        let mut capabilities = self.values("AmbientCapabilities");
        port >= self.unprivileged_port
            || self.user.is_none()
            || capabilities.any(|list| list.contains("CAP_NET_BIND_SERVICE"))
    }

    fn find_user(&self, root: &Root) -> Option<User> {
        let is_dynamic = matches!(self.last("DynamicUser"), Some("yes" | "true" | "on" | "1"));
        let named = self.last("User").filter(|name| !name.is_empty());
        let name = named.or(is_dynamic.then_some("ringway"))?;
        if name == "root" || name == "0" {
            return None;
        }
        let passwords = root.text("etc/passwd").unwrap_or_default();
        let fields = |line: &str| -> Vec<String> { line.split(':').map(str::to_owned).collect() };
        let user = passwords.lines().map(fields);
        let user = user
            .into_iter()
            .find(|fields| fields.first().is_some_and(|f| f == name));
        let number = |at: usize| user.as_ref()?.get(at)?.parse::<u32>().ok();
        let (id, own) = (number(2), number(3));
        let named = self
            .values("Group")
            .chain(self.values("SupplementaryGroups"));
        let named: Vec<&str> = named.flat_map(str::split_whitespace).collect();
        let groups = root.text("etc/group").unwrap_or_default();
        let others = groups.lines().filter_map(|line| {
            let mut fields = line.split(':');
            let group = fields.next()?;
            let (id, members) = (fields.nth(1)?.parse().ok()?, fields.next()?);
            let is_in = named.contains(&group) || members.split(',').any(|member| member == name);
            is_in.then_some(id)
        });
        Some(User {
            name: name.to_owned(),
            id,
            groups: own.into_iter().chain(others).collect(),
        })
    }

    /// May the daemon read this file? The folders on the way to it count, too.
    pub(super) fn access(&self, path: &Path) -> Access {
        let Some(user) = &self.user else {
            return Access::Granted;
        };
        let folders = path.ancestors().skip(1).map(|folder| (folder, 0o111));
        let mut access = Access::Granted;
        for (path, bits) in folders.chain([(path, 0o444)]) {
            // What is not there is told by whoever reads it.
            let Ok(metadata) = fs::metadata(path) else {
                continue;
            };
            if user.may(&metadata, bits) {
                continue;
            }
            // An access control list shows its mask as the bits of the group: without a bit there
            // it gives nobody anything.
            let is_certain = metadata.mode() & bits & 0o070 == 0;
            access = Access::Denied {
                user: user.name.clone(),
                path: path.to_owned(),
                is_certain,
            };
            if is_certain {
                break;
            }
        }
        access
    }
}

impl User {
    fn may(&self, metadata: &fs::Metadata, bits: u32) -> bool {
        let class = if self.id == Some(metadata.uid()) {
            0o700
        } else if self.groups.contains(&metadata.gid()) {
            0o070
        } else {
            0o007
        };
        metadata.mode() & bits & class != 0
    }
}

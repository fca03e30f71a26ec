//! The variables of the environment that Ringway knows, read once and checked: those of Sippy's
//! container, with its values.

mod place;
mod route;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use zeroize::Zeroizing;

use self::place::Place;
use self::route::CallRoute;
use super::file::{File, HostAddress};
use super::{
    AccountConfig, CODECS, CallPolicy, ConfigError, LimitsConfig, LogLevel, NumbersConfig,
    TargetConfig, TrunkConfig, Trust, WebListener, file,
};
use crate::sip::Transport;
use crate::sip::transaction::TimerConfig;

/// Where the web phone listens for browsers if there is neither a file nor a port in the
/// environment: 443 is for the superuser.
const WEB_PORT: u16 = 8443;
/// Where carriers send to; the other one if the carrier itself is at the first on this machine.
const SIP_PORTS: [u16; 2] = [5060, 5062];
/// The same over TLS.
const SIPS_PORTS: [u16; 2] = [5061, 5063];
/// The port of browsers' media, unless the range of the RTP ports has it.
const BROWSER_PORT: u16 = 20_000;

/// Variables of the environment. Empty ones count as unset.
#[derive(Debug, Default)]
pub(super) struct Environment {
    proxy: Option<Place>,
    route: Option<CallRoute>,
    /// `MIN_RTP_PORT`
    pub(super) rtp_port_min: Option<u16>,
    /// `MAX_RTP_PORT`
    pub(super) rtp_port_max: Option<u16>,
    /// `RTPP_LOG_LEVEL`
    pub(super) log_level: Option<LogLevel>,
    /// `HTTPS_PORT` and `WSS_PORT`, each once.
    web_ports: Vec<(&'static str, u16)>,
}

impl Environment {
    /// Reads all variables.
    ///
    /// # Errors
    /// One of them makes no sense, or asks for what Ringway has not; the error names it. No error
    /// repeats a password.
    pub(super) fn read(env: &dyn Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let text = |name: &str| {
            let text = env(name).map(Zeroizing::new);
            text.filter(|text| !text.trim().is_empty())
        };
        let port = |name: &'static str| text(name).map(|text| port(name, &text)).transpose();
        let mut web_ports: Vec<(&'static str, u16)> = Vec::new();
        for name in ["HTTPS_PORT", "WSS_PORT"] {
            let Some(number) = port(name)? else { continue };
            if number == 0 {
                let what = format!("{name} is 0 in the environment");
                return Err(ConfigError::new(what, "set it to 1 to 65535, or unset it"));
            }
            if web_ports.iter().all(|(_, other)| *other != number) {
                web_ports.push((name, number));
            }
        }
        if let Some(text) = text("RTPP_NODEBUG") {
            no_debug(&text)?;
        }
        Ok(Self {
            proxy: text("OUTBOUND_PROXY")
                .map(|text| place::proxy(&text))
                .transpose()?,
            route: text("OUTBOUND_ROUTE")
                .map(|text| route::read(&text))
                .transpose()?,
            rtp_port_min: port("MIN_RTP_PORT")?,
            rtp_port_max: port("MAX_RTP_PORT")?,
            log_level: text("RTPP_LOG_LEVEL")
                .map(|text| log_level(&text))
                .transpose()?,
            web_ports,
        })
    }

    /// True if it names a registrar: then it is a configuration by itself.
    pub(super) const fn has_proxy(&self) -> bool {
        self.proxy.is_some()
    }

    /// True if it names a carrier.
    pub(super) const fn has_carrier(&self) -> bool {
        self.proxy.is_some() || self.route.is_some()
    }

    /// A gateway in front of the carrier that it names: what a file would say.
    ///
    /// # Errors
    /// This host has no address that it could give carriers or browsers.
    pub(super) fn gateway(&self, host: HostAddress<'_>) -> Result<File, ConfigError> {
        let mut file = File::default();
        let to_carrier = self.listen_for_carrier(&mut file, host)?;
        let browser = host(None).unwrap_or(to_carrier);
        let any = if browser.is_ipv4() { "0.0.0.0" } else { "[::]" };
        file.web.listen = Some(file::written(file::OneOrMore(vec![format!(
            "{any}:{WEB_PORT}"
        )])));
        file.media.browser_bind = Some(file::written(browser.to_string()));
        file.media.browser_port = Some(file::written(self.browser_port()));
        Ok(file)
    }

    /// Lets the carrier that it names, if it does, reach us: `[sip]` of a configuration without a
    /// file. The address that the carrier sees.
    ///
    /// # Errors
    /// This host has no address that leads there.
    pub(super) fn listen_for_carrier(
        &self,
        file: &mut File,
        host: HostAddress<'_>,
    ) -> Result<IpAddr, ConfigError> {
        let transport = self.transport();
        let proxy = self.proxy.as_ref().map(|proxy| &proxy.place);
        let route = self.route.as_ref().map(|route| &route.at.place);
        let carriers = [proxy, route].into_iter().flatten();
        let literals: Vec<SocketAddr> = carriers
            .filter_map(|place| with_port(place, transport).place.literal())
            .collect();
        let address = host(literals.first().map(SocketAddr::ip)).ok_or_else(|| {
            ConfigError::new(
                "this host has no route to the carrier, so that no address of its own is known",
                "bring the network up, or write a configuration file with `listen` in [sip]",
            )
        })?;
        let free = |[first, second]: [u16; 2]| match literals.contains(&(address, first).into()) {
            true => SocketAddr::new(address, second).to_string(),
            false => SocketAddr::new(address, first).to_string(),
        };
        let listen = free(SIP_PORTS);
        match transport {
            Transport::Udp => {}
            Transport::Tcp => file.sip.listen_tcp = Some(file::written(listen.clone())),
            Transport::Tls => {
                file.sip.listen_tls = Some(file::written(free(SIPS_PORTS)));
                file.sip.self_signed = true;
            }
        }
        file.sip.listen = Some(file::written(listen));
        Ok(address)
    }

    /// How the carrier is spoken to.
    fn transport(&self) -> Transport {
        let proxy = self.proxy.as_ref().and_then(|proxy| proxy.transport);
        let route = self.route.as_ref().and_then(|route| route.at.transport);
        let wanted = if self.has_proxy() { proxy } else { route };
        wanted.unwrap_or(Transport::Udp)
    }

    fn browser_port(&self) -> u16 {
        let (min, max) = (
            self.rtp_port_min.unwrap_or(10_000),
            self.rtp_port_max.unwrap_or(19_999),
        );
        if !(min..=max).contains(&BROWSER_PORT) {
            return BROWSER_PORT;
        }
        max.checked_add(1).unwrap_or(min.saturating_sub(1))
    }

    /// Lays the ports for browsers over `[web] listen`: they take the places of the listeners with
    /// TLS, or of all if none has it. `off` if TLS is switched off by hand.
    ///
    /// # Errors
    /// TLS is switched off.
    pub(super) fn web_listeners(
        &self,
        listeners: Vec<WebListener>,
        off: bool,
    ) -> Result<Vec<WebListener>, ConfigError> {
        let Some((name, _)) = self.web_ports.first() else {
            return Ok(listeners);
        };
        if off {
            let what = format!("{name} is set in the environment, but [web] has `tls = \"off\"`");
            return Err(ConfigError::new(
                what,
                "it is a port with TLS: take `tls` out of the file, or unset the variable",
            ));
        }
        let has_tls = listeners.iter().any(|listener| listener.secure);
        let (replaced, mut kept): (Vec<WebListener>, Vec<WebListener>) = listeners
            .into_iter()
            .partition(|listener| listener.secure == has_tls);
        let mut laid: Vec<WebListener> = Vec::new();
        for (_, port) in &self.web_ports {
            for listener in &replaced {
                let address = SocketAddr::new(listener.address.ip(), *port);
                if laid.iter().all(|other| other.address != address) {
                    laid.push(WebListener {
                        address,
                        secure: true,
                    });
                }
            }
        }
        if let Some(meets) = kept
            .iter()
            .find(|kept| laid.iter().any(|laid| laid.address == kept.address))
        {
            let what = format!("{name} names a port that `listen` in [web] has without TLS");
            let remedy = format!("choose another one than that of {}", meets.address);
            return Err(ConfigError::new(what, remedy));
        }
        laid.append(&mut kept);
        Ok(laid)
    }

    /// Lays carrier and calls over the first trunk, or makes one.
    ///
    /// # Errors
    /// A variable of the environment contradicts a key of the trunk in the file.
    pub(super) fn trunk(&self, trunks: &mut Vec<TrunkConfig>) -> Result<(), ConfigError> {
        if !self.has_carrier() {
            return Ok(());
        }
        if trunks.is_empty() {
            trunks.push(TrunkConfig::of_environment());
        }
        let Some(trunk) = trunks.first_mut() else {
            return Ok(());
        };
        if let Some(proxy) = &self.proxy {
            if let Some(transport) = proxy.transport {
                trunk.transport = transport;
                trunk.transport_by_dns = false;
                trunk.tcp_for_large &= transport == Transport::Udp;
            }
            let target = with_port(&proxy.place, trunk.transport);
            let old = trunk.targets.first().map(|old| old.place.uri_host());
            if trunk.domain.is_empty() || old.as_ref() == Some(&trunk.domain) {
                trunk.domain = target.place.uri_host();
            }
            trunk.targets = vec![target];
        }
        match &self.route {
            Some(route) => call_route(trunk, route),
            None => Ok(()),
        }
    }
}

/// Calls go there.
fn call_route(trunk: &mut TrunkConfig, route: &CallRoute) -> Result<(), ConfigError> {
    if let Some(transport) = route.at.transport {
        if trunk.targets.is_empty() && trunk.domain.is_empty() {
            trunk.transport = transport;
        } else if trunk.transport_by_dns || trunk.transport != transport {
            let name = transport.parameter();
            let (what, own) = (
                format!("OUTBOUND_ROUTE: `transport={name}` is not that of the trunk"),
                trunk.transport.parameter(),
            );
            let remedy = format!(
                "calls and registrations go over one transport, here {own}; name the same for \
                 both, or write a file with two trunks"
            );
            return Err(ConfigError::new(what, remedy));
        }
    }
    let target = with_port(&route.at.place, trunk.transport);
    if trunk.domain.is_empty() {
        trunk.domain = target.place.uri_host();
    }
    trunk.call_route = Some(target);
    if let Some((username, password)) = &route.account {
        if let Some(account) = &trunk.account {
            let what = format!(
                "OUTBOUND_ROUTE: `auth` names an account, and trunk `{}` has `username = {:?}`",
                trunk.name, account.username
            );
            return Err(ConfigError::new(what, "take one of them out"));
        }
        trunk.account = Some(AccountConfig {
            username: username.clone(),
            auth_username: username.clone(),
            password: password.clone(),
            realm: None,
            calls_to: None,
            register_expires: None,
        });
    }
    if let Some(number) = &route.caller {
        trunk.caller_number = Some(number.clone());
    }
    if let Some(number) = &route.called {
        trunk.called_number = Some(number.clone());
    }
    Ok(())
}

/// With the port of the transport, if none is given.
fn with_port(place: &TargetConfig, transport: Transport) -> TargetConfig {
    let mut target = place.clone();
    if !target.has_port {
        target.place.port = transport.default_port();
    }
    target
}

impl TrunkConfig {
    /// A trunk of which nothing is known: every key has its default.
    fn of_environment() -> Self {
        Self {
            name: "outbound".to_owned(),
            transport: Transport::Udp,
            transport_by_dns: false,
            tcp_for_large: false,
            sips_as_sip: false,
            trust: Trust::System,
            domain: String::new(),
            targets: Vec::new(),
            route: None,
            call_route: None,
            caller_number: None,
            called_number: None,
            failover_after: Duration::from_secs(6),
            down_for: Duration::from_secs(30),
            probe: None,
            codecs: CODECS.map(str::to_owned).to_vec(),
            video: false,
            telephone_event: true,
            calls: CallPolicy::default(),
            account: None,
            timers: TimerConfig::default(),
            limits: LimitsConfig::default(),
            numbers: NumbersConfig::default(),
        }
    }
}

fn port(name: &str, text: &str) -> Result<u16, ConfigError> {
    text.trim().parse().map_err(|_| {
        let what = format!("{name} is no port in the environment: `{text}`");
        ConfigError::new(what, "set it to a number up to 65535, or unset it")
    })
}

/// The levels of RTPProxy; it has none between "error" and the end.
fn log_level(text: &str) -> Result<LogLevel, ConfigError> {
    match text.trim().to_ascii_uppercase().as_str() {
        "DBUG" => Ok(LogLevel::Debug),
        "INFO" => Ok(LogLevel::Info),
        "WARN" => Ok(LogLevel::Warn),
        "ERR" | "CRIT" => Ok(LogLevel::Error),
        _ => Err(ConfigError::new(
            format!("RTPP_LOG_LEVEL is no level in the environment: `{text}`"),
            "set it to DBUG, INFO, WARN, ERR or CRIT, or unset it",
        )),
    }
}

/// Sippy's container takes RTPProxy's build without debugging code for a number other than 0.
/// There is one build of Ringway, and it has none: nothing is to be done.
fn no_debug(text: &str) -> Result<(), ConfigError> {
    text.trim().parse::<i64>().map(drop).map_err(|_| {
        ConfigError::new(
            format!("RTPP_NODEBUG is no number in the environment: `{text}`"),
            "set it to 0 or 1, or unset it; both mean the same here",
        )
    })
}

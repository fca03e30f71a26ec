// The carrier: a Kamailio that registers users with MD5 digest and routes calls to them, and to the
// endpoints of the carrier's own network.

import { join } from 'node:path';
import { mkdirSync, writeFileSync } from 'node:fs';
import { ADDRESS } from './namespaces.mjs';
import { start } from './process.mjs';

export const DOMAIN = 'carrier.test';

/** The users that the carrier knows, with their passwords. */
export const USERS = { alice: 'correct-horse-1', bob: 'battery-staple-2' };

/** Numbers of the carrier's own endpoints, and the UDP port each listens on. */
export const ENDPOINTS = { 2000: 5080, 3000: 5090 };

// Where a registrar keeps the Path of RFC 3327 and routes by it.
const PATH_PARAMETERS = `
modparam("registrar", "use_path", 1)
modparam("registrar", "path_mode", 1)
modparam("registrar", "path_use_received", 0)
`;

// RFC 8760: the algorithm that a server prefers is on top.
const STRONGER = [
  `realm=\\"${DOMAIN}\\"`,
  'nonce=\\"$Tb\\"',
  'algorithm=SHA-256',
  'qop=\\"auth,auth-int\\"',
].join(', ');

/** How a REGISTER (401) and an INVITE (407) are challenged, by the name of the kind. */
const CHALLENGES = {
  md5: {
    401: `www_challenge("${DOMAIN}", "1");`,
    407: `proxy_challenge("${DOMAIN}", "1");`,
  },
  // As RFC 2069 has it.
  without_qop: {
    401: `www_challenge("${DOMAIN}", "0");`,
    407: `proxy_challenge("${DOMAIN}", "0");`,
  },
  // Two challenges, each of which offers auth-int, too.
  sha256_and_md5: { 401: twoChallenges(401, 'WWW'), 407: twoChallenges(407, 'Proxy') },
};

function twoChallenges(status, who) {
  return `auth_get_www_authenticate("${DOMAIN}", "1", "$var(md5)");
      $var(md5) = $(var(md5){re.subst,/qop="auth"/qop="auth,auth-int"/});
      $var(md5) = $(var(md5){re.subst,/^WWW/${who}/});
      append_to_reply("${who}-Authenticate: Digest ${STRONGER}\\r\\n");
      append_to_reply("$var(md5)");
      sl_send_reply("${status}", "Authentication Required");`;
}

// Asks every second whether the gateway lives, and gives it two to answer.
const dispatcher = (file) => `loadmodule "dispatcher.so"
modparam("dispatcher", "list_file", "${file}")
modparam("dispatcher", "ds_ping_interval", 1)
modparam("dispatcher", "ds_ping_method", "OPTIONS")
modparam("dispatcher", "ds_probing_mode", 1)
modparam("dispatcher", "ds_probing_threshold", 1)
modparam("tm", "fr_timer", 2000)
event_route[dispatcher:dst-up] { xlog("L_NOTICE", "carrier: the gateway is up\\n"); }
event_route[dispatcher:dst-down] { xlog("L_NOTICE", "carrier: the gateway is down\\n"); }
`;

/** Ports that the carrier listens on, by transport; on that of UDP whatever the transport. */
export const PORTS = { udp: 5060, tcp: 5060, tls: 5061 };

// Both ends show a certificate, and both look at the other's; with `anyClient` the carrier does not.
const tlsProfile = (name, { certificate, privateKey, authorities, anyClient }) => `[${name}:default]
method = TLSv1.2+
certificate = ${certificate}
private_key = ${privateKey}
ca_list = ${authorities}
verify_certificate = ${anyClient ? 'no' : 'yes'}
require_certificate = ${anyClient ? 'no' : 'yes'}
`;

function configuration({ address, challengeInvites, noAnswerMs, path, transport, tlsFile, ...more }) {
  const { challenge = path ? 'sha256_and_md5' : 'md5', dispatcherFile } = more;
  const passwords = Object.entries(USERS)
    .map(([user, password]) => `  if ($au == "${user}") { $var(password) = "${password}"; }`)
    .join('\n');
  const endpoints = Object.entries(ENDPOINTS)
    .map(
      ([number, port]) => `  if ($rU == "${number}") {
    $du = "sip:${ADDRESS.carrier}:${port}";
    route(RELAY);
    exit;
  }`,
    )
    .join('\n');
  return `#!KAMAILIO
debug=2
log_stderror=yes
log_prefix="$ci "
fork=yes
children=2
listen=udp:${address}:5060
${transport === 'udp' ? 'disable_tcp=yes' : `tcp_children=2
listen=${transport}:${address}:${PORTS[transport]}`}
${transport === 'tls' ? 'enable_tls=yes' : ''}
alias="${DOMAIN}"
server_signature=no
mpath="/usr/lib/x86_64-linux-gnu/kamailio/modules/:/usr/lib/aarch64-linux-gnu/kamailio/modules/"

loadmodule "pv.so"
loadmodule "xlog.so"
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "maxfwd.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "auth.so"
${tlsFile ? `loadmodule "tls.so"\nmodparam("tls", "config", "${tlsFile}")` : ''}

modparam("tm", "fr_inv_timer", ${noAnswerMs})
modparam("tm", "restart_fr_on_each_reply", 0)
modparam("usrloc", "db_mode", 0)
modparam("registrar", "min_expires", 10)
modparam("registrar", "max_expires", 600)
modparam("registrar", "max_contacts", 4)
modparam("auth", "nonce_expire", 60)
modparam("auth", "qop", "auth")
${path ? PATH_PARAMETERS : ''}
${dispatcherFile ? dispatcher(dispatcherFile) : ''}

request_route {
  xlog("L_NOTICE", "carrier: $rm $ru from $si:$sp over $pr\\n");
  if (!mf_process_maxfwd_header("10")) {
    sl_send_reply("483", "Too Many Hops");
    exit;
  }
  if (is_method("CANCEL")) {
    if (t_check_trans()) { t_relay(); }
    exit;
  }
  if (has_totag()) {
    if (loose_route()) {
      route(RELAY);
      exit;
    }
    if (is_method("ACK")) {
      if (t_check_trans()) { t_relay(); }
      exit;
    }
    sl_send_reply("404", "Not Here");
    exit;
  }
  t_check_trans();
  if (is_method("OPTIONS")) {
    sl_send_reply("200", "OK");
    exit;
  }
  if (is_method("REGISTER")) {
    route(PASSWORD);
    if (!pv_www_authenticate("${DOMAIN}", "$var(password)", "0")) {
      ${CHALLENGES[challenge][401]}
      exit;
    }
    consume_credentials();
    if (!save("location")) { sl_reply_error(); }
    exit;
  }
  if (is_method("SUBSCRIBE|REFER")) { record_route(); }
  if (is_method("INVITE")) {
    record_route();
    if (${challengeInvites ? 1 : 0} == 1 && $si != "${address}") {
      route(PASSWORD);
      if (!pv_proxy_authenticate("${DOMAIN}", "$var(password)", "0")) {
        ${CHALLENGES[challenge][407]}
        exit;
      }
      consume_credentials();
    }
  }
${endpoints}
  if (!lookup("location")) {
    sl_send_reply("404", "Not Found");
    exit;
  }
  route(RELAY);
}

route[PASSWORD] {
  # No password is nobody's password.
  $var(password) = "$ft-$ci-$Tb-unknown";
${passwords}
}

route[RELAY] {
  if (!t_relay()) { sl_reply_error(); }
}

onreply_route {
  xlog("L_NOTICE", "carrier: reply $rs $rr to $rm from $si:$sp over $pr\\n");
}
`;
}

/**
 * Starts the carrier's registrar and proxy.
 * @param {{address?: string, challengeInvites?: boolean, noAnswerMs?: number, path?: boolean,
 *   transport?: 'udp' | 'tcp' | 'tls', log?: string, probes?: boolean,
 *   challenge?: 'md5' | 'without_qop' | 'sha256_and_md5',
 *   tls?: {certificate: string, privateKey: string, authorities: string, anyClient?: boolean}}} options
 *   `noAnswerMs` is
 *   how long a call may ring before the carrier answers 408; with `path`, its registrar knows Path
 *   and it challenges with SHA-256 first unless `challenge` says otherwise; `transport` is what it
 *   listens for beside UDP; with `probes` it sends OPTIONS to ringway every second.
 */
export async function kamailio(scope, namespace, options = {}) {
  const { address = ADDRESS.carrier, transport = 'udp', tls, log = 'kamailio', probes } = options;
  const file = join(scope.directory, `${log}.cfg`);
  // Where its processes meet.
  const meeting = join(scope.directory, `${log}.run`);
  mkdirSync(meeting, { recursive: true });
  const tlsFile = tls && join(scope.directory, 'kamailio_tls.cfg');
  if (tls) writeFileSync(tlsFile, tlsProfile('server', tls) + tlsProfile('client', tls));
  const dispatcherFile = probes && join(scope.directory, 'dispatcher.list');
  if (probes) writeFileSync(dispatcherFile, `1 sip:${ADDRESS.edgeToCarrier}:5060\n`);
  const defaults = { challengeInvites: true, noAnswerMs: 60_000 };
  const files = { tlsFile, dispatcherFile };
  writeFileSync(file, configuration({ ...defaults, ...options, address, transport, ...files }));
  const child = start({
    namespace,
    name: 'kamailio',
    command: 'kamailio',
    args: ['-f', file, '-DD', '-E', '-m', '32', '-M', '4', '-Y', meeting],
    logFile: scope.logFile(log),
  });
  scope.defer(() => child.stop());
  await child.waitForPort('udp', PORTS.udp);
  if (transport !== 'udp') await child.waitForPort('tcp', PORTS[transport]);
  return child;
}

// The carrier's DNS: a dnsmasq that knows what it is given, and nothing else.

import { ADDRESS } from './namespaces.mjs';
import { start } from './process.mjs';

/** Seconds that its records may be believed. */
const TTL_S = 1;

/**
 * Starts it on the carrier's address.
 * @param {{hosts?: object, services?: Array, domains?: Array, log?: string}} records `hosts` are
 *   addresses by name; `services` are SRV records as `[name, host, port, priority]`; `domains` are
 *   NAPTR records as `[name, order, service, replacement]`.
 */
export async function dnsmasq(scope, namespace, records) {
  const { hosts = {}, services = [], domains = [], log = 'dnsmasq' } = records;
  const child = start({
    namespace,
    name: 'dnsmasq',
    command: 'dnsmasq',
    args: [
      '--keep-in-foreground',
      '--conf-file=/dev/null',
      '--pid-file',
      '--user=root',
      '--no-resolv',
      '--no-hosts',
      '--local=/test/',
      '--bind-interfaces',
      `--listen-address=${ADDRESS.carrier}`,
      `--local-ttl=${TTL_S}`,
      '--log-queries',
      '--log-facility=-',
      ...Object.entries(hosts).map(([name, ip]) => `--host-record=${name},${ip},${TTL_S}`),
      ...services.map((service) => `--srv-host=${service.join(',')},0`),
      ...domains.map(
        ([name, order, service, replacement]) =>
          `--naptr-record=${name},${order},10,s,${service},,${replacement}`,
      ),
    ],
    logFile: scope.logFile(log),
  });
  scope.defer(() => child.stop());
  await child.waitForPort('udp', 53);
  return child;
}

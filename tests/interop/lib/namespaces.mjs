// Network namespaces: the browser's network, the edge with ringway, the carrier's network.

import { spawnSync } from 'node:child_process';
import { atExit, run } from './process.mjs';

const PREFIX = 'ringway';
let made = 0;

/** Where everything lives in a {@link threeNetworks} world. */
export const ADDRESS = {
  browser: '10.77.1.2',
  edgeToBrowser: '10.77.1.1',
  edgeToCarrier: '10.77.2.1',
  carrier: '10.77.2.2',
  carrierAgain: '10.77.2.3',
};

/** Removes namespaces whose test process was killed before it could. */
function sweep() {
  for (const line of run('ip', 'netns', 'list').split('\n')) {
    const [, name, pid] = line.match(new RegExp(`^(${PREFIX}-(\\d+)-\\S+)`)) ?? [];
    if (!name) continue;
    try {
      process.kill(Number(pid), 0);
    } catch {
      spawnSync('ip', ['netns', 'del', name]);
    }
  }
}

function create(role) {
  if (made === 0) sweep();
  made += 1;
  const name = `${PREFIX}-${process.pid}-${made}-${role}`;
  run('ip', 'netns', 'add', name);
  const remove = () => spawnSync('ip', ['netns', 'del', name]);
  const forget = atExit(remove);
  // An IPv6 address that is assigned seconds after the device came up makes Chromium break off what
  // it is loading (ERR_NETWORK_CHANGED).
  run('ip', 'netns', 'exec', name, 'sysctl', '-qw', 'net.ipv6.conf.default.disable_ipv6=1');
  run('ip', '-n', name, 'link', 'set', 'lo', 'up');
  return {
    name,
    remove() {
      forget();
      remove();
    },
  };
}

function connect(a, deviceA, addressA, b, deviceB, addressB) {
  run('ip', '-n', a, 'link', 'add', deviceA, 'type', 'veth', 'peer', 'name', deviceB, 'netns', b);
  for (const [namespace, device, address] of [
    [a, deviceA, addressA],
    [b, deviceB, addressB],
  ]) {
    run('ip', '-n', namespace, 'address', 'add', `${address}/24`, 'dev', device);
    run('ip', '-n', namespace, 'link', 'set', device, 'up');
  }
}

/** Gives a device one more address; `carrierAgain` is nowhere without. */
export function addAddress(namespace, device, address) {
  run('ip', '-n', namespace, 'address', 'add', `${address}/24`, 'dev', device);
}

/** Drops all UDP of a namespace, also that of the machine to itself, as a firewall would. */
export function blockUdp(namespace) {
  // What is the machine's own is looked up first, unless another rule comes before.
  const rules = ['add pref 5 lookup local', 'del pref 0', 'add pref 1 ipproto udp blackhole'];
  for (const rule of rules) run('ip', '-n', namespace, 'rule', ...rule.split(' '));
}

/**
 * browser ── edge ── carrier. No route leads from the browser to the carrier but through the
 * programs on the edge. Returns the three names and `remove()`.
 */
export function threeNetworks() {
  const browser = create('browser');
  const edge = create('edge');
  const carrier = create('carrier');
  connect(browser.name, 'to-edge', ADDRESS.browser, edge.name, 'to-browser', ADDRESS.edgeToBrowser);
  connect(edge.name, 'to-carrier', ADDRESS.edgeToCarrier, carrier.name, 'to-edge', ADDRESS.carrier);
  run('ip', '-n', browser.name, 'route', 'add', 'default', 'via', ADDRESS.edgeToBrowser);
  return {
    browser: browser.name,
    edge: edge.name,
    carrier: carrier.name,
    remove() {
      for (const namespace of [browser, edge, carrier]) namespace.remove();
    },
  };
}

/**
 * One machine by itself: loopback and, as on any desk, an ordinary interface with a default
 * route; browsers gather ICE candidates on the latter.
 */
export function oneMachine() {
  const machine = create('machine');
  const neighbour = create('neighbour');
  connect(machine.name, 'lan', '192.168.77.2', neighbour.name, 'lan', '192.168.77.1');
  run('ip', '-n', machine.name, 'route', 'add', 'default', 'via', '192.168.77.1');
  return {
    machine: machine.name,
    remove() {
      for (const namespace of [machine, neighbour]) namespace.remove();
    },
  };
}

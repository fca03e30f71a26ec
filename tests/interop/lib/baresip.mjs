// A SIP telephone on the carrier's side: baresip, controlled over ctrl_tcp.

import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { forward } from './forward.mjs';
import { DOMAIN, ENDPOINTS } from './kamailio.mjs';
import { ADDRESS } from './namespaces.mjs';
import { start } from './process.mjs';
import { eventually } from './scope.mjs';
import { levelDb, readWav, toneSeconds, toneShare, writeTone } from './tone.mjs';

const MODULES = [
  'module g711.so',
  'module g722.so',
  'module aufile.so',
  'module sndfile.so',
  'module aubridge.so',
  'module_tmp uuid.so',
  'module_tmp account.so',
  'module_app menu.so',
  'module_app ctrl_tcp.so',
];

// Of the first one of a network; each has its own.
const CONTROL_PORT = 4444;

// Its module sndfile has 128 bytes for the path of a recording, and cuts what is longer.
const RECORDING_PATH_MAX = 127;

class Telephone {
  constructor(child, socket, recordings) {
    this.child = child;
    this.recordings = recordings;
    /** Every event so far, oldest first: `{ type, … }` as baresip words them. */
    this.events = [];
    this.tokens = 0;
    this.answers = new Map();
    this.socket = socket;
    let pending = Buffer.alloc(0);
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      pending = Buffer.concat([pending, chunk]);
      for (;;) {
        const colon = pending.indexOf(':');
        const length = Number(pending.subarray(0, Math.max(colon, 0)));
        if (colon < 0 || pending.length < colon + length + 2) return;
        this.#take(JSON.parse(pending.toString('utf8', colon + 1, colon + 1 + length)));
        pending = pending.subarray(colon + length + 2);
      }
    });
  }

  #take(message) {
    if (message.event) this.events.push(message);
    else if (message.response) this.answers.get(message.token)?.(message);
  }

  /** Sends one command of baresip's menu and resolves with its answer. */
  async command(command, params) {
    const token = String((this.tokens += 1));
    const answered = new Promise((resolve, reject) => {
      this.answers.set(token, resolve);
      setTimeout(() => reject(new Error(`baresip: no answer to ${command}`)), 5_000).unref();
    });
    const text = JSON.stringify(params ? { command, params, token } : { command, token });
    this.socket.write(`${Buffer.byteLength(text)}:${text},`);
    return answered;
  }

  /** Calls `user` of the carrier's domain. */
  dial(user) {
    return this.command('dial', `sip:${user}@${DOMAIN}`);
  }

  hangup() {
    return this.command('hangup');
  }

  answer() {
    return this.command('accept');
  }

  /** Waits until its own registration is done, which may be before the control is connected. */
  registered() {
    return this.child.waitForLine(/SIP\/2\.0 200 OK\r\n(?:.+\r\n)*CSeq: \d+ REGISTER/);
  }

  /** Events of one type, such as `CALL_ESTABLISHED`. */
  eventsOf(type) {
    return this.events.filter((event) => event.type === type);
  }

  waitFor(type, timeoutMs = 10_000) {
    const what = `baresip ${type}`;
    return eventually(what, () => this.eventsOf(type).at(-1), { timeoutMs }).catch((error) => {
      const seen = this.events.map((event) => event.type).join(' ');
      throw new Error(`${error.message}; events: ${seen}`);
    });
  }

  /** Forgets the events and the sound of calls that are over. */
  forget() {
    this.events = [];
    for (const file of readdirSync(this.recordings)) rmSync(join(this.recordings, file));
  }

  /** Digits received so far. */
  digits() {
    return this.eventsOf('CALL_DTMF_START')
      .map((event) => event.param)
      .join('');
  }

  /** The newest recording of what came in, or null while there is none. */
  heard() {
    const files = readdirSync(this.recordings)
      .filter((file) => file.endsWith('-dec.wav'))
      .sort();
    if (files.length === 0) return null;
    try {
      return readWav(join(this.recordings, files.at(-1)));
    } catch {
      return null;
    }
  }

  /** Waits until the tone has been heard for `seconds` without a break. */
  async waitForTone(frequencyHz, { seconds = 1, timeoutMs = 15_000 } = {}) {
    const heardIt = () => {
      const sound = this.heard();
      return sound && toneSeconds(sound.samples, sound.rateHz, frequencyHz) >= seconds;
    };
    await eventually(`${frequencyHz} Hz at baresip`, heardIt, { timeoutMs }).catch((error) => {
      const sound = this.heard();
      const last = sound?.samples.subarray(-sound.rateHz);
      const what = last
        ? `${sound.samples.length} samples, level ${levelDb(last).toFixed(1)} dB, ` +
          `share ${toneShare(last, sound.rateHz, frequencyHz).toFixed(2)}`
        : 'nothing recorded';
      throw new Error(`${error.message}: ${what}`);
    });
  }
}

/**
 * Starts the telephone; `toneHz` is what it says all the time.
 * @param {{user?: string, answer?: 'auto' | 'manual' | 'early', toneHz?: number, codecs?: string,
 *   address?: string, port?: number, controlPort?: number, password?: string}} options With a
 *   password it registers; a second one in a network needs a `controlPort` of its own.
 */
export async function baresip(scope, namespace, options = {}) {
  const { user = '2000', answer = 'auto', toneHz = 1000, codecs = 'PCMU,PCMA' } = options;
  const { address = ADDRESS.carrier, port = ENDPOINTS[2000], password } = options;
  const { controlPort = CONTROL_PORT } = options;
  const name = `baresip-${user}`;
  const directory = join(scope.directory, name);
  const recordings = join(directory, 'recordings');
  const longest = join(recordings, 'dump-2026-01-01-00-00-00-dec.wav');
  if (longest.length > RECORDING_PATH_MAX) throw new Error(`too long for baresip: ${longest}`);
  mkdirSync(recordings, { recursive: true });
  const rateHz = codecs.startsWith('G722') ? 16_000 : 8_000;
  const tone = writeTone(join(directory, 'tone.wav'), { frequencyHz: toneHz, seconds: 60, rateHz });
  const settings = [
    'poll_method epoll',
    `sip_listen ${address}:${port}`,
    `net_interface ${address}`,
    'rtp_ports 30000-30099',
    'audio_player aubridge,nowhere',
    `audio_source aufile,${tone}`,
    'audio_alert aubridge,nowhere',
    `snd_path ${recordings}`,
    `ctrl_tcp_listen 127.0.0.1:${controlPort}`,
    'module_path /usr/lib/baresip/modules',
    ...MODULES,
  ];
  const account = [
    `<sip:${user}@${DOMAIN}>`,
    ...(password ? ['regint=600', `auth_pass=${password}`] : ['regint=0']),
    `outbound="sip:${ADDRESS.carrier}:5060"`,
    `answermode=${answer}`,
    `audio_codecs=${codecs}`,
  ];
  writeFileSync(join(directory, 'config'), `${settings.join('\n')}\n`);
  writeFileSync(join(directory, 'accounts'), `${account.join(';')}\n`);
  writeFileSync(join(directory, 'contacts'), '');
  const child = start({
    namespace,
    name,
    command: 'baresip',
    args: ['-4', '-v', '-s', '-f', directory],
    env: { HOME: directory },
    logFile: scope.logFile(name),
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  scope.defer(() => child.stop());
  await child.waitForLine(/baresip is ready/);
  const control = await forward(scope, namespace, '127.0.0.1', controlPort);
  const socket = control.connect();
  scope.defer(() => socket.destroy());
  const telephone = new Telephone(child, socket, recordings);
  await telephone.command('uastat');
  return telephone;
}

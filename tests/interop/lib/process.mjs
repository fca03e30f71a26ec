// Child processes: started in a network namespace, their output kept, always stopped.

import { spawn, spawnSync } from 'node:child_process';
import { createWriteStream, readFileSync, readlinkSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

/** Bytes of output that one process may leave in memory; the log file has all of it. */
const OUTPUT_BYTES_MAX = 4 * 1024 * 1024;

const running = new Set();
let exitHookInstalled = false;

/** Runs a command to its end and throws with its output when it fails. */
export function run(command, ...args) {
  const result = spawnSync(command, args, { encoding: 'utf8' });
  if (result.error) throw result.error;
  if (result.status !== 0) {
    const words = [command, ...args].join(' ');
    throw new Error(`${words}: exit status ${result.status}\n${result.stdout}${result.stderr}`);
  }
  return result.stdout;
}

/** Ends what is left when the test process itself ends, whatever the reason. */
export function atExit(action) {
  running.add(action);
  if (!exitHookInstalled) {
    exitHookInstalled = true;
    process.on('exit', () => {
      for (const left of [...running].reverse()) left();
    });
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
      process.on(signal, () => process.exit(1));
    }
  }
  return () => running.delete(action);
}

const networkOf = (pid) => readlinkSync(`/proc/${pid}/ns/net`);

/**
 * Ports that are bound (UDP) or listened on (TCP) in the network namespace of a process; none
 * while it is `away` from it, that is, not yet moved there.
 */
function portsInUse(pid, protocol, away) {
  const listening = protocol === 'tcp' ? '0A' : '07';
  const ports = new Set();
  try {
    if (networkOf(pid) === away) return ports;
    for (const line of readFileSync(`/proc/${pid}/net/${protocol}`, 'utf8').split('\n').slice(1)) {
      const [, local, , state] = line.trim().split(/\s+/);
      if (state === listening) ports.add(Number.parseInt(local.split(':')[1], 16));
    }
  } catch {
    // The process has just ended; whoever asks looks at that too.
  }
  return ports;
}

/** One child process. Make it with {@link start}. */
export class Child {
  constructor(name, child, { logFile, away }) {
    this.name = name;
    this.away = away;
    this.pid = child.pid;
    this.output = '';
    this.exited = false;
    this.exitCode = null;
    this.exitSignal = null;
    this.listeners = new Set();
    this.child = child;
    const log = logFile ? createWriteStream(logFile) : null;
    const take = (chunk) => {
      log?.write(chunk);
      this.output = (this.output + chunk).slice(-OUTPUT_BYTES_MAX);
      this.#changed();
    };
    child.stdout?.setEncoding('utf8').on('data', take);
    child.stderr?.setEncoding('utf8').on('data', take);
    const forget = atExit(() => this.#signal('SIGKILL'));
    child.on('error', (error) => {
      this.exited = true;
      take(`cannot start: ${error.message}\n`);
      forget();
    });
    this.whenExited = new Promise((resolve) => {
      child.on('close', (code, signal) => {
        this.exited = true;
        this.exitCode = code;
        this.exitSignal = signal;
        forget();
        log?.end();
        this.#changed();
        resolve();
      });
    });
  }

  /** Resolves with the match once the output matches; fails when the process ends before. */
  async waitForLine(pattern, timeoutMs = 10_000) {
    const found = () => this.output.match(pattern);
    return this.waitUntil(found, timeoutMs, `a line like ${pattern}`);
  }

  /** Resolves with the first truthy value of `condition`, asked again after each output. */
  waitUntil(condition, timeoutMs, what) {
    return new Promise((resolve, reject) => {
      const finish = (settle, value) => {
        clearTimeout(timer);
        this.listeners.delete(check);
        settle(value);
      };
      const fail = (reason) =>
        finish(reject, new Error(`${this.name}: ${reason} while waiting for ${what}`));
      const timer = setTimeout(() => fail(`${timeoutMs} ms passed`), timeoutMs);
      const check = () => {
        const value = condition();
        if (value) finish(resolve, value);
        else if (this.exited) fail(`ended (status ${this.exitCode ?? this.exitSignal})`);
      };
      this.listeners.add(check);
      check();
    });
  }

  /** Resolves once someone in the process's network listens on the port. */
  async waitForPort(protocol, port, timeoutMs = 10_000) {
    const end = Date.now() + timeoutMs;
    while (!this.exited && Date.now() < end) {
      if (portsInUse(this.pid, protocol, this.away).has(port)) return;
      await delay(20);
    }
    const why = this.exited ? `ended (status ${this.exitCode ?? this.exitSignal})` : 'does not';
    throw new Error(`${this.name}: should listen on ${protocol} port ${port}, ${why}`);
  }

  /** Sends a signal to the process alone. */
  kill(signal) {
    this.child.kill(signal);
  }

  /** Asks the process and its children to end, then ends them. */
  async stop(signal = 'SIGTERM', timeoutMs = 3_000) {
    if (this.exited) return;
    this.#signal(signal);
    const inTime = await Promise.race([
      this.whenExited.then(() => true),
      delay(timeoutMs, false, { ref: false }),
    ]);
    if (!inTime) {
      this.#signal('SIGKILL');
      await Promise.race([this.whenExited, delay(timeoutMs, null, { ref: false })]);
    }
  }

  #signal(signal) {
    try {
      process.kill(-this.pid, signal);
    } catch {
      // The group is gone already.
    }
  }

  #changed() {
    for (const listener of [...this.listeners]) listener();
  }
}

/**
 * Starts `command` in its own process group.
 * @param {{namespace?: string, name: string, command: string, args?: string[], cwd?: string,
 *   env?: object, logFile?: string, stdio?: any}} options
 */
export function start({ namespace, name, command, args = [], cwd, env, logFile, stdio }) {
  const words = namespace
    ? ['ip', 'netns', 'exec', namespace, command, ...args]
    : [command, ...args];
  const child = spawn(words[0], words.slice(1), {
    cwd,
    env: { ...process.env, ...env },
    stdio: stdio ?? ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  return new Child(name, child, { logFile, away: namespace ? networkOf('self') : null });
}

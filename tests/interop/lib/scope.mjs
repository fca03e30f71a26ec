// One interop test: a directory of its own, clean-up in reverse order, and the output of every
// process kept only when the test fails.

import {
  createWriteStream,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { atExit } from './process.mjs';

const OUTPUT = fileURLToPath(new URL('../output/', import.meta.url));

/** Lines of each log that a failing test prints. */
const TAIL_LINES = 30;

class Scope {
  constructor(name) {
    this.directory = mkdtempSync(join(tmpdir(), `ringway-${name}-`));
    this.forget = atExit(() => this.#removeDirectory());
    this.output = join(OUTPUT, name);
    rmSync(this.output, { recursive: true, force: true });
    mkdirSync(this.output, { recursive: true });
    this.cleanups = [];
    this.failures = [];
  }

  /** Runs `action` when the test is over, last registered first. */
  defer(action) {
    this.cleanups.push(action);
  }

  /** Says at the end that something went wrong although nobody waited for it. */
  fail(error) {
    this.failures.push(error);
  }

  /** The path of a log that stays when the test fails. */
  logFile(name) {
    return join(this.output, `${name}.log`);
  }

  /** A function that appends a line to the log `name`. */
  log(name) {
    const stream = createWriteStream(this.logFile(name), { flags: 'a' });
    this.defer(() => stream.end());
    // A browser that is being closed still talks.
    return (line) => stream.writableEnded || stream.write(`${line}\n`);
  }

  async close() {
    for (const action of this.cleanups.reverse()) {
      try {
        await action();
      } catch (error) {
        this.failures.push(error);
      }
    }
    this.forget();
    this.#removeDirectory();
  }

  // What was just told to end may still write there.
  #removeDirectory() {
    rmSync(this.directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }

  tails() {
    return readdirSync(this.output)
      .filter((file) => file.endsWith('.log'))
      .flatMap((file) => {
        const lines = readFileSync(join(this.output, file), 'utf8').trimEnd().split(/\r?\n/);
        return [`--- ${file}`, ...lines.slice(-TAIL_LINES)];
      });
  }
}

/** Declares a test called `name` whose body gets a {@link Scope}. */
export function interop(name, body, { timeoutMs = 120_000 } = {}) {
  test(name, { timeout: timeoutMs + 20_000 }, async (t) => {
    const scope = new Scope(name);
    let timer;
    const late = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Error(`not done in ${timeoutMs} ms`)), timeoutMs);
    });
    try {
      await Promise.race([body(scope, t), late]);
    } catch (error) {
      scope.failures.unshift(error);
    } finally {
      clearTimeout(timer);
      await scope.close();
    }
    if (scope.failures.length > 0) {
      for (const line of scope.tails()) t.diagnostic(line);
      throw scope.failures[0];
    }
    rmSync(scope.output, { recursive: true, force: true });
  });
}

/** Asks `condition` until it gives something truthy, and returns that. */
export async function eventually(what, condition, { timeoutMs = 10_000, everyMs = 100 } = {}) {
  const end = Date.now() + timeoutMs;
  let last;
  for (;;) {
    last = await condition();
    if (last) return last;
    if (Date.now() > end) throw new Error(`${what}: not within ${timeoutMs} ms (last: ${last})`);
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}

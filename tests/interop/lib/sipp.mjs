// Endpoints of the carrier that do one thing: a SIPp with one of the scenarios/.

import { fileURLToPath } from 'node:url';
import { ENDPOINTS } from './kamailio.mjs';
import { ADDRESS } from './namespaces.mjs';
import { start } from './process.mjs';

/**
 * Starts the scenario for one call: behind the carrier's proxy as `number`, or by itself at `port`.
 * `finished()` resolves when it went as written.
 */
export async function sipp(scope, namespace, scenario, options = {}) {
  const { number = 3000, port = ENDPOINTS[number], transport = 'udp', args = [] } = options;
  const file = fileURLToPath(new URL(`../scenarios/${scenario}.xml`, import.meta.url));
  const child = start({
    namespace,
    name: `sipp-${scenario}`,
    command: 'sipp',
    args: [
      '-sf',
      file,
      '-i',
      ADDRESS.carrier,
      '-p',
      String(port),
      '-t',
      transport === 'tcp' ? 't1' : 'u1',
      '-m',
      '1',
      '-nostdin',
      '-trace_err',
      '-error_file',
      scope.logFile(`sipp-${scenario}-errors`),
      '-trace_msg',
      '-message_file',
      scope.logFile(`sipp-${scenario}-messages`),
      ...args,
    ],
    cwd: scope.directory,
    env: { TERM: 'dumb' },
    logFile: scope.logFile(`sipp-${scenario}`),
  });
  scope.defer(() => child.stop('SIGKILL'));
  await child.waitForPort(transport, port);
  return {
    child,
    async finished(timeoutMs = 15_000) {
      await child.waitUntil(() => child.exited, timeoutMs, `the end of ${scenario}`);
      if (child.exitCode !== 0) {
        throw new Error(`sipp ${scenario}: exit status ${child.exitCode}`);
      }
    },
  };
}

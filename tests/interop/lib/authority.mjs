// Certificate authorities of a test, and what they sign (RFC 5280): P-256, for two days.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from './process.mjs';

/**
 * Makes an authority. Returns `{ certificate, sign(subject) }`: the path of its PEM file, and what
 * makes a certificate for a host name or, as `IP:192.0.2.1`, an address: paths too, as
 * `{ certificate, privateKey }`.
 */
export function authority(scope, name) {
  const path = (file) => join(scope.directory, `${name}-${file}`);
  const settings = path('openssl.cnf');
  // The extensions are those given here; OpenSSL's own file would add more.
  writeFileSync(settings, '[req]\ndistinguished_name = name\n[name]\n');
  const make = (role, extensions, signer = []) => {
    const files = { certificate: path(`${role}.pem`), privateKey: path(`${role}.key`) };
    run(
      'openssl',
      ...['req', '-x509', '-config', settings, '-days', '2', '-subj', `/CN=${name} ${role}`],
      ...['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'],
      ...['-keyout', files.privateKey, '-out', files.certificate],
      ...extensions.flatMap((extension) => ['-addext', extension]),
      ...signer,
    );
    return files;
  };
  const root = make('root', ['basicConstraints=critical,CA:TRUE', 'keyUsage=critical,keyCertSign']);
  let signed = 0;
  return {
    certificate: root.certificate,
    sign(subject) {
      signed += 1;
      const alternative = subject.startsWith('IP:') ? subject : `DNS:${subject}`;
      const extensions = ['basicConstraints=critical,CA:FALSE', `subjectAltName=${alternative}`];
      return make(`signed-${signed}`, extensions, [
        ...['-CA', root.certificate],
        ...['-CAkey', root.privateKey],
      ]);
    },
  };
}

// Bundles the phone: `node build.js [--output DIRECTORY]`, `dist` beside this file by default.

import { build } from 'esbuild';
import { copyFile, mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const root = fileURLToPath(new URL('.', import.meta.url));
const { values } = parseArgs({ options: { output: { type: 'string', default: join(root, 'dist') } } });
const output = values.output;

/** The licences of everything that ends up in the bundle, as those licences demand. */
async function licences(inputs) {
  const packages = new Set();
  for (const input of Object.keys(inputs)) {
    const name = /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(input)?.[1];
    if (name) packages.add(name);
  }
  const texts = [];
  for (const name of [...packages].sort()) {
    const folder = join(root, 'node_modules', name);
    const { version, license } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'));
    const file = (await readdir(folder)).find((entry) => /^licen[cs]e/i.test(entry));
    const text = file ? await readFile(join(folder, file), 'utf8') : `Licence: ${license}\n`;
    texts.push(`${name} ${version}\n\n${text.trim()}\n`);
  }
  return texts.join(`\n${'-'.repeat(72)}\n\n`);
}

await rm(output, { recursive: true, force: true });
await mkdir(output, { recursive: true });
const { metafile } = await build({
  absWorkingDir: root,
  entryPoints: { phone: 'src/main.js' },
  outdir: output,
  bundle: true,
  minify: true,
  format: 'esm',
  target: ['chrome100', 'firefox102', 'safari15'],
  legalComments: 'none',
  metafile: true,
});
await build({
  absWorkingDir: root,
  entryPoints: { phone: 'src/phone.css' },
  outdir: output,
  bundle: true,
  minify: true,
});
for (const file of ['index.html', 'icon.svg', 'icon-ringing.svg']) {
  await copyFile(join(root, 'src', file), join(output, file));
}
await writeFile(join(output, 'licences.txt'), await licences(metafile.inputs));

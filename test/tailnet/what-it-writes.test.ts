import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { REFUSALS } from '../../src/tailnet/admission/refusals.ts';
import {
  KERNEL_SETTINGS,
  OWN_PATHS,
  SHARED_PATHS,
  UNTIL_RESTART,
} from '../../src/tailnet/admission/what-it-writes.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const read = (path: string) => readFileSync(join(root, path), 'utf8');
const found = (text: string, pattern: RegExp) => [...text.matchAll(pattern)].map((match) => match[1]!);

it('every path that the roles of an agent write is known', () => {
  const tasks = globSync('ansible/roles/{base,tailnet,hardening,agent}/{tasks,vars,handlers}/*.yml', {
    cwd: root,
  }).map(read);
  const written = tasks.flatMap((text) =>
    found(text, /(?:\b(?:path|dest|pending)|_(?:folder|pending)): "\/([^"]+)"/g),
  );
  const unit = found(read('ansible/roles/agent/templates/agent.service.j2'), /^StateDirectory=(.+)$/gm);
  const paths = [...written, ...unit.map((name) => `var/lib/${name}`)];
  expect(paths.length).toBeGreaterThan(20);
  const known = [...OWN_PATHS, ...SHARED_PATHS];
  const isKnown = (path: string) => known.some((one) => path === one || path.startsWith(`${one}/`));
  expect(paths.filter((path) => !isKnown(path))).toEqual([]);
  // Nothing is refused or kept that no role writes.
  const isWritten = (one: string) => paths.some((path) => path === one || path.startsWith(`${one}/`));
  expect(known.filter((one) => !isWritten(one))).toEqual([]);
});

it('every setting of the kernel that a role makes is kept, in the same order', () => {
  const settings = found(read('ansible/roles/hardening/templates/sysctl.conf.j2'), /^([a-z].*?) = /gm);
  expect(KERNEL_SETTINGS).toEqual(settings);
  expect(settings).toEqual(expect.arrayContaining([...UNTIL_RESTART]));
});

it('every word by which the script refuses has a sentence, and the other way round', () => {
  const words = found(read('src/tailnet/admission/admit.sh'), /\brefuse ([a-z]+)/g);
  const sentences = [...REFUSALS.keys()].filter((line) => !line.includes(' path '));
  expect(new Set(words.map((word) => `refused: ${word}`))).toEqual(new Set(sentences));
});

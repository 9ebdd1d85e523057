import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { PATIENT } from './support/patience.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const text = (file: string) => readFileSync(join(root, file), 'utf8');
const filesBelow = (folder: string) =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map((name) => join(folder, name));

const PAGES = [
  'README.md',
  'CHANGELOG.md',
  'ansible/README.md',
  ...filesBelow('docs').filter((file) => file.endsWith('.md')),
];
const CODE = ['src', 'client', 'sandbox', 'stacks', 'tools', 'ansible', '.github']
  .flatMap(filesBelow)
  .filter((file) => /\.(ts|mjs|js|py|yml|sh)$/.test(file))
  .map(text)
  .join('\n');

/** What a page says of the code that is not so, each with its page. */
const wrong = (found: (page: string) => string[]) =>
  PAGES.flatMap((page) => found(page).map((what) => `${page}: ${what}`));
const matches = (source: string, pattern: RegExp) => [...source.matchAll(pattern)].map(([, one]) => one!);
const unknownPaths = (source: string) =>
  matches(source, /`((?:src|sandbox|stacks|tools|test|ansible|docs|\.github)\/[^`\s*<>…]*)`/g).filter(
    (path) => !existsSync(join(root, path)),
  );
/** Names in the form of our functions; one that is another program's stands in the list. */
const FOREIGN = ['allowScripts', 'installPlugin', 'ignoreChanges', 'tagOwners'];
const unknownNames = (source: string) =>
  matches(source, /`([a-z]+[A-Z]\w*)(?:\([^)]*\))?`/g).filter(
    (name) => !FOREIGN.includes(name) && !new RegExp(`\\b${name}\\b`).test(CODE),
  );

function headings(page: string): string[] {
  return matches(text(page), /^#+ (.+)$/gm).map((heading) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}_\- ]/gu, '')
      .replaceAll(' ', '-'),
  );
}

function deadLinks(page: string): string[] {
  return matches(text(page), /\]\(([^)\s]+)\)/g).filter((link) => {
    if (/^https?:/.test(link)) return false;
    const [path = '', anchor] = link.split('#');
    const target = path === '' ? page : normalize(join(dirname(page), path));
    if (!existsSync(join(root, target))) return true;
    return anchor !== undefined && target.endsWith('.md') && !headings(target).includes(anchor);
  });
}

test('every path that a page names is there', PATIENT, () => {
  expect(wrong((page) => unknownPaths(text(page)))).toEqual([]);
  expect(unknownPaths('see `src/nowhere.ts`')).toEqual(['src/nowhere.ts']);
});

test('every function that a page names is there', PATIENT, () => {
  expect(wrong((page) => unknownNames(text(page)))).toEqual([]);
  expect(unknownNames('see `neverWritten`')).toEqual(['neverWritten']);
});

test('every link leads to a page, and to a heading of it', PATIENT, () => {
  expect(wrong(deadLinks)).toEqual([]);
});

/** Messages of other programs, and of services, that the pages explain. */
const FOREIGN_MESSAGES =
  /^(npm ci|npm run|no resource plugin|the stack is currently locked|incorrect passphrase|requested tags)/;

/** What a page says that we print: texts of several words in the first column of its tables. */
function unknownMessages(source: string): string[] {
  const cells = matches(source, /^\| ([^|]+) \|/gm).flatMap((cell) => matches(cell, /`([^`]+)`/g));
  const messages = cells.filter((text) => /\w \w/.test(text) && !FOREIGN_MESSAGES.test(text));
  const parts = messages.flatMap((text) => text.split(/ ?… ?| \/ |: $|\d+/)).map((part) => part.trim());
  return parts.filter((part) => /\w \w/.test(part) && !PLAIN_CODE.includes(part));
}
/** Our texts may be put together of several. */
const PLAIN_CODE = CODE.replace(/['`] \+\s+['`]/g, '').replaceAll('’', "'");

test('every message that a page explains is one of ours', PATIENT, () => {
  const pages = ['docs/runbook.md', 'docs/troubleshooting.md'];
  expect(pages.flatMap((page) => unknownMessages(text(page).replaceAll('’', "'")))).toEqual([]);
  expect(unknownMessages('| `Never said … by anything` | do |')).toEqual(['Never said', 'by anything']);
});

test('docs/configuration.md has every variable that the configuration reads', PATIENT, () => {
  const read = filesBelow('src/config').flatMap((file) => matches(text(file), /'([A-Z][A-Z0-9_]{2,})'/g));
  const page = text('docs/configuration.md');
  const isInternal = (name: string) => /^(AGENT_STACKS_|SIG|E[A-Z]+$)/.test(name);
  const missing = [...new Set(read)].filter((name) => !isInternal(name) && !page.includes(`\`${name}\``));
  expect(read).toContain('HCLOUD_TOKEN');
  expect(missing).toEqual([]);
});

test('docs/cli.md names the commands and scripts that there are', PATIENT, () => {
  const page = text('docs/cli.md');
  const [, operators] = /## `npm run agents`\n([\s\S]*?)\n## /.exec(page)!;
  const help = spawnSync(process.execPath, ['src/cli/agents.ts', 'help'], { cwd: root, encoding: 'utf8' });
  const commands = matches(operators!, /^\| `([a-z]+)/gm).filter((command) => command !== 'help');
  expect(commands.length).toBeGreaterThan(10);
  expect(commands.filter((command) => !help.stdout.includes(`\n  ${command} `))).toEqual([]);
  const scripts = Object.keys(JSON.parse(text('package.json')).scripts);
  expect(scripts.filter((script) => !new RegExp(`npm (run )?${script}\\b`).test(page))).toEqual([]);
});

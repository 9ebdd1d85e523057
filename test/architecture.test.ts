import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, normalize, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { PATIENT } from './support/patience.ts';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Every room, from the ground up. A file imports only from its own room and from rooms listed before it. */
const FLOORS = [
  // The generated client, which others can copy: it knows nothing of the service.
  'client',
  // Files directly in src/: errors, log, secret.
  'src',
  'src/processes',
  'src/config',
  'src/telemetry',
  'stacks',
  'src/http-client',
  'src/database',
  'src/queue',
  'src/hetzner',
  'src/tailscale',
  'src/github',
  'src/stripe',
  'src/keys',
  'src/connections',
  'src/tailnet',
  'src/pulumi',
  'src/notices',
  'src/audit',
  'src/projects',
  'src/agents',
  'src/people',
  'src/slots',
  'src/operations',
  'src/runbooks',
  'src/executors',
  'src/limits',
  'src/pool',
  'src/images',
  'src/snapshots',
  'src/canary',
  'src/billing',
  'src/rekey',
  'src/reconcile',
  'src/recovery',
  'src/backups',
  'src/http',
  'src/dashboard',
  'sandbox',
  'sandbox/host',
  'src/cli',
  'src/runner',
  'src/app',
  'src/main.ts',
];

/** Rooms with fewer permissions than their floor grants. */
const MAY_IMPORT: Record<string, string[]> = {
  client: [],
  stacks: [],
  // Reached only over HTTP, like the real clouds: it knows nothing of the service.
  sandbox: ['src', 'src/processes'],
  // Starts the sandbox with its Postgres for the service.
  'sandbox/host': [
    'src',
    'src/processes',
    'src/config',
    'src/connections',
    'src/database',
    'src/keys',
    'sandbox',
  ],
  'src/dashboard': [
    'src',
    'src/agents',
    'src/limits',
    'src/audit',
    'src/billing',
    'src/database',
    'src/http',
    'src/limits',
    'src/operations',
    'src/people',
    'src/projects',
    'src/queue',
    'src/reconcile',
  ],
};

/** What may start the sandbox; nothing else in the service may import its modules. */
const STARTS_SANDBOX = /^(sandbox\/|src\/(app|cli|runner)\/|src\/config\/builtin-providers\.ts$)/;

/**
 * What may read the environment: configuration, entry points that pass it on, and processes that only the
 * environment reaches.
 */
const READS_ENVIRONMENT = [
  /^src\/main\.ts$/,
  /^src\/app\/runner\.ts$/,
  /^src\/cli\/[\w-]+\.ts$/,
  /^sandbox\/(main|providers\/host)\.ts$/,
  /^stacks\/index\.ts$/,
];

interface Import {
  from: string;
  to: string;
}

const files = ['src', 'sandbox', 'stacks', 'client'].flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.(ts|mjs)$/.test(name))
    .map((name) => join(folder, name)),
);
const text = (file: string) => readFileSync(join(root, file), 'utf8');
/** Imports, re-exports and dynamic imports. */
const SPECIFIER = /(?:\bfrom\s+|\bimport\s+|\bimport\(\s*)'(\.{1,2}\/[^']+)'/g;

function importsIn(file: string, source: string): Import[] {
  return [...source.matchAll(SPECIFIER)].map(([, specifier]) => ({
    from: file,
    to: relative('.', normalize(join(dirname(file), specifier!))),
  }));
}
const imports = files.flatMap((file) => importsIn(file, text(file)));

function roomOf(file: string): string {
  const [top, second, ...rest] = file.split('/');
  if (file === 'src/main.ts') return file;
  if (top === 'sandbox') return second === 'host' ? 'sandbox/host' : 'sandbox';
  if (top === 'stacks' || top === 'client') return top;
  return rest.length > 0 ? `src/${second}` : 'src';
}

function isAllowed({ from, to }: Import): boolean {
  const [room, target] = [roomOf(from), roomOf(to)];
  if (room === target) return true;
  if (target.startsWith('sandbox') && !STARTS_SANDBOX.test(from)) return false;
  if (MAY_IMPORT[room] !== undefined) return MAY_IMPORT[room].includes(target);
  return FLOORS.indexOf(target) < FLOORS.indexOf(room);
}

const arrow = ({ from, to }: Import) => `${from} → ${to}`;

/** Finds files that import each other in a loop, each loop once. */
function loops(all: readonly Import[]): string[] {
  const next = Map.groupBy(all, ({ from }) => from);
  const done = new Set<string>();
  const found: string[] = [];
  const visit = (file: string, path: string[]): void => {
    const at = path.indexOf(file);
    if (at >= 0) found.push([...path.slice(at), file].join(' → '));
    if (at >= 0 || done.has(file)) return;
    for (const { to } of next.get(file) ?? []) visit(to, [...path, file]);
    done.add(file);
  };
  for (const file of next.keys()) visit(file, []);
  return found;
}

test('the imports were found, and every room has its floor', PATIENT, () => {
  expect(imports.length).toBeGreaterThan(1_500);
  expect(imports).toContainEqual({ from: 'src/operations/claims.ts', to: 'src/agents/store.ts' });
  expect([...new Set(files.map(roomOf))].sort()).toEqual([...FLOORS].sort());
});

test('imports point one way', PATIENT, () => {
  expect(imports.filter((one) => !isAllowed(one)).map(arrow)).toEqual([]);
});

test('no files import each other in a loop', PATIENT, () => {
  expect(loops(imports)).toEqual([]);
});

const PLANTED = [
  "src/http/planted.ts: import { startSandbox } from '../../sandbox/start.ts'",
  "src/http/planted.ts: import { createDashboard } from '../dashboard/router.ts'",
  "src/operations/planted.ts: import { mount } from '../http/endpoint.ts'",
  "src/operations/planted.ts: import { createStop } from '../runbooks/stop.ts'",
  "src/agents/planted.ts: import { claimNext } from '../operations/claims.ts'",
  "src/hetzner/deeper/planted.ts: import type { AgentRow } from '../../agents/store.ts'",
  "src/pulumi/engine/planted.ts: import type { OperationRow } from '../../operations/claims.ts'",
  "src/queue/planted.ts: export { retryPolicy } from '../operations/retry-policy.ts'",
  "src/reconcile/planted.ts: const late = await import('../app/worker.ts')",
  "src/processes/planted.ts: import { readConfig } from '../config/config.ts'",
  "src/executors/planted.ts: import { startSandbox } from '../../sandbox/start.ts'",
  "stacks/planted.ts: import { Secret } from '../src/secret.ts'",
  "client/planted.ts: import { Secret } from '../src/secret.ts'",
  "sandbox/stripe/planted.ts: import { createStripeClient } from '../../src/stripe/stripe.ts'",
];

test.each(PLANTED)('refuses a planted import: %s', PATIENT, (line) => {
  const [file, source] = line.split(': ', 2) as [string, string];
  const [planted] = importsIn(file, source);
  expect(planted).toBeDefined();
  expect(isAllowed(planted!)).toBe(false);
});

test('finds a planted loop', PATIENT, () => {
  const planted = [
    { from: 'a', to: 'b' },
    { from: 'b', to: 'c' },
    { from: 'c', to: 'b' },
  ];
  expect(loops(planted)).toEqual(['b → c → b']);
});

test('nothing lies loose in src', PATIENT, () => {
  const loose = files.filter((file) => /^src\/[^/]+$/.test(file));
  expect(loose.sort()).toEqual(['src/errors.ts', 'src/log.ts', 'src/main.ts', 'src/secret.ts']);
});

test('the sandbox is reached over HTTP alone: only what starts it names its modules', PATIENT, () => {
  const naming = files.filter((file) => /['"`][^'"`\s]*\/sandbox\/[\w/-]+\.ts['"`]/.test(text(file)));
  expect(naming.filter((file) => !STARTS_SANDBOX.test(file))).toEqual([]);
});

test('configuration is the only reader of the environment', PATIENT, () => {
  const readers = files.filter((file) => /\bprocess\.env\b/.test(text(file)));
  expect(readers.filter((file) => !READS_ENVIRONMENT.some((pattern) => pattern.test(file)))).toEqual([]);
});

test('the linter says the same of the environment', PATIENT, () => {
  const folder = mkdtempSync(join(tmpdir(), 'agent-stacks-lint-'));
  const planted = {
    'src/main.ts': 'export const token = process.env.TOKEN;\n',
    'src/http/environment.ts': 'export const token = process.env.TOKEN;\n',
    'sandbox/environment.ts': 'export const token = process.env.TOKEN;\n',
    'stacks/environment.ts': 'export const token = process.env.TOKEN;\n',
  };
  try {
    for (const [file, source] of Object.entries(planted)) {
      mkdirSync(dirname(join(folder, file)), { recursive: true });
      writeFileSync(join(folder, file), source);
    }
    copyFileSync(join(root, 'biome.json'), join(folder, 'biome.json'));
    const { stdout } = spawnSync(
      join(root, 'node_modules/.bin/biome'),
      ['lint', '--vcs-enabled=false', '--reporter=github', '--max-diagnostics=none'],
      { cwd: folder, encoding: 'utf8' },
    );
    const refused = [...stdout.matchAll(/title=lint\/style\/noProcessEnv,file=([^,]+),/g)].map(([, file]) =>
      file!.replace(/^.*agent-stacks-lint-\w+\//, ''),
    );
    expect(refused.sort()).toEqual([
      'sandbox/environment.ts',
      'src/http/environment.ts',
      'stacks/environment.ts',
    ]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test(
  'whatever is printed goes through one function, which leaves nothing that a terminal obeys',
  PATIENT,
  () => {
    const tools = readdirSync(join(root, 'tools'), { recursive: true, encoding: 'utf8' })
      .filter((name) => /\.mjs$/.test(name))
      .map((name) => join('tools', name));
    const printing = [...files, ...tools].filter((file) =>
      /\bconsole\.\w+\(|\bprocess\.std(?:out|err)\.write\(/.test(text(file)),
    );
    // The launcher reads the output of the sandbox's process and prints it.
    const own = printing.filter((file) => !file.startsWith('sandbox/'));
    expect(own).toEqual(['src/processes/terminal-text.mjs']);
    expect(text('sandbox/host/process.ts')).toContain("stdio: ['ignore', 'ignore', 'pipe', 'ipc']");
  },
);

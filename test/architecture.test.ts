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

const root = fileURLToPath(new URL('..', import.meta.url));

/**
 * What each folder may import, itself aside. Dependencies point one way: http, cli, queue → operations → agents, executors, billing →
 * clients. Files directly in src/ put the parts together (or are as small as errors.ts) and are not bound.
 */
const MAY_IMPORT: Record<string, string[]> = {
  stacks: [],
  sandbox: [],
  clients: [],
  database: ['agents', 'operations', 'reconcile'],
  queue: ['database'],
  agents: ['database'],
  executors: ['agents', 'clients', 'operations', 'stacks'],
  operations: ['agents', 'clients', 'database', 'executors', 'queue', 'stacks'],
  billing: ['agents', 'clients', 'database', 'operations', 'queue'],
  reconcile: ['agents', 'clients', 'database', 'operations', 'queue', 'stacks'],
  http: ['agents', 'billing', 'dashboard', 'database', 'operations', 'queue', 'reconcile'],
  dashboard: ['agents', 'billing', 'database', 'http', 'operations', 'queue', 'reconcile'],
  terminal: ['agents', 'clients', 'database', 'operations'],
  launch: ['database', 'sandbox'],
  cli: ['agents', 'clients', 'database', 'executors', 'http', 'launch', 'operations', 'stacks'],
};

/** Within a folder's permission, files that may be imported from there and no others. */
const ONLY: Record<string, RegExp> = {
  // The tables' columns have the types of states and kinds.
  'database agents': /^src\/agents\/states\.ts$/,
  'database operations': /^src\/operations\/states\.ts$/,
  // A runner is told for what and for how long it works.
  'executors operations': /^src\/operations\/(lease|run)\.ts$/,
  // The process is started by its path; the words of its channel are shared.
  'launch sandbox': /^src\/sandbox\/(main|tokens|settings)\.ts$/,
};

/** Who reads the environment: configuration, entry points that hand it on, and processes that only the environment reaches. */
const READS_ENVIRONMENT = [
  /^src\/config\.ts$/,
  /^src\/main\.ts$/,
  /^src\/cli\/[\w-]+\.ts$/,
  /^src\/sandbox\/(main|providers\/host)\.ts$/,
  /^stacks\/index\.ts$/,
];

interface Import {
  from: string;
  to: string;
}

const files = ['src', 'stacks'].flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.(ts|mjs)$/.test(name))
    .map((name) => join(folder, name)),
);
const text = (file: string) => readFileSync(join(root, file), 'utf8');
/** Imports, exports from elsewhere, and imports at run time. */
const SPECIFIER = /(?:\bfrom\s+|\bimport\s+|\bimport\(\s*)'(\.{1,2}\/[^']+)'/g;
const imports: Import[] = files.flatMap((file) =>
  [...text(file).matchAll(SPECIFIER)].map(([, specifier]) => ({
    from: file,
    to: relative('.', normalize(join(dirname(file), specifier!))),
  })),
);

function folderOf(file: string): string | undefined {
  if (file.startsWith('stacks/')) return 'stacks';
  const [, folder, ...rest] = file.split('/');
  return rest.length > 0 ? folder : undefined;
}

test('the imports were found', () => {
  expect(imports.length).toBeGreaterThan(500);
  expect(imports).toContainEqual({ from: 'src/operations/claims.ts', to: 'src/agents/store.ts' });
});

test('every folder says what it may import', () => {
  const folders = new Set(files.flatMap((file) => folderOf(file) ?? []));
  expect(Object.keys(MAY_IMPORT)).toEqual(expect.arrayContaining([...folders]));
});

test('dependencies point one way', () => {
  const wrong = imports.filter(({ from, to }) => {
    const [folder, target] = [folderOf(from), folderOf(to)];
    if (folder === undefined || target === undefined || folder === target) return false;
    return !MAY_IMPORT[folder]?.includes(target) || ONLY[`${folder} ${target}`]?.test(to) === false;
  });
  expect(wrong.map(({ from, to }) => `${from} → ${to}`)).toEqual([]);
});

test('stacks and the sandbox know nothing of the rest of src', () => {
  const wrong = imports.filter(
    ({ from, to }) =>
      (from.startsWith('stacks/') && !to.startsWith('stacks/')) ||
      (from.startsWith('sandbox/') && !to.startsWith('sandbox/')),
  );
  expect(wrong).toEqual([]);
});

test('the sandbox is reached over HTTP alone: only the launcher names its modules', () => {
  const naming = files.filter(
    (file) =>
      !file.startsWith('sandbox/') && /['"`][^'"`\s]*\/sandbox\/[\w/-]+\.ts['"`]/.test(text(file)),
  );
  expect(naming.filter((file) => !file.startsWith('sandbox/host/'))).toEqual([]);
  expect(imports.filter(({ to }) => to.startsWith('sandbox/')).map(({ from }) => folderOf(from))).toEqual(
    expect.not.arrayContaining(['http', 'cli', 'operations', 'executors', 'clients', 'terminal']),
  );
});

test('configuration is the only reader of the environment', () => {
  const readers = files.filter((file) => /\bprocess\.env\b/.test(text(file)));
  expect(readers.filter((file) => !READS_ENVIRONMENT.some((pattern) => pattern.test(file)))).toEqual([]);
});

test('whatever is printed goes through one function, which leaves nothing that a terminal obeys', () => {
  const scripts = readdirSync(join(root, 'scripts'), { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.mjs$/.test(name))
    .map((name) => join('scripts', name));
  const printing = [...files, ...scripts].filter((file) =>
    /\bconsole\.\w+\(|\bprocess\.std(?:out|err)\.write\(/.test(text(file)),
  );
  // The launcher reads and prints what the sandbox's process complains of.
  const own = printing.filter((file) => !file.startsWith('sandbox/'));
  expect(own).toEqual(['src/processes/terminal-text.mjs']);
  expect(text('sandbox/host/process.ts')).toContain("stdio: ['ignore', 'ignore', 'pipe', 'ipc']");
});

const PLANTED = {
  'src/http/planted.ts': "import { startSandbox } from '../sandbox/start.ts';\nstartSandbox();\n",
  'src/operations/planted.ts': "import { createApp } from '../http/app.ts';\ncreateApp();\n",
  'src/agents/planted.ts': "import { claimNext } from '../operations/claims.ts';\nclaimNext();\n",
  'src/clients/new/planted.ts':
    "import type { AgentRow } from '../../agents/store.ts';\nexport type New = AgentRow;\n",
  'src/pulumi/engine/planted.ts': "import { decide } from '../../operations/decide.ts';\ndecide();\n",
  'src/queue/planted.ts': "import { decide } from '../operations/decide.ts';\ndecide();\n",
  'src/cli/planted.ts': "import { startSandbox } from '../sandbox/start.ts';\nstartSandbox();\n",
  'stacks/planted.ts': "import { Secret } from '../src/secret.ts';\nnew Secret('');\n",
  'src/http/environment.ts': 'export const token = process.env.TOKEN;\n',
  'stacks/environment.ts': 'export const token = process.env.TOKEN;\n',
};

test('the linter says the same: it refuses wrong imports and readers of the environment', () => {
  const folder = mkdtempSync(join(tmpdir(), 'agent-stacks-lint-'));
  try {
    const allowed = {
      'src/config/config.ts': 'export const token = process.env.TOKEN;\n',
      'src/pulumi/engine/allowed.ts':
        "import type { Lease } from '../../operations/lease.ts';\nexport type L = Lease;\n",
      'src/http/agents/allowed.ts': "import { decide } from '../../operations/decide.ts';\ndecide();\n",
    };
    for (const [file, source] of Object.entries({ ...PLANTED, ...allowed })) {
      mkdirSync(dirname(join(folder, file)), { recursive: true });
      writeFileSync(join(folder, file), source);
    }
    copyFileSync(join(root, 'biome.json'), join(folder, 'biome.json'));
    const { stdout } = spawnSync(
      join(root, 'node_modules/.bin/biome'),
      ['lint', '--vcs-enabled=false', '--reporter=github', '--max-diagnostics=none'],
      { cwd: folder, encoding: 'utf8' },
    );
    const refused = [...stdout.matchAll(/title=lint\/style\/(\w+),file=([^,]+),/g)].map(([, rule, file]) => [
      file!.replace(/^.*agent-stacks-lint-\w+\//, ''),
      rule,
    ]);
    const expected = Object.keys(PLANTED).map((file) => [
      file,
      file.endsWith('environment.ts') ? 'noProcessEnv' : 'noRestrictedImports',
    ]);
    expect(refused.sort()).toEqual(expected.sort());
  } finally {
    rmSync(folder, { recursive: true });
  }
});

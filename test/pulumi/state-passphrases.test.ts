import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createPool } from '../../src/database/connect.ts';
import { deriveKeyset } from '../../src/keys/keyset.ts';
import { createStatePassphrases, type StatePassphrases } from '../../src/pulumi/state-passphrases.ts';
import { Secret } from '../../src/secret.ts';
import { runToEnd } from '../support/commands.ts';
import { createDatabase, type TestDatabase } from '../support/postgres.ts';

const pulumi = process.env.AGENT_STACKS_PULUMI || undefined;
const why = pulumi === undefined ? ' (no Pulumi CLI: run the tests with npm test)' : '';
const SECRET = 'a secret of the state';
const LIMIT_MS = 240_000;
const one = deriveKeyset(new Secret('the first passphrase'));
const other = deriveKeyset(new Secret('the second passphrase'));

let folder: string;
let database: TestDatabase;
let pool: pg.Pool;
let states: StatePassphrases;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'state-passphrases-'));
  writeFileSync(join(folder, 'Pulumi.yaml'), 'name: agents\nruntime: nodejs\n');
  database = await createDatabase();
  pool = createPool(new Secret(database.url), 3, 'passphrases test');
  const name = new URL(database.url).pathname.slice(1);
  states = createStatePassphrases(pool, { database: name, project: 'agents' });
});
afterAll(async () => {
  await pool.end();
  await database.drop();
  rmSync(folder, { recursive: true });
});

async function cli(args: string[], { passphrase }: { passphrase: Secret }): Promise<string> {
  const env = {
    PATH: process.env.PATH ?? '',
    PULUMI_BACKEND_URL: `${database.url}?sslmode=disable`,
    PULUMI_HOME: join(folder, 'home'),
    PULUMI_CONFIG_PASSPHRASE: passphrase.reveal(),
    PULUMI_SKIP_UPDATE_CHECK: 'true',
    PULUMI_FALLBACK_TO_STATE_SECRETS_MANAGER: '1',
  };
  const { code, stdout, stderr } = await runToEnd(pulumi!, [...args, '--non-interactive'], {
    cwd: folder,
    env,
  });
  // Without this file the CLI must find everything in the state.
  rmSync(join(folder, 'Pulumi.agent-a1.yaml'), { force: true });
  if (code !== 0) throw new Error(stderr);
  return stdout;
}

/** A stack with a secret among its outputs, and an update in its history. */
async function createStack(): Promise<void> {
  await cli(['stack', 'init', 'agent-a1', '--no-select'], one);
  const exported = JSON.parse(await cli(['stack', 'export', '-s', 'agent-a1'], one)) as {
    deployment: { secrets_providers?: unknown; manifest: object; resources?: object[] };
  };
  const type = 'pulumi:pulumi:Stack';
  const secret = {
    '4dabf18193072939515e22adb298388d': '1b47061264138c4ac30d75fd1eb44270',
    plaintext: `"${SECRET}"`,
  };
  const urn = `urn:pulumi:agent-a1::agents::${type}::agents-agent-a1`;
  exported.deployment.resources = [{ urn, custom: false, type, outputs: { secret } }];
  writeFileSync(join(folder, 'deployment.json'), JSON.stringify(exported));
  await cli(['stack', 'import', '-s', 'agent-a1', '--file', 'deployment.json'], one);
  rmSync(join(folder, 'deployment.json'));
  const { rows } = await pool.query<{ key: string }>(
    "select key from pulumi_state where key like '%/stacks/agents/agent-a1.json'",
  );
  const copy = rows[0]!.key.replace('/stacks/', '/history/').replace('.json', '/agent-a1-1.checkpoint.json');
  await pool.query('insert into pulumi_state (key, data) select $1, data from pulumi_state where key = $2', [
    copy,
    rows[0]!.key,
  ]);
}

const everything = async () =>
  (await pool.query<{ data: string }>("select data->>'data' as data from pulumi_state")).rows
    .map(({ data }) => Buffer.from(data, 'base64').toString())
    .join('\n');

test.skipIf(pulumi === undefined)(
  `a stack moves with its history: Pulumi itself opens it with the new passphrase alone${why}`,
  async () => {
    expect(await states.listUnder(one)).toEqual([]);
    await createStack();
    expect(await states.find('agent-a1', [other, one])).toBe(one);
    expect(await states.listUnder(one)).toEqual(['agent-a1']);
    expect(await states.isLocked('agent-a1')).toBe(false);
    expect(await states.move('agent-a1', one, other)).toBeGreaterThanOrEqual(2);
    expect(await states.find('agent-a1', [one])).toBeUndefined();
    expect(await states.listUnder(one)).toEqual([]);
    expect(await everything()).not.toContain(SECRET);
    const shown = ['stack', 'export', '--show-secrets', '-s', 'agent-a1'];
    expect(await cli(shown, other)).toContain(SECRET);
    await expect(cli(shown, one)).rejects.toThrow(/passphrase/);
    expect(await states.move('agent-a1', one, other)).toBe(0);
    await cli(['stack', 'rm', '--force', '--yes', '-s', 'agent-a1'], other);
  },
  LIMIT_MS,
);

import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished } from 'vitest';
import { locateOnHost } from '../../src/tailnet/tailscaled-location.ts';
import type { DoctorFixture } from './doctor-fixture.ts';
import { hasPgbouncer, startPgbouncer } from './pgbouncer.ts';
import { createDatabase, execute } from './postgres.ts';

/** The planted faults: what is wrong, which check names it, and in which words. */
export interface Planted {
  fault: string;
  check: string;
  says: RegExp;
  /** @returns the variables that the doctor gets */
  plant(at: DoctorFixture): Promise<Record<string, string>>;
  /** Why it cannot be planted on this machine. */
  unless?: () => string | undefined;
}

function makeFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'agent-stacks-planted-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** What can be wrong on this host, with the database, and with the settings. */
export const HOST_FAULTS: readonly Planted[] = [
  {
    fault: 'plugin missing',
    check: 'plugins',
    says: /plugins are missing: hcloud .*, tailscale .*, command /,
    plant: async () => ({ PROVIDERS: 'official', PULUMI_HOME: makeFolder() }),
  },
  {
    fault: 'wrong version',
    check: 'tools',
    says: /version 3\.100\.0, and 3\.\d+\.\d+ is needed/,
    plant: async () => {
      const program = join(makeFolder(), 'pulumi');
      writeFileSync(program, '#!/bin/sh\necho v3.100.0\n');
      chmodSync(program, 0o755);
      return { AGENT_STACKS_PULUMI: program };
    },
  },
  {
    fault: 'clock off by ten minutes',
    check: 'clock',
    says: /is (59\d|60\d) s behind/,
    plant: async (at) => {
      at.proxy.skewSeconds = 600;
      onTestFinished(() => {
        at.proxy.skewSeconds = 0;
      });
      return {};
    },
  },
  {
    fault: 'database without CREATEROLE',
    check: 'database-privileges',
    says: /has no CREATEROLE/,
    plant: async (at) => {
      const url = new URL(at.environment.DATABASE_URL!);
      const admin = decodeURIComponent(url.username);
      url.username = `plain-${process.pid}`;
      url.password = 'plain';
      await execute(at.environment.DATABASE_URL!, `create role "${url.username}" login password 'plain'`);
      await execute(at.environment.DATABASE_URL!, `grant "${admin}" to "${url.username}"`);
      onTestFinished(() => execute(at.environment.DATABASE_URL!, `drop role "${url.username}"`));
      return { DATABASE_URL: url.href };
    },
  },
  {
    fault: 'transaction pooler',
    check: 'pooler',
    says: /pooler in transaction mode/,
    unless: () => (hasPgbouncer() ? undefined : 'no PgBouncer here'),
    plant: async (at) => {
      const session = await startPgbouncer(at.environment.DATABASE_URL!, 'session');
      onTestFinished(session.stop);
      expect(await at.diagnose({ DATABASE_URL: session.url })).toEqual({});
      const bouncer = await startPgbouncer(at.environment.DATABASE_URL!, 'transaction');
      onTestFinished(bouncer.stop);
      return { DATABASE_URL: bouncer.url };
    },
  },
  {
    fault: '_ in the name of the state’s database',
    check: 'state-name',
    says: /agents_state, has a “_”/,
    plant: async () => ({ PULUMI_BACKEND_URL: 'postgres://127.0.0.1:1/agents_state' }),
  },
  {
    fault: 'key service of the state away',
    check: 'state-key',
    says: /cannot be used: .*connection refused/,
    unless: () => (process.env.AGENT_STACKS_PULUMI ? undefined : 'the Pulumi CLI is not set up'),
    plant: async () => ({
      PULUMI_SECRETS_PROVIDER: 'awskms://k?region=eu-central-1&endpoint=http://127.0.0.1:1',
      AWS_ACCESS_KEY_ID: 'test',
      AWS_SECRET_ACCESS_KEY: 'test',
    }),
  },
  {
    fault: 'passphrase of another installation',
    check: 'passphrase',
    says: /sealed with another PULUMI_CONFIG_PASSPHRASE/,
    plant: async () => ({ PULUMI_CONFIG_PASSPHRASE: 'of another installation' }),
  },
  {
    fault: 'disk nearly full',
    check: 'disk',
    says: /Only \d MB are left/,
    unless: () => (process.getuid?.() === 0 ? undefined : 'only root can mount a small disk'),
    plant: async () => {
      const folder = makeFolder();
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'none', folder]);
      onTestFinished(() => void execFileSync('umount', [folder]));
      return { DATA_DIR: folder };
    },
  },
  {
    fault: 'backup too old',
    check: 'backup',
    says: /7\d hours old, more than 24/,
    plant: async () => {
      const BACKUP_RECORD = join(makeFolder(), 'newest.json');
      const finishedAt = new Date(Date.now() - 72 * 3_600_000).toISOString();
      writeFileSync(BACKUP_RECORD, JSON.stringify({ finishedAt }));
      return { BACKUP_RECORD, BACKUP_MAX_AGE: '24h' };
    },
  },
  {
    fault: 'host not on the tailnet',
    check: 'tailnet',
    says: /cannot reach the tailnet/,
    unless: () =>
      locateOnHost('', undefined) === undefined ? undefined : 'a tailscaled is installed on this machine',
    // Addresses that do not look like a sandbox’s: agents are reached as in live mode.
    plant: async (at) => {
      // The other database belongs to the addresses as they were.
      const fresh = await createDatabase('service');
      onTestFinished(fresh.drop);
      return {
        DATABASE_URL: fresh.url,
        PATH: '/bin:/usr/bin',
        STRIPE_API_URL: '',
        HCLOUD_ENDPOINT: `${at.proxy.url}/hetzner/v1/.`,
        TAILSCALE_BASE_URL: `${at.proxy.url}/tailscale/.`,
      };
    },
  },
];

import { chmodSync, copyFileSync, globSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createEnginePool, type EnginePool } from '../../../src/pulumi/engine/engine-pool.ts';

let folder: string;
let pool: EnginePool;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'agent-stacks-compiled-'));
  mkdirSync(join(folder, 'bin'));
  const cli = join(folder, 'bin', 'pulumi');
  copyFileSync(fileURLToPath(new URL('processes/pulumi', import.meta.url)), cli);
  chmodSync(cli, 0o755);
  pool = createEnginePool({
    settings: { pulumi: cli, workDir: join(folder, 'runs') },
    environment: { PATH: process.env.PATH!, HOME: folder, NODE_COMPILE_CACHE: join(folder, 'compiled') },
    processTags: {},
    idle: 1,
  });
});
afterEach(async () => {
  await pool.stop();
  rmSync(folder, { recursive: true });
});

test('an engine process caches its compiled code while it lives, because it never exits by itself', async () => {
  const entries = () => globSync(join(folder, 'compiled', '*', '*')).length;
  // The SDK alone has hundreds of modules.
  await expect.poll(entries, { timeout: 60_000, interval: 200 }).toBeGreaterThan(100);
});

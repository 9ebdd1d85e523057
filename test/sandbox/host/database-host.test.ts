import { mkdtempSync, realpathSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { claimDatabase } from '../../../sandbox/host/database-host.ts';
import { claimFolder } from '../../../src/processes/claims.mjs';
import { createDatabase } from '../../support/postgres.ts';

it('a DATA_DIR recorded by another path is the same one', async () => {
  const database = await createDatabase();
  onTestFinished(() => database.drop());
  const dataDir = realpathSync(mkdtempSync(join(tmpdir(), 'agent-stacks-host-')));
  const link = `${dataDir}-link`;
  symlinkSync(dataDir, link);
  onTestFinished(() => {
    rmSync(link);
    rmSync(dataDir, { recursive: true });
  });
  const accounts = { sandbox: 'x' };
  // An earlier version recorded the path as given.
  expect(await claimDatabase(database.url, { dataDir: link, accounts })).toBe(link);
  // This process holds the folder, as a starting host does.
  claimFolder(join(dataDir, 'host'));
  expect(await claimDatabase(database.url, { dataDir, accounts })).toBe(dataDir);
});

import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { createEnvironment, runToEnd } from '../support/commands.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

test('npm start names a wrong folder for temporary files together with all else that is wrong', async () => {
  // Under a file, where not even npm can make it.
  const env = createEnvironment({ MODE: 'live', PORT: 'eighty', TMPDIR: fileURLToPath(import.meta.url) });
  const { code, stderr } = await runToEnd('npm', ['start'], { cwd: ROOT, env });
  for (const name of ['TMPDIR', 'PORT', 'DATABASE_URL', 'STRIPE_SECRET_KEY'])
    expect(stderr).toMatch(new RegExp(`^ {2}- ${name} `, 'm'));
  expect(code).toBe(2);
}, 120_000);

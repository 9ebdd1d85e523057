import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { dump } from '../../../tools/faults/dump.ts';
import { Installation } from '../../../tools/faults/installation.ts';

test('an installation that never became ready is dumped too, so that its own error is seen', async () => {
  const options = { tools: {}, leaseSeconds: 10, workerConcurrency: 1 };
  const installation = await Installation.create(options);
  const folder = await dump(installation, { report: { seconds: 1 } });
  try {
    expect(readFileSync(join(folder, 'events.txt'), 'utf8')).toContain('never ready');
    expect(existsSync(join(folder, 'report.json'))).toBe(true);
  } finally {
    rmSync(folder, { recursive: true });
    await installation.remove();
  }
});

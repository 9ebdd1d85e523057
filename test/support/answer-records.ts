import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { inject } from 'vitest';

/**
 * Checks, before an installation stops, that every answer of its sandbox's Hetzner API matched the official
 * document. Keeps the count for the test run's summary.
 * @throws Error that shows the answers that did not
 */
export async function recordAnswers(sandboxUrl: string, dataDir: string): Promise<void> {
  const response = await fetch(`${sandboxUrl}/sandbox/hetzner/violations`);
  const { checked, violations } = (await response.json()) as { checked: number; violations: unknown[] };
  // Counts continue over restarts on one DATA_DIR, so the last record has the total.
  const name = createHash('sha256').update(dataDir).digest('hex');
  await writeFile(join(inject('answerRecords'), name), JSON.stringify({ checked, violations }));
  if (violations.length > 0)
    throw new Error(
      `Answers of the sandbox's Hetzner API against the document:\n${JSON.stringify(violations, null, 2)}`,
    );
  if (checked === 0) throw new Error('No answer of the Hetzner API was checked against the document');
}

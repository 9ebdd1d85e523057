import { cpSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Installation } from './installation.ts';
import { withClient } from './snapshot.ts';

/** Saves what is needed to understand a failure, as far as there is any of it. @returns the folder. */
export async function dump(installation: Installation, parts: Record<string, unknown>): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'agent-stacks-faults-dump-'));
  for (const [name, content] of Object.entries(parts))
    writeFileSync(join(folder, `${name}.json`), JSON.stringify(content ?? null, null, 2));
  for (const [from, to] of [
    [join(installation.folder, 'logs'), 'output'],
    [join(installation.dataDir, 'logs'), 'logs'],
  ] as const) {
    mkdirSync(join(folder, to), { recursive: true });
    try {
      cpSync(from, join(folder, to), { recursive: true });
    } catch {
      // Does not exist yet.
    }
  }
  await saveEvents(installation, folder).catch((error: unknown) =>
    writeFileSync(join(folder, 'events.txt'), String(error)),
  );
  return folder;
}

/** @throws Error if the installation was never ready, or its database does not answer */
async function saveEvents({ file }: Installation, folder: string): Promise<void> {
  await withClient(file.databaseUrl, async (client) => {
    const events = await client.query(
      `select e.at, o.agent_id, o.kind, e.operation_id, e.attempt, e.sequence, e.type, e.data from operation_events e
       join operations o using (operation_id) order by e.id`,
    );
    const lines = events.rows.map(
      (row) =>
        `${row.at.toISOString()} ${row.agent_id} ${row.kind} ${row.attempt} #${row.sequence} ${row.type} ${JSON.stringify(row.data)}`,
    );
    writeFileSync(join(folder, 'events.txt'), `${lines.join('\n')}\n`);
  });
}

import { audit } from '../agents/audit.ts';
import { listBackups } from '../backups/listing.ts';
import { ConflictError } from '../errors.ts';
import { actorOf } from './actor.ts';
import { type BackupJson, backupJson, backupsJson } from './backup-json.ts';
import type { HttpDeps } from './deps.ts';
import { endpoint } from './endpoint.ts';

async function present({ database }: HttpDeps): Promise<BackupJson[]> {
  const count = (value: unknown) => (value === null ? null : Number(value));
  return (await listBackups(database)).map((row) => ({
    backupId: Number(row.backup_id),
    startedAt: row.started_at.toISOString(),
    finishedAt: row.finished_at?.toISOString() ?? null,
    location: row.location,
    bytes: count(row.bytes),
    rows: count(row.row_count),
    verifiedAt: row.verified_at?.toISOString() ?? null,
    error: row.error,
  }));
}

export const showBackups = endpoint({
  id: 'listBackups',
  method: 'get',
  path: '/api/backups',
  summary: 'The latest backups of both databases, and attempts at one, the newest first',
  access: 'viewer',
  answers: { 200: { description: 'At most a hundred', schema: backupsJson } },
  handle: async ({ response, deps }) => {
    response.json({ items: await present(deps) });
  },
});

export const createBackup = endpoint({
  id: 'createBackup',
  method: 'post',
  path: '/api/backups',
  summary: 'Make a backup of both databases now, and restore it into a scratch database',
  access: 'operator',
  answers: {
    200: { description: 'The backup', schema: backupJson },
    409: { description: 'One is being made, BACKUP_TO is not set, or it could not be made' },
  },
  handle: async ({ request, response, deps }) => {
    if (deps.makeBackup === undefined)
      throw new ConflictError('BACKUP_TO says nowhere to put a backup: see docs/configuration.md');
    const { backupId } = await deps.makeBackup();
    await deps.database
      .transaction()
      .execute((trx) =>
        audit(trx, { actor: actorOf(request, response), action: 'backup.make', details: { backupId } }),
      );
    response.json((await present(deps)).find((one) => one.backupId === backupId));
  },
});

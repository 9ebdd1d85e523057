import { z } from 'zod';

export const backupJson = z
  .object({
    backupId: z.number(),
    startedAt: z.iso.datetime(),
    finishedAt: z.iso.datetime().nullable(),
    location: z.string().nullable().meta({ description: 'Where it is; null: it is not there' }),
    bytes: z.number().nullable(),
    rows: z.number().nullable(),
    verifiedAt: z.iso
      .datetime()
      .nullable()
      .meta({ description: 'When it was restored into a scratch database and found complete' }),
    error: z.string().nullable(),
  })
  .meta({ id: 'Backup' });
export type BackupJson = z.input<typeof backupJson>;

export const backupsJson = z.object({ items: z.array(backupJson) });

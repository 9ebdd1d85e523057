import type { Database } from '../../src/database/connect.ts';
import { checkStamp } from '../../src/database/stamp.ts';

/** As a first start leaves the database that has found nothing of an earlier one at Hetzner. */
export async function stampAsNew(database: Database): Promise<void> {
  await checkStamp(database, { mode: 'sandbox', accounts: {} });
  await database.updateTable('installation').set({ recovery: 'none' }).execute();
}

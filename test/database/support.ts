import { createDatabase as createConnection, createPool, type Database } from '../../src/database/connect.ts';
import { Secret } from '../../src/secret.ts';
import { createDatabase } from '../support/postgres.ts';

/** Creates an empty database and a pool on it. */
export async function openEmpty(): Promise<{ url: string; database: Database; close(): Promise<void> }> {
  const testDatabase = await createDatabase();
  const database = createConnection(createPool(new Secret(testDatabase.url), 8, 'database test'));
  return {
    url: testDatabase.url,
    database,
    close: async () => {
      await database.destroy();
      await testDatabase.drop();
    },
  };
}

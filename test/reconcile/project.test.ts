import { beforeAll, describe, expect, it } from 'vitest';
import { createPool, createDatabase as openDatabase } from '../../src/database/connect.ts';
import { migrate } from '../../src/database/migrations.ts';
import type { HetznerClient } from '../../src/hetzner/hetzner.ts';
import { createLog } from '../../src/log.ts';
import { checkHetznerProject } from '../../src/reconcile/project.ts';
import { Secret } from '../../src/secret.ts';
import { createDatabase } from '../support/postgres.ts';

const log = createLog('/dev/null');
const cloud = (firewallId: number | undefined): Pick<HetznerClient, 'findFirewall' | 'listServers'> => ({
  findFirewall: async () =>
    firewallId === undefined ? undefined : { id: firewallId, name: 'agents-default', labels: {} },
  listServers: async () => [],
});

describe('the Hetzner project of the token', () => {
  let database: ReturnType<typeof openDatabase>;

  beforeAll(async () => {
    const made = await createDatabase();
    const pool = createPool(new Secret(made.url), 2, 'test');
    database = openDatabase(pool);
    await migrate(database);
    return async () => {
      await pool.end();
      await made.drop();
    };
  });

  it('can be any before anything was created', async () => {
    await checkHetznerProject({ database, project: 'default', hetzner: cloud(undefined), log });
  });

  it('is not judged by a missing server alone, which may have been deleted by hand', async () => {
    await database
      .insertInto('agents')
      .values({
        agent_id: 'a1',
        user_id: 'u',
        region: 'fsn1',
        location: 'fsn1',
        plan: 'starter',
        server_id: '4711',
      })
      .execute();
    await checkHetznerProject({ database, project: 'default', hetzner: cloud(undefined), log });
  });

  it('must hold the resources that the database knows', async () => {
    await database
      .insertInto('foundations')
      .values({ project: 'default', firewall_id: '7', inputs_hash: 'x' })
      .execute();
    await checkHetznerProject({ database, project: 'default', hetzner: cloud(7), log });
    await expect(
      checkHetznerProject({ database, project: 'default', hetzner: cloud(8), log }),
    ).rejects.toThrow(/another Hetzner project, or they were deleted there by hand/);
  });

  it('is judged by what is in that project, not in another', async () => {
    await checkHetznerProject({ database, project: 'us', hetzner: cloud(undefined), log });
    await database
      .insertInto('foundations')
      .values({ project: 'us', firewall_id: '70', inputs_hash: 'x' })
      .execute();
    const swapped = checkHetznerProject({ database, project: 'us', hetzner: cloud(7), log });
    await expect(swapped).rejects.toThrow(/The project of HCLOUD_TOKEN_US has neither/);
  });

  it('is not judged while Hetzner does not answer', async () => {
    const away = { ...cloud(8), listServers: async () => Promise.reject(new Error('no answer')) };
    await checkHetznerProject({ database, project: 'default', hetzner: away, log });
  });
});

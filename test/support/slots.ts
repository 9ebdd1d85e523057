import { randomBytes } from 'node:crypto';
import { sql } from 'kysely';
import { generateAgentKeys, type Vault } from '../../src/agents/secrets.ts';
import { newServerName } from '../../src/agents/server-names.ts';
import { jsonText } from '../../src/database/storable.ts';
import type { SlotRow } from '../../src/slots/slots.ts';
import type { OperationsFixture } from './operations-fixture.ts';

export const FINGERPRINT = 'a fingerprint';
let made = 0;

/** A pool that a worker keeps. */
export async function addPool(
  { database }: OperationsFixture,
  size: number,
  project = 'default',
): Promise<void> {
  const pool = { project, location: 'nbg1', plan: 'starter', size, fingerprint: FINGERPRINT };
  await database.insertInto('pools').values(pool).execute();
  await database
    .insertInto('pool_demands')
    .values({ ...pool, worker_id: 'w1' })
    .execute();
}

/** A slot that is ready, with its names and keys, as the keeper makes it. @returns its id */
export async function addSlot(
  { database }: OperationsFixture,
  vault: Vault,
  changes: Partial<Pick<SlotRow, 'fingerprint' | 'checked_at' | 'status'>> = {},
): Promise<string> {
  made += 1;
  const slotId = `slot-${randomBytes(12).toString('hex')}`;
  const keys = generateAgentKeys(slotId);
  const serverName = newServerName();
  const joinName = vault.joinName(slotId, 1);
  const inputs = {
    agentId: slotId,
    serverName,
    operationId: '00000000-0000-4000-8000-000000000001',
    project: 'default',
    location: 'nbg1',
    serverType: 'cx23',
    image: 'debian-12',
    firewallId: 77,
    sshPublicKey: keys.sshPublicKey,
    hostPublicKey: keys.hostPublicKey,
    keyGeneration: 1,
    joinName,
    healthPort: 8088,
    configurationVersion: 'v1',
    joinTimeoutSeconds: 180,
  };
  await database.insertInto('server_names').values({ name: serverName, owner_id: slotId }).execute();
  await database
    .insertInto('tailnet_join_names')
    .values({ name: joinName, agent_id: slotId, key_generation: 1 })
    .execute();
  await database
    .insertInto('slots')
    .values({
      slot_id: slotId,
      project: 'default',
      location: 'nbg1',
      plan: 'starter',
      fingerprint: FINGERPRINT,
      status: 'ready',
      inputs: jsonText(inputs),
      secrets: vault.seal(slotId, keys),
      server_id: String(70_000 + made),
      server_name: serverName,
      ipv4: '192.0.2.9',
      ipv6: '2001:db8::9',
      tailnet_ip: `100.64.${Math.floor(made / 250)}.${(made % 250) + 1}`,
      tailnet_name: `${slotId}.tail.ts.net`,
      tailnet_node_id: `n${made}CNTRL`,
      checked_at: sql<Date>`now()`,
      check_at: sql<Date>`now()`,
      ready_at: sql<Date>`clock_timestamp()`,
      ...changes,
    })
    .execute();
  return slotId;
}

export function slot({ database }: OperationsFixture, slotId: string): Promise<SlotRow> {
  return database.selectFrom('slots').selectAll().where('slot_id', '=', slotId).executeTakeFirstOrThrow();
}

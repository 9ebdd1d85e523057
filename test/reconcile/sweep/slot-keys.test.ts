import { sql } from 'kysely';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openSweepFixture, type SweepFixture } from '../../support/sweep-fixture.ts';

let fixture: SweepFixture;
beforeAll(async () => {
  fixture = await openSweepFixture();
});
afterAll(() => fixture.close());

test('what belongs to a slot that waits is no finding', async () => {
  const slotId = 'slot-0123456789abcdef01234567';
  const name = 'srv-0123456789abcdef0123';
  const serverId = await fixture.server(slotId, { name });
  await fixture.sshKey(slotId, { name });
  await fixture.tailnetKeyNamed(name);
  await sql`insert into server_names (name, owner_id) values (${name}, ${slotId})`.execute(fixture.database);
  const inputs = JSON.stringify({ serverName: name, operationId: 'earlier', keyGeneration: 1 });
  await sql`
    insert into slots (slot_id, project, location, plan, fingerprint, status, server_id, tailnet_ip, inputs, secrets, ready_at)
    values (${slotId}, 'default', 'nbg1', 'starter', 'f', 'ready', ${String(serverId)}, '100.64.0.9', ${inputs}, 'x', now())`.execute(
    fixture.database,
  );
  expect((await fixture.sweep()).findings).toEqual([]);
});

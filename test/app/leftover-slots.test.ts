import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { startRemovingSlots } from '../../src/app/leftover-slots.ts';
import { noFence } from '../../src/pulumi/fence.ts';
import { Secret } from '../../src/secret.ts';
import { type OperationsFixture, openOperations } from '../support/operations-fixture.ts';
import { createRunbookFixture } from '../support/runbook-fixture.ts';
import { addSlot, slot } from '../support/slots.ts';

let at: OperationsFixture;
beforeAll(async () => {
  at = await openOperations();
});
afterAll(() => at.close());

test('an executor that hands no slots over removes those that are left, and opens nothing for it before', async () => {
  const fixture = createRunbookFixture(at);
  const looks = vi.spyOn(at.database, 'selectFrom');
  let opened = 0;
  let closed = 0;
  const own = {
    database: at.database,
    queue: at.queue,
    log: at.log,
    workerId: 'w9',
    executor: 'github-actions' as const,
  };
  const removing = startRemovingSlots(
    own,
    async () => {
      opened += 1;
      return {
        ...own,
        parts: fixture.deps,
        fence: noFence(new Secret('postgres://state')),
        leaseSeconds: 30,
        close: async () => {
          closed += 1;
        },
      };
    },
    0.05,
  );
  await vi.waitFor(() => expect(looks).toHaveBeenCalled());
  expect(opened).toBe(0);
  const slotId = await addSlot(at, fixture.vault);
  await vi.waitFor(async () => expect((await slot(at, slotId)).status).toBe('removed'), { timeout: 20_000 });
  expect(fixture.calls).toContain('destroy agent');
  await removing.stop();
  expect([opened, closed]).toEqual([1, 1]);
});

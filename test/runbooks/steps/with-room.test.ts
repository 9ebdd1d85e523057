import { expect, test } from 'vitest';
import { LIMIT_REACHED, RetryableError, ShortageError } from '../../../src/errors.ts';
import type { Attempt } from '../../../src/operations/attempt.ts';
import type { ProjectParts, SlotParts } from '../../../src/operations/runbook-parts.ts';
import { withRoom } from '../../../src/runbooks/steps/with-room.ts';

const slots = (room: boolean) => ({ makeRoom: async () => room }) as unknown as SlotParts;
const full = new RetryableError('server_limit exceeded', { failureCode: LIMIT_REACHED });
const fail = (error: Error) => async () => {
  throw error;
};
const attempt = (kind = 'provision', serverId: string | null = null) =>
  ({ operation: { kind }, agent: { project: 'eu', server_id: serverId } }) as Attempt;

function projects(other?: string) {
  const marked: string[] = [];
  const parts: ProjectParts = {
    markFull: async ({ agent }) => void marked.push(agent.project),
    findOther: async () => other,
    move: async () => {
      throw new Error('The next attempt moves it');
    },
  };
  return { parts, marked };
}

test('in a full project the operation waits for the place of a slot', async () => {
  await expect(withRoom({ slots: slots(true) }, attempt(), fail(full))).rejects.toBeInstanceOf(ShortageError);
});

test('without a slot that could make room, and without slots at all, it fails as it is', async () => {
  await expect(withRoom({ slots: slots(false) }, attempt(), fail(full))).rejects.toBe(full);
  await expect(withRoom({}, attempt(), fail(full))).rejects.toBe(full);
});

test('no other failure costs a slot', async () => {
  const error = new RetryableError('Hetzner is away');
  await expect(withRoom({ slots: slots(true) }, attempt(), fail(error))).rejects.toBe(error);
});

test('where another project has room, the next attempt is for it', async () => {
  const { parts, marked } = projects('eu-2');
  const waiting = withRoom({ slots: slots(false), projects: parts }, attempt(), fail(full));
  await expect(waiting).rejects.toThrow(
    'project eu has as many servers as it may have; the next attempt uses eu-2',
  );
  expect(marked).toEqual(['eu']);
});

test.each([
  ['no other has room', attempt(), undefined],
  ['it has a server', attempt('provision', '4711'), 'eu-2'],
  ['a wake needs its snapshot', attempt('wake'), 'eu-2'],
])('it stays in its project where %s', async (_, work, other) => {
  const { parts } = projects(other);
  await expect(withRoom({ projects: parts }, work, fail(full))).rejects.toBe(full);
});

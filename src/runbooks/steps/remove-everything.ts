import { agentName } from '../../../stacks/inputs.ts';
import { type Evidence, MOST_EVIDENCE } from '../../agents/receipts.ts';
import { RetryableError } from '../../errors.ts';
import type { Attempt } from '../../operations/attempt.ts';
import type { RunbookParts } from '../../operations/runbook-parts.ts';
import { poll } from '../../processes/poll.ts';
import { StateKeyError } from '../../pulumi/state-key-error.ts';
import { giveServerBack } from './give-server-back.ts';
import { findOwned } from './owned.ts';
import { listOwnDevices, removeFromHetzner, removeFromTailnet, withLockRecovery } from './recovery.ts';

/**
 * Removes everything an agent has: server, keys, device, stack, history and locks. A server that it was still
 * adopting is its owner's, and is given back. `kept`: Hetzner's id of the snapshot that stays.
 * @returns what there was, and when each cloud answered that it is gone
 * @throws RetryableError if something is still there at the end
 */
export async function removeEverything(
  parts: RunbookParts,
  attempt: Attempt,
  kept?: string,
): Promise<Evidence> {
  const { adopting } = attempt.agent.inputs ?? {};
  if (adopting !== undefined) return giveServerBack(parts, attempt, adopting);
  attempt.step('deleting_resources');
  const listed = await listForReceipt(parts, attempt, kept);
  const stackNames = await listStacks(parts, attempt);
  for (const name of stackNames) await destroyStack(parts, attempt, name);
  attempt.step('removing_device');
  const goneAtHetzner = await removeFromHetzner(parts.hetzner, attempt, kept);
  await removeFromTailnet(parts, attempt);
  attempt.step('removing_state');
  for (const name of stackNames) await parts.state.forget(name);
  attempt.step('verifying');
  const gone = await untilGone(parts, attempt, { kept, goneAtHetzner });
  return { ...listed, gone };
}

/** The waits between these attempts add up to minutes: by then an outage of the key's service is over. */
const ATTEMPTS_FOR_KEY = 3;

/**
 * Destroys a stack. One that cannot be opened, because its key is lost or away, must not keep a server
 * billed: after some attempts it is left out. The clouds' lists name what it held, and its state is forgotten
 * after that.
 */
async function destroyStack({ executor }: RunbookParts, attempt: Attempt, name: string): Promise<void> {
  try {
    await withLockRecovery(executor, attempt, name, () => executor.destroy(attempt, name));
  } catch (error) {
    const mayWait = attempt.operation.attempt <= ATTEMPTS_FOR_KEY;
    if (!(error instanceof StateKeyError) || mayWait) throw error;
    attempt.log(
      `warning: the state of ${name} cannot be opened, and is removed unread. What the agent has is found by its names and labels at the clouds. ${error.message}`,
    );
  }
}

/** The agent's stack, and that of a slot whose server it has not adopted yet. */
async function listStacks({ slots }: RunbookParts, attempt: Attempt): Promise<string[]> {
  const slotId = await slots?.findUnadopted(attempt);
  const own = attempt.agent.stack_name;
  return slotId === undefined ? [own] : [agentName(slotId), own];
}

/**
 * A cloud that does not answer must not keep the other one's server running: it is named, and its list stays
 * empty.
 */
async function listForReceipt(
  parts: RunbookParts,
  attempt: Attempt,
  kept: string | undefined,
): Promise<Omit<Evidence, 'gone'>> {
  const clouds = ['hetzner', 'tailscale'] as const;
  const lists = await Promise.allSettled([
    listAtHetzner(parts, attempt, kept),
    listAtTailscale(parts, attempt),
  ]);
  attempt.signal.throwIfAborted();
  const removed = lists.flatMap((list) => (list.status === 'fulfilled' ? list.value : []));
  const unlisted = clouds.filter((_cloud, index) => lists[index]?.status === 'rejected');
  return {
    removed: removed.slice(0, MOST_EVIDENCE),
    attempt: attempt.operation.attempt,
    ...(unlisted.length > 0 && { unlisted }),
  };
}

async function listAtHetzner(
  parts: RunbookParts,
  attempt: Attempt,
  kept: string | undefined,
): Promise<Evidence['removed']> {
  const { servers, sshKeys, snapshots } = await findOwned(parts.hetzner, attempt, kept);
  return [
    ...servers.map(({ id, name }) => ({ cloud: 'hetzner', kind: 'server', id, name }) as const),
    ...sshKeys.map(({ id, name }) => ({ cloud: 'hetzner', kind: 'ssh-key', id, name }) as const),
    ...snapshots.map(({ id, name }) => ({ cloud: 'hetzner', kind: 'snapshot', id, name }) as const),
  ];
}

async function listAtTailscale(parts: RunbookParts, attempt: Attempt): Promise<Evidence['removed']> {
  const devices = await listOwnDevices(parts, attempt.agent);
  return devices.map(
    ({ nodeId, name }) => ({ cloud: 'tailscale', kind: 'device', id: nodeId, name }) as const,
  );
}

const GONE_WITHIN_SECONDS = 60;
const INTERVAL_MS = 1_000;

/**
 * Waits until the clouds no longer list the deleted resources. Hetzner deletes asynchronously.
 *
 * `goneAtHetzner`: when it answered, after the last change there, that nothing is left. It is not asked again
 * then, because every call counts against its project's quota. A create of a killed attempt that Hetzner
 * answers even later is removed by the sweep. Tailscale is asked each time.
 * @returns when each of them answered so
 */
async function untilGone(
  parts: RunbookParts,
  attempt: Attempt,
  { kept, goneAtHetzner }: { kept: string | undefined; goneAtHetzner: string | undefined },
): Promise<Evidence['gone']> {
  const seconds = parts.goneWithinSeconds ?? GONE_WITHIN_SECONDS;
  let atHetzner: Look | undefined =
    goneAtHetzner === undefined ? undefined : { listed: [], at: goneAtHetzner };
  let left: Evidence['removed'] = [];
  const isGone = async () => {
    const [hetzner, tailscale] = await Promise.all([
      atHetzner?.listed.length === 0 ? atHetzner : timed(listAtHetzner(parts, attempt, kept)),
      timed(listAtTailscale(parts, attempt)),
    ]);
    atHetzner = hetzner;
    left = [...hetzner.listed, ...tailscale.listed];
    return left.length === 0 ? { hetzner: hetzner.at, tailscale: tailscale.at } : undefined;
  };
  const polling = { intervalMs: INTERVAL_MS, timeoutMs: seconds * 1000, signal: attempt.signal };
  const gone = await poll(isGone, polling);
  if (gone === undefined)
    throw new RetryableError(`Still there after the delete: ${left.map(describe).join(', ')}`);
  return gone;
}

/** What a cloud has listed, and when. */
interface Look {
  listed: Evidence['removed'];
  at: string;
}

const timed = async (asked: Promise<Evidence['removed']>): Promise<Look> => ({
  listed: await asked,
  at: new Date().toISOString(),
});

const KINDS = { server: 'server', 'ssh-key': 'SSH key', snapshot: 'snapshot', device: 'tailnet device' };

/** All snapshots of an agent have the same name. */
const describe = ({ kind, id, name }: Evidence['removed'][number]): string =>
  `${KINDS[kind]} ${kind === 'snapshot' ? id : name}`;

import { setTimeout as sleep } from 'node:timers/promises';
import { isComplete, serverOwner } from './belongings.ts';
import type { ScenarioContext } from './scenario-context.ts';
import type { Violation } from './violation.ts';

/** The service needs the project's quota, 3,600 calls an hour, for itself. */
const LOOK_MS = 2_000;

/**
 * Asks Hetzner again and again whether an agent's data is there: a server, or a complete snapshot, and never
 * two servers. What does not answer, because it was killed, is asked again later.
 */
export function guardData(
  context: ScenarioContext,
  agentId: string,
): { stop(): Promise<{ looks: number; violations: Violation[] }> } {
  const violations = new Map<string, Violation>();
  const stopping = new AbortController();
  const watch = async () => {
    let looks = 0;
    while (!stopping.signal.aborted) {
      const found = await look(context, agentId).catch(() => undefined);
      // The two lists are not of one moment, but data that is lost stays lost.
      const again = found?.length === 0 ? found : await look(context, agentId).catch(() => undefined);
      if (again !== undefined) looks += 1;
      for (const violation of again ?? []) violations.set(violation.invariant, violation);
      await sleep(LOOK_MS);
    }
    return looks;
  };
  const watching = watch();
  return {
    stop: async () => {
      stopping.abort();
      return { looks: await watching, violations: [...violations.values()] };
    },
  };
}

async function look({ clouds }: ScenarioContext, agentId: string): Promise<Violation[]> {
  // A hibernate completes the snapshot before it deletes the server; a wake goes the other way.
  const snapshots = await clouds.snapshots();
  const present = (await clouds.servers()).filter(
    (one) => serverOwner(one) === agentId && one.status !== 'deleting',
  );
  const isKept = snapshots.some((one) => one.labels['agent-id'] === agentId && isComplete(one));
  const violations: Violation[] = [];
  if (present.length === 0 && !isKept)
    violations.push({
      invariant: 'at every moment there is a server or a complete snapshot',
      detail: `${agentId} has neither; snapshots: ${JSON.stringify(snapshots.map(({ id, status }) => ({ id, status })))}`,
    });
  if (present.length > 1)
    violations.push({
      invariant: 'at every moment there is at most one server',
      detail: `${agentId} has ${present.map(({ id }) => id).join(' and ')}`,
    });
  return violations;
}

/** Checks at rest that the agent's stack is true, and that a woken server's disk is the snapshot's. */
export async function checkHeld(
  { installation, clouds }: ScenarioContext,
  { agentId, phase, before }: { agentId: string; phase: string; before: { snapshot_id: string | null } },
): Promise<Violation[]> {
  const violations: Violation[] = [];
  const { code, output } = await installation.preview(agentId);
  if (code !== 0)
    violations.push({ invariant: 'the stack is what the clouds have', detail: output.slice(-2000) });
  if (phase !== 'wake' && phase !== 'revert') return violations;
  const server = (await clouds.servers()).find((one) => serverOwner(one) === agentId);
  if (String(server?.image?.id) !== before.snapshot_id)
    violations.push({
      invariant: 'a server that a snapshot became has its disk',
      detail: `${agentId}: image ${server?.image?.id}, snapshot ${before.snapshot_id}`,
    });
  return violations;
}

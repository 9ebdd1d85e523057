import type { AgentProgram } from '../../../stacks/program.ts';
import type { AgentKeys } from '../../agents/secrets.ts';
import type { Attempt } from '../../operations/attempt.ts';
import type { RunbookParts } from '../../operations/runbook-parts.ts';
import type { Progress } from '../../pulumi/engine/messages.ts';
import { SoldOutError } from '../../pulumi/errors.ts';
import type { SeedResource } from '../../pulumi/state-store.ts';
import { afterRefusal } from './image-choice.ts';
import { record } from './prepared.ts';
import { withLockRecovery } from './recovery.ts';
import { listServerChoices, noServer, soldOut } from './server-choice.ts';

export interface Creation {
  program: AgentProgram;
  mayBeNew: boolean;
  /** What a new stack begins with. */
  seed?: readonly SeedResource[] | undefined;
  keys: AgentKeys;
}

/**
 * Brings the stack up. Where Hetzner has none of the plan's preferred servers left, the next one that the
 * operator allows takes its place; where none is left, the operation waits.
 */
export async function createServer(parts: RunbookParts, attempt: Attempt, creation: Creation) {
  const { plan, location } = attempt.agent;
  const { program, keys } = creation;
  // A server that exists keeps its type, whatever the plan's servers are by now.
  if (program.found?.serverId !== undefined) return bringUp(parts, attempt, creation);
  const choices = await listServerChoices(parts.hetzner, parts.settings.planServers, { plan, location });
  for (const [index, serverType] of choices.entries()) {
    const inputs = { ...program.inputs, serverType };
    if (serverType !== program.inputs.serverType || index > 0) await record(parts, attempt, { inputs, keys });
    try {
      const mayBeNew = creation.mayBeNew && index === 0;
      return await fromUsableImage(parts, attempt, { program: { ...program, inputs }, mayBeNew, keys });
    } catch (error) {
      if (!(error instanceof SoldOutError)) throw error;
      attempt.log(`${soldOut(serverType)} in ${location}`);
    }
  }
  throw noServer({ plan, location }, choices.map(soldOut));
}

/** Brings it up; if its image cannot be the disk of a server, from the ordinary one. */
async function fromUsableImage(parts: RunbookParts, attempt: Attempt, creation: Creation) {
  try {
    return await bringUp(parts, attempt, creation);
  } catch (error) {
    const { program, keys, mayBeNew } = creation;
    const inputs = await afterRefusal(parts, attempt, { inputs: program.inputs, error });
    if (inputs === undefined) throw error;
    await record(parts, attempt, { inputs, keys });
    return bringUp(parts, attempt, { program: { ...program, inputs }, mayBeNew, keys });
  }
}

/** The record is written with the key that it is kept at: an agent whose server exists has one. */
async function bringUp(parts: RunbookParts, attempt: Attempt, { program, mayBeNew, seed, keys }: Creation) {
  const { inputs } = program;
  const record = await parts.sealNew?.(attempt.agent, { inputs, keys });
  return withLockRecovery(parts.executor, attempt, attempt.agent.stack_name, () =>
    parts.executor.up(attempt, record === undefined ? program : { ...program, record }, {
      mayBeNew,
      seed,
      keys,
      onProgress: (progress) => followSteps(attempt, progress),
    }),
  );
}

/** Translates the engine's progress into the steps that people see. */
export function followSteps(attempt: Attempt, progress: Progress): void {
  if (progress.kind !== 'resource') return;
  if (progress.part === 'server' && progress.phase === 'done') attempt.step('joining_network');
  if (progress.part === 'configuration' && progress.phase === 'begins') attempt.step('configuring');
}

import { z } from 'zod';
import { beginAdoptionAgain, markServerAdopted } from '../agents/adoptions.ts';
import { type AgentOutputs, agentOutputsSchema } from '../agents/outputs.ts';
import { beginProvisions, getAgent, markFailed, markRunning } from '../agents/store.ts';
import { queueByService } from '../operations/consequences.ts';
import type { Ending } from '../operations/definition.ts';
import { cancelWaiting } from '../operations/endings.ts';
import { defineOperation } from '../operations/registry.ts';
import type { RunbookParts } from '../operations/runbook-parts.ts';
import { followSteps } from './provision.ts';
import { admitServer } from './steps/admit-server.ts';
import { type Adoption, prepareAdoption } from './steps/adopting.ts';
import { toProgram } from './steps/agent-program.ts';
import { presentDevice } from './steps/device.ts';
import { untilHealthy } from './steps/healthy.ts';
import { importStack } from './steps/import-stack.ts';
import { markServer } from './steps/mark-server.ts';
import { agentOutputs } from './steps/outputs.ts';
import { record } from './steps/prepared.ts';
import { withLockRecovery } from './steps/recovery.ts';

const effect = z.object({ kind: z.literal('server-adopted'), outputs: agentOutputsSchema });

/**
 * Makes a server that was made by hand an agent's: lets it join the tailnet, gives it the agent's labels,
 * imports its stack and configures it. It is never made again or deleted: until the end it is its owner's,
 * and what follows a failure gives it back (`steps/give-server-back.ts`). Each attempt starts at the top.
 */
export const adoptServer = defineOperation<z.infer<typeof effect>>({
  kind: 'adopt-server',
  rank: 1,
  retryFrom: ['failed'],
  createsAgent: true,
  knowsForeignServers: true,
  runsAgent: true,
  limitSeconds: 30 * 60,
  beforeRetry: async (trx, agentId) => {
    await cancelWaiting(trx, agentId, 'rollback');
    await beginAdoptionAgain(trx, agentId);
  },
  begin: (trx, agentId) => beginProvisions(trx, [agentId]),
  effect,
  succeed: async (trx, agentId, { outputs }) => {
    await markRunning(trx, [{ agentId, outputs }]);
    await markServerAdopted(trx, agentId);
  },
  // A runner adopts none.
  reported: () => ({ kind: 'none' }),
  lastFailure: giveBack,
  cancel: giveBack,
  run: (parts) => async (attempt) => {
    attempt.step('preparing');
    const adoption = await prepareAdoption(parts, attempt);
    const { nodeId, addresses } = await admitServer(parts, adoption);
    const joined = { ...adoption.attempt.agent, tailnet_node_id: nodeId, tailnet_ip: addresses[0] ?? null };
    const device = await presentDevice(parts.tailscale, { ...adoption.attempt, agent: joined });
    const own = { ...joined, tailnet_ip: device.tailnetIp, tailnet_name: device.tailnetName };
    const outputs = await takeOver(parts, { ...adoption, attempt: { ...adoption.attempt, agent: own } });
    attempt.step('verifying');
    await untilHealthy(parts, attempt, outputs);
    attempt.step('running');
    return { kind: 'server-adopted', outputs };
  },
});

/** Imports what exists, which changes nothing, and then configures the server as any other agent's. */
async function takeOver(parts: RunbookParts, adoption: Adoption): Promise<AgentOutputs> {
  const { attempt, adopting, inputs: prepared, keys } = adoption;
  attempt.step('marking_server');
  await markServer(parts, adoption);
  await importStack(parts, attempt);
  const configuredBy = attempt.operation.operation_id;
  const inputs = { ...prepared, configuredBy, adopting: { ...adopting, isEntered: true as const } };
  await record(parts, attempt, { inputs, keys });
  attempt.step('configuring');
  const { tailnet_ip: tailnetIp, tailnet_name: tailnetName, tailnet_node_id: tailnetNodeId } = attempt.agent;
  const device = { tailnetIp: tailnetIp ?? '', tailnetName: tailnetName ?? '' };
  const program = { ...toProgram(inputs, keys, {}), device };
  const result = await withLockRecovery(parts.executor, attempt, attempt.agent.stack_name, () =>
    parts.executor.up(attempt, program, {
      mayBeNew: false,
      keys,
      onProgress: (progress) => followSteps(attempt, progress),
    }),
  );
  return { ...agentOutputs(result.outputs), tailnetNodeId };
}

async function giveBack(ending: Ending): Promise<void> {
  const { trx, agentId, error } = ending;
  // A destroy was requested meanwhile, which gives the server back itself.
  if ((await getAgent(trx, agentId)).status === 'destroying') return;
  await markFailed(trx, agentId, error);
  await queueByService(ending, 'rollback', { cause: 'the adoption failed' });
}

import { recordInputs } from '../../src/agents/record-inputs.ts';
import { type AgentKeys, generateAgentKeys } from '../../src/agents/secrets.ts';
import { CancelledError } from '../../src/errors.ts';
import { findOperation } from '../../src/operations/registry.ts';
import type { OperationRow } from '../../src/operations/rows.ts';
import type { RunbookParts } from '../../src/operations/runbook-parts.ts';
import { settleFailure, succeed } from '../../src/operations/settle.ts';
import { toLabels } from '../../stacks/labels.ts';
import { agentInputs } from './inputs.ts';
import { claim, type OperationsFixture, OUTPUTS, order, waitOver } from './operations-fixture.ts';
import { prepareAttempt, type RunbookFixture, server } from './runbook-fixture.ts';

/** Makes an agent that runs, with its rows and keys, its server and its device. @returns its keys */
export async function runningAgent(
  at: OperationsFixture,
  fixture: RunbookFixture,
  {
    agentId = 'a1',
    serverId = 42,
    tailnetIp = OUTPUTS.tailnetIp,
    tailnetNodeId = 'n1',
  }: { agentId?: string; serverId?: number; tailnetIp?: string; tailnetNodeId?: string } = {},
): Promise<AgentKeys> {
  await order(at, agentId);
  const { claim: mine } = await claim(at);
  const keys = generateAgentKeys(agentId);
  const known = { inputs: agentInputs(agentId), secrets: fixture.vault.seal(agentId, keys) };
  await at.database.transaction().execute((trx) => recordInputs(trx, agentId, known));
  const outputs = { ...OUTPUTS, serverId: String(serverId), tailnetIp, tailnetNodeId };
  await succeed(at, mine, { kind: 'running', outputs });
  const { operationId } = known.inputs;
  fixture.servers.push({ ...server(agentId, serverId), labels: toLabels({ agentId, operationId }) });
  fixture.devices.push(agentDevice(agentId, tailnetNodeId, tailnetIp));
  return keys;
}

/** A device on the tailnet that is an agent's. */
export const agentDevice = (agentId: string, nodeId: string, address: string = OUTPUTS.tailnetIp) => ({
  ...{ nodeId, name: `agent-${agentId}.tail.ts.net`, hostname: `agent-${agentId}` },
  ...{ addresses: [address], tags: ['tag:agent'] },
});

/** What an attempt has called, and how it ended. */
export interface Attempted {
  row: OperationRow;
  kind: string;
  calls: string[];
  /** Undefined: it has succeeded. */
  error: unknown;
}

export interface AttemptOptions {
  /** Changes what the runbook gets; `abort` cancels the attempt. */
  wrap?: (parts: RunbookParts, abort: () => void) => RunbookParts;
  /** It is aborted before it begins. */
  abort?: Error;
  /** Its worker dies with this after all the work, before anything of its end is recorded. */
  lost?: Error;
  /** Gets what it logs. */
  lines?: string[];
}

/** Runs an attempt of the next operation as a worker does, and settles it. Waits are skipped. */
export async function attemptNext(
  at: OperationsFixture,
  fixture: RunbookFixture,
  { wrap = (parts) => parts, abort, lost, lines }: AttemptOptions = {},
): Promise<Attempted> {
  await waitOver(at);
  const { row, claim: mine } = await claim(at);
  fixture.calls.length = 0;
  const { run, steps, controller } = await prepareAttempt(at, row, fixture);
  if (lines !== undefined) run.log = (line) => lines.push(line);
  if (abort !== undefined) controller.abort(abort);
  const parts = wrap(fixture.deps, () => controller.abort(new CancelledError('Cancelled')));
  let error: unknown;
  try {
    const effect = await findOperation(row.kind)!.run(parts)(run);
    if (lost !== undefined) throw lost;
    await succeed(at, mine, effect);
  } catch (failure) {
    error = controller.signal.aborted ? controller.signal.reason : failure;
    await settleFailure(at, mine, { error, step: steps.at(-1) ?? 'queued' });
  }
  return { row, kind: row.kind, calls: [...fixture.calls], error };
}

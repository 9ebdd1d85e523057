import { createHash } from 'node:crypto';
import { sql } from 'kysely';
import type { AgentOutputs } from '../../src/agents/outputs.ts';
import { beginProvisions, markRunning } from '../../src/agents/store.ts';
import type { Database } from '../../src/database/connect.ts';
import { appendEvents, type OperationEvent } from '../../src/operations/events/events.ts';

/** Appends events as an attempt does, with the operation's row locked. */
export async function tell(
  database: Database,
  operationId: string,
  events: OperationEvent[],
  ending?: 'succeeded',
): Promise<void> {
  await database.transaction().execute(async (trx) => {
    await trx
      .updateTable('operations')
      .set({
        updated_at: sql`now()`,
        ...(ending ? { status: ending, finished_at: sql`clock_timestamp()` } : {}),
      })
      .where('operation_id', '=', operationId)
      .execute();
    await appendEvents(trx, operationId, 1, events);
  });
}

let finished = 0;
/** A server id that no other agent of a test has. */
export function toServerId(agentId: string): string {
  return String(BigInt(`0x${createHash('sha256').update(agentId).digest('hex').slice(0, 12)}`));
}

/** Finishes a provision as a worker does. */
export async function finishProvision(
  database: Database,
  { agentId, operationId }: { agentId: string; operationId: string },
): Promise<AgentOutputs> {
  finished += 1;
  const outputs = {
    serverId: toServerId(agentId),
    serverName: `agent-${agentId}`,
    ipv4: '192.0.2.7',
    ipv6: '2001:db8::7',
    tailnetIp: `100.64.7.${finished}`,
    tailnetName: `agent-${agentId}.tail.example`,
  };
  await database.transaction().execute(async (trx) => {
    await beginProvisions(trx, [agentId]);
    await markRunning(trx, [{ agentId, outputs }]);
  });
  await tell(
    database,
    operationId,
    [{ type: 'status', data: { status: 'succeeded', attempt: 1 } }],
    'succeeded',
  );
  return outputs;
}

export const log = (line: string): OperationEvent => ({ type: 'log', data: { line, stream: 'engine' } });
export const step = (name: string): OperationEvent => ({ type: 'step', data: { step: name } });

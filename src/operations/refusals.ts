import { findStoppingHolds, type Hold, stopsAgent } from '../agents/holds.ts';
import { type AgentSnapshotRow, listCompleteIds } from '../agents/snapshots.ts';
import type { AgentStatus } from '../agents/states.ts';
import type { AgentRow } from '../agents/store.ts';
import type { Transaction } from '../database/connect.ts';
import type { OperationParameters } from '../database/tables.ts';
import { ConflictError } from '../errors.ts';
import type { OperationDefinition } from './definition.ts';
import { givesWayTo } from './give-way.ts';
import { exclusiveKinds, findOperation, type Requestable } from './registry.ts';
import type { OperationRow } from './rows.ts';
import type { OperationKind } from './states.ts';

/**
 * Refuses an operation that would run a held agent or remove a protected one. The caller has locked the
 * agent.
 * @throws ConflictError
 */
export async function refuseHeld(
  trx: Transaction,
  agent: Pick<AgentRow, 'agent_id' | 'protected'>,
  { kind, runsAgent = false, removesAgent = false }: OperationDefinition,
): Promise<void> {
  const { agent_id: agentId } = agent;
  if (removesAgent && agent.protected)
    throw new ConflictError(`Agent ${agentId} is protected; a ${kind} is possible once it is not`);
  if (!runsAgent) return;
  const holds = await findStoppingHolds(trx, agentId);
  if (holds.length === 0) return;
  throw new ConflictError(
    `Agent ${agentId} is held (${holds.map(describeHold).join('; ')}); a ${kind} is possible once nothing holds it`,
  );
}

/**
 * Refuses what needs a snapshot of the agent that is not there. The attempt looks again: it may be removed
 * meanwhile.
 * @throws ConflictError
 */
export async function refuseWithoutSnapshot(
  trx: Transaction,
  { kind, needsSnapshot = false }: OperationDefinition,
  { agentId, parameters }: { agentId: string; parameters?: OperationParameters | undefined },
): Promise<void> {
  if (!needsSnapshot) return;
  const ids = await listCompleteIds(trx, agentId);
  if (ids.length === 0)
    throw new ConflictError(
      `Agent ${agentId} has no complete snapshot; a ${kind} is possible once it has one`,
    );
  const wanted = String(parameters?.snapshot);
  if (!ids.includes(wanted.toLowerCase()))
    throw new ConflictError(
      `Agent ${agentId} has no complete snapshot ${wanted}; \`snapshots list\` shows those that it has`,
    );
}

/** How an agent stands, as far as that decides what may be requested on it. */
export interface Standing {
  status: AgentStatus;
  protected: boolean;
  holds: readonly Pick<Hold, 'reason'>[];
  /** Its unfinished operations; default: not known, so only the request itself finds what is in the way. */
  unfinished?: readonly OperationRow[];
  /** Its snapshots; default: not known. */
  snapshots?: readonly Pick<AgentSnapshotRow, 'status'>[];
}

/**
 * Says why a person cannot request an operation now, for a page that offers it; undefined if they can. The
 * request checks the same again, under the agent's lock.
 */
export function whyNotNow(definition: Requestable, standing: Standing): string | undefined {
  const { kind, from, runsAgent = false, removesAgent = false, needsSnapshot = false } = definition;
  if (!from.includes(standing.status)) return `Possible while it is ${listWords(from)}.`;
  if (removesAgent && standing.protected) return 'It is protected: press Unprotect first.';
  const held = standing.holds.filter(({ reason }) => stopsAgent(reason)).map(({ reason }) => reason);
  if (runsAgent && held.length > 0) return `It is held (${held.join(', ')}): possible once nothing holds it.`;
  const hasNone = standing.snapshots?.every(({ status }) => status !== 'available');
  if (needsSnapshot && hasNone === true) return 'It has no complete snapshot: press Snapshot first.';
  const other = findDouble(standing.unfinished ?? [], { kind });
  return other && `A ${other.kind} is already under way.`;
}

function listWords(words: readonly string[]): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`;
}

/**
 * Whether a request ends what only waits: one by a person, or what holds demand, because their suspension
 * must not wait for a server that is out of stock.
 */
export function mayOvertake({ kind, cause }: Pick<Asked, 'kind' | 'cause'>): boolean {
  const { followsHolds = false, runsAgent = false } = findOperation(kind) ?? {};
  return cause === undefined || (followsHolds && !runsAgent);
}

/** An operation that is requested: by a person, unless it has a cause. */
export interface Asked {
  kind: OperationKind;
  parameters?: OperationParameters | undefined;
  cause?: string | undefined;
}

/**
 * Finds the unfinished operation of the agent that is in the way of another one: of the same kind, or an
 * exclusive one where both are. One that only waits and gives way is not; to a person, neither is one that
 * the service wants and has not passed its last check.
 */
export function findDouble(unfinished: readonly OperationRow[], asked: Asked): OperationRow | undefined {
  const exclusive = exclusiveKinds();
  const kinds = exclusive.includes(asked.kind) ? exclusive : [asked.kind];
  return unfinished.find(
    (one) =>
      kinds.includes(one.kind) &&
      !(mayOvertake(asked) && givesWayTo(one, asked)) &&
      !(asked.cause === undefined && one.asks_again),
  );
}

function describeHold({ reason, since, by, note }: Hold): string {
  return `${reason} since ${since.toISOString()}, by ${by}${note === null ? '' : `: ${note}`}`;
}

import { type Selectable, sql } from 'kysely';
import { audit } from '../agents/audit.ts';
import { lockAgent } from '../agents/store.ts';
import type { Database, Transaction } from '../database/connect.ts';
import type { ProposalTable } from '../database/proposal-table.ts';
import { ConflictError, NotFoundError } from '../errors.ts';
import type { Queue } from '../queue/queue.ts';
import { isProposable, requestableOperations } from './registry.ts';
import { refuseImpossible, requestOperation } from './requests.ts';
import type { OperationRow } from './rows.ts';

/** `status_now`: the agent's. */
export type ProposalRow = Selectable<ProposalTable> & { status_now: string };

const OPEN_HOURS = 24;
const KEPT_DAYS = 30;
/** More than a person would look at: a program that proposes without end is refused. */
const MOST_OPEN = 100;

/** Kinds that lose data or take the agent from its customer: programs only propose them. */
export function proposableKinds(): string[] {
  return requestableOperations()
    .filter(isProposable)
    .map(({ kind }) => kind);
}

export interface NewProposal {
  agentId: string;
  kind: string;
  reason: string;
  actor: string;
}

/**
 * Stores what a program proposes, for a person to decide. Nothing else happens.
 * @throws NotFoundError
 * @throws ConflictError if it is not possible now, is proposed already, or too many are open
 */
export async function propose(trx: Transaction, { actor, ...wanted }: NewProposal): Promise<ProposalRow> {
  // One at a time: two must not both find the last free place.
  await sql`select pg_advisory_xact_lock(hashtextextended('proposals', 0))`.execute(trx);
  await removeOld(trx);
  await refuseImpossible(trx, { ...wanted, actor });
  const { status } = await lockAgent(trx, wanted.agentId);
  await refuseMany(trx, wanted);
  const row = await trx
    .insertInto('proposals')
    .values({
      agent_id: wanted.agentId,
      kind: wanted.kind,
      agent_status: status,
      reason: wanted.reason,
      proposed_by: actor,
      expires_at: sql`now() + make_interval(hours => ${OPEN_HOURS})`,
    })
    .returningAll()
    .executeTakeFirstOrThrow();
  const details = { proposalId: row.proposal_id, kind: wanted.kind, reason: wanted.reason };
  await audit(trx, { actor, action: 'proposal.create', agentId: wanted.agentId, details });
  return { ...row, status_now: status };
}

async function removeOld(trx: Transaction): Promise<void> {
  await sql`delete from proposals where (decision is null and expires_at <= now())
    or decided_at < now() - make_interval(days => ${KEPT_DAYS})`.execute(trx);
}

async function refuseMany(trx: Transaction, { agentId, kind }: Omit<NewProposal, 'actor'>): Promise<void> {
  const open = await trx
    .selectFrom('proposals')
    .select(['agent_id', 'kind'])
    .where('decision', 'is', null)
    .execute();
  if (open.some((one) => one.agent_id === agentId && one.kind === kind))
    throw new ConflictError(`A ${kind} of agent ${agentId} is proposed already`);
  if (open.length >= MOST_OPEN)
    throw new ConflictError(
      `${MOST_OPEN} proposals wait for a person already: none is taken until some are decided`,
    );
}

/** Lists proposals, the newest first. `before`: the last `sequence` of the page before. */
export function listProposals(
  database: Database,
  { onlyOpen = false, before, limit }: { onlyOpen?: boolean; before?: number | undefined; limit: number },
): Promise<ProposalRow[]> {
  let query = database
    .selectFrom('proposals')
    .innerJoin('agents', 'agents.agent_id', 'proposals.agent_id')
    .selectAll('proposals')
    .select('agents.status as status_now')
    .orderBy('sequence', 'desc')
    .limit(limit);
  if (before !== undefined) query = query.where('sequence', '<', before);
  if (onlyOpen) query = query.where('decision', 'is', null).where('expires_at', '>', sql<Date>`now()`);
  return query.execute();
}

interface Decision {
  proposalId: string;
  /** The person. */
  actor: string;
}

/**
 * Requests what was proposed, as the person who approves it; the audit log names the proposer as well.
 * @throws NotFoundError
 * @throws ConflictError if it is decided, has expired, is not possible any more, or the agent's status is not
 * what it was when it was proposed: what is approved must still be what was meant
 */
export async function approveProposal(
  trx: Transaction,
  queue: Queue,
  { proposalId, actor }: Decision,
): Promise<OperationRow> {
  const proposal = await lockOpen(trx, proposalId);
  const { agent_id: agentId, kind, proposed_by: proposedBy, agent_status: before } = proposal;
  const { status } = await lockAgent(trx, agentId);
  if (status !== before)
    throw new ConflictError(
      `Agent ${agentId} was ${before} when this was proposed and is ${status} now: reject it, and look at the agent`,
    );
  const operation = await requestOperation(trx, queue, { agentId, kind, actor, proposedBy });
  const decided = { decision: 'approved', operation_id: operation.operation_id } as const;
  await decide(trx, { proposalId, actor }, decided);
  return operation;
}

/** Rejects what was proposed. @throws NotFoundError, ConflictError if it is decided or has expired */
export async function rejectProposal(trx: Transaction, { proposalId, actor }: Decision): Promise<void> {
  const { agent_id: agentId, kind, proposed_by: proposedBy } = await lockOpen(trx, proposalId);
  await decide(trx, { proposalId, actor }, { decision: 'rejected' });
  await audit(trx, { actor, action: 'proposal.reject', agentId, details: { proposalId, kind, proposedBy } });
}

async function lockOpen(trx: Transaction, proposalId: string): Promise<Selectable<ProposalTable>> {
  const row = await trx
    .selectFrom('proposals')
    .selectAll()
    .select(sql<boolean>`expires_at <= now()`.as('isOver'))
    .where('proposal_id', '=', proposalId)
    .forUpdate()
    .executeTakeFirst();
  if (row === undefined) throw new NotFoundError(`There is no proposal ${proposalId}`);
  if (row.decision !== null) throw new ConflictError(`This proposal is already ${row.decision}`);
  if (row.isOver) throw new ConflictError('This proposal has expired');
  return row;
}

async function decide(
  trx: Transaction,
  { proposalId, actor }: Decision,
  decided: { decision: 'approved'; operation_id: string } | { decision: 'rejected' },
): Promise<void> {
  await trx
    .updateTable('proposals')
    .set({ ...decided, decided_by: actor, decided_at: sql<Date>`now()` })
    .where('proposal_id', '=', proposalId)
    .execute();
}

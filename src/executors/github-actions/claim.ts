import { getAgentForOperation, type WorkedAgent } from '../../agents/for-operation.ts';
import { createVault } from '../../agents/secrets.ts';
import { DEFAULT_PROJECT } from '../../config/hetzner-projects.ts';
import type { PlanServers } from '../../config/plans.ts';
import type { Transaction } from '../../database/connect.ts';
import { ConflictError } from '../../errors.ts';
import type { Keyring } from '../../keys/keyring.ts';
import type { Keyset } from '../../keys/keyset.ts';
import { reseal } from '../../keys/reseal.ts';
import type { OperationRow } from '../../operations/claims.ts';
import { attemptPassword, attemptRole, type Fence } from '../../pulumi/fence.ts';
import type { Queue } from '../../queue/queue.ts';
import type { Secret } from '../../secret.ts';
import { findClaimed } from '../../slots/claimed.ts';
import { beat, ensureBegun, lockFor, type Sender } from './attempts.ts';
import { askLastCheck, type LastCheck, type LastCheckDeps, passLastCheck, UNWANTED } from './last-check.ts';
import { announceRunner, chooseKey, sealRecognized } from './runner-keys.ts';

export interface ClaimDeps extends LastCheckDeps {
  queue: Queue;
  /** Whether traces are collected. */
  isTraced?: boolean | undefined;
  /** The servers of plans that the operator has described; default: none. */
  planServers?: PlanServers | undefined;
  /** Opens the fence that guards the Pulumi state. */
  getFence(): Promise<Fence>;
  /** The Pulumi state's URL and the passphrase. Service and runner derive the attempt's login from them. */
  pulumi: { url: Secret; keyring: Keyring };
}

/** A runner's work. It contains the agent's keys as stored: sealed with a passphrase that the runner has. */
export interface RemoteClaim {
  kind: OperationRow['kind'];
  attempt: number;
  agentId: string;
  region: string;
  location: string;
  plan: string;
  inputs: {
    operation: OperationRow;
    agent: Omit<WorkedAgent, 'secrets'>;
    /** base64; null until the first provision has recorded them. */
    sealedKeys: string | null;
    /** The passphrase of the keys, of the login's password and of new stacks. */
    keyId: string;
    /** What the runner has to recognize from former passphrases, sealed. */
    sealedRecognized: string | null;
    /** Whether the attempt has its own login to the Pulumi state. */
    ownLogin: boolean;
    /** The servers of plans that the operator has described. */
    planServers: PlanServers;
    /** Whether the runner is to report spans. */
    isTraced: boolean;
    /** The slot whose server the agent runs on and whose stack is not its own yet. */
    slotId: string | null;
    /** Whether the service tells the runner where the agent of a full project may go. */
    movesProjects: true;
  };
}

/** What a runner says of itself. */
export interface Runner {
  keyIds?: readonly string[] | undefined;
  knowsProjects: boolean;
}

const OLD_RUNNER =
  'This runner’s version knows one Hetzner project, and the agent is in another one: bring the repository up to date';

/**
 * Begins a dispatched attempt for its runner: evicts earlier attempts from the Pulumi state and creates this
 * one's login. The same runner may claim again. A destroy that is no longer wanted is cancelled instead.
 * @param runner the passphrases that it has, and whether it works in the agent's Hetzner project: one of an
 * earlier version makes every server in the project of `HCLOUD_TOKEN`
 * @throws NotFoundError, ConflictError; RetryableError if Stripe has to be asked first: the runner asks again
 */
export async function claimForRunner(
  deps: ClaimDeps,
  sender: Sender,
  { keyIds, knowsProjects }: Runner = { knowsProjects: false },
): Promise<RemoteClaim> {
  await announceRunner(deps.database, keyIds);
  const key = await chooseKey(deps.database, deps.pulumi.keyring, keyIds);
  const check = await askLastCheck(deps, sender);
  const claim = await deps.database
    .transaction()
    .execute((trx) => begin(deps, trx, { sender, check, key, knowsProjects }));
  if (claim === undefined) throw new ConflictError(UNWANTED);
  return claim;
}

/** @returns undefined if the operation was cancelled instead, because it is no longer wanted */
async function begin(
  deps: ClaimDeps,
  trx: Transaction,
  {
    sender,
    check,
    key,
    knowsProjects,
  }: { sender: Sender; check: LastCheck; key: Keyset; knowsProjects: boolean },
): Promise<RemoteClaim | undefined> {
  const row = await lockFor(trx, deps.callbackSecret, sender);
  const begun = await ensureBegun(trx, row, sender, { mayBeginNext: true });
  if (!(await passLastCheck(trx, deps.queue, { begun, check }))) return undefined;
  await beat(trx, begun);
  const { secrets, ...agent } = await getAgentForOperation(trx, begun.agent_id);
  if (!knowsProjects && agent.project !== DEFAULT_PROJECT) throw new ConflictError(OLD_RUNNER);
  // The agent is locked, so that no other attempt of it begins meanwhile.
  const ownLogin = await enterFence(deps, begun, key);
  const { keyring } = deps.pulumi;
  return {
    kind: begun.kind,
    attempt: begun.attempt,
    agentId: agent.agent_id,
    region: agent.region,
    location: agent.location,
    plan: agent.plan,
    inputs: {
      operation: begun,
      agent,
      sealedKeys: secrets === null ? null : toSealedKeys(keyring, key, agent.agent_id, secrets),
      keyId: key.id,
      sealedRecognized: sealRecognized(key, keyring.kept),
      ownLogin,
      planServers: deps.planServers ?? {},
      isTraced: deps.isTraced ?? false,
      slotId: (await findClaimed(trx, agent.agent_id))?.slotId ?? null,
      movesProjects: true,
    },
  };
}

/** Sealed for the runner. It says itself what it cannot open. */
function toSealedKeys(keyring: Keyring, key: Keyset, agentId: string, sealed: Buffer): string {
  const isReadable = createVault(keyring).canOpen(agentId, sealed);
  return (isReadable ? reseal(keyring, key, agentId, sealed) : sealed).toString('base64');
}

/** @returns whether the attempt has its own login */
async function enterFence(
  { getFence, pulumi }: ClaimDeps,
  row: OperationRow,
  { passphrase }: Keyset,
): Promise<boolean> {
  const fence = await getFence();
  const attempt = { agentId: row.agent_id, operationId: row.operation_id, attempt: row.attempt };
  const password = fence.isHard ? attemptPassword(passphrase, attemptRole(pulumi.url, attempt)) : undefined;
  await fence.enter({ ...attempt, password });
  return fence.isHard;
}

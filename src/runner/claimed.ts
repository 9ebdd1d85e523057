import { z } from 'zod';
import { SLOT_ID } from '../../stacks/inputs.ts';
import type { WorkedAgent } from '../agents/for-operation.ts';
import { parseRecordedInputs } from '../agents/inputs.ts';
import { type PlanServers, planServersSchema } from '../config/plans.ts';
import { PermanentError } from '../errors.ts';
import { openRecognized } from '../executors/github-actions/runner-keys.ts';
import type { Keyring } from '../keys/keyring.ts';
import type { OperationRow } from '../operations/claims.ts';
import { asLogin, attemptPassword, attemptRole } from '../pulumi/fence.ts';
import type { Secret } from '../secret.ts';

const row = z.record(z.string(), z.unknown());
const claimSchema = z.object({
  kind: z.string(),
  attempt: z.number(),
  inputs: z.object({
    operation: row,
    agent: row,
    sealedKeys: z.string().nullable(),
    keyId: z.string(),
    sealedRecognized: z.string().nullable(),
    ownLogin: z.boolean(),
    planServers: planServersSchema.default({}),
    isTraced: z.boolean().default(false),
    slotId: z.string().regex(SLOT_ID).nullish(),
    // A service of an earlier version moves no agents of runners.
    movesProjects: z.boolean().default(false),
  }),
});

/** The claimed work: the service's rows, and the attempt's own login to the Pulumi state. */
export interface Claimed {
  operation: OperationRow;
  agent: WorkedAgent;
  backendUrl: Secret;
  planServers: PlanServers;
  /** Whether the service collects traces. */
  isTraced: boolean;
  /** The slot whose stack is not the agent's yet. */
  slotId: string | undefined;
  /** Whether the service says where the agent of a full project may go. */
  movesProjects: boolean;
}

/**
 * Parses the service's answer to a claim. From then on the runner seals as the service does. The login's
 * password is derived on both sides and never sent.
 * @throws PermanentError if the runner does not have the service's passphrase
 */
export function readClaim(answer: unknown, pulumi: { url: Secret; keyring: Keyring }): Claimed {
  const { inputs } = claimSchema.parse(answer);
  const { keyring } = pulumi;
  if (!keyring.sealWith(inputs.keyId))
    throw new PermanentError('PULUMI_CONFIG_PASSPHRASE is not the service’s own');
  if (inputs.sealedRecognized !== null) keyring.keep(openRecognized(keyring, inputs.sealedRecognized));
  // The service sends its rows unchanged. Both sides run the same version, so the columns need no validation.
  const operation = withDates(inputs.operation) as unknown as OperationRow;
  const secrets = inputs.sealedKeys === null ? null : Buffer.from(inputs.sealedKeys, 'base64');
  const known = parseRecordedInputs(inputs.agent.inputs);
  // Not validated either.
  const agent = { ...withDates(inputs.agent), inputs: known, secrets } as unknown as WorkedAgent;
  const backendUrl = inputs.ownLogin ? attemptLogin(operation, pulumi) : pulumi.url;
  const { planServers, slotId, isTraced, movesProjects } = inputs;
  return {
    ...{ operation, agent, backendUrl, planServers, isTraced, movesProjects },
    slotId: slotId ?? undefined,
  };
}

function attemptLogin(operation: OperationRow, { url, keyring }: { url: Secret; keyring: Keyring }): Secret {
  const role = attemptRole(url, {
    agentId: operation.agent_id,
    operationId: operation.operation_id,
    attempt: operation.attempt,
  });
  return asLogin(url, { role, password: attemptPassword(keyring.sealing.passphrase, role) });
}

const TIME = /(_at|_until|_since|^run_after)$/;

/** Parses times, which JSON carries as strings. */
function withDates(values: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => [
      name,
      TIME.test(name) && typeof value === 'string' ? new Date(value) : value,
    ]),
  );
}

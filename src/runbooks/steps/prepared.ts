import type { AgentInputs } from '../../../stacks/inputs.ts';
import type { AgentKeys } from '../../agents/secrets.ts';
import type { Attempt } from '../../operations/attempt.ts';
import type { RunbookParts } from '../../operations/runbook-parts.ts';

/** What a server is about to be made by. */
export interface Prepared {
  inputs: AgentInputs;
  keys: AgentKeys;
}

/** Records it, before anything is created. */
export function record(
  parts: Pick<RunbookParts, 'recordInputs' | 'vault'>,
  attempt: Attempt,
  { inputs, keys }: Prepared,
): Promise<void> {
  return parts.recordInputs(attempt, { inputs, secrets: parts.vault.seal(inputs.agentId, keys) });
}

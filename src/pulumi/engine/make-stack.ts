import { agentName, foundationName } from '../../../stacks/inputs.ts';
import type { AgentProgram, StackProgram } from '../../../stacks/program.ts';
import { PASSPHRASE } from '../../config/secrets-provider.ts';
import type { Keyring } from '../../keys/keyring.ts';
import type { StatePassphrases } from '../state-passphrases.ts';
import type { SeedResource, StateStore } from '../state-store.ts';

interface MakerSettings {
  state: StateStore;
  passphrases: StatePassphrases | undefined;
  keyring: Keyring;
  secrets: { url: string };
}

/** Whether a new stack may take the salt of its foundation, which may be that of a former passphrase. */
async function isUnderPresent(
  { keyring, passphrases }: MakerSettings,
  { inputs }: AgentProgram,
): Promise<boolean> {
  if (keyring.former === undefined || passphrases === undefined) return true;
  const found = await passphrases.find(foundationName(inputs.project), keyring.all);
  return found === undefined || found.id === keyring.sealing.id;
}

/**
 * Returns what a new stack begins under: the foundation's passphrase as long as that has not moved to the
 * configured key, which may be mistyped. Its first run moves it, or works with the passphrase.
 */
export async function seedProvider(
  { state, secrets }: { state: Pick<StateStore, 'secretsProvider'>; secrets: { url: string } },
  like: string,
): Promise<string> {
  if (secrets.url === PASSPHRASE) return PASSPHRASE;
  return (await state.secretsProvider(like)) === PASSPHRASE ? PASSPHRASE : secrets.url;
}

/** Creates an agent's stack with its foundation's salt, without a CLI process for `stack init`. */
export async function makeAgentStack(
  settings: MakerSettings,
  program: StackProgram,
  resources: readonly SeedResource[] = [],
): Promise<boolean> {
  if (program.stack !== 'agent' || !(await isUnderPresent(settings, program))) return false;
  const like = foundationName(program.inputs.project);
  const provider = await seedProvider(settings, like);
  return settings.state.makeSeeded(toStackName(program), { like, provider, resources });
}

export function toStackName(program: StackProgram): string {
  return program.stack === 'agent'
    ? agentName(program.inputs.agentId)
    : foundationName(program.inputs.project);
}

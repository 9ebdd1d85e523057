import { createTwoFilesPatch } from 'diff';
import { PermanentError } from '../../errors.ts';
import { mergePolicy } from '../../tailscale/merge-policy.ts';
import { readOurPolicy } from '../../tailscale/our-policy.ts';
import { createPolicyClient, PolicyChangedError } from '../../tailscale/policy.ts';
import { CommandError } from '../connection.ts';
import type { Asker } from './asker.ts';
import type { Answers } from './question.ts';
import { toTailscaleAccount } from './questions.ts';

const BY_HAND =
  'The OAuth client may not read or write the policy (scope policy_file). Paste what docs/tailnet-policy.hujson has: Tailscale’s ' +
  'console → Access controls.';

/**
 * Adds to the tailnet's policy what agents need, after showing the difference. Tailscale refuses the change
 * if somebody else has changed the policy meanwhile.
 * @throws CommandError if the new policy is not valid, or was changed meanwhile
 */
export async function ensurePolicy(asker: Asker, answers: Answers): Promise<void> {
  const client = createPolicyClient(toTailscaleAccount(answers));
  try {
    const before = await client.read();
    const after = mergePolicy(before.text, await readOurPolicy());
    if (after === before.text) {
      asker.say('  The tailnet’s policy has all that agents need.');
      return;
    }
    const problems = await client.validate(after);
    if (problems.length > 0)
      throw new CommandError(`The changed policy would not be valid: ${problems.join('; ')}`);
    asker.say(
      createTwoFilesPatch('policy now', 'policy after', before.text, after, undefined, undefined, {
        context: 2,
      }),
    );
    asker.say(
      '  A rule that lets everything reach everything has to go: agents would reach each other. Add rules for your own people.',
    );
    if (!(await asker.confirm('Change the tailnet’s policy like this?', false))) {
      asker.say('  The policy stays as it is.');
      return;
    }
    await client.replace(after, before);
    asker.say('  The policy was changed.');
  } catch (error) {
    if (error instanceof PolicyChangedError) throw new CommandError(error.message, { cause: error });
    if (!(error instanceof PermanentError)) throw error;
    asker.say(`  ${BY_HAND}`);
  }
}

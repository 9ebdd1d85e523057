import { ShortageError, STATE_KEY_UNUSABLE } from '../errors.ts';

/**
 * The key that encrypts a stack's state cannot be used: its service does not answer, or it refuses the key or
 * the credentials. The agent is not the cause, so the work waits and the try does not count.
 */
export class StateKeyError extends ShortageError {
  override name = 'StateKeyError';

  constructor(message: string, options?: ErrorOptions) {
    super(message, { ...options, failureCode: STATE_KEY_UNUSABLE });
  }
}

/** How the CLI begins what the secrets provider says, whoever's words follow. */
const STATE_KEY =
  /^\s*(?:stderr:\s*)?error: [^\n]*?(?:\bsecrets manager(?: for new stack| of type "cloud")?: |\bsecrets \(code=\w+\): )([^\n]+)/m;
/** A passphrase has no service that could come back. */
const OF_PASSPHRASE = /passphrase/i;

export const isOfPassphrase = (text: string): boolean => OF_PASSPHRASE.test(text);

/** @returns what the CLI says of a key that it could not use; undefined if that is not what has failed */
export function findKeyProblem(text: string): string | undefined {
  const said = STATE_KEY.exec(text);
  return said === null || isOfPassphrase(said[0]) ? undefined : describe(said[1]!);
}

/** What a failed move says: a list of causes, the first of which is the key service's own; or `otherwise`. */
export const keyProblem = (text: string, otherwise: string): string =>
  describe(FIRST_OF_SEVERAL.exec(text)?.[1] ?? otherwise);

const LONGEST = 2_000;
const CLI_FRAME = /^(?:constructing secrets manager of type "cloud": )?(?:secrets \(code=\w+\): )?/;
const FIRST_OF_SEVERAL = /^\s*1\) (.+)$/m;

const describe = (said: string) =>
  `The key of PULUMI_SECRETS_PROVIDER cannot be used: ${said.replace(CLI_FRAME, '')}`.slice(0, LONGEST);

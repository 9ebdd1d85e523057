import { HOLD_REASONS, REASONS_OF_PEOPLE } from '../agents/holds.ts';

/** The options of a command line as they were given. */
export type Values = Record<string, string | boolean | undefined>;

/** The command line cannot be understood; usage follows the message. */
export class UsageError extends Error {
  override name = 'UsageError';
}

/** People place holds for their own reasons; the service says which of the others they may release. */
export function holdReason(command: 'hold' | 'release', values: Values) {
  const reasons = command === 'hold' ? REASONS_OF_PEOPLE : HOLD_REASONS;
  const reason = reasons.find((one) => one === values.reason);
  if (reason === undefined) throw new UsageError(`${command} needs --reason ${reasons.join(' or ')}.`);
  return { reason, note: optional(values.note) };
}

export function wholeNumber(command: string, value: string | boolean | undefined): number | undefined {
  const given = optional(value);
  if (given !== undefined && !/^[1-9]\d{0,5}$/.test(given))
    throw new UsageError(`${command}: --count must be a whole number, 1 or more.`);
  return given === undefined ? undefined : Number(given);
}

export function onlyId(command: string, what: string, [id, ...more]: string[]): string {
  if (id === undefined || id === '') throw new UsageError(`${command} needs ${what}.`);
  refuseMore(more);
  return id;
}

export function newAgent(values: Values) {
  const userId = optional(values['user-id']);
  const region = optional(values.region);
  if (userId === undefined) throw new UsageError('create needs --user-id.');
  if (region === undefined) throw new UsageError('create needs --region.');
  const agentId = optional(values['agent-id']);
  const plan = optional(values.plan);
  return { userId, region, ...(agentId ? { agentId } : {}), ...(plan ? { plan } : {}) };
}

export function optional(value: string | boolean | undefined): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

export function refuseMore(positionals: readonly string[]): void {
  if (positionals[0] !== undefined) throw new UsageError(`Unexpected argument: ${positionals[0]}`);
}

export function auditScope(values: Values, positionals: readonly string[]) {
  const [scope, ...more] = positionals;
  const verify = scope === 'verify';
  const head = optional(values.head);
  refuseMore(more);
  if (head !== undefined && !verify) throw new UsageError('--head belongs to audit verify.');
  return { agentId: verify ? undefined : scope, verify, head };
}

const IMAGE_VERBS = ['build', 'list', 'prune'] as const;
export type ImageVerb = (typeof IMAGE_VERBS)[number];

/** What a command line that begins with `image` asks for. @throws UsageError */
export function imageCommand(
  values: Values,
  [verb, ...more]: string[],
): { verb: ImageVerb; region: string | undefined } {
  const known = IMAGE_VERBS.find((one) => one === verb);
  if (known === undefined) throw new UsageError(`image needs one of ${IMAGE_VERBS.join(', ')}.`);
  refuseMore(more);
  const region = optional(values.location);
  if (region !== undefined && known !== 'build') throw new UsageError(`image ${known} takes no --location.`);
  return { verb: known, region };
}

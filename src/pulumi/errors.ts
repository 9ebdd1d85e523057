import {
  CONFIGURE_FAILED,
  CREDENTIAL_REFUSED,
  LIMIT_REACHED,
  LostError,
  PermanentError,
  RateLimitedError,
  type ReportedError,
  RetryableError,
  reportedError,
  SOLD_OUT as SOLD_OUT_CODE,
  TAGS_REFUSED,
} from '../errors.ts';
import { errorMessages } from './diagnostics.ts';
import { missingPlugin } from './plugins.ts';
import { findKeyProblem, isOfPassphrase, keyProblem, StateKeyError } from './state-key-error.ts';

/** The failure code of a server that did not join. */
export const NOT_JOINED = 'not-joined';

/** Another process holds the stack's lock, or died and left it behind. */
export class StackLockedError extends RetryableError {
  override name = 'StackLockedError';
}

/** The stack does not exist. */
export class StackNotFoundError extends RetryableError {
  override name = 'StackNotFoundError';
}

/** The stack exists already. */
export class StackExistsError extends RetryableError {
  override name = 'StackExistsError';
}

/** What stands in a stack's state is not what is in the clouds: an import would change something there. */
export class StackDiffersError extends PermanentError {
  override name = 'StackDiffersError';
}

/** The server was created but did not join the tailnet in time: the next attempt replaces it. */
export class NotJoinedError extends RetryableError {
  override name = 'NotJoinedError';

  constructor(message: string, options?: ErrorOptions) {
    super(message, { ...options, failureCode: NOT_JOINED });
  }
}

/** Hetzner has no server of the wanted type in the wanted location at the moment. */
export class SoldOutError extends RetryableError {
  override name = 'SoldOutError';

  constructor(message: string, options?: ErrorOptions) {
    super(message, { ...options, failureCode: SOLD_OUT_CODE });
  }
}

/**
 * Errors that no retry can fix: the API rejected a request's content or credential. The codes are the APIs'
 * own, as the providers print them.
 */
const PERMANENT =
  /\((unauthorized|forbidden|invalid_input|protected|uniqueness_error_other_owner|token_readonly)(,|\))|\b401\b.*\b(unauthori[sz]ed|API token)\b|exactly 64 characters|incorrect passphrase|passphrase must be set/i;

/**
 * Tailscale's client ends its messages with the status, e.g. for a rejected credential, or for tags that the
 * credential may not assign.
 */
const PERMANENT_STATUS = /^[^\n]*[^\s:] \((400|401|403|422)\)\s*$/m;

/** Of the permanent ones, those that reject the credential. */
const CREDENTIAL = /\((unauthorized|forbidden|token_readonly)(,|\))|\b401\b|\((401|403)\)/;
/** The tailnet's policy does not let the credential give a device its tag. */
const TAGS = /requested tags \[[^\]\n]*\] are invalid or not permitted/;
/** Hetzner's limit of a project: a person raises it, or frees something. */
const LIMIT = /\(resource_limit_exceeded(,|\))/;

const LOCKED =
  /the stack is currently locked|conflict: Another update is currently in progress|stack is locked/i;
const NO_STACK = /no stack named|stack '?[\w-]+'? not found/i;
const STACK_EXISTS = /stack (?:named )?'?[\w./-]+'? already exists/i;
/** Also as a shell reports it, through which the CLI gets a passphrase: 128 and the signal's number. */
const KILLED =
  /was killed with SIG(KILL|TERM|INT)|signal: (?:killed|terminated|SIG(?:KILL|TERM))|exit status (?:137|143): running|Command failed with exit code (?:137|143)\b|transport is closing|error reading from server: EOF/i;
/** The state's database is restarting; the agent is not the cause. */
const STATE_AWAY =
  /unable to open state database[^\n]*(connection refused|connection reset|broken pipe|EOF|57P0[123]|starting up|shutting down|i\/o timeout)/i;
const SOLD_OUT = /\((resource_unavailable|placement_error)(,|\))/;
const RATE_LIMITED = /\(rate_limit_exceeded\b|[^\s:] \(429\)\s*$/m;
const CANCELLED = /error: (update|operation) (was )?canceled|signal: interrupt|context canceled/i;

/**
 * Translates a failed run to one of our errors. Nothing else reads the texts of the Pulumi CLI and its
 * plugins.
 */
export function pulumiError(cause: unknown): Error {
  if (cause instanceof StackDiffersError || cause instanceof StateKeyError) return cause;
  const said = cause instanceof Error ? cause.message : String(cause);
  // A code on a separate line reaches the patterns below only through the summary.
  const text = `${said}\n${summary(said)}`;
  if (LOCKED.test(text)) return new StackLockedError(summary(said), { cause });
  if (STACK_EXISTS.test(text)) return new StackExistsError(summary(said), { cause });
  if (NO_STACK.test(text)) return new StackNotFoundError(summary(said), { cause });
  const key = findKeyProblem(said);
  // Before all that reads the words of clouds: those of a key service may be the same. What the server's
  // configuration prints says nothing about the state, which was open by then.
  if (key !== undefined && !STATE_AWAY.test(text) && inOurTerms(said) === undefined)
    return new StateKeyError(withoutCredentials(key), { cause });
  const missing = missingPlugin(said);
  if (missing !== undefined) return new PermanentError(missing, { cause });
  if (PERMANENT.test(text) || (PERMANENT_STATUS.test(text) && inOurTerms(said) === undefined))
    return new PermanentError(summary(said), {
      cause,
      failureCode: permanentCodeOf(text),
    });
  // Not a CancelledError: a stopping host signals the CLI too, and our own cancellations are handled by the
  // canceller.
  if (KILLED.test(text) || (CANCELLED.test(text) && !/error: [^u]/.test(text)))
    return new LostError('A process of the run was killed from outside', { cause });
  if (STATE_AWAY.test(text))
    return new LostError(`The database of Pulumi’s state was unavailable: ${summary(said)}`, { cause });
  const failureCode = NO_DEVICE.test(said) ? NOT_JOINED : undefined;
  if (RATE_LIMITED.test(text)) return new RateLimitedError(summary(said), { cause, failureCode });
  if (NO_DEVICE.test(said)) return new NotJoinedError(summary(said), { cause });
  if (SOLD_OUT.test(text)) return new SoldOutError(summary(said), { cause });
  return new RetryableError(summary(said), { cause, failureCode: codeOf(text) });
}

/**
 * Translates a failed `change-secrets-provider`, which names neither the provider nor its own part: if the
 * stack itself is well, one of the two providers is the cause.
 */
export function moveError(cause: unknown): Error {
  const known = pulumiError(cause);
  if ([StackLockedError, StackNotFoundError, StateKeyError, LostError].some((One) => known instanceof One))
    return known;
  if (isOfPassphrase(known.message)) return known;
  const said = cause instanceof Error ? cause.message : String(cause);
  return new StateKeyError(withoutCredentials(keyProblem(said, known.message)), { cause });
}

function permanentCodeOf(text: string): string | undefined {
  if (TAGS.test(text)) return TAGS_REFUSED;
  return CREDENTIAL.test(text) ? CREDENTIAL_REFUSED : undefined;
}

function codeOf(text: string): string | undefined {
  if (LIMIT.test(text)) return LIMIT_REACHED;
  return text.search(CONFIGURE) >= 0 ? CONFIGURE_FAILED : undefined;
}

const NO_DEVICE = /Could not find device with hostname="?([\w-]+)|no device named "?([\w-]+)/i;
const CONFIGURE = /(exit status (\d+)|signal: \w+): running "exec \\*"\$AGENT_STACKS_CONFIGURE\\*"":?/g;
const CONFIGURE_ENDS: Record<string, string> = { '2': 'its input is wrong', '124': 'it took too long' };
const LAST_LINES = 6;

const DID_NOT_JOIN = 'The server did not join the tailnet in time';

/**
 * Returns the code of a failure that is reported as text alone: by a runner of an earlier version, or by a
 * workflow whose runner could not reach the service.
 */
export function failureCodeIn(summary: string): string | undefined {
  return summary.startsWith(DID_NOT_JOIN) ? NOT_JOINED : undefined;
}

/** Translates errors that Pulumi wraps to the service's terms; undefined for any other. */
function inOurTerms(text: string): string | undefined {
  const device = NO_DEVICE.exec(text);
  if (device !== null) return `${DID_NOT_JOIN}: there is no device ${device[1] ?? device[2]}`;
  // The first match is in the middle of the CLI's progress; the last one begins the script's own output.
  const configure = [...text.matchAll(CONFIGURE)].at(-1);
  if (configure === undefined) return undefined;
  const after =
    text.slice(configure.index + configure[0].length).split(/\n\s*\n|\n\S*Resources:|\n\s*error: /)[0] ?? '';
  const said = after
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .slice(-LAST_LINES);
  const how = CONFIGURE_ENDS[configure[2] ?? ''] ?? configure[1];
  return [`The configuration of the server failed (${how})`, ...said].join('\n');
}

const OF_STACKS = {
  StackLockedError,
  StackExistsError,
  StackNotFoundError,
  StackDiffersError,
  NotJoinedError,
  SoldOutError,
  StateKeyError,
};

/** Rebuilds the error that an engine process reported. */
export function engineError(reported: ReportedError): Error {
  if (!Object.hasOwn(OF_STACKS, reported.name)) return reportedError(reported);
  return new OF_STACKS[reported.name as keyof typeof OF_STACKS](reported.message);
}

/** How the Go plugins and the builtin ones report an unanswered call. */
const UNANSWERED = /\b(GET|POST|PUT|PATCH|DELETE) "(https?:[^"\s]+)": (?!no answer)(.+)/gi;

const LONGEST_SUMMARY = 2_000;

/** Summarizes a failed run for people: each error line of the diagnostics once, without the CLI's frame. */
export function summary(text: string): string {
  const ours = inOurTerms(text);
  if (ours !== undefined) return withoutCredentials(ours).slice(0, LONGEST_SUMMARY);
  const errors = errorMessages(text);
  const lines = text.split('\n').map((line) => line.replace(/^\s*(error:|stderr:|\*)\s*/i, '').trim());
  const chosen = errors.length > 0 ? errors : lines.filter((line) => line !== '');
  const said = [...new Set(chosen)].join('\n').replace(UNANSWERED, '$1 $2: no answer ($3)');
  return withoutCredentials(said).slice(0, LONGEST_SUMMARY);
}

/** Removes passwords: the CLI prints the state's whole address when it cannot reach it. */
function withoutCredentials(text: string): string {
  return text.replace(/([a-z][a-z0-9+.-]{0,20}:\/\/)[^\s/"']*@/gi, '$1[redacted]@');
}

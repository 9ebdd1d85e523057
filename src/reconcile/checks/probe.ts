import { errorMessage, PermanentError, RateLimitedError } from '../../errors.ts';
import type { OperationKind } from '../../operations/states.ts';

/** One thing that must be well before operations can succeed. Probes only read. */
export interface Probe {
  name: string;
  /** Which operations wait while it is not well. */
  blocks(kind: OperationKind): boolean;
  /**
   * @returns what was found, for a person.
   * @throws what is wrong: MisconfiguredError, or what a client throws.
   */
  look(): Promise<string>;
  /** What a person does where the other side refuses what is configured. */
  cure: string;
  /** Whether it may become well by itself in a moment, since something has only just been started. */
  settles?: boolean;
}

/** What a probe has found. */
export interface Check {
  name: string;
  ok: boolean;
  detail: string;
  /** Null where nothing is to be done. */
  cure: string | null;
}

/** A setting that cannot work, and what to do about it. */
export class MisconfiguredError extends PermanentError {
  override name = 'MisconfiguredError';
  readonly cure: string;

  constructor(detail: string, cure: string) {
    super(detail);
    this.cure = cure;
  }
}

const PATIENCE_SECONDS = 10;
const NO_ANSWER_CURE =
  'Is its address right, and can this host reach it? It is asked again every few seconds.';

/** Never throws, and takes no longer than ten seconds. */
export async function runProbe(probe: Probe): Promise<Check> {
  const { name } = probe;
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(
      () => reject(new Error(`no answer within ${PATIENCE_SECONDS} s`)),
      PATIENCE_SECONDS * 1000,
    );
  });
  try {
    return { name, ok: true, detail: await Promise.race([probe.look(), late]), cure: null };
  } catch (error) {
    // Nothing is wrong with what is configured, and operations have their own patience with a spent quota.
    if (error instanceof RateLimitedError)
      return { name, ok: true, detail: 'its quota of calls is spent for the moment', cure: null };
    return { name, ok: false, detail: errorMessage(error).slice(0, 1_500), cure: cureOf(probe, error) };
  } finally {
    clearTimeout(timer);
  }
}

function cureOf(probe: Probe, error: unknown): string {
  if (error instanceof MisconfiguredError) return error.cure;
  return error instanceof PermanentError ? probe.cure : NO_ANSWER_CURE;
}

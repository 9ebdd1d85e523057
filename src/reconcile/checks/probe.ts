import { DEFAULT_PROJECT } from '../../config/hetzner-projects.ts';
import { errorMessage, PermanentError, RateLimitedError } from '../../errors.ts';
import type { OperationKind } from '../../operations/states.ts';

/** Checks one thing that operations need in order to succeed. Probes only read. */
export interface Probe {
  name: string;
  /** Which operations wait while the check fails. */
  blocks(kind: OperationKind): boolean;
  /**
   * @returns the result as a sentence for people.
   * @throws the problem: MisconfiguredError, or the client's error.
   */
  look(): Promise<string>;
  /** What the operator should do if the other side rejects the configuration. */
  cure: string;
  /**
   * The Hetzner project that it is about, where there are several: only what is in it waits for the check.
   */
  project?: string | undefined;
  /** Whether a failure may resolve itself within moments, because something is still starting. */
  settles?: boolean;
}

/** The Hetzner project that a check is about. */
export interface CheckedProject {
  project: string;
  /** Whether there are others, which need not wait for it. */
  isOneOfSeveral: boolean;
}

export const ONLY_PROJECT: CheckedProject = { project: DEFAULT_PROJECT, isOneOfSeveral: false };

/** The name of a check that is made of each Hetzner project. */
export const ofProject = (check: string, { project, isOneOfSeveral }: CheckedProject): string =>
  isOneOfSeveral ? `${check}:${project}` : check;

/** What a probe blocks whose failure makes no order wait. */
export const nothing = (): boolean => false;

/** The result of a probe. */
export interface Check {
  name: string;
  ok: boolean;
  detail: string;
  /** What the operator should do; null if nothing. */
  cure: string | null;
}

/** A setting that cannot work, with its cure. */
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
  'Is its address right, and can this host reach it? It is checked again every few seconds.';

/** Runs a probe. Never throws, and takes at most ten seconds. */
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
    // The configuration is right, and operations handle a spent quota themselves.
    if (error instanceof RateLimitedError)
      return { name, ok: true, detail: 'its API quota is used up for the moment', cure: null };
    return { name, ok: false, detail: errorMessage(error).slice(0, 1_500), cure: cureFor(probe, error) };
  } finally {
    clearTimeout(timer);
  }
}

function cureFor(probe: Probe, error: unknown): string {
  if (error instanceof MisconfiguredError) return error.cure;
  return error instanceof PermanentError ? probe.cure : NO_ANSWER_CURE;
}

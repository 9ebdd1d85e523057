import type { Target } from './kill.ts';
import type { ScenarioContext } from './scenario-context.ts';
import type { Measured, PhaseName, Strike, StrikeOptions } from './strikes.ts';

export interface MatrixOptions {
  targets: readonly Target[];
  /** How many moments are spread evenly over each operation; default: none. */
  moments: Partial<Record<PhaseName, number>>;
  tools: Record<string, string>;
  say(line: string): void;
}

export interface MatrixReport {
  seconds: number;
  /** How long each operation takes without a fault on this machine, in milliseconds. */
  measured: Record<string, Partial<Record<PhaseName, number>>>;
  /**
   * Per target and operation: how many moments, how many hit the middle of an attempt, and how long until all
   * was quiet.
   */
  summary: {
    what: string;
    moments: number;
    inTheMiddle: number;
    medianSeconds: number;
    longestSeconds: number;
  }[];
  strikes: Strike[];
  dumps: string[];
}

/** What the strikes of one installation share. */
export interface Matrix {
  context: ScenarioContext;
  options: MatrixOptions & StrikeOptions;
  measured: Partial<Record<PhaseName, Measured>>;
  report: MatrixReport;
}

export const hasViolations = ({ strikes }: MatrixReport) =>
  strikes.some(({ violations }) => violations.length > 0);

export function summarize(strikes: Strike[]): MatrixReport['summary'] {
  const groups = Map.groupBy(strikes, ({ target, phase }) => `${target}, ${phase}`);
  return [...groups].map(([what, of]) => {
    const seconds = of.map(({ recoverySeconds }) => recoverySeconds).sort((one, other) => one - other);
    return {
      what,
      moments: of.length,
      inTheMiddle: of.filter(({ attempts, hit }) => hit && attempts > 1).length,
      medianSeconds: seconds[Math.floor(seconds.length / 2)] ?? 0,
      longestSeconds: seconds.at(-1) ?? 0,
    };
  });
}

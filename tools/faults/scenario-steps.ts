import { setTimeout as sleep } from 'node:timers/promises';
import type { Violation } from './model.ts';
import {
  checkWhenQuiet,
  orderAgent,
  readOperations,
  type ScenarioContext,
  untilStatus,
} from './scenario-context.ts';

/** The result of a scenario. */
export interface Finding {
  violations: Violation[];
  /** What the service reported: errors of operations at the time, and log lines. */
  told: string[];
  figures: Record<string, number | string>;
}

/** The longest that an agent may take to settle. */
export const LIMIT_SECONDS = 420;

/** Describes a fault in the next calls to Hetzner. */
export function call(
  method: string,
  path: string,
  effect: { kind: string } & Record<string, unknown>,
  times = 1,
) {
  return { area: 'hetzner' as const, method, path, times, effect };
}

/** Orders an agent, waits for `running`, and collects reported errors on the way. */
export async function provisionThrough(context: ScenarioContext, agentId: string): Promise<Finding> {
  const told = tellingErrors(context, agentId);
  await orderAgent(context, agentId);
  await untilStatus(context, agentId, 'running', LIMIT_SECONDS);
  return conclude(context, { workers: 1, told: await told.stop(), agentId });
}

/** A fault that never occurred proves nothing. */
export function afterFailure(finding: Finding): Finding {
  if (finding.figures.failed === 0)
    finding.violations.push({ invariant: 'the fault is met', detail: 'no attempt failed' });
  return finding;
}

/** Collects every error that the agent's operations show meanwhile. */
export function tellingErrors(context: ScenarioContext, agentId: string): { stop(): Promise<string[]> } {
  const seen = new Set<string>();
  let over = false;
  const watching = (async () => {
    while (!over) {
      for (const { kind, error, failed_step } of await readOperations(context, agentId).catch(() => []))
        if (error !== null) seen.add(`${kind}, ${failed_step}: ${error}`);
      await sleep(250);
    }
  })();
  return {
    stop: async () => {
      over = true;
      await watching;
      return [...seen];
    },
  };
}

export async function conclude(
  context: ScenarioContext,
  { workers, told, agentId }: { workers: number; told: string[]; agentId: string },
): Promise<Finding> {
  const violations = await checkWhenQuiet(context, { workers, timeoutSeconds: LIMIT_SECONDS });
  const operations = await readOperations(context, agentId);
  return {
    violations,
    told,
    figures: {
      attempts: operations.reduce((sum, { attempt }) => sum + attempt, 0),
      failed: operations.reduce((sum, { retry_count }) => sum + retry_count, 0),
      lost: operations.reduce((sum, { lost_count }) => sum + lost_count, 0),
    },
  };
}

export function together(findings: Finding[]): Finding {
  return {
    violations: findings.flatMap(({ violations }) => violations),
    told: findings.flatMap(({ told }) => told),
    figures: { attempts: findings.map(({ figures }) => figures.attempts).join(', ') },
  };
}

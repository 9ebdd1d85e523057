import { setTimeout as sleep } from 'node:timers/promises';
import { checkStage, orderAgent, readOperations, type Stage, untilStatus } from './agent-run.ts';
import type { Violation } from './model.ts';

/** What a scenario came to. */
export interface Finding {
  violations: Violation[];
  /** What the service told people about it: errors of operations as they stood, lines of the log. */
  told: string[];
  figures: Record<string, number | string>;
}

/** The longest that an agent may take to come to its end. */
export const LIMIT_SECONDS = 420;

/** A fault for the next calls to Hetzner. */
export function call(
  method: string,
  path: string,
  effect: { kind: string } & Record<string, unknown>,
  times = 1,
) {
  return { area: 'hetzner' as const, method, path, times, effect };
}

/** Orders an agent and sees it through to `running`, with what was said on the way. */
export async function provisionThrough(stage: Stage, agentId: string): Promise<Finding> {
  const told = tellingErrors(stage, agentId);
  await orderAgent(stage, agentId);
  await untilStatus(stage, agentId, 'running', LIMIT_SECONDS);
  return conclude(stage, { workers: 1, told: await told.stop(), agentId });
}

/** A fault that nothing has met proves nothing. */
export function afterFailure(finding: Finding): Finding {
  if (finding.figures.failed === 0)
    finding.violations.push({ invariant: 'the fault is met', detail: 'no attempt failed' });
  return finding;
}

/** Collects every error that operations of the agent show while it goes on. */
export function tellingErrors(stage: Stage, agentId: string): { stop(): Promise<string[]> } {
  const seen = new Set<string>();
  let over = false;
  const watching = (async () => {
    while (!over) {
      for (const { kind, error, failed_step } of await readOperations(stage, agentId).catch(() => []))
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
  stage: Stage,
  { workers, told, agentId }: { workers: number; told: string[]; agentId: string },
): Promise<Finding> {
  const violations = await checkStage(stage, { workers, timeoutSeconds: LIMIT_SECONDS });
  const operations = await readOperations(stage, agentId);
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

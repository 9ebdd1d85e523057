import { randomUUID } from 'node:crypto';
import type { Meter, Usage } from './meter.ts';
import type { Side } from './side.ts';

/** A number of agents provisioned and destroyed again, so many at once. */
export interface Round {
  side: string;
  atOnce: number;
  agents: number;
  provision: Phase;
  destroy: Phase;
}

export interface Phase {
  /** Per agent, in order of completion. */
  seconds: number[];
  usage: Usage;
}

export interface RoundPlan {
  atOnce: number;
  agents: number;
}

export const ROUND_PLANS: RoundPlan[] = [
  { atOnce: 1, agents: 3 },
  { atOnce: 4, agents: 8 },
];

/** Runs rounds of both sides alternately, so that a machine that gets slower or faster affects both. */
export async function measureProvisions(options: {
  sides: readonly Side[];
  meter: Meter;
  rounds: number;
  tell: (line: string) => void;
}): Promise<Round[]> {
  const { sides, meter, rounds, tell } = options;
  const results: Round[] = [];
  for (let round = 1; round <= rounds; round += 1) {
    for (const plan of ROUND_PLANS) {
      for (const side of sides) {
        const result = await measureRound(side, meter, plan);
        results.push(result);
        tell(
          `round ${round} of ${rounds}, ${plan.atOnce} at once, ${side.name}: ${plan.agents} provisions in ` +
            `${result.provision.usage.seconds.toFixed(1)} s, destroyed in ${result.destroy.usage.seconds.toFixed(1)} s`,
        );
      }
    }
  }
  return results;
}

async function measureRound(side: Side, meter: Meter, { atOnce, agents }: RoundPlan): Promise<Round> {
  const agentIds = Array.from({ length: agents }, () => `bench-${randomUUID().slice(0, 13)}`);
  const provision = await measurePhase(meter, agentIds, atOnce, side.provision);
  const destroy = await measurePhase(meter, agentIds, atOnce, side.destroy);
  await side.tidy();
  return { side: side.name, atOnce, agents, provision, destroy };
}

async function measurePhase(
  meter: Meter,
  agentIds: readonly string[],
  atOnce: number,
  work: (agentId: string) => Promise<void>,
): Promise<Phase> {
  const seconds: number[] = [];
  const waiting = [...agentIds];
  const lane = async () => {
    for (let agentId = waiting.shift(); agentId !== undefined; agentId = waiting.shift()) {
      const start = performance.now();
      await work(agentId);
      seconds.push((performance.now() - start) / 1000);
    }
  };
  const usage = await meter.measure(async () => {
    await Promise.all(Array.from({ length: atOnce }, lane));
  });
  return { seconds, usage };
}

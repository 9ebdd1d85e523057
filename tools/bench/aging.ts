import { randomUUID } from 'node:crypto';
import type { AgentWatch } from './agent-watch.ts';
import type { ServiceProcess } from './service-process.ts';
import type { Side } from './side.ts';
import { median } from './statistics.ts';
import { askForOperation } from './this-service.ts';

export interface AgingResult {
  refreshes: number;
  firstTenMedianSeconds: number;
  lastTenMedianSeconds: number;
  /** Rows of the stack in Pulumi's backend: after the provision, after ten refreshes, at the end. */
  stateRows: { provisioned: number; tenth: number; last: number };
}

const REFRESHES = 100;
const TOLD_EVERY = 20;

/** Refreshes one agent a hundred times in sequence. */
export async function measureAging(deps: {
  service: ServiceProcess;
  side: Side;
  watch: AgentWatch;
  countStateRows: (agentId: string) => Promise<number>;
  tell: (line: string) => void;
}): Promise<AgingResult> {
  const { service, side, watch, countStateRows, tell } = deps;
  const agentId = `bench-${randomUUID().slice(0, 13)}`;
  await side.provision(agentId);
  const provisioned = await countStateRows(agentId);
  const seconds: number[] = [];
  let tenth = 0;
  for (let count = 1; count <= REFRESHES; count += 1) {
    const start = performance.now();
    await askForOperation(service, agentId, 'refresh');
    await watch.until(agentId, ({ unfinished }) => unfinished === 0);
    seconds.push((performance.now() - start) / 1000);
    if (count === 10) tenth = await countStateRows(agentId);
    if (count % TOLD_EVERY === 0)
      tell(`refresh ${count} of ${REFRESHES}: ${median(seconds.slice(-10)).toFixed(2)} s`);
  }
  await refuseFailures(watch, agentId);
  const last = await countStateRows(agentId);
  await side.destroy(agentId);
  return {
    refreshes: REFRESHES,
    firstTenMedianSeconds: median(seconds.slice(0, 10)),
    lastTenMedianSeconds: median(seconds.slice(-10)),
    stateRows: { provisioned, tenth, last },
  };
}

/** A refresh that fails fast must not count as a fast one. */
async function refuseFailures(watch: AgentWatch, agentId: string): Promise<void> {
  const rows = await watch.rows<{ count: number }>(
    `select count(*)::int as count from operations
     where agent_id = $1 and kind = 'refresh' and (status <> 'succeeded' or retry_count > 0)`,
    [agentId],
  );
  if (rows[0]!.count > 0)
    throw new Error(`${rows[0]!.count} of the refreshes did not succeed at the first try`);
}

import type { SandboxFile } from '../../sandbox/host/sandbox-file.ts';
import { createDatabase, createPool } from '../../src/database/connect.ts';
import { createHetznerClient } from '../../src/hetzner/hetzner.ts';
import { createLog } from '../../src/log.ts';
import { sweepAlone } from '../../src/reconcile/sweep/schedule.ts';
import type { SweepDeps } from '../../src/reconcile/sweep/sweep.ts';
import type { SweepReport } from '../../src/reconcile/sweep/sweeps.ts';
import { Secret } from '../../src/secret.ts';
import { createTailscaleClient } from '../../src/tailscale/tailscale.ts';
import { type FleetDeps, makeFleet } from './fleet.ts';
import type { Meter } from './meter.ts';

export interface SweepResult {
  agents: number;
  seconds: number[];
  /** API calls to both clouds of each sweep until all lists were complete, by its own count. */
  calls: number[];
  /** Those to Hetzner alone, by the quota. */
  hetznerCalls: number;
  /** Number of compared resources. */
  compared: number;
}

const SWEEPS = 5;

/**
 * Measures sweeps over an installation with so many agents, run in this process by the worker's own
 * function.
 */
export async function measureSweep(
  deps: FleetDeps & { agents: number; meter: Meter; logFile: string },
): Promise<SweepResult> {
  const { agents } = deps;
  deps.tell(`making ${agents} agents through the clouds’ APIs`);
  await makeFleet(deps, agents);
  const pool = createPool(new Secret(deps.sandbox.databaseUrl), 4, 'bench sweep');
  const database = createDatabase(pool);
  const sweepDeps: SweepDeps = { database, openClouds: clouds(deps.sandbox), log: createLog(deps.logFile) };
  const seconds: number[] = [];
  let last: Cycle | undefined;
  let hetznerCalls = 0;
  try {
    for (let count = 1; count <= SWEEPS; count += 1) {
      const usage = await deps.meter.measure(async () => {
        last = await sweepAll(sweepDeps, agents);
      });
      seconds.push(usage.seconds);
      hetznerCalls = usage.hetznerCalls;
      deps.tell(
        `sweep ${count} of ${SWEEPS}: ${usage.seconds.toFixed(2)} s, ${last!.calls.join(' + ')} calls`,
      );
    }
  } finally {
    await pool.end();
  }
  return { agents, seconds, calls: last!.calls, hetznerCalls, compared: last!.compared };
}

interface Cycle {
  /** Of each sweep that it took. */
  calls: number[];
  compared: number;
}

/** Sweeps until all lists are complete: a large fleet takes more than one sweep, each within its budget. */
async function sweepAll(deps: SweepDeps, agents: number): Promise<Cycle> {
  const cycle: Cycle = { calls: [], compared: 0 };
  for (;;) {
    const report = checked(await sweepAlone(deps, { pauseSeconds: 0, signal: new AbortController().signal }));
    cycle.calls.push(report.calls);
    cycle.compared += report.listed;
    if (report.next === null) break;
  }
  if (cycle.compared < 2 * agents) throw new Error(`The sweeps compared only ${cycle.compared} resources`);
  return cycle;
}

/** A sweep that ended early or found a problem with the fleet must not be measured. */
function checked(report: SweepReport | undefined): SweepReport {
  if (report === undefined) throw new Error('A worker was sweeping at the same time');
  const complaints = [
    ...report.findings,
    ...(report.note === null || report.next !== null ? [] : [report.note]),
  ];
  if (complaints.length > 0)
    throw new Error(`The sweep found problems: ${complaints.slice(0, 3).join('; ')}`);
  return report;
}

function clouds(sandbox: SandboxFile): SweepDeps['openClouds'] {
  const hcloud = { token: new Secret(sandbox.hcloudToken), endpoint: sandbox.hcloudEndpoint };
  const tailscale = {
    credential: { kind: 'api-key' as const, key: new Secret(sandbox.tailscaleApiKey) },
    tailnet: '-',
    baseUrl: sandbox.tailscaleBaseUrl,
    loginServer: undefined,
  };
  return (watches) => ({
    projects: new Map([['default', createHetznerClient(hcloud, watches.project('default'))]]),
    tailscale: createTailscaleClient(tailscale, watches.tailscale),
  });
}

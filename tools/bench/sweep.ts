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
  /** API calls of one sweep to both clouds, by its own count; and those to Hetzner alone, by the quota. */
  calls: number;
  hetznerCalls: number;
  /** Number of compared resources. */
  compared: number;
}

const AGENTS = 1_000;
const SWEEPS = 5;

/**
 * Measures sweeps over an installation with a thousand agents, run in this process by the worker's own
 * function.
 */
export async function measureSweep(
  deps: FleetDeps & { meter: Meter; logFile: string },
): Promise<SweepResult> {
  deps.tell(`making ${AGENTS} agents through the clouds’ APIs`);
  await makeFleet(deps, AGENTS);
  const pool = createPool(new Secret(deps.sandbox.databaseUrl), 4, 'bench sweep');
  const database = createDatabase(pool);
  const sweepDeps: SweepDeps = { database, openClouds: clouds(deps.sandbox), log: createLog(deps.logFile) };
  const seconds: number[] = [];
  const reports: SweepReport[] = [];
  let hetznerCalls = 0;
  try {
    for (let count = 1; count <= SWEEPS; count += 1) {
      let report: SweepReport | undefined;
      const usage = await deps.meter.measure(async () => {
        report = await sweepAlone(sweepDeps, { pauseSeconds: 0, signal: new AbortController().signal });
      });
      reports.push(checked(report));
      seconds.push(usage.seconds);
      hetznerCalls = usage.hetznerCalls;
      deps.tell(`sweep ${count} of ${SWEEPS}: ${usage.seconds.toFixed(2)} s`);
    }
  } finally {
    await pool.end();
  }
  const last = reports.at(-1)!;
  return { agents: AGENTS, seconds, calls: last.calls, hetznerCalls, compared: last.listed };
}

/** A sweep that was cut short or found a problem with the fleet must not be measured. */
function checked(report: SweepReport | undefined): SweepReport {
  if (report === undefined) throw new Error('A worker was sweeping at the same time');
  const complaints = [...report.findings, ...(report.note === null ? [] : [report.note])];
  if (complaints.length > 0)
    throw new Error(`The sweep found problems: ${complaints.slice(0, 3).join('; ')}`);
  if (report.listed < 2 * AGENTS) throw new Error(`The sweep compared only ${report.listed} resources`);
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
    hetzner: createHetznerClient(hcloud, watches.hetzner),
    tailscale: createTailscaleClient(tailscale, watches.tailscale),
  });
}

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { configurationVersion } from '../../src/app/configuration-version.ts';
import { Keyring } from '../../src/keys/keyring.ts';
import { Secret } from '../../src/secret.ts';
import { type AgentWatch, openAgentWatch } from './agent-watch.ts';
import { startDocumented } from './documented/client.ts';
import { documentedUsage } from './documented-usage.ts';
import { createMeter, type Meter } from './meter.ts';
import { createRequestCounter } from './request-counter.ts';
import { type ServiceProcess, startService } from './service-process.ts';
import type { Side } from './side.ts';
import { thisService } from './this-service.ts';

export interface InstallationSettings {
  /** The clone's top folder. */
  root: string;
  /** A fresh folder for all files. */
  folder: string;
  environment: Record<string, string>;
  ansibleBin: string | undefined;
  /** Registers what must be closed at the end in any case; the last is closed first. */
  defer: (close: () => Promise<unknown>) => void;
  tell: (line: string) => void;
}

/** A running service with its sandbox, and the instruments that measure it. */
export interface Installation {
  folder: string;
  dataDir: string;
  service: ServiceProcess;
  watch: AgentWatch;
  meter: Meter;
  ours: Side;
  /** Rows of an agent's stack in Pulumi's backend. */
  countStateRows(agentId: string): Promise<number>;
  /** Another process of the same installation that serves only HTTP. */
  startApi(): Promise<ServiceProcess>;
  startDocumentedWays(): Promise<Side[]>;
}

const REGION = 'eu-central';

/** Starts the service on a fresh folder and waits for its demo order, so that all one-time work is done. */
export async function openInstallation(settings: InstallationSettings): Promise<Installation> {
  const { folder, environment, defer, tell } = settings;
  const dataDir = join(folder, 'data');
  mkdirSync(folder);
  tell('starting the service on a fresh DATA_DIR');
  const service = await startService({ dataDir, role: 'all', environment, defer });
  const watch = await openAgentWatch(service.sandbox.databaseUrl);
  defer(watch.close);
  const { sandbox } = service;
  const meter = createMeter(
    createRequestCounter({ endpoint: sandbox.hcloudEndpoint, token: sandbox.hcloudToken }),
  );
  meter.addRoot(service.pid, 'service');
  await untilDemoAgentRuns(watch);
  return {
    folder,
    dataDir,
    service,
    watch,
    meter,
    ours: thisService(service, watch, REGION),
    countStateRows: (agentId) => countStateRows(sandbox.pulumiBackendUrl, `agent-${agentId}`),
    startApi: () => startService({ dataDir, role: 'api', environment, defer }),
    startDocumentedWays: () => startDocumentedWays(settings, { service, watch, meter }),
  };
}

async function untilDemoAgentRuns(watch: AgentWatch): Promise<void> {
  for (;;) {
    const [demo] = await watch.rows<{ agent_id: string }>('select agent_id from agents limit 1');
    if (demo !== undefined) return watch.until(demo.agent_id, ({ status }) => status === 'running');
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

async function startDocumentedWays(
  { root, folder, environment, ansibleBin, defer, tell }: InstallationSettings,
  { service, watch, meter }: Pick<Installation, 'service' | 'watch' | 'meter'>,
): Promise<Side[]> {
  const { sandbox } = service;
  const temporary = join(folder, 'documented');
  mkdirSync(temporary);
  const given = { hcloudEndpoint: sandbox.hcloudEndpoint, temporary };
  const client = await startDocumented(given, environment, defer);
  meter.addRoot(client.pid, 'documented');
  const [shared] = await watch.rows<{ firewallId: number; location: string; plan: string }>(
    `select f.firewall_id::int as "firewallId", a.location, a.plan from foundations f, agents a limit 1`,
  );
  const { versions } = new Keyring(new Secret(sandbox.pulumiPassphrase));
  const version = configurationVersion(join(root, 'ansible'), { variables: {}, paths: [] }, versions);
  const deps = {
    client,
    sandbox,
    shared: { ...shared!, configurationVersion: version },
    configure: { path: join(root, 'ansible', 'configure'), ansibleBin, logDir: folder },
    pulumiHome: join(folder, 'pulumi-home'),
  };
  const sides = [documentedUsage(deps, 'calls'), documentedUsage(deps, 'example')];
  tell('one agent with the documented usage, unmeasured, as a counterpart of the service’s demo order');
  const [first] = sides;
  await first!.provision('bench-warm-up');
  await first!.destroy('bench-warm-up');
  await first!.tidy();
  return sides;
}

async function countStateRows(pulumiBackendUrl: string, stackName: string): Promise<number> {
  const client = new pg.Client({ connectionString: pulumiBackendUrl });
  await client.connect();
  try {
    const { rows } = await client.query<{ count: number }>(
      'select count(*)::int as count from pulumi_state where key like $1',
      [`%/${stackName}%`],
    );
    return rows[0]!.count;
  } finally {
    await client.end();
  }
}

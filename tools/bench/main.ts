import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Config, readConfig } from '../../src/config/config.ts';
import { explainMissing, type MachineTools } from '../../src/config/machine-tools.ts';
import { useOwnEnvironment } from '../../src/config/process-environment.ts';
import { errorMessage } from '../../src/errors.ts';
import { untilStopped } from '../../src/processes/stop-signals.ts';
import { measureAging } from './aging.ts';
import { type Installation, type InstallationSettings, openInstallation } from './installation.ts';
import { machineFacts } from './machine.ts';
import { AT_ONCE, measureMachines } from './machines.ts';
import { type Options, readOptions, USAGE } from './options.ts';
import { measurePages } from './pages.ts';
import { measurePool } from './pool.ts';
import { measureProvisions } from './provision.ts';
import { measureRecovery } from './recovery.ts';
import { type Results, report } from './report.ts';
import { measureSweep } from './sweep.ts';
import { measureWebhook } from './webhook.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const startedAt = performance.now();
const tell = (line: string) =>
  console.error(`[${((performance.now() - startedAt) / 1000).toFixed(0).padStart(4)} s] ${line}`);

/** Closes what has been opened, last first; what is opened after the end is closed at once. */
class Closers {
  readonly #closers: (() => Promise<unknown>)[] = [];
  #closed = false;

  add = (close: () => Promise<unknown>): void => {
    if (this.#closed) void close();
    else this.#closers.unshift(close);
  };

  async close(): Promise<void> {
    this.#closed = true;
    for (const close of this.#closers) await close().catch(() => {});
  }
}

/** Runs the chosen measurements, each on an installation, and removes it again in any case. */
async function main(): Promise<number> {
  let options: Options;
  try {
    options = readOptions(process.argv.slice(2));
  } catch (error) {
    console.error(`${errorMessage(error)}\n${USAGE}`);
    return 2;
  }
  const stopped = untilStopped();
  const closers = new Closers();
  const folder = mkdtempSync(join(tmpdir(), 'agent-stacks-bench-'));
  try {
    const measuring = measure(options, folder, closers.add);
    // After an interruption it fails somewhere, once its processes are gone.
    measuring.catch(() => {});
    const results = await Promise.race([measuring, stopped.promise.then(() => undefined)]);
    if (results === undefined) {
      tell('interrupted: stopping everything');
      return 130;
    }
    console.log(`\n${report(results)}`);
    if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(results, null, 2)}\n`);
    return 0;
  } catch (error) {
    console.error(`The benchmark failed: ${errorMessage(error)}`);
    return 1;
  } finally {
    await closers.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function measure(
  options: Options,
  folder: string,
  defer: InstallationSettings['defer'],
): Promise<Results> {
  const config = readConfig({
    ...process.env,
    MODE: 'sandbox',
    HOST: '127.0.0.1',
    PORT: '0',
    SANDBOX_MACHINES: 'auto',
    PULUMI_SECRETS_PROVIDER: options.secretsProvider,
    PULUMI_SECRETS_PROVIDER_BEFORE: undefined,
  });
  useOwnEnvironment(process.env, config.childEnvironment);
  const machineTools = config.tools.machines;
  const ansibleBin = config.tools.ansible;
  const results: Results = { machine: machineFacts(root, config.tools.pulumi ?? 'pulumi') };
  const open: OpenInstallation = async (name, machines = 'simulated', variables = {}) => {
    const environment = {
      ...childEnvironment(config),
      ...machinesEnvironment(machines, machineTools),
      ...variables,
    };
    const folderOfIt = join(folder, name);
    const installation = await openInstallation({
      root,
      folder: folderOfIt,
      environment,
      ansibleBin,
      defer,
      tell,
    });
    const [postgres] = await installation.watch.rows<{ server_version: string }>('show server_version');
    results.machine.postgres ??= postgres!.server_version;
    return installation;
  };
  let shared: Promise<Installation> | undefined;
  const openShared = () => (shared ??= open('main'));
  for (const measurement of options.measurements) {
    tell(`measuring: ${measurement}`);
    Object.assign(
      results,
      await MEASURE[measurement](openShared, {
        ...options,
        open,
        machineTools,
        environment: childEnvironment(config),
        folder,
        defer,
      }),
    );
  }
  return results;
}

type OpenInstallation = (
  name: string,
  machines?: 'simulated' | 'real',
  variables?: Record<string, string>,
) => Promise<Installation>;
type Measure = (
  /** The installation shared by measurements that do not disturb each other. */
  openShared: () => Promise<Installation>,
  options: Options & {
    open: OpenInstallation;
    machineTools: MachineTools;
    /** Of every service, without what a measurement adds. */
    environment: Record<string, string>;
    folder: string;
    defer: InstallationSettings['defer'];
  },
) => Promise<Partial<Results>>;

/** Agents on real machines whose databases are lost, besides the demo order's. */
const LOST_REAL = 2;

const MEASURE: Record<Options['measurements'][number], Measure> = {
  provision: async (openShared, { rounds }) => {
    const installation = await openShared();
    const sides = [installation.ours, ...(await installation.startDocumentedWays())];
    return { provision: await measureProvisions({ sides, meter: installation.meter, rounds, tell }) };
  },
  webhook: async (openShared) => {
    const installation = await openShared();
    const api = await installation.startApi();
    const webhook = await measureWebhook(api, installation.watch, tell);
    await api.stop();
    return { webhook };
  },
  pool: async (_, { open, slots }) => {
    const installation = await open('pool', 'simulated', {
      POOL: `fsn1/starter=${slots}`,
      POOL_REFILLS: '4',
    });
    const pool = await measurePool(installation, { slots, tell });
    await installation.service.stop();
    return { pool };
  },
  aging: async (openShared) => {
    const { service, ours, watch, countStateRows } = await openShared();
    return { aging: await measureAging({ service, side: ours, watch, countStateRows, tell }) };
  },
  sweep: async (_, { open, agents }) => {
    // A separate installation with a full quota of API calls, whose agents disturb nothing else.
    const { service, watch, meter, folder } = await open('fleet', 'simulated', {
      SANDBOX_MAX_SERVERS: String(agents + 100),
      // A large fleet takes more calls to make than a project has in an hour.
      ...(agents > 1_000 && { SANDBOX_REQUESTS_PER_HOUR: String(agents * 10) }),
    });
    const logFile = join(folder, 'sweep.log');
    const sweep = await measureSweep({ sandbox: service.sandbox, agents, watch, meter, logFile, tell });
    // Otherwise the worker would keep checking its thousand agents during other measurements.
    await service.stop();
    return { sweep };
  },
  recovery: async (_, { open, lost, environment, machineTools, defer }) => {
    const measureOn = async (machines: 'simulated' | 'real', agents: number) => {
      const variables = { SANDBOX_MAX_SERVERS: String(agents + 100), POOL: 'none' };
      const installation = await open(`lost-${machines}`, machines, variables);
      const again = { ...environment, ...variables, ...machinesEnvironment(machines, machineTools) };
      return measureRecovery(installation, { agents, machines, environment: again, defer, tell });
    };
    const recovery = [await measureOn('simulated', lost)];
    if (!('missing' in machineTools)) recovery.push(await measureOn('real', LOST_REAL));
    return { recovery };
  },
  // On a database of its own, without a worker that would act on what was filled in.
  pages: async (_, { folder, defer }) => ({
    pages: await measurePages({ folder: join(folder, 'pages'), tell, defer }),
  }),
  machines: async (_, { purchases, open, machineTools }) => {
    if ('missing' in machineTools)
      return { machines: { leftOut: `not available: ${explainMissing(machineTools.missing)}` } };
    // What is measured is the making of servers, and of several at once without a queue before it.
    const places = { POOL: 'none', WORKER_CONCURRENCY: String(AT_ONCE) };
    const installation = await open('machines', 'real', places);
    const machines = await measureMachines(installation, { purchases, tell });
    await installation.service.stop();
    return { machines };
  },
};

function machinesEnvironment(machines: 'simulated' | 'real', tools: MachineTools): Record<string, string> {
  return { SANDBOX_MACHINES: machines, AGENT_STACKS_MACHINE_TOOLS: JSON.stringify(tools) };
}

/** What the measured processes inherit: nothing of the user's own installation. */
function childEnvironment({
  childEnvironment,
  cacheDir,
  tools,
  pulumi: { secrets },
}: Config): Record<string, string> {
  const { pulumi, ansible } = tools;
  const ofProvider = Object.entries(secrets.environment).map(([name, value]) => [name, value.reveal()]);
  return {
    ...childEnvironment,
    // The documented usage finds the CLI on the PATH.
    ...(pulumi === undefined
      ? {}
      : {
          AGENT_STACKS_PULUMI: pulumi,
          PATH: [dirname(pulumi), childEnvironment.PATH].filter(Boolean).join(delimiter),
        }),
    ...(ansible === undefined ? {} : { AGENT_STACKS_ANSIBLE: ansible }),
    CACHE_DIR: cacheDir,
    PULUMI_SECRETS_PROVIDER: secrets.url,
    ...Object.fromEntries(ofProvider),
    WORKER_CONCURRENCY: '4',
  };
}

process.exit(await main());

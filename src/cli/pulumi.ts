// Before anything that loads the SDK.
import '../pulumi/engine/lazy/hooks.ts';
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openSandboxInstallation } from '../../sandbox/host/installation.ts';
import { createProgram } from '../../stacks/program.ts';
import { type Config, type LiveConfig, readConfig } from '../config/config.ts';
import { ConfigError } from '../config/config-error.ts';
import { useOwnEnvironment } from '../config/process-environment.ts';
import { type Connections, projectNamed } from '../connections/connections.ts';
import { openConnections } from '../connections/rehearsal.ts';
import { createDatabase, createPool, type Database } from '../database/connect.ts';
import { databaseVersion } from '../database/migrations.ts';
import { errorMessage } from '../errors.ts';
import { followEpochs } from '../keys/epochs.ts';
import { refuseOtherUsers } from '../processes/peer-user.ts';
import { complain } from '../processes/terminal-text.mjs';
import { configureEnvironment } from '../pulumi/engine/configure-environment.ts';
import { type ProviderModule, providerOptions } from '../pulumi/engine/run-stack.ts';
import { providerEnvironment, pulumiEnvironment } from '../pulumi/environment.ts';
import { openStateStore } from '../pulumi/open-state.ts';
import { type PreparedStack, prepareStack } from './prepare-stack.ts';
import { serveProgram } from './program-server.ts';
import {
  changesStack,
  type PulumiArguments,
  readArguments,
  refusal,
  runsProgram,
  withSecretsProvider,
} from './pulumi-arguments.ts';
import { findSshRoute } from './ssh/route.ts';

/**
 * `npm run pulumi -- <args>`: the plain Pulumi CLI against this installation's backend, with the agent's
 * recorded inputs. Works beside a running service. Without one, it runs the database and the sandbox itself
 * until the command ends.
 */
const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const CONFIGURE_TIMEOUT_SECONDS = 900;

async function main(args: string[]): Promise<number> {
  // The program and the providers are served on loopback while the CLI runs.
  refuseOtherUsers();
  const config = readConfig(process.env);
  useOwnEnvironment(process.env, config.childEnvironment);
  const installation =
    config.mode === 'sandbox' ? await openSandboxInstallation(config, complain) : undefined;
  try {
    // This process accepts no webhooks; the sandbox keeps them until a service does.
    await installation?.serve({ url: config.publicUrl, port: config.port });
    const connections = installation?.connections ?? (await openConnections(config as LiveConfig));
    return await runCli(config, connections, args);
  } finally {
    await installation?.stop();
  }
}

async function runCli(config: Config, connections: Connections, args: string[]): Promise<number> {
  const parsed = readArguments(args);
  const refused = refusal(parsed);
  if (refused !== undefined) throw new ConfigError(refused);
  const prepared = await withDatabase(connections, async (database) => {
    if ((await databaseVersion(database)) !== undefined)
      await followEpochs(database, connections.pulumi.keyring);
    return prepareStack(database, connections, parsed);
  });
  // Only commands that change a stack configure a server.
  const configures = prepared?.keys !== undefined && changesStack(parsed) && connections.machines === 'ssh';
  const route = configures ? await findSshRoute(config, connections) : undefined;
  try {
    return await runPrepared(config, connections, {
      args,
      parsed,
      prepared,
      proxyCommand: route?.proxyCommand,
    });
  } finally {
    await route?.close();
  }
}

interface PreparedRun {
  args: string[];
  parsed: PulumiArguments;
  prepared: PreparedStack | undefined;
  proxyCommand: string | undefined;
}

async function runPrepared(config: Config, connections: Connections, run: PreparedRun): Promise<number> {
  const { parsed, prepared } = run;
  const args = withSecretsProvider(run.args, parsed, connections.pulumi.secrets.url);
  const environment = {
    ...cliEnvironment(config, connections, run),
    PULUMI_CONFIG_PASSPHRASE: await passphraseOf(connections, parsed.stackName),
  };
  const settingsFile = join(ROOT, `Pulumi.${parsed.stackName}.yaml`);
  // The CLI leaves the stack's settings here; those of another installation would hide the state's own salt.
  rmSync(settingsFile, { force: true });
  const providers = await startProviders(connections, environment);
  const served =
    prepared?.program !== undefined && runsProgram(parsed)
      ? await serveProgram(createProgram(prepared.program))
      : undefined;
  try {
    return await spawnCli(
      config.tools.pulumi ?? 'pulumi',
      served === undefined ? args : [...args, `--client=${served.address}`],
      {
        ...environment,
        ...(providers === undefined ? {} : { PULUMI_DEBUG_PROVIDERS: providers.debugProviders }),
      },
    );
  } finally {
    rmSync(settingsFile, { force: true });
    served?.stop();
    await providers?.stop();
  }
}

/** While the passphrase changes, some stacks have the new one already. */
async function passphraseOf(
  { pulumi: { url, keyring } }: Connections,
  stackName: string | undefined,
): Promise<string> {
  if (stackName === undefined || keyring.former === undefined) return keyring.sealing.passphrase.reveal();
  const { passphrases, pool } = openStateStore(url);
  try {
    const found = await passphrases?.find(stackName, keyring.all);
    return (found ?? keyring.sealing).passphrase.reveal();
  } finally {
    await pool?.end();
  }
}

function cliEnvironment(
  config: Config,
  connections: Connections,
  { prepared, proxyCommand }: PreparedRun,
): Record<string, string> {
  const configure = {
    path: join(ROOT, 'ansible', 'configure'),
    connection: connections.machines,
    proxyCommand,
    ansibleBin: config.tools.ansible,
    timeoutSeconds: CONFIGURE_TIMEOUT_SECONDS,
    logDir: join(config.dataDir, 'logs', 'configure'),
    software: config.software.variables,
  };
  // Commands that name no stack of ours get the first project's token.
  const project = projectNamed(connections.hcloud.projects, prepared?.project);
  const operation = { operation_id: `cli-${randomUUID()}`, attempt: 0 };
  return {
    ...config.childEnvironment,
    ...pulumiEnvironment(connections.pulumi),
    ...providerEnvironment({ ...connections, project }),
    ...(prepared?.program === undefined ? {} : { AGENT_STACKS_PROGRAM: JSON.stringify(prepared.program) }),
    ...configureEnvironment(configure, { operation }, prepared?.keys),
  };
}

async function withDatabase<T>(
  connections: Connections,
  work: (database: Database) => Promise<T>,
): Promise<T> {
  const pool = createPool(connections.databaseUrl, 1, 'agent-stacks pulumi');
  try {
    return await work(createDatabase(pool));
  } finally {
    await pool.end();
  }
}

async function startProviders(connections: Connections, environment: Record<string, string>) {
  if (connections.providerHost === undefined) return undefined;
  const module = (await import(connections.providerHost)) as ProviderModule;
  return module.startProviderHost(providerOptions({ environment }));
}

async function spawnCli(command: string, args: string[], env: Record<string, string>): Promise<number> {
  const child = spawn(command, args, { cwd: ROOT, env, stdio: 'inherit' });
  // The terminal sends Ctrl-C to the CLI too, which shuts down by itself; wait for it.
  process.on('SIGINT', () => {});
  process.on('SIGTERM', () => child.kill('SIGTERM'));
  const [code] = (await once(child, 'exit')) as [number | null];
  return code ?? 1;
}

try {
  process.exit(await main(process.argv.slice(2)));
} catch (error) {
  complain(errorMessage(error));
  process.exit(error instanceof ConfigError ? 2 : 1);
}

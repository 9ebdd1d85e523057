import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { readTailscale } from '../config/accounts.ts';
import { builtinProviders } from '../config/builtin-providers.ts';
import type { Config } from '../config/config.ts';
import { ConfigError } from '../config/config-error.ts';
import { type Environment, EnvironmentReader } from '../config/environment-reader.ts';
import { backendUrl, endpointUrl, hcloudToken, httpUrl, oneLine } from '../config/fields.ts';
import {
  DEFAULT_PROJECT,
  type HetznerProjectSettings,
  onlyProject,
  projectOfVariable,
  tokenVariable,
  tokenVariablesIn,
} from '../config/hetzner-projects.ts';
import { readPassphrases } from '../config/passphrases.ts';
import { childEnvironment } from '../config/process-environment.ts';
import { readSecretsProvider } from '../config/secrets-provider.ts';
import { type AgentSoftware, readAgentSoftware } from '../config/software.ts';
import {
  type EngineConnections,
  HETZNER_ENDPOINT,
  healthAddress,
  toProjects,
} from '../connections/connections.ts';
import { Keyring } from '../keys/keyring.ts';
import { Secret } from '../secret.ts';

/**
 * A runner's configuration from its workflow: the job, the callback URL, and keys that the web server lacks.
 */
export interface RunnerConfig {
  jobId: string;
  callbackUrl: string;
  callbackSecret: Secret;
  workflowRunId: string | undefined;
  /** The file for the step's outputs. */
  outputFile: string | undefined;
  /** GitHub's endpoint for identity tokens and their audience; undefined if the service requires none. */
  identity: { requestUrl: string; requestToken: Secret; audience: string } | undefined;
  dataDir: string;
  /** Whether only this run uses `dataDir`: created for it, or in the folder that GitHub empties after it. */
  isTemporary: boolean;
  tools: Pick<Config['tools'], 'pulumi' | 'ansible'>;
  childEnvironment: Record<string, string>;
  software: AgentSoftware;
  /** The sandbox's root URL; undefined for the real clouds. */
  sandboxUrl: string | undefined;
  connections: EngineConnections;
}

/** @throws ConfigError that lists all problems */
export function readRunnerConfig(environment: Environment): RunnerConfig {
  const reader = new EnvironmentReader(environment);
  const sandboxUrl = reader.read('SANDBOX_URL', endpointUrl);
  const given = reader.text('DATA_DIR');
  const required = {
    jobId: reader.required('JOB_ID', z.string(), 'the workflow’s input job_id'),
    callbackUrl: reader.required('CALLBACK_URL', callbackUrl, 'the workflow’s input callback_url'),
    callbackSecret: reader.requiredSecret('GITHUB_CALLBACK_SECRET', oneLine, 'it signs the reports'),
  };
  const connections = readConnections(reader, sandboxUrl, readProjects(reader, environment));
  const software = readAgentSoftware(reader);
  const identity = readIdentity(reader);
  const ownHosts = sandboxUrl === undefined ? [] : [new URL(sandboxUrl).hostname];
  const environmentOfChildren = childEnvironment(reader, ownHosts);
  if (reader.problems.length > 0) {
    const problems = reader.problems.map((problem) => `  - ${problem}`).join('\n');
    throw new ConfigError(`Invalid environment of the runner:\n${problems}`);
  }
  return {
    ...required,
    jobId: required.jobId!,
    callbackUrl: required.callbackUrl!,
    workflowRunId: reader.text('GITHUB_RUN_ID'),
    outputFile: reader.text('GITHUB_OUTPUT'),
    identity,
    dataDir: given === undefined ? mkdtempSync(join(tmpdir(), 'agent-stacks-run-')) : resolve(given),
    isTemporary: given === undefined || isBelow(reader.text('RUNNER_TEMP'), given),
    tools: {
      pulumi: reader.text('AGENT_STACKS_PULUMI'),
      ansible: reader.text('AGENT_STACKS_ANSIBLE'),
    },
    childEnvironment: environmentOfChildren,
    software,
    sandboxUrl,
    connections,
  };
}

const isBelow = (folder: string | undefined, path: string): boolean =>
  folder !== undefined && resolve(path).startsWith(join(resolve(folder), '/'));

/** GitHub sets both `ACTIONS_` variables if the workflow may request identity tokens. */
function readIdentity(reader: EnvironmentReader): RunnerConfig['identity'] {
  const audience = reader.text('OIDC_AUDIENCE');
  const requestUrl = reader.read('ACTIONS_ID_TOKEN_REQUEST_URL', httpUrl);
  const requestToken = reader.secret('ACTIONS_ID_TOKEN_REQUEST_TOKEN');
  if (audience === undefined) return undefined;
  if (requestUrl === undefined || requestToken === undefined) {
    reader.problems.push('OIDC_AUDIENCE is set, but the workflow lacks the permission id-token: write');
    return undefined;
  }
  return { requestUrl, requestToken, audience };
}

const callbackUrl = httpUrl.refine(
  (url) => new URL(url).pathname.endsWith('/api/webhooks/github'),
  'must end in /api/webhooks/github',
);

function readKeyring(reader: EnvironmentReader): Keyring {
  const { passphrase, passphraseBefore } = readPassphrases(reader);
  if (reader.text('PULUMI_CONFIG_PASSPHRASE') === undefined)
    reader.problems.push('PULUMI_CONFIG_PASSPHRASE is missing: the service’s own passphrase');
  return new Keyring(passphrase ?? new Secret(''), passphraseBefore);
}

/** The projects whose tokens the workflow hands over; which one is needed, the claim says. */
function readProjects(reader: EnvironmentReader, environment: Environment): HetznerProjectSettings[] {
  const given = tokenVariablesIn(environment).filter((name) => reader.text(name) !== undefined);
  if (given.length === 0)
    reader.problems.push(
      `${tokenVariable(DEFAULT_PROJECT)} is missing: a read and write token of the Hetzner project`,
    );
  const projects = given.map((name) => ({
    ...onlyProject(reader.secret(name, hcloudToken) ?? new Secret('')),
    name: projectOfVariable(name),
  }));
  return projects.length === 0 ? [onlyProject(new Secret(''))] : projects;
}

function readConnections(
  reader: EnvironmentReader,
  sandboxUrl: string | undefined,
  projects: readonly HetznerProjectSettings[],
): EngineConnections {
  const endpoint = reader.read('HCLOUD_ENDPOINT', endpointUrl) ?? HETZNER_ENDPOINT;
  const providers =
    reader.choice('PROVIDERS', ['builtin', 'official']) ??
    (sandboxUrl === undefined ? 'official' : 'builtin');
  if (providers === 'builtin' && sandboxUrl === undefined)
    reader.problems.push('PROVIDERS=builtin needs SANDBOX_URL: the built-in providers belong to the sandbox');
  return {
    pulumi: {
      url: reader.requiredSecret('PULUMI_BACKEND_URL', backendUrl, 'the service’s own Pulumi backend'),
      keyring: readKeyring(reader),
      home: undefined,
      secrets: readSecretsProvider(reader, sandboxUrl !== undefined),
    },
    hcloud: {
      projects: toProjects(projects, endpoint),
      endpoint,
      pollInterval: sandboxUrl === undefined ? '2s' : undefined,
    },
    tailscale: readTailscale(reader, { required: true }),
    healthAddress,
    machines: 'ssh',
    networkUrl: sandboxUrl === undefined ? undefined : `${sandboxUrl}/sandbox/network`,
    providerHost: providers === 'builtin' ? builtinProviders : undefined,
  };
}

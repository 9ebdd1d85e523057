import { existsSync, statSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import type { EnvironmentReader } from './environment-reader.ts';

/**
 * The software of this installation's agents, in the variables that ansible/configure reads; empty for the
 * small default agent.
 */
export interface AgentSoftware {
  variables: Record<string, string>;
  /** The operator's own files and folders that the configuration includes, beside the playbook. */
  paths: string[];
}

const SOURCES = ['AGENT_NPM_PACKAGE', 'AGENT_BINARY', 'AGENT_ROLE'] as const;
const VARIABLES = [
  ...SOURCES,
  'AGENT_NPM_REGISTRY',
  'AGENT_BINARY_SHA256',
  'AGENT_COMMAND',
  'AGENT_PACKAGES',
  'AGENT_ENVIRONMENT_FILE',
];

/**
 * Reads the agents' software; see ansible/README.md. Problems are reported at the start instead of by the
 * first order.
 */
export function readAgentSoftware(reader: EnvironmentReader): AgentSoftware {
  const variables = reader.pick(VARIABLES);
  const { AGENT_BINARY: binary, AGENT_ROLE: role, AGENT_ENVIRONMENT_FILE: environmentFile } = variables;
  const isAddress = binary?.startsWith('https://') === true;
  const paths = [isAddress ? undefined : binary, role, environmentFile].filter((path) => path !== undefined);
  reader.problems.push(
    ...sourceProblems(variables),
    ...(isAddress && !/^[0-9a-f]{64}$/.test(variables.AGENT_BINARY_SHA256 ?? '')
      ? ['AGENT_BINARY_SHA256 must be 64 hex digits: AGENT_BINARY is an address']
      : []),
    ...(binary !== undefined && !isAddress && !isFile(binary)
      ? ['AGENT_BINARY must be an https address or the absolute path of a file']
      : []),
    ...(role !== undefined && !(isAbsolute(role) && existsSync(join(role, 'tasks')))
      ? ['AGENT_ROLE must be the absolute path of a role: a folder with a tasks folder']
      : []),
    ...(environmentFile !== undefined && !isFile(environmentFile)
      ? ['AGENT_ENVIRONMENT_FILE must be the absolute path of a file with lines NAME=value']
      : []),
  );
  return { variables, paths };
}

function sourceProblems(variables: Record<string, string>): string[] {
  const given = SOURCES.filter((name) => variables[name] !== undefined);
  const needsCommand = given.find((name) => name !== 'AGENT_BINARY');
  return [
    ...(given.length > 1 ? [`${given.join(', ')}: set only one of them`] : []),
    ...(needsCommand !== undefined && variables.AGENT_COMMAND === undefined
      ? [`AGENT_COMMAND is missing: it is the command that runs ${needsCommand}`]
      : []),
  ];
}

const isFile = (path: string): boolean =>
  isAbsolute(path) && statSync(path, { throwIfNoEntry: false })?.isFile() === true;

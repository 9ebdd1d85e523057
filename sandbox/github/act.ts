import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { randomText } from '../random-text.ts';
import { makePipe } from './hand-over.ts';
import type { GithubOptions } from './options.ts';
import { plainPath } from './plain-path.ts';
import type { RunRow } from './runs.ts';
import { REPOSITORY, WORKFLOW_PATH } from './workflow.ts';

const STAND_INS_FOLDER = fileURLToPath(new URL('stand-ins', import.meta.url));

/** A local stand-in for each action that the workflow uses: the sandbox downloads nothing. */
const STAND_INS: Record<string, string> = {
  'actions/checkout': 'actions-checkout',
  'actions/setup-node': 'actions-setup-node',
  'tailscale/github-action': 'tailscale-github-action',
};

/** Tags the processes of a run. The value is the run's folder, which is unique across installations. */
export const RUN_TAG = 'AGENT_STACKS_GITHUB_RUN';

export interface ActCommand {
  args: string[];
  cwd: string;
  environment: Record<string, string>;
  /** What act receives through this named pipe once it opens it. */
  secrets: { pipe: string; content: string };
}

/**
 * Prepares a run's folder (0700, files 0600) and returns the act command for it. Inputs go through files
 * only, and secrets through a pipe.
 * @throws Error if the workflow uses an action without a stand-in.
 */
export function prepareAct(folder: string, run: RunRow, options: GithubOptions): ActCommand {
  const workflow = join(options.checkout, WORKFLOW_PATH);
  const standIns = toLocalRepositories(readFileSync(workflow, 'utf8'));
  const home = join(folder, 'home');
  const work = join(folder, 'work');
  for (const path of [folder, home, work]) mkdirSync(path, { recursive: true, mode: 0o700 });
  const pipe = join(folder, 'secrets.yml');
  makePipe(pipe);
  return {
    args: [
      'workflow_dispatch',
      ...['--workflows', workflow, '--platform', 'ubuntu-latest=-self-hosted'],
      ...writeInputs(folder, run, options),
      ...['--secret-file', pipe],
      ...['--action-cache-path', join(plainPath(options.dir), relative(options.dir, folder), 'act')],
      ...['--no-cache-server', '--no-skip-checkout', '--pull=false'],
      ...standIns.flatMap((replacement) => ['--local-repository', replacement]),
    ],
    cwd: work,
    // A private home keeps the user's own act settings out. Steps get the real one from their environment
    // file.
    environment: {
      ...options.environment,
      HOME: home,
      XDG_CONFIG_HOME: home,
      AGENT_STACKS_CHECKOUT: options.checkout,
      // Stops act from checking online for a newer version.
      ACT_DISABLE_VERSION_CHECK: '1',
      [RUN_TAG]: folder,
    },
    // Without a token act would ask the user's GitHub CLI for one.
    secrets: { pipe, content: JSON.stringify({ GITHUB_TOKEN: randomText(40), ...options.secrets }) },
  };
}

/** Writes the files that act reads, except the secrets. @returns the arguments that name them. */
function writeInputs(folder: string, run: RunRow, options: GithubOptions): string[] {
  const write = (name: string, content: object) => {
    const path = join(folder, name);
    // JSON is valid YAML, with unambiguous quoting.
    writeFileSync(path, JSON.stringify(content), { mode: 0o600 });
    return path;
  };
  return [
    ...['--eventpath', write('event.json', { inputs: run.inputs, ref: run.ref })],
    ...['--var-file', write('variables.yml', options.variables)],
    ...['--env-file', write('environment.yml', toStepEnvironment(run, options))],
    ...['--input-file', write('inputs.yml', {})],
  ];
}

/** Returns `owner/name@ref=folder` for every action in the workflow. */
export function toLocalRepositories(workflow: string): string[] {
  const used = [...workflow.matchAll(/^\s*(?:- )?uses:\s*(\S+)@(\S+)/gm)].map(([, name, ref]) => ({
    name,
    ref,
  }));
  return used.map(({ name, ref }) => {
    const standIn = STAND_INS[name!];
    if (standIn === undefined) throw new Error(`The sandbox has no stand-in for the action ${name}`);
    return `${name}@${ref}=${join(STAND_INS_FOLDER, standIn)}`;
  });
}

function toStepEnvironment(run: RunRow, { environment }: GithubOptions): Record<string, string> {
  const { HOME, XDG_CONFIG_HOME } = environment;
  return {
    ...(HOME === undefined ? {} : { HOME, XDG_CONFIG_HOME: XDG_CONFIG_HOME ?? join(HOME, '.config') }),
    GITHUB_REPOSITORY: `${REPOSITORY.owner}/${REPOSITORY.name}`,
    GITHUB_ACTOR: REPOSITORY.owner,
    GITHUB_REF: `refs/heads/${REPOSITORY.branch}`,
    GITHUB_RUN_ID: run.id,
    GITHUB_RUN_NUMBER: String(run.number),
  };
}

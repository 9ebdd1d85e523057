import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { randomText } from '../random-text.ts';
import { makePipe } from './hand-over.ts';
import type { GithubOptions } from './options.ts';
import { plainPath } from './plain-path.ts';
import type { RunRow } from './runs.ts';
import { repository, workflowPath } from './workflow.ts';

const standIns = fileURLToPath(new URL('stand-ins', import.meta.url));

/** What stands in the place of each action that the workflow uses: the sandbox fetches nothing from outside. */
const standInOf: Record<string, string> = {
  'actions/checkout': 'actions-checkout',
  'actions/setup-node': 'actions-setup-node',
  'tailscale/github-action': 'tailscale-github-action',
};

/** Marks the processes of a run; the value is the run's folder, which no other installation has. */
export const RUN_MARK = 'AGENT_STACKS_GITHUB_RUN';

export type ActCommand = {
  args: string[];
  cwd: string;
  environment: Record<string, string>;
  /** What act is to be given through this named pipe once it opens it. */
  secrets: { pipe: string; content: string };
};

/**
 * Prepares a run's folder (0700, files 0600) and says how act is called in it. Inputs go by files alone, and secrets by a pipe.
 * @throws Error where the workflow uses an action that has no stand-in here.
 */
export function prepareAct(folder: string, run: RunRow, options: GithubOptions): ActCommand {
  const workflow = join(options.checkout, workflowPath);
  const standIns = localRepositories(readFileSync(workflow, 'utf8'));
  const home = join(folder, 'home');
  const work = join(folder, 'work');
  for (const path of [folder, home, work]) mkdirSync(path, { recursive: true, mode: 0o700 });
  // JSON is YAML, whose quoting leaves nothing to guess.
  const write = (name: string, content: object) => {
    const path = join(folder, name);
    writeFileSync(path, JSON.stringify(content), { mode: 0o600 });
    return path;
  };
  const pipe = join(folder, 'secrets.yml');
  makePipe(pipe);
  const files = [
    ['--eventpath', write('event.json', { inputs: run.inputs, ref: run.ref })],
    ['--secret-file', pipe],
    ['--var-file', write('variables.yml', options.variables)],
    ['--env-file', write('environment.yml', stepEnvironment(run, options))],
    ['--input-file', write('inputs.yml', {})],
  ];
  return {
    args: [
      'workflow_dispatch',
      ...['--workflows', workflow, '--platform', 'ubuntu-latest=-self-hosted'],
      ...files.flat(),
      ...[
        '--action-cache-path',
        join(plainPath(options.dir), relative(options.dir, folder), 'act'),
        '--no-cache-server',
        '--no-skip-checkout',
        '--pull=false',
      ],
      ...standIns.flatMap((replacement) => ['--local-repository', replacement]),
    ],
    cwd: work,
    // The user's own settings of act are in the home folder, which steps get back by the file of their environment.
    environment: {
      ...options.environment,
      HOME: home,
      XDG_CONFIG_HOME: home,
      AGENT_STACKS_CHECKOUT: options.checkout,
      // It would ask its maker's site whether it is the newest.
      ACT_DISABLE_VERSION_CHECK: '1',
      [RUN_MARK]: folder,
    },
    // act would ask the GitHub CLI of the user for a token where none is given.
    secrets: { pipe, content: JSON.stringify({ GITHUB_TOKEN: randomText(40), ...options.secrets }) },
  };
}

/** `owner/name@ref=folder` for every action that the workflow names. */
export function localRepositories(workflow: string): string[] {
  const used = [...workflow.matchAll(/^\s*(?:- )?uses:\s*(\S+)@(\S+)/gm)].map(([, name, ref]) => ({
    name,
    ref,
  }));
  return used.map(({ name, ref }) => {
    const standIn = standInOf[name!];
    if (standIn === undefined) throw new Error(`The sandbox has nothing in the place of the action ${name}`);
    return `${name}@${ref}=${join(standIns, standIn)}`;
  });
}

function stepEnvironment(run: RunRow, { environment }: GithubOptions): Record<string, string> {
  const { HOME, XDG_CONFIG_HOME } = environment;
  return {
    ...(HOME === undefined ? {} : { HOME, XDG_CONFIG_HOME: XDG_CONFIG_HOME ?? join(HOME, '.config') }),
    GITHUB_REPOSITORY: `${repository.owner}/${repository.name}`,
    GITHUB_ACTOR: repository.owner,
    GITHUB_REF: `refs/heads/${repository.branch}`,
    GITHUB_RUN_ID: run.id,
    GITHUB_RUN_NUMBER: String(run.number),
  };
}

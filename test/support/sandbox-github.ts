import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import express from 'express';
import { onTestFinished } from 'vitest';
import { openSandboxDatabase, type SandboxDatabase } from '../../sandbox/database.ts';
import { createFaults } from '../../sandbox/faults.ts';
import { type GithubOptions, githubOptionsSchema } from '../../sandbox/github/options.ts';
import { removePlainPath } from '../../sandbox/github/plain-path.ts';
import { createGithubRouter } from '../../sandbox/github/router.ts';
import { githubSchema } from '../../sandbox/github/schema.ts';
import { startRunner } from '../../sandbox/github/workflow-runner.ts';
import { type SandboxSettings, sandboxSettingsSchema } from '../../sandbox/settings.ts';
import { compileCache } from './commands.ts';
import { eventually } from './eventually.ts';
import { createDatabase } from './postgres.ts';

/** Set up by `npm test`. Tests that need it are skipped without it. */
export const act = process.env.AGENT_STACKS_ACT || undefined;
export const noAct = 'act could not be set up: no download and no Go';

export const githubToken = 'github_pat_test';
const root = '/repos/sandbox/agent-stacks/actions';

/** Makes a folder whose name has a space, and removes it after the test. */
export async function makeFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'agent stacks github '));
  onTestFinished(() => rm(folder, { recursive: true, force: true, maxRetries: 3 }));
  return folder;
}

/** Makes a checkout with these files. */
export async function makeCheckout(files: Record<string, string>): Promise<string> {
  const folder = await makeFolder();
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), content);
  }
  return folder;
}

/** Makes a checkout whose workflow runs only this script. */
export function makeWorkflow(script: string): Promise<string> {
  const indented = script.replaceAll('\n', '\n          ');
  return makeCheckout({
    '.github/workflows/provision-agent.yml': `on:
  workflow_dispatch:
    inputs: {job_id: {type: string}, agent_id: {type: string}, region: {type: string}, callback_url: {type: string}}
jobs:
  operation:
    runs-on: ubuntu-latest
    steps:
      - shell: bash
        env: {JOB: "\${{ inputs.job_id }}", SECRET: "\${{ secrets.CALLBACK_SECRET }}"}
        run: |
          ${indented}
      - if: always()
        shell: bash
        run: echo cleaned up
`,
  });
}

export const inputs = {
  job_id: '0b5f9c1e-6f4e-4c39-9d3e-0f1f5f1c9a77',
  agent_id: 'agent-1',
  region: 'eu-central',
  callback_url: 'http://127.0.0.1:1/api/webhooks/github?attempt=1&token=abc',
};

/** Returns the options that the launcher would pass for a checkout. */
export async function optionsFor(
  checkout: string,
  change: Partial<GithubOptions> = {},
): Promise<GithubOptions> {
  const folder = await makeFolder();
  onTestFinished(() => removePlainPath(join(folder, 'github')));
  return githubOptionsSchema.parse({
    act,
    checkout,
    dir: join(folder, 'github'),
    logDir: join(folder, 'logs'),
    environment: { PATH: process.env.PATH!, HOME: process.env.HOME ?? folder, ...compileCache },
    secrets: { CALLBACK_SECRET: 'the callback secret' },
    variables: {},
    ...change,
  });
}

export type Github = Awaited<ReturnType<typeof startGithub>>;

/** Starts GitHub on a new database; with `options`, also with a machine that executes the dispatched runs. */
export async function startGithub({
  settings = {},
  options,
}: {
  settings?: Partial<SandboxSettings>;
  options?: GithubOptions;
} = {}) {
  const database = await createDatabase('sandbox');
  const clouds = await openSandboxDatabase(database.url, [githubSchema]);
  const all = sandboxSettingsSchema.parse(settings);
  const app = express();
  const faults = createFaults(clouds);
  app.use(faults.router);
  app.use(
    faults.middleware('github'),
    createGithubRouter({ database: clouds, tokens: { githubToken }, settings: all }),
  );
  const server = createServer(app).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const runner = options && openRunner(clouds, options, all);
  await runner?.started;
  onTestFinished(async () => {
    await runner?.stop();
    server.close();
    server.closeAllConnections();
    await clouds.destroy();
    await database.drop();
  });
  return {
    url,
    ...callsTo(url),
    stopRunner: async () => runner?.stop(),
    getLog: logsIn(options?.logDir ?? ''),
  };
}

function openRunner(database: SandboxDatabase, options: GithubOptions, settings: SandboxSettings) {
  const ending = new AbortController();
  const started = startRunner({ database, options, settings, signal: ending.signal });
  const stop = async () => {
    ending.abort();
    await (await started).stopped;
  };
  return { started, stop };
}

const logsIn = (dir: string) => (id: string | number) => readFile(join(dir, `${id}.log`), 'utf8');

export function callsTo(url: string) {
  const call = async (method: string, path: string, body?: unknown, token: string | null = githubToken) => {
    const response = await fetch(`${url}${path.startsWith('/repos') ? path : `${root}${path}`}`, {
      method,
      headers: token === null ? {} : { Authorization: `Bearer ${token}` },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    // biome-ignore lint/suspicious/noExplicitAny: answers are judged by the tests' expectations.
    return { status: response.status, body: (text === '' ? null : JSON.parse(text)) as any };
  };
  const dispatch = (body: object = {}) =>
    call('POST', '/workflows/provision-agent.yml/dispatches', { ref: 'main', inputs, ...body });
  const run = async (change: Partial<typeof inputs> = {}): Promise<number> => {
    const { body } = await dispatch({ inputs: { ...inputs, ...change }, return_run_details: true });
    return body.workflow_run_id;
  };
  const until = async (id: number, status: string) => {
    // biome-ignore lint/suspicious/noExplicitAny: as above
    let last: any;
    await eventually(
      `run ${id} is ${status}`,
      async () => {
        last = (await call('GET', `/runs/${id}`)).body;
        return last.status === status;
      },
      { withinSeconds: 30, describe: () => JSON.stringify(last) },
    );
    return last;
  };
  return { call, dispatch, run, until };
}

import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { cp, readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import type { GithubOptions } from '../../sandbox/github/options.ts';
import { inputs, makeCheckout, makeFolder, optionsFor, startGithub } from './sandbox-github.ts';

export const workflowUrl = new URL('../../.github/workflows/provision-agent.yml', import.meta.url);
export const scriptsFolder = fileURLToPath(new URL('../scripts/', workflowUrl));

export interface Callback {
  path: string;
  /** Whether the signature matches the raw body under the secret. */
  signed: boolean;
  /** The identity token that came with it. */
  proof: string | undefined;
  body: Record<string, unknown>;
}

/** Starts a service's webhook: records reports, and answers 200 unless `answers` says otherwise. */
export async function startReceiver(secret: string, answer = '{"received": true}') {
  const callbacks: Callback[] = [];
  const answers: number[] = [];
  const server = createServer(async (request, response) => {
    if (request.method === 'GET') return void response.end(JSON.stringify(identityToken(request)));
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const raw = Buffer.concat(chunks);
    const signature = createHmac('sha256', secret).update(raw).digest('hex');
    callbacks.push({
      path: request.url!,
      signed: request.headers['x-signature'] === signature,
      proof: request.headers.authorization,
      body: JSON.parse(raw.toString()),
    });
    response.writeHead(answers.shift() ?? 200, { 'Content-Type': 'application/json' }).end(answer);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const kinds = () => callbacks.map(({ body }) => String(body.type ?? body.status));
  return { origin, url: `${origin}/api/webhooks/github?attempt=1&token=abc`, callbacks, answers, kinds };
}

export type Receiver = Awaited<ReturnType<typeof startReceiver>>;

/** GitHub's answer to a job's request for an identity token: here a token that contains the request. */
function identityToken({ url, headers }: IncomingMessage) {
  const { searchParams } = new URL(url!, 'http://github');
  return {
    count: 1,
    value: `${headers.authorization}, ${searchParams.get('audience')}`.replaceAll(' ', '_'),
  };
}

/** Shell scripts that replace the project's command, with the outputs' file in $GITHUB_OUTPUT. */
export type Runner = { work?: string; setUp?: string };

/** In place of the project's command: runs `runner.sh` with its arguments. */
const RUNNER = `import { spawnSync } from 'node:child_process';
const { status } = spawnSync('bash', ['runner.sh', ...process.argv.slice(2)], { stdio: 'inherit' });
process.exit(status ?? 1);
`;

/** Creates a checkout with the real workflow, whose `tools/runner.mjs` runs these scripts. */
export async function makeProject({ work = 'true', setUp = 'true' }: Runner = {}): Promise<string> {
  const checkout = await makeCheckout({
    '.github/workflows/provision-agent.yml': await readFile(workflowUrl, 'utf8'),
    'tools/runner.mjs': RUNNER,
    'runner.sh': `if [ "$1" = --set-up ]; then\n${setUp}\nelse\n${work}\nfi\n`,
  });
  await cp(scriptsFolder, join(checkout, '.github/scripts'), { recursive: true });
  return checkout;
}

export const secret = 'It\'s a "Secret" to $Everybody \\ über alles';

/** Options of a machine that runs the project for a receiver. */
export async function workflowOptions(
  receiver: Pick<Receiver, 'origin'>,
  { runner = {}, callbackSecret = secret, variables = {}, environment = {} }: RunOptions = {},
): Promise<GithubOptions> {
  const options = await optionsFor(await makeProject(runner), {
    secrets: { CALLBACK_SECRET: callbackSecret },
    variables: { CALLBACK_ORIGIN: receiver.origin, ...variables },
  });
  return { ...options, environment: { ...options.environment, ...environment } };
}

export interface RunOptions {
  runner?: Runner;
  callbackSecret?: string;
  variables?: Record<string, string>;
  environment?: Record<string, string>;
  inputs?: Partial<typeof inputs>;
}

/** Dispatches the real workflow and waits for its end. */
export async function runWorkflow(receiver: Receiver, options: RunOptions = {}) {
  const github = await startGithub({ options: await workflowOptions(receiver, options) });
  const id = await github.run({ callback_url: receiver.url, ...options.inputs });
  const run = await github.until(id, 'completed');
  return { id: String(id), conclusion: run.conclusion as string, log: await github.getLog(id) };
}

export { inputs, makeFolder };

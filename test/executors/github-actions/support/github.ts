import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createGithubClient, type GithubClient } from '../../../../src/github/github.ts';
import { Secret } from '../../../../src/secret.ts';

export interface Asked {
  method: string;
  path: string;
  headers: IncomingMessage['headers'];
  body: Record<string, unknown>;
}

export interface Reply {
  status: number;
  body?: unknown;
}

/** A fake of GitHub's API: records requests and answers as the test sets it. */
export interface FakeGithub {
  client: GithubClient;
  asked: Asked[];
  /** Answers to dispatches, in order; then 204. */
  dispatches: (Reply | (() => Promise<Reply>))[];
  /** Runs by id, as in `GET …/runs/{id}`. */
  runs: Map<string, { status: string; conclusion?: string; display_title?: string; created_at?: string }>;
  /** Answers to cancellations; then 202. */
  cancels: Reply[];
  stop(): Promise<void>;
}

export async function startGithub(): Promise<FakeGithub> {
  const asked: Asked[] = [];
  const github = { dispatches: [] as FakeGithub['dispatches'], cancels: [] as Reply[] };
  const runs: FakeGithub['runs'] = new Map();
  const answer = async ({ path }: Asked): Promise<Reply> => {
    if (path.endsWith('/dispatches')) {
      const next = github.dispatches.shift() ?? { status: 204 };
      return typeof next === 'function' ? next() : next;
    }
    if (path.includes('/runs?'))
      return { status: 200, body: { workflow_runs: [...runs].map(([id, run]) => ({ id, ...run })) } };
    const [, runId, cancel] = /\/runs\/([^/]+)(\/cancel)?$/.exec(path) ?? [];
    if (cancel !== undefined) return github.cancels.shift() ?? { status: 202, body: {} };
    const run = runs.get(runId ?? '');
    return run === undefined ? { status: 404, body: { message: 'Not Found' } } : { status: 200, body: run };
  };
  const server = createServer(async (request, response) => {
    const text = Buffer.concat(await request.toArray()).toString();
    const { method = '', url: path = '', headers } = request;
    const one = { method, path, headers, body: text === '' ? {} : JSON.parse(text) };
    asked.push(one);
    const { status, body } = await answer(one);
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(body === undefined ? undefined : JSON.stringify(body));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const apiUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const repository = { apiUrl, owner: 'acme', repo: 'agents', ref: 'main', token: new Secret('ghp_secret') };
  return {
    client: createGithubClient(repository),
    asked,
    dispatches: github.dispatches,
    cancels: github.cancels,
    runs,
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

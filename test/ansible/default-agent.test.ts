import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { freePort } from '../../sandbox/host/free-port.ts';

const script = join(import.meta.dirname, '../../ansible/roles/agent/files/agent.py');
const stop: (() => void)[] = [];
afterEach(() => {
  for (const each of stop.splice(0)) each();
});

/** Retries until the agent listens, for at most 5 s. */
async function ask(url: string): Promise<Response> {
  const deadline = Date.now() + 5000;
  for (;;) {
    try {
      return await fetch(url);
    } catch (error) {
      if (Date.now() > deadline) throw error;
    }
  }
}

it('the default agent answers its health address and nothing else', async () => {
  const port = await freePort(null);
  const env = {
    ...process.env,
    AGENT_ID: 'agent-1',
    AGENT_HOST: '127.0.0.1',
    AGENT_HEALTH_PORT: String(port),
  };
  const agent = spawn('python3', ['-I', script], { env, stdio: 'inherit' });
  stop.push(() => agent.kill());

  const health = await ask(`http://127.0.0.1:${port}/health`);
  expect(health.status).toBe(200);
  expect(await health.json()).toEqual({ status: 'ok', agentId: 'agent-1' });
  expect((await ask(`http://127.0.0.1:${port}/`)).status).toBe(404);
});

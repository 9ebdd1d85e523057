import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createCandidates } from '../../src/cli/candidates.ts';
import { describeError } from '../../src/cli/errors.ts';
import { parseCommand } from '../../src/cli/parse.ts';
import { compileCache, runToEnd } from '../support/commands.ts';
import { API_TOKEN, startService, type TestService } from '../support/http-service.ts';
import { finishProvision } from '../support/operation-progress.ts';
import { createTestTerminal, runCommand } from '../support/run-command.ts';

let service: TestService;
let created: { agentId: string; operationId: string };
beforeAll(async () => {
  service = await startService();
  const response = await service.ask('/api/agents', {
    json: { agentId: 'shell-1', userId: 'u', region: 'eu-west' },
  });
  created = (await response.json()) as typeof created;
});
afterAll(() => service.stop());

const environment = (more: NodeJS.ProcessEnv = {}) => ({
  PATH: process.env.PATH,
  ...compileCache,
  PUBLIC_URL: service.url,
  API_TOKEN,
  ...more,
});
const run = (args: string[], more: NodeJS.ProcessEnv = {}) =>
  runToEnd(process.execPath, ['src/cli/agents.ts', ...args], { cwd: process.cwd(), env: environment(more) });

describe('a command as its own process', { timeout: 90_000 }, () => {
  test('colours: none in a pipe, some with FORCE_COLOR, none with NO_COLOR', async () => {
    expect((await run(['list'])).stdout).not.toContain('\u001b');
    expect((await run(['list'], { FORCE_COLOR: '1' })).stdout).toContain('\u001b[');
    expect((await run(['list'], { NO_COLOR: '1' })).stdout).not.toContain('\u001b');
  });

  test.each([['bash'], ['zsh', 'list', '--sta'], ['fish', 'show', 'shell-']])(
    '%s gets its script or its words as they are',
    async (shell, ...words) => {
      const { terminal } = createTestTerminal(service.url);
      const asked = ['completion', shell!, ...words];
      const parsed = await parseCommand(asked, { candidates: createCandidates(terminal.api) });
      const { text } = parsed as { text: string };
      expect((await run(asked)).stdout).toBe(`${text}\n`);
      if (shell === 'zsh') expect(text).toContain('--status\0');
    },
  );

  test('watch prints changes as they happen, and ends cleanly on Ctrl-C', async () => {
    const child = spawn(process.execPath, ['src/cli/agents.ts', 'watch', '--json'], {
      env: environment(),
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let out = '';
    child.stdout.setEncoding('utf8').on('data', (text) => {
      out += text;
    });
    const states = () =>
      out
        .split('\n')
        .slice(0, -1)
        .map((line) => JSON.parse(line).status);
    await expect.poll(states, { timeout: 30_000 }).toEqual(['requested']);
    service.hangUp();
    await finishProvision(service.database, created);
    await expect.poll(states, { timeout: 30_000 }).toContain('running');
    const ended = new Promise((resolve) => child.once('close', (...outcome) => resolve(outcome)));
    child.kill('SIGINT');
    expect(await ended).toEqual([0, null]);
  });
});

describe('what a command line means', () => {
  const text = async (...argv: string[]) => {
    const { terminal } = createTestTerminal(service.url);
    const parsed = await parseCommand(argv, { candidates: createCandidates(terminal.api) });
    return 'text' in parsed ? parsed.text : '';
  };

  test('help of a command has its options and an example', async () => {
    const help = await text('logs', '--help');
    expect(help).toContain('Usage: agents logs');
    expect(help).toContain('--follow');
    expect(help).toMatch(/Examples:\n {2}agents logs ada -f/);
  });

  test('open prints the address of the page, and refuses an agent that there is not', async () => {
    const { terminal, printed } = createTestTerminal(service.url);
    expect(await runCommand(terminal, ['open', 'shell-1'])).toBe(true);
    expect(printed.pop()).toBe(`${service.url}/agents/shell-1`);
    await runCommand(terminal, ['open', 'shell-1', '--json']);
    expect(JSON.parse(printed.pop()!)).toEqual({ agentId: 'shell-1', url: `${service.url}/agents/shell-1` });
    await expect(runCommand(terminal, ['open', 'no-such'])).rejects.toThrow('There is no agent no-such');
  });

  test('errors speak of options, and are JSON with --json', async () => {
    const { terminal } = createTestTerminal(service.url);
    const refused = async (...more: string[]) =>
      (await runCommand(terminal, ['create', '--user-id', 'u', ...more]).catch((error) => error)) as Error;
    const unknown = await refused('--region', 'moon');
    expect(describeError(unknown, false)).toMatch(/^--region is unknown: "moon"/);
    expect(describeError(await refused('--region', 'ash', '--agent-id', 'NO'), false)).toMatch(
      /^--agent-id must be lower-case/,
    );
    expect(JSON.parse(describeError(unknown, true))).toMatchObject({
      error: { status: 400, type: '/problems/invalid-request' },
    });
    await expect(runCommand(terminal, ['list', '--search', 'x'.repeat(201)])).rejects.toSatisfy((error) =>
      describeError(error as Error, false).startsWith('--search '),
    );
  });

  test.each(['bash', 'zsh', 'fish'])(
    '%s gets a script that it reads, and words for a prefix',
    async (shell) => {
      const script = await text('completion', shell);
      expect(script.length).toBeGreaterThan(200);
      expect(await text('completion', shell, 'sto')).toContain('stop');
      expect(await text('completion', shell, 'list', '--sta')).toContain('--status');
      expect(await text('completion', shell, 'list', '--status', 'fai')).toContain('failed');
      expect(await text('completion', shell, 'show', 'shell-')).toContain('shell-1');
      const isHere = ['/bin', '/usr/bin'].some((folder) => existsSync(`${folder}/${shell}`));
      if (isHere) expect(spawnSync(shell, ['-n'], { input: script }).status).toBe(0);
    },
  );

  test('without a service there are no ids, and no error', async () => {
    const { terminal } = createTestTerminal('http://127.0.0.1:1');
    const { text: words } = (await parseCommand(['completion', 'bash', 'show', ''], {
      candidates: createCandidates(terminal.api),
    })) as { text: string };
    expect(words).not.toContain('shell-1');
  });
});

import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sealAudit } from '../../src/audit/seal.ts';
import { createClient } from '../../src/cli/client.ts';
import { findConnection, UsageError } from '../../src/cli/connection.ts';
import { describeError } from '../../src/cli/errors.ts';
import { parseCommand } from '../../src/cli/parse.ts';
import { readClientConfig } from '../../src/config/client.ts';
import { compileCache } from '../support/commands.ts';
import { API_TOKEN, KEYRING, startService, type TestService } from '../support/http-service.ts';
import { finishProvision, log, step, tell } from '../support/operation-progress.ts';
import { createTestTerminal, runCommand, understand } from '../support/run-command.ts';
import { deliver, paidCheckout } from '../support/stripe-events.ts';

let service: TestService;
let dataDir: string;
beforeAll(async () => {
  service = await startService();
  dataDir = await mkdtemp(join(tmpdir(), 'agents-cli-'));
  await writeFile(
    join(dataDir, 'sandbox.json'),
    JSON.stringify({ url: service.url, apiToken: API_TOKEN, more: 1 }),
  );
});
afterAll(async () => {
  await service.stop();
  await rm(dataDir, { recursive: true });
});

interface Ended {
  code: number | null;
  out: string;
  err: string;
}

/** Runs the command as a separate process; `said` resolves once it has printed a text. */
function start(args: string[], environment: Record<string, string> = { DATA_DIR: dataDir }) {
  const child = spawn(process.execPath, ['src/cli/agents.ts', ...args], {
    env: { PATH: process.env.PATH, ...compileCache, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let out = '';
  let err = '';
  child.stdout.setEncoding('utf8').on('data', (text) => {
    out += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text) => {
    err += text;
  });
  const ended = new Promise<Ended>((resolve) => {
    child.on('close', (code) => resolve({ code, out, err }));
  });
  return { ended, said: (text: string) => expect.poll(() => out, { timeout: 30_000 }).toContain(text) };
}

/** Runs the command in this process: to start one takes most of what a command costs. */
async function agents(...args: string[]): Promise<Ended> {
  return runHere(args, createTestTerminal(service.url));
}

/** As in agents.ts, where the process's exit code follows from it. */
async function runHere(
  args: string[],
  { terminal, printed }: ReturnType<typeof createTestTerminal>,
): Promise<Ended> {
  const ended = await runCommand(terminal, args).then(
    (ok) => ({ code: ok ? 0 : 1, err: '' }),
    (error: Error) => ({ code: 1, err: `${describeError(error, args.includes('--json'))}\n` }),
  );
  return { ...ended, out: printed.join('\n') };
}

/** What a command prints, without a process of its own. */
async function printed(...args: string[]): Promise<string> {
  const { terminal, printed } = createTestTerminal(service.url);
  expect(await runCommand(terminal, args)).toBe(true);
  return printed.join('\n');
}

/** What a command that is refused says. */
const refused = (...args: string[]): Promise<string> =>
  runCommand(createTestTerminal(service.url).terminal, args).then(
    () => 'done',
    (error: Error) => describeError(error, false),
  );

async function create(): Promise<{ agentId: string; operationId: string }> {
  const response = await service.ask('/api/agents', { json: { userId: 'user-1', region: 'eu-west' } });
  return (await response.json()) as { agentId: string; operationId: string };
}

// A command is a process that loads its modules, which takes seconds on a busy machine.
describe('npm run agents', { timeout: 90_000 }, () => {
  it('creates, shows, lists, refreshes and destroys', async () => {
    const order = ['--user-id', 'u-1', '--region', 'hel1', '--agent-id', 'cli-1'];
    const created = await start(['create', ...order, '--json']).ended;
    expect(created).toMatchObject({ code: 0 });
    const { operationId } = JSON.parse(created.out);
    await finishProvision(service.database, { agentId: 'cli-1', operationId });
    expect((await agents('list', '--status', 'running')).out).toMatch(
      /^cli-1 +running +- +healthy +starter +hel1/m,
    );
    expect(JSON.parse((await agents('list', '--json')).out)).toContainEqual(
      expect.objectContaining({ agentId: 'cli-1', status: 'running' }),
    );
    const shown = await agents('show', 'cli-1');
    expect(shown.out).toContain('agent-cli-1.tail.example');
    expect(shown.out).toMatch(/provision succeeded +\d+\.\d s/);
    expect(await agents('refresh', 'cli-1')).toMatchObject({
      code: 0,
      out: expect.stringContaining('refresh of agent cli-1'),
    });
    const unconfirmed = await start(['destroy', 'cli-1']).ended;
    expect(unconfirmed).toMatchObject({ code: 1, err: expect.stringContaining('--yes') });
    expect(await agents('destroy', 'cli-1', '--yes')).toMatchObject({ code: 0 });
    const again = await agents('destroy', 'cli-1', '--yes');
    expect(again).toMatchObject({ code: 1, err: expect.stringContaining('is destroying') });
  });

  it('verifies the audit log, and exits 1 once a row was changed', async () => {
    await create();
    while ((await sealAudit(service.database, KEYRING)) > 0);
    const whole = await agents('audit', 'verify');
    expect(whole).toMatchObject({ code: 0, out: expect.stringContaining('The audit log is whole') });
    const [, head] = /--head (\S+)/.exec(whole.out)!;
    expect(await agents('audit', 'verify', '--head', head!, '--json')).toMatchObject({ code: 0 });
    const { rows } = await sql<{ id: number }>`update audit_log set action = 'agent.nothing'
      where id = (select max(id) from audit_log) returning id`.execute(service.database);
    const changed = await start(['audit', 'verify']).ended;
    expect(changed).toMatchObject({ code: 1, out: expect.stringContaining(`row ${rows[0]!.id}`) });
  });

  it.each([
    [['audit'], { name: 'audit', scope: undefined, head: undefined }],
    [['audit', 'a1'], { name: 'audit', scope: 'a1', head: undefined }],
    [['audit', 'verify', '--head', '1:ab'], { name: 'audit', scope: 'verify', head: '1:ab' }],
    [['notices'], { name: 'notices', agentId: undefined }],
    [['notices', 'a1'], { name: 'notices', agentId: 'a1' }],
    [['receipt', 'a1'], { name: 'receipt', agentId: 'a1' }],
  ])('understands %j', async (argv, command) => {
    expect(await understand(...argv)).toEqual({ ...command, json: false });
  });

  it('requests lifecycle operations, a rebuild only when confirmed', async () => {
    const { agentId, operationId } = await create();
    await finishProvision(service.database, { agentId, operationId });
    expect(await refused('rebuild', agentId)).toContain('rebuild needs --yes');
    const resize = await printed('resize', agentId, '--plan', 'pro', '--json');
    expect(JSON.parse(resize)).toMatchObject({ kind: 'resize', status: 'queued' });
    expect(await refused('stop', agentId)).toContain('A resize of agent');
  });

  it.each(['start', 'stop', 'restart', 'reconfigure', 'refresh'])('knows %s', async (name) => {
    expect(await understand(name, 'a1', '--wait')).toEqual({ name, agentId: 'a1', wait: true, json: false });
  });

  it('follows the log with the time of each step, over broken connections, and ends with the operation', async () => {
    const { agentId, operationId } = await create();
    const following = start(['logs', agentId, '-f']);
    await tell(service.database, operationId, [step('creating_server'), log('before')]);
    await following.said('before');
    service.hangUp();
    await tell(service.database, operationId, [log('while away'), step('verifying')]);
    await following.said('verifying');
    service.hangUp();
    await finishProvision(service.database, { agentId, operationId });
    const { code, out } = await following.ended;
    expect(code).toBe(0);
    for (const text of ['before', 'while away', '▸ creating_server', '▸ verifying']) {
      expect(out.split(text)).toHaveLength(2);
    }
    expect(out).toMatch(/^ +\d+\.\d s {2}▸ creating_server$/m);
    expect(out).toMatch(/^creating_server +\d+\.\d s$/m);
    expect(out).toMatch(/^provision succeeded +\d+\.\d s$/m);
  });

  it('prints the log so far without -f, and nothing that moves the terminal’s cursor', async () => {
    const { agentId, operationId } = await create();
    await tell(service.database, operationId, [log('a\u001b[2Jb\u009bc\u202ed')]);
    const { code, out } = await start(['logs', agentId]).ended;
    expect(code).toBe(0);
    expect(out).toContain('a\\u001b[2Jb\\u009bc\\u202ed');
    expect(out).toContain('in progress');
  });

  it('shows no control characters or forged lines from an error, not as JSON either', async () => {
    const { agentId, operationId } = await create();
    const error = 'x\u001b[2J\u009b2J\u202e\u007f\nprovision succeeded';
    await sql`update operations set error = ${error} where operation_id = ${operationId}`.execute(
      service.database,
    );
    await sql`update agents set error = ${error} where agent_id = ${agentId}`.execute(service.database);
    const shown = await start(['show', agentId]).ended;
    expect(shown.code).toBe(0);
    expect(shown.out).not.toMatch(/^provision succeeded/m);
    const json = await start(['show', agentId, '--json']).ended;
    expect(JSON.parse(json.out)).toMatchObject({ error, operations: [{ error }] });
    for (const { out } of [shown, json]) expect(out).not.toMatch(/(?!\n)[\p{Cc}\u202e]/u);
  });

  it('waits if asked to, and exits 1 if the operation failed', async () => {
    const waiting = start([
      'create',
      '--agent-id',
      'cli-wait',
      '--user-id',
      'u',
      '--region',
      'ash',
      '--wait',
    ]);
    await waiting.said('queued');
    const operation = await service.database
      .selectFrom('operations')
      .select('operation_id')
      .where('agent_id', '=', 'cli-wait')
      .executeTakeFirstOrThrow();
    expect(await agents('cancel', operation.operation_id)).toMatchObject({ code: 0 });
    expect(await waiting.ended).toMatchObject({
      code: 1,
      out: expect.stringContaining('provision cancelled'),
    });
    expect(await agents('retry', operation.operation_id)).toMatchObject({ code: 0 });
    expect(await agents('retry', operation.operation_id)).toMatchObject({ code: 1 });
  });

  it('lists orders, and those that need attention', async () => {
    const bad = paidCheckout({ region: 'nowhere' });
    const good = paidCheckout();
    await deliver(service.url, bad);
    await deliver(service.url, good);
    const out = await printed('orders', '--attention');
    expect(out).toContain(String(bad.data.object.id));
    expect(out).toContain('metadata.region is unknown');
    expect(out).not.toContain(String(good.data.object.id));
    expect(JSON.parse(await printed('orders', '--json'))).toHaveLength(2);
  });

  it('creates the agent of an order that needs attention, or links one to it', async () => {
    const [first, second] = [paidCheckout({ region: 'nowhere' }), paidCheckout({ region: 'nowhere' })];
    for (const event of [first, second]) await deliver(service.url, event);
    const [one, two] = [String(first.data.object.id), String(second.data.object.id)];
    const order = ['--user-id', 'user-1', '--region', 'hel1'];
    await printed('create', ...order, '--agent-id', 'for-one', '--order', one);
    await printed('create', ...order, '--agent-id', 'for-two');
    expect(await printed('orders', 'link', two, 'for-two')).toBe(
      `Order ${two} has agent for-two, which ${second.data.object.subscription} pays for.`,
    );
    const listed = JSON.parse(await printed('orders', '--json'));
    expect(listed).toContainEqual(expect.objectContaining({ sessionId: one, agentId: 'for-one' }));
    expect(listed).toContainEqual(expect.objectContaining({ sessionId: two, agentId: 'for-two' }));
    expect(await refused('orders', 'link', one, 'for-two')).toContain('has an agent already: for-one');
    expect(await refused('orders', 'link', one)).toContain('orders link SESSION AGENT');
  });

  it.each([
    [[], 'No command given'],
    [['explode'], 'explode'],
    [['constructor'], 'constructor'],
    [['lst'], 'Did you mean list?'],
    [['show'], 'needs an agent id'],
    [['show', 'a', 'b'], 'Unexpected option or argument: b'],
    [['create', '--region', 'ash'], 'Missing option --user-id'],
    [['list', '--bogus'], '--bogus'],
    [['list', '--staus', 'failed'], 'Did you mean --status?'],
    [['list', '--status', 'faild'], 'Did you mean failed?'],
    [['resize', 'a'], 'Missing option --plan'],
    [['destroy', 'a', '--yes=1'], '--yes'],
  ])('rejects %j and names the help', async (args, message) => {
    const error = await parseCommand(args).then(
      () => undefined,
      (thrown: Error) => thrown,
    );
    expect(error).toBeInstanceOf(UsageError);
    const text = describeError(error!, false);
    expect(text).toContain(message);
    expect(text).toMatch(/See: agents (\w+ )?--help$/);
    expect(text).not.toMatch(/\n$/);
  });

  it('prints what it rejects as an error, and exits 2', async () => {
    for (const args of [[], ['list', '--bogus']]) {
      const { code, err, out } = await start(args).ended;
      expect({ code, out }).toEqual({ code: 2, out: '' });
      expect(err).toMatch(/See: agents (list )?--help\n$/);
    }
  });

  it('reports a service that is missing, does not answer or rejects the token', async () => {
    const at = (environment: Record<string, string>) => {
      const connect = async () => findConnection(readClientConfig(environment));
      return runHere(['list'], createTestTerminal('', { connect, api: createClient(connect) }));
    };
    expect(await start(['list'], { DATA_DIR: '/nonexistent' }).ended).toMatchObject({
      code: 1,
      err: expect.stringContaining('npm start'),
    });
    const away = await at({ PUBLIC_URL: 'http://127.0.0.1:1', API_TOKEN });
    expect(away).toMatchObject({ code: 1, err: expect.stringContaining('does not answer') });
    const stranger = await at({ PUBLIC_URL: service.url, API_TOKEN: 'another-token' });
    expect(stranger).toMatchObject({ code: 1, err: expect.stringContaining('API_TOKEN') });
    expect(stranger.err).not.toContain('another-token');
    expect(await at({ PUBLIC_URL: `${service.url}/`, API_TOKEN })).toMatchObject({ code: 0 });
    expect(await agents('show', 'no-such')).toMatchObject({ code: 1, err: 'There is no agent no-such\n' });
    expect(await agents('show', '../orders')).toMatchObject({ code: 1 });
  });
});

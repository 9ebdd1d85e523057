import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { getAgent } from '../../../src/agents/store.ts';
import { jsonText } from '../../../src/database/storable.ts';
import {
  type Answer,
  addresses,
  claim,
  dispatched,
  getRow,
  order,
  record,
  startRemoteService,
  tell,
} from '../../support/github-callbacks.ts';
import type { TestService } from '../../support/http-service.ts';

let service: TestService;
beforeAll(async () => {
  service = await startRemoteService();
});
afterAll(() => service.stop());

async function claimed(): Promise<{ jobId: string; agentId: string }> {
  const made = await order(service);
  await dispatched(service, made.jobId);
  expect((await claim(service, { job_id: made.jobId })).status).toBe(200);
  return made;
}

const OUTPUTS = {
  serverId: '4711',
  serverName: 'agent-a1',
  ipv4: '192.0.2.7',
  ipv6: '2001:db8::7',
  tailnetIp: '100.64.0.7',
  tailnetName: 'agent-a1.tail.example',
};

const HOSTILE: [keyof typeof OUTPUTS, unknown][] = [
  ['tailnetIp', '-oKnownHostsCommand=/bin/sh -c reboot'],
  ['tailnetIp', '100.64.0.7\n'],
  ['tailnetIp', '100.64.0.7 -oProxyCommand=x'],
  ['tailnetIp', 'fe80::1%eth0'],
  ['tailnetIp', ''],
  ['tailnetIp', null],
  ['tailnetIp', 1_681_915_911],
  ['ipv4', '2001:db8::7'],
  ['ipv4', '--help'],
  ['ipv6', '::/0'],
  ['ipv6', 'x'],
  ['serverId', '-1'],
  ['serverId', '../1'],
  ['serverId', '1e9'],
  ['serverId', '9'.repeat(20)],
  ['serverName', '-rf'],
  ['serverName', 'a b'],
  ['serverName', 'a'.repeat(300)],
  ['tailnetName', 'a\u0000'],
  ['tailnetName', '$(id)'],
];

describe('outputs that a runner records', () => {
  it.each(HOSTILE)('%s %j is refused, and nothing is written', async (field, value) => {
    const { jobId } = await claimed();
    const effect = { kind: 'running', outputs: { ...OUTPUTS, [field]: value } };
    const answer = await record(service, {
      job_id: jobId,
      record: { kind: 'result', result: { status: 'succeeded', effect } },
    });
    expect(answer).toMatchObject({ status: 400, body: { error: expect.stringContaining(field) } });
    expect((await getRow(service.database, jobId)).result).toBeNull();
  });

  it.each(HOSTILE)('%s %j is refused by the table too', async (field, value) => {
    if (typeof value !== 'string') return;
    const { agentId } = await order(service);
    const column = field
      .replace(/[A-Z]/, (letter) => `_${letter.toLowerCase()}`)
      .replace('tailnet_Ip', 'tailnet_ip');
    // The table only checks an IPv6 address's characters.
    if (value === '::/0' || value === '2001:db8::7') return;
    const update = service.database
      .updateTable('agents')
      .set({ [column]: value })
      .where('agent_id', '=', agentId)
      .execute();
    await expect(update).rejects.toMatchObject({ code: '23514', constraint: `agents_${column}_form` });
  });

  it('an invalid value from before the check is a failure that can be settled', async () => {
    const { jobId, agentId } = await claimed();
    const outputs = { ...OUTPUTS, tailnetIp: '-oX' };
    await service.database
      .updateTable('operations')
      .set({ result: jsonText({ status: 'succeeded', effect: { kind: 'running', outputs } }) })
      .where('operation_id', '=', jobId)
      .execute();
    expect((await tell(service, { job_id: jobId, status: 'running', ...addresses() })).status).toBe(409);
    expect((await tell(service, { job_id: jobId, status: 'failed', error: 'x' })).status).toBe(200);
    expect(await getRow(service.database, jobId)).toMatchObject({
      status: 'queued',
      retry_count: 1,
      error: expect.stringContaining('invalid result'),
    });
    expect((await getAgent(service.database, agentId)).tailnet_ip).toBeNull();
  });
});

it('a server with only an IPv6 address is accepted', async () => {
  const { jobId, agentId } = await claimed();
  const report = { ...addresses(), server_ip: '2001:db8::9' };
  expect((await tell(service, { job_id: jobId, status: 'running', ...report })).status).toBe(200);
  expect(await getAgent(service.database, agentId)).toMatchObject({ ipv4: null, ipv6: '2001:db8::9' });
});

describe('inputs that a runner records', () => {
  const inputs = ({ jobId, agentId }: { jobId: string; agentId: string }) => ({
    agentId,
    operationId: jobId,
    project: 'default',
    location: 'nbg1',
    serverType: 'cx23',
    image: 'debian-12',
    firewallId: 7,
    sshPublicKey: 'ssh-ed25519 AAAA',
    hostPublicKey: 'ssh-ed25519 BBBB',
    keyGeneration: 1,
    healthPort: 8080,
    configurationVersion: 'v1',
    joinTimeoutSeconds: 180,
  });
  const send = (jobId: string, sent: object): Promise<Answer> =>
    record(service, { job_id: jobId, record: { kind: 'inputs', inputs: sent, sealedKeys: 'AAAA' } });

  it.each([
    ['keyGeneration', 'abc'],
    ['keyGeneration', 0],
    ['keyGeneration', 1.5],
    ['keyGeneration', null],
    ['keyGeneration', 1e12],
    ['keyGeneration', 3],
    ['operationId', '00000000-0000-4000-8000-000000000000'],
    ['project', 'other'],
    ['location', '-x'],
    ['firewallId', '7'],
    ['sshPublicKey', 'command="reboot" ssh-ed25519 AAAA'],
    ['hostPublicKey', 'ssh-ed25519 A\nssh-ed25519 B'],
    ['loginServer', 'file:///etc/passwd'],
    ['somethingElse', 1],
  ])('%s %j is refused', async (field, value) => {
    const made = await claimed();
    expect((await send(made.jobId, inputs(made))).status).toBe(200);
    expect((await send(made.jobId, { ...inputs(made), [field]: value })).status).toBe(400);
    expect((await getAgent(service.database, made.agentId)).inputs).toEqual(inputs(made));
  });

  it('a generation is never lower than the recorded one', async () => {
    const made = await claimed();
    expect((await send(made.jobId, { ...inputs(made), keyGeneration: 2 })).status).toBe(200);
    expect((await send(made.jobId, inputs(made))).status).toBe(400);
  });
});

describe('texts and JSON that a database cannot store', () => {
  const bad = 'a\u0000b\ud800c';
  const kept = 'a\ufffdb\ufffdc';

  it('in a result, a log line, a step and an error are kept without the invalid characters', async () => {
    const { jobId } = await claimed();
    const result = { status: 'failed', name: 'RetryableError', message: bad, step: bad };
    const resource = { type: 'a:b:C', id: '1', isGone: false, drift: [] };
    for (const one of [
      { kind: 'log', lines: [bad, '😀'.repeat(5_000)] },
      { kind: 'resources', found: { verb: 'up', resources: [{ ...resource, name: bad }] } },
      { kind: 'result', result },
    ])
      expect((await record(service, { job_id: jobId, record: one })).status).toBe(200);
    expect((await tell(service, { job_id: jobId, status: 'provisioning', step: bad })).status).toBe(200);
    const report = { job_id: jobId, status: 'failed', error: bad, failed_step: bad };
    expect((await tell(service, report)).status).toBe(200);
    expect((await tell(service, report)).body).toEqual({ received: true });
    expect(await getRow(service.database, jobId)).toMatchObject({
      status: 'queued',
      retry_count: 1,
      error: kept,
      failed_step: kept,
    });
    const { resources } = await service.database
      .selectFrom('stack_resources')
      .select('resources')
      .where('operation_id', '=', jobId)
      .executeTakeFirstOrThrow();
    expect(resources).toEqual([{ ...resource, name: kept }]);
    const lines = await service.database
      .selectFrom('operation_events')
      .select('data')
      .where('operation_id', '=', jobId)
      .where('type', '=', 'log')
      .orderBy('sequence')
      .execute();
    expect(lines.map(({ data }) => data.line)).toEqual([kept, '😀'.repeat(4_000)]);
  });

  it('more resources, or longer texts, than are kept are refused', async () => {
    const { jobId } = await claimed();
    const resource = { name: 'n', type: 'a:b:C', id: '1', isGone: false, drift: [] };
    const drift = { property: 'p', before: 'x'.repeat(301), now: null };
    for (const resources of [
      Array(51).fill(resource),
      [{ ...resource, drift: [drift] }],
      [{ ...resource, id: 7 }],
    ]) {
      const found = { kind: 'resources', found: { verb: 'up', resources } };
      expect((await record(service, { job_id: jobId, record: found })).status).toBe(400);
    }
  });

  it('200,000 levels are refused everywhere', async () => {
    const { jobId } = await claimed();
    const deep = `${'['.repeat(200_000)}${']'.repeat(200_000)}`;
    for (const body of [
      `{"job_id":"${jobId}","record":{"kind":"result","result":${deep}}}`,
      `{"job_id":"${jobId}","record":{"kind":"inputs","inputs":{"agentId":${deep}},"sealedKeys":"AAAA"}}`,
      `{"job_id":${deep}}`,
      deep,
    ])
      expect((await tell(service, body, { route: '/api/runner/record' })).status).toBe(400);
  });

  it.each(['..', '-1', '../../x', 'a/b', 'a b', '', '\u0000'])('the workflow run %j', async (runId) => {
    const { jobId } = await order(service);
    const { status } = await claim(service, { job_id: jobId, workflow_run_id: runId });
    expect(status).toBe(runId === '' ? 200 : 400);
  });
});

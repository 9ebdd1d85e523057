import { sql } from 'kysely';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { recordResources } from '../../src/agents/stack-resources.ts';
import { getAgent } from '../../src/agents/store.ts';
import { jsonText } from '../../src/database/storable.ts';
import { startService, type TestService } from '../support/http-service.ts';
import { finishProvision } from '../support/operation-progress.ts';
import { addPerson } from '../support/people.ts';

let service: TestService;
beforeAll(async () => {
  service = await startService({ consoles: { hetznerProjectIds: { default: '4711' }, hasTailscale: true } });
});
afterAll(() => service.stop());

let made = 0;
async function running(): Promise<{ agentId: string; operationId: string; serverId: string }> {
  made += 1;
  const agentId = `ada-${made}`;
  const response = await service.ask('/api/agents', { json: { agentId, userId: 'u', region: 'eu-west' } });
  const { operationId } = (await response.json()) as { operationId: string };
  const { serverId } = await finishProvision(service.database, { agentId, operationId });
  return { agentId, operationId, serverId };
}
const page = async (agentId: string) => (await service.ask(`/agents/${agentId}`)).text();
/** The reasons by the action that is not possible. */
const reasons = (markup: string) =>
  Object.fromEntries(
    [...markup.matchAll(/disabled>(\w+)<\/button><span class="text">.*?<strong>(.*?)<\/strong>/gs)].map(
      ([, verb, why]) => [verb, why],
    ),
  );

test('what is not possible is shown with the reason', async () => {
  const { agentId } = await running();
  expect(reasons(await page(agentId))).toEqual({
    Start: 'Possible while it is stopped.',
    Wake: 'Possible while it is hibernated.',
    Hibernate: 'Possible while it is suspended.',
    Revert: 'It has no complete snapshot: press Snapshot first.',
  });
  await sql`update agents set protected = true where agent_id = ${agentId}`.execute(service.database);
  expect(reasons(await page(agentId))).toMatchObject({
    Destroy: 'It is protected: press Unprotect first.',
  });
  await service.ask(`/api/agents/${agentId}/restart`, { method: 'POST' });
  expect(reasons(await page(agentId))).toMatchObject({
    Restart: 'A restart is already under way.',
    Stop: 'A restart is already under way.',
  });
  expect(reasons(await page(agentId))).not.toHaveProperty('Refresh');
});

test('a hold is named where it stands in the way', async () => {
  const { agentId } = await running();
  await sql`insert into holds (agent_id, reason, since, by_whom) values (${agentId}, 'payment', now(), 'service')`.execute(
    service.database,
  );
  expect(reasons(await page(agentId))).toMatchObject({
    Restart: 'It is held (payment): possible once nothing holds it.',
  });
});

test('each reason is one for which the request is refused', async () => {
  const { agentId } = await running();
  for (const verb of Object.keys(reasons(await page(agentId)))) {
    const json = verb === 'Revert' ? { snapshot: SNAPSHOT } : {};
    const response = await service.ask(`/api/agents/${agentId}/${verb.toLowerCase()}`, { json });
    expect([verb, response.status]).toEqual([verb, 409]);
  }
});

const SNAPSHOT = '11111111-1111-4111-8111-111111111111';

test('a revert is offered once there is a complete snapshot, and refused for any other', async () => {
  const { agentId } = await running();
  const revert = async (snapshot: string) =>
    (await (await service.ask(`/api/agents/${agentId}/revert`, { json: { snapshot } })).json()) as object;
  expect(await revert(SNAPSHOT)).toMatchObject({
    detail: `Agent ${agentId} has no complete snapshot; a revert is possible once it has one`,
  });
  await service.database
    .insertInto('agent_snapshots')
    .values({ snapshot_id: SNAPSHOT, agent_id: agentId, why: 'by-hand' })
    .execute();
  expect(reasons(await page(agentId))).toHaveProperty('Revert');
  await sql`update agent_snapshots set status = 'available', hetzner_id = '7', size_gb = 1`.execute(
    service.database,
  );
  expect(reasons(await page(agentId))).not.toHaveProperty('Revert');
  expect(await page(`${agentId}/revert`)).toMatch(
    new RegExp(
      `<select name="snapshot"><option value="${SNAPSHOT}">[-0-9: ]+ UTC, by hand, 1.00 GB</option></select>`,
    ),
  );
  const other = '22222222-2222-4222-8222-222222222222';
  expect(await revert(other)).toMatchObject({
    status: 409,
    detail: `Agent ${agentId} has no complete snapshot ${other}; \`snapshots list\` shows those that it has`,
  });
  expect(await revert(SNAPSHOT)).toMatchObject({ kind: 'revert', status: 'queued' });
});

test('resources with what a refresh found different, escaped', async () => {
  const { agentId, operationId } = await running();
  expect(await page(agentId)).toContain('Nothing has been recorded yet. Press Refresh');
  await service.database.transaction().execute((trx) =>
    recordResources(
      trx,
      { agentId, operationId },
      {
        verb: 'refresh',
        resources: [
          {
            name: 'server',
            type: 'hcloud:index/server:Server',
            id: '99',
            isGone: false,
            drift: [{ property: 'labels.team', before: '<red>', now: null }],
          },
          { name: 'key', type: 'hcloud:index/sshKey:SshKey', id: null, isGone: true, drift: [] },
        ],
      },
    ),
  );
  const markup = await page(agentId);
  expect(markup).toContain('hcloud Server');
  expect(markup).toContain('>Gone</span>');
  expect(markup).toContain('1 property changed by the provision');
  expect(markup).toContain('&lt;red&gt;');
  await sql`update operations set kind = 'refresh' where operation_id = ${operationId}`.execute(
    service.database,
  );
  expect(await page(agentId)).toContain('2 differed; the stack knows it now.');
});

test('billing with its dates, findings with their cures, and the links to the consoles', async () => {
  const { agentId, serverId } = await running();
  await sql`insert into subscriptions (subscription_id, agent_id, governs, state, demand, suspend_at, delete_at)
    values (${`sub_${agentId}`}, ${agentId}, true, 'past_due', 'run', now() + interval '3 days', now() + interval '33 days')`.execute(
    service.database,
  );
  await sql`insert into findings (source, key, class, agent_id, cause, cure, since)
    values ('sweep', ${agentId}, 'mismatch', ${agentId}, 'The server has lost its label', 'Press Refresh', now())`.execute(
    service.database,
  );
  const markup = await page(agentId);
  expect(markup).toContain('Past due');
  expect(markup).toMatch(/Will be suspended<\/dt><dd>.*in \d+ (h|days)/);
  expect(markup).toMatch(/The server has lost its label[\s\S]*Press Refresh/);
  expect(markup).toContain(`https://console.hetzner.com/projects/4711/servers/${serverId}/overview`);
  expect(markup).toContain('https://login.tailscale.com/admin/machines/100.64.7.');
  expect(markup).toContain(`npm run pulumi -- preview -s agent-${agentId}`);
});

test('the states over time are drawn and counted, and who asked for what is said', async () => {
  const { agentId } = await running();
  await service.ask(`/api/agents/${agentId}/refresh`, { method: 'POST' });
  const markup = await page(agentId);
  expect(markup).toMatch(/State over time[\s\S]*<rect class="good"[\s\S]*Running \d/);
  expect(markup).toMatch(/Earlier operations[\s\S]*Provision<\/a>[\s\S]*operator/);
  expect(markup).not.toMatch(/ style="|<script(?![^>]* src=)/);
});

const INPUTS = { serverName: 'srv-1', serverType: 'cx23', image: 'debian-12', location: 'fsn1' };
const ADOPTING = {
  serverId: '77',
  ipv4: '203.0.113.7',
  hostPublicKey: `ssh-ed25519 ${'A'.repeat(68)}`,
  before: { name: 'web1', labels: {} },
};

test('a server that is given back can be abandoned by an admin, and by nobody else', async () => {
  const { agentId } = await running();
  expect(await page(agentId)).not.toContain('Abandon');
  await service.database
    .updateTable('agents')
    .set({
      status: 'failed',
      error: 'The server did not join',
      secrets: Buffer.from('sealed'),
      inputs: jsonText({ ...INPUTS, project: 'default', adopting: ADOPTING }),
    })
    .where('agent_id', '=', agentId)
    .execute();
  expect(await page(agentId)).toContain(`href="/agents/${agentId}/abandon"`);
  expect(await page(`${agentId}/abandon`)).toContain('Nothing of the server is deleted.');
  const answer = await service.ask(`/agents/${agentId}/abandon`, { method: 'POST', redirect: 'manual' });
  expect(answer.status).toBe(303);
  const { token } = await addPerson(service, 'olga', 'operator');
  const asOperator = (path: string, method: 'GET' | 'POST' = 'GET') =>
    service.ask(path, { method, headers: { authorization: `Bearer ${token}` } });
  const { status } = await asOperator(`/agents/${agentId}/abandon`, 'POST');
  expect(status).toBe(403);
  expect(reasons(await (await asOperator(`/agents/${agentId}`)).text())).toMatchObject({
    Abandon: 'It needs the role admin.',
  });
  const { inputs } = await getAgent(service.database, agentId);
  expect(inputs?.adopting?.isAbandoned).toBe(true);
});

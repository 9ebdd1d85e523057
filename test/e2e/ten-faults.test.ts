import { afterAll, beforeAll, expect, it } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { type Installation, makeSite, type Site, startInstallation } from '../support/installation.ts';
import { bannersIn, clicksTo, textOf } from '../support/pages.ts';
import { freezeAnsible, type PlantedFaults, plantFaults } from '../support/planted-faults.ts';
import { paidCheckout } from '../support/stripe-events.ts';
import { sweepInstallation } from '../support/sweep-now.ts';

let clouds: PlantedFaults;
/** Serves HTTP, hosts the sandbox, and survives its worker. */
let service: Installation;
let worker: Installation;
let site: Site;
let frozen: number;

beforeAll(async () => {
  site = await makeSite({ LIMIT_CREATES_PER_HOUR: '1', RETRY_SECONDS: '1', WORKER_CONCURRENCY: '2' });
  service = await startInstallation(site, { args: ['--role', 'api'] });
  worker = await startInstallation(site, { args: ['--role', 'worker'] });
  clouds = plantFaults(service.connection);
}, 180_000);
afterAll(async () => {
  await worker?.stop();
  await service?.stop();
  await site?.remove();
}, 90_000);

const page = async (path: string): Promise<string> => (await service.ask(path)).body;

async function create(agentId: string): Promise<string> {
  const { status, body } = await service.ask('/api/agents', {
    json: { agentId, userId: 'u', region: 'eu-west' },
  });
  expect(status).toBe(202);
  return body.operationId;
}

const agents = (sql: string, parameters: unknown[] = []) => service.query(sql, parameters);
const status = async (agentId: string): Promise<string> =>
  (await agents('select status from agents where agent_id = $1', [agentId]))[0].status;
const untilFailed = (agentId: string) => service.untilAgent(agentId, 'failed', 60);

async function untilQueued(operationId: string, reason: RegExp): Promise<void> {
  await eventually(
    `the operation waits: ${reason}`,
    async () => {
      const [row] = await agents('select waits_for from operations where operation_id = $1', [operationId]);
      return reason.test(row.waits_for ?? '');
    },
    { withinSeconds: 60 },
  );
}

interface Fault {
  name: string;
  plant(): Promise<void>;
  cause: RegExp;
  cure: RegExp;
  /** What mends it or leads on, as `POST path` or `GET path`; at most two clicks away. */
  action: RegExp;
  mend?(): Promise<unknown>;
}

const FAULTS: Fault[] = [
  {
    name: 'Ansible hangs',
    plant: async () => {
      const operationId = await create('hangs');
      frozen = await freezeAnsible(site.dataDir);
      // Six minutes pass.
      await agents("update operation_events set at = at - interval '6 minutes' where operation_id = $1", [
        operationId,
      ]);
    },
    cause: /operation of agent hangs does not move .*says nothing any more, in the step configuring/,
    cure: /The end of its log says what it does\. .*press Cancel/,
    action: /^POST \/operations\/[-0-9a-f]+\/cancel$/,
    mend: async () => {
      process.kill(frozen, 'SIGCONT');
      const [row] = await agents("select operation_id from operations where agent_id = 'hangs'");
      const answer = await service.ask(`/operations/${row.operation_id}/cancel`, { method: 'POST' });
      expect(answer.status).toBe(200);
      // It may come to its end before it is asked to stop.
      await eventually(
        'the operation has ended',
        async () => /^(failed|running)$/.test(await status('hangs')),
        {
          withinSeconds: 60,
        },
      );
    },
  },
  {
    name: 'a stock-out',
    plant: async () => {
      await clouds.plant('POST', '/servers', { kind: 'stock-out' });
      const operationId = await create('waits');
      await untilQueued(operationId, /sold out|no server|resource_unavailable/i);
      await agents(
        "update operations set created_at = created_at - interval '11 minutes' where operation_id = $1",
        [operationId],
      );
    },
    cause: /paid order waits .*Its provision waits: /,
    cure: /name other server types or a higher price for the plan in BILLING_PLANS, or refund the payment/,
    action: /^GET \/agents\/waits\/destroy$/,
    mend: async () => {
      await clouds.mend();
      await agents("update operations set created_at = now() where agent_id = 'waits'");
      // Or its next attempt would meet the next fault.
      await service.untilAgent('waits', 'running', 60);
    },
  },
  {
    name: 'a limit of the cloud',
    plant: async () => {
      await clouds.plant('POST', '/servers', { kind: 'limit' });
      await create('limited');
      await untilFailed('limited');
    },
    cause: /Agent limited has failed .*resource_limit_exceeded/,
    cure: /Ask for a higher one in Hetzner’s console .*press Retry/,
    action: /^POST \/agents\/limited\/retry$/,
    mend: () => clouds.mend(),
  },
  {
    name: 'a revoked token',
    plant: async () => {
      await clouds.plant('*', '**', { kind: 'status', status: 401 });
      await create('refused');
      await untilFailed('refused');
    },
    cause: /Agent refused has failed .*unauthorized/,
    cure: /Put a valid one into HCLOUD_TOKEN or the TAILSCALE_ variables/,
    action: /^POST \/agents\/refused\/retry$/,
    mend: () => clouds.mend(),
  },
  {
    name: 'a tailnet policy without the agents’ tag',
    plant: async () => {
      await clouds.setTagOwners({ 'tag:controller': ['autogroup:admin'] });
      await create('untagged');
      await untilFailed('untagged');
    },
    cause: /Agent untagged has failed .*requested tags \[tag:agent\] are invalid or not permitted/,
    cure: /an owner of tag:agent in tagOwners; docs\/tailnet-policy\.hujson has the whole policy/,
    action: /^POST \/agents\/untagged\/retry$/,
    mend: () =>
      clouds.setTagOwners({
        'tag:controller': ['autogroup:admin'],
        'tag:agent': ['autogroup:admin', 'tag:controller'],
      }),
  },
  {
    name: 'a breaker',
    plant: async () => {
      for (const agentId of ['bought-1', 'bought-2', 'bought-3'])
        expect((await service.deliver(paidCheckout({ agentId }))).status).toBe(200);
      await eventually('it has tripped', async () => /Held back/.test(await page('/')), {
        withinSeconds: 30,
      });
    },
    cause: /Held back: agents created within an hour .*creates at most 1/,
    cure: /Look at what waits, then press Approve there/,
    action: /^POST \/attention\/breakers\/creates\/approve$/,
    mend: () => service.ask('/attention/breakers/creates/approve', { method: 'POST' }),
  },
  {
    name: 'an orphan',
    plant: async () => {
      await clouds.createServer('agent-ghost', { 'managed-by': 'agents', 'agent-id': 'ghost' });
      await sweepInstallation(service.connection);
    },
    cause: /server agent-ghost .*carries our labels, but its owner, agent ghost, is unknown/i,
    cure: /delete it there if nobody needs it, .*It is billed until then/,
    action: /^GET \/attention$/,
  },
  {
    name: 'a device that takes another’s name',
    plant: async () => {
      await create('honest');
      const { tailnetIp } = await service.untilAgent('honest', 'running', 60);
      await service.query(
        "update tailscale_devices set hostname = 'agent-limited' where ipv4 = $1",
        [tailnetIp],
        'sandbox',
      );
      await sweepInstallation(service.connection);
    },
    cause: /agent honest calls itself "agent-limited": its hostname was changed on the server/,
    cure: /Press Refresh on the agent’s page\. If the name comes back, look on the agent’s server what sets it/,
    action: /^POST \/agents\/honest\/refresh$/,
  },
  {
    name: 'a dead worker',
    plant: async () => {
      await worker.kill();
      await agents("update workers set seen_at = now() - interval '1 minute'");
      const operationId = await create('nobody-comes');
      await agents("update operations set run_after = now() - interval '2 minutes' where operation_id = $1", [
        operationId,
      ]);
    },
    cause: /No worker runs .*operations? waits?, and no worker runs: the last one was seen at /,
    cure: /Start one: npm start -- --role worker/,
    action: /^GET \/attention$/,
  },
  {
    name: 'the database is away',
    plant: async () => {
      await maintenance('alter database "agents" allow_connections false');
      await maintenance("select pg_terminate_backend(pid) from pg_stat_activity where datname = 'agents'");
    },
    cause: /The database is unavailable .*its Postgres does not answer/,
    cure: /See that Postgres runs and that this host reaches it at DATABASE_URL/,
    action: /^GET $/,
    mend: async () => {
      await maintenance('alter database "agents" allow_connections true');
      await eventually('the page is back', async () => (await service.ask('/')).status === 200, {
        withinSeconds: 30,
      });
    },
  },
];

const maintenance = (sql: string) => service.query(sql, [], 'pulumi');

it.each(FAULTS)(
  '$name: the first screen says why and what to do, and leads there in two clicks',
  async (fault) => {
    await fault.plant();
    try {
      const screen = await page('/');
      const banner = bannersIn(screen).find((one) => fault.cause.test(textOf(one)));
      expect(banner ?? textOf(screen), 'a banner with the cause').toMatch(/<section/);
      expect(textOf(banner!)).toMatch(fault.cure);
      // The breakers' and the orphans' pages are linked below the banners too.
      expect(await clicksTo(`${banner}<a href="/attention">`, fault.action, page)).toBeOneOf([1, 2]);
    } finally {
      await fault.mend?.();
    }
  },
  120_000,
);

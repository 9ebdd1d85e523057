import express from 'express';
import { type InferResult, sql } from 'kysely';
import { z } from 'zod';
import type { SandboxDatabase, SandboxTransaction } from '../database.ts';
import { orderedActionError } from '../faults.ts';
import type { SandboxSettings } from '../settings.ts';
import { insertActions, toAction } from './actions/store.ts';
import { locationById } from './catalogue/locations.ts';
import { notFound } from './errors.ts';
import { parseId, parseInput } from './input.ts';
import type { Labels } from './labels.ts';
import { listQuery, nameAndLabels, paginationMeta, selectPage } from './listing.ts';
import { type DnsPtr, defaultName, dnsPtrInput, setDnsPtr } from './reverse-dns.ts';
import { isVisible, type ServerRow } from './servers/store.ts';
import type { ActionError } from './tables.ts';

type ListedIpRow = InferResult<ReturnType<typeof selectListedIps>>[number];

const ipQuery = listQuery.extend({ ip: z.string().optional() });

const SORTABLE = { id: sql.ref('id'), created: sql.ref('created_at') };

interface Dependencies {
  database: SandboxDatabase;
  settings: SandboxSettings;
}

/** Serves `/primary_ips`. Here addresses live as long as their servers and cannot be ordered separately. */
export function createPrimaryIpsRouter({ database, settings }: Dependencies): express.Router {
  const router = express.Router();
  router.get('/primary_ips', async (request, response) => {
    const query = parseInput(ipQuery, request.query);
    const { ip } = query;
    const select = selectListedIps(database, new Date())
      .where(nameAndLabels(query))
      .$if(ip !== undefined, (ips) => ips.where('ip', '=', ip!));
    const page = await selectPage(select, SORTABLE, query);
    response.json({ primary_ips: page.rows.map(toPrimaryIp), meta: paginationMeta(query, page.total) });
  });
  router.get('/primary_ips/:id', async (request, response) => {
    const id = parseId(request.params.id, 'primary IP');
    const row = await selectListedIps(database, new Date()).where('id', '=', id).executeTakeFirst();
    if (row === undefined) throw notFound('primary IP');
    response.json({ primary_ip: toPrimaryIp(row) });
  });
  router.post('/primary_ips/:id/actions/change_dns_ptr', async (request, response) => {
    const id = parseId(request.params.id, 'primary IP');
    const input = parseInput(dnsPtrInput, request.body);
    const error = orderedActionError(response);
    response.status(201).json({ action: await renameAddress({ database, settings }, id, input, error) });
  });
  return router;
}

/** Selects the addresses of visible servers; those of deleted servers stay in the table. */
function selectListedIps(database: SandboxDatabase, now: Date) {
  const listed = database
    .selectFrom('hetzner_primary_ips as ip')
    .innerJoin('hetzner_servers as server', 'server.id', 'ip.server_id')
    .selectAll('ip')
    .select('server.location_id')
    .select(sql<string>`'primary_ip-' || ip.id`.as('name'))
    .select(sql<Labels>`'{}'::jsonb`.as('labels'))
    .where(isVisible(now, 'server.deleted_at'));
  return database.selectFrom(listed.as('listed')).selectAll();
}

async function renameAddress(
  { database, settings }: Dependencies,
  id: number,
  input: DnsPtr,
  error: ActionError | undefined,
) {
  return database.transaction().execute(async (trx) => {
    const startedAt = new Date();
    const listed = selectListedIps(trx, startedAt).clearSelect().select('id').where('id', '=', id);
    const rows = await trx
      .selectFrom('hetzner_primary_ips')
      .selectAll()
      .where('id', '=', listed)
      .forUpdate()
      .execute();
    if (rows.length === 0) throw notFound('primary IP');
    await setDnsPtr(trx, rows, input, error === undefined);
    const finishesAt = new Date(startedAt.getTime() + settings.serverActionMs);
    const resources = [{ id, type: 'primary_ip' as const }];
    const action = { command: 'change_dns_ptr', startedAt, finishesAt, resources, error };
    return toAction((await insertActions(trx, [action]))[0]!, startedAt);
  });
}

/** Assigns public addresses to a new server, from ranges reserved for examples and tests. */
export async function createPrimaryIps(
  trx: SandboxTransaction,
  server: ServerRow,
  wanted: { enable_ipv4: boolean; enable_ipv6: boolean },
): Promise<void> {
  // 198.18.0.0/15 has room for 131072 addresses; the server's id picks one. The first 256 are the sandbox's
  // own.
  const n = 256 + (server.id % (131_072 - 256));
  const ipv4 = `198.${18 + (n >> 16)}.${(n >> 8) & 255}.${n & 255}`;
  const ipv6 = `2001:db8:${(server.id >> 16).toString(16)}:${(server.id & 0xffff).toString(16)}::/64`;
  const ips = [
    ...(wanted.enable_ipv4
      ? [{ type: 'ipv4' as const, ip: ipv4, dns_ptr: [{ ip: ipv4, dns_ptr: defaultName(ipv4) }] }]
      : []),
    ...(wanted.enable_ipv6 ? [{ type: 'ipv6' as const, ip: ipv6, dns_ptr: [] }] : []),
  ];
  for (const { dns_ptr, ...ip } of ips)
    await trx
      .insertInto('hetzner_primary_ips')
      .values({
        ...ip,
        server_id: server.id,
        dns_ptr: JSON.stringify(dns_ptr),
        created_at: server.created_at,
      })
      .execute();
}

function toPrimaryIp(row: ListedIpRow) {
  return {
    id: row.id,
    name: `primary_ip-${row.id}`,
    labels: {},
    created: row.created_at.toISOString(),
    blocked: false,
    location: locationById(row.location_id),
    ip: row.ip,
    dns_ptr: row.dns_ptr,
    protection: { delete: false },
    type: row.type,
    auto_delete: true,
    assignee_type: 'server',
    assignee_id: row.server_id,
  };
}

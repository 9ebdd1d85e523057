import type pg from 'pg';

/** Whose server may be anybody's by now: an order's, since the backup, or gone. */
const UNCERTAIN = `(s.status in ('making', 'ready', 'removing') or (s.status = 'claimed' and s.served_at is null))`;

/**
 * Forgets the slots that a backup brings back, and their names. Since it was made, any of them may have
 * become a customer's server: as rows they would be given to a second one, or removed. An agent's record
 * names the server that it has got, and takes its names; any other server is listed for a person, by the
 * rebuild and by each sweep, and is touched by nobody.
 */
export async function forgetSlots(service: pg.ClientBase): Promise<void> {
  // An agent whose hand-over had begun is made on a server of its own, or its record says more.
  await service.query(
    `update agents a set inputs = null, secrets = null, updated_at = now() from slots s
     where s.agent_id = a.agent_id and ${UNCERTAIN} and a.server_id is null
       and a.inputs->>'serverName' = s.inputs->>'serverName'`,
  );
  for (const [table, owner] of [
    ['server_names', 'owner_id'],
    ['tailnet_join_names', 'agent_id'],
  ])
    await service.query(
      `delete from ${table} n using slots s where ${UNCERTAIN} and (n.${owner} = s.slot_id or n.slot_id = s.slot_id
         or n.name in (s.inputs->>'serverName', s.inputs->>'joinName'))`,
    );
  await service.query(`delete from slots s where ${UNCERTAIN}`);
}

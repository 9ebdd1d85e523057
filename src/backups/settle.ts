import type pg from 'pg';
import { forgetSlots } from './forget-slots.ts';

/** Operations that may be done again: they look first for what an earlier attempt has done. */
const REPEATED = ['provision', 'destroy', 'rollback', 'adopt', 'adopt-server'];

const NOBODY = 'worker_id = null, lease_until = null, updated_at = now()';

/**
 * Nobody works any more on what was under way as the backup was made. What could do harm if it were done
 * again, such as a rebuild that has long ended, is over; the rest begins again once the clouds were looked
 * at. Runs in the transaction that loads the rows.
 */
export async function settle(service: pg.ClientBase): Promise<void> {
  await change(service, `status = 'active' and kind = any($1)`, "status = 'queued', run_after = now()");
  await service.query(
    `update operations set dispatched_at = null, run_after = now(), ${NOBODY}
     where status = 'queued' and kind = any($1)`,
    [REPEATED],
  );
  await change(
    service,
    `status in ('active', 'queued') and kind <> all($1)`,
    "status = 'cancelled', cancel_requested = true, finished_at = now()",
  );
  await forgetSlots(service);
  await service.query(`update images set ${NOBODY} where lease_until is not null`);
  // What was written then is not what stands at Hetzner now.
  await service.query('delete from cloud_records');
  await service.query('update foundations set holder_operation = null, holder_attempt = null');
  await service.query(`update installation set recovery = 'needed', data_dir = null`);
}

/** Changes the status of operations, and appends what people are told of it. */
async function change(service: pg.ClientBase, where: string, columns: string): Promise<void> {
  await service.query(
    `with changed as (
       update operations set ${columns}, dispatched_at = null, ${NOBODY} where ${where}
       returning operation_id, attempt, status),
     told (n, type) as (values (1, 'log'), (2, 'status'))
     insert into operation_events (operation_id, sequence, attempt, type, data)
     select c.operation_id, t.n + coalesce((select max(sequence) from operation_events e
         where e.operation_id = c.operation_id), 0), c.attempt, t.type,
       case t.type when 'log' then jsonb_build_object('line', $2::text, 'stream', 'service')
         else jsonb_build_object('status', c.status, 'attempt', c.attempt) end
     from changed c cross join told t order by c.operation_id, t.n`,
    [REPEATED, 'A backup was restored that was made while this was under way'],
  );
}

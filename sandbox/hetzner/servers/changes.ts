import { z } from 'zod';
import { serverTypeById } from '../catalogue/server-types.ts';
import { HetznerError, invalidField } from '../errors.ts';
import { type IdOrName, idOrName } from '../input.ts';
import { type DnsPtr, setDnsPtr } from '../reverse-dns.ts';
import type { ServerAction } from './actions.ts';
import { checkBootable, findImage, findServerType, userDataInput } from './order.ts';
import { detour, transition } from './phases.ts';
import { askToStart, stay, times } from './power.ts';
import type { PrimaryIpRow, ServerRow } from './store.ts';

export const changeTypeInput = z.object({ server_type: idOrName, upgrade_disk: z.boolean() });
export const rebuildInput = z.object({ image: idOrName, user_data: userDataInput });
export const protectionInput = z.object({ delete: z.boolean().optional(), rebuild: z.boolean().optional() });

/** Moves a server that is off to another type, and starts it again, as Hetzner does. */
export function changeType(input: z.infer<typeof changeTypeInput>): ServerAction {
  return {
    command: 'change_server_type',
    async run(context) {
      const { client, server, status, fails } = context;
      if (status !== 'off') throw new HetznerError(422, 'server_not_stopped', 'server is not stopped');
      const diskGb = checkNewType(server, input);
      if (fails) return detour(status, 'migrating', ...times(context));
      const type = findServerType(input.server_type);
      await client.query(
        'UPDATE hetzner_servers SET server_type_id = $2, primary_disk_gb = $3 WHERE id = $1',
        [server.id, type.id, diskGb],
      );
      await askToStart(context);
      return transition(status, 'migrating', 'running', ...times(context));
    },
  };
}

/** The size of the disk that the server would have with the new type; throws where it cannot have that type. */
function checkNewType(server: ServerRow, input: z.infer<typeof changeTypeInput>): number {
  const type = findServerType(input.server_type);
  if (type.id === server.server_type_id) throw invalidField('server_type', 'is the present server type');
  if (type.architecture !== serverTypeById(server.server_type_id).architecture)
    throw invalidField('server_type', 'has another architecture');
  if (!type.locations.some((location) => location.id === server.location_id))
    throw new HetznerError(422, 'invalid_input', 'unsupported location for server type');
  if (type.disk < server.primary_disk_gb)
    throw new HetznerError(422, 'invalid_server_type', 'the disk of the new server type is too small');
  return input.upgrade_disk ? type.disk : server.primary_disk_gb;
}

/** Installs the disk anew. New user data replaces what the server had, if its machine has not used that up yet. */
export function rebuild(input: { image: IdOrName; user_data?: string | null | undefined }): ServerAction {
  return {
    command: 'rebuild_server',
    async run(context) {
      const { client, server, status, now, finishesAt, fails, realMachines } = context;
      if (server.protected) throw protectedError('rebuild');
      const serverType = serverTypeById(server.server_type_id);
      const image = await findImage(client, input.image, serverType, server.primary_disk_gb);
      if (realMachines) checkBootable(image);
      if (fails) return detour(status, 'rebuilding', ...times(context));
      await client.query(
        `UPDATE hetzner_servers SET image_id = $2, user_data = coalesce($3, user_data), boot_pending = true,
           generation = generation + 1, rescue_enabled = false WHERE id = $1`,
        [server.id, image.id, input.user_data],
      );
      return [
        { status: 'rebuilding', fromMs: now.getTime() },
        { status: 'running', fromMs: finishesAt.getTime() },
      ];
    },
  };
}

/** Protection from deletion and from rebuild go together on servers. */
export function changeProtection(input: z.infer<typeof protectionInput>): ServerAction {
  return {
    command: 'change_protection',
    async run(context) {
      const { client, server, fails } = context;
      const remove = input.delete ?? server.protected;
      const rebuildToo = input.rebuild ?? server.protected;
      if (remove !== rebuildToo) throw invalidField('rebuild', 'must have the same value as delete');
      if (!fails)
        await client.query('UPDATE hetzner_servers SET protected = $2 WHERE id = $1', [server.id, remove]);
      return stay(context);
    },
  };
}

/** Changes the name that one of the server's addresses resolves to. */
export function changeDnsPtr(input: DnsPtr): ServerAction {
  return {
    command: 'change_dns_ptr',
    async run(context) {
      const { client, server, fails } = context;
      const { rows } = await client.query<PrimaryIpRow>(
        'SELECT * FROM hetzner_primary_ips WHERE server_id = $1 FOR UPDATE',
        [server.id],
      );
      await setDnsPtr(client, rows, input, !fails);
      return stay(context);
    },
  };
}

/** Turns a property of the server on or off that has no effect on its status. */
function setColumn(command: string, column: string, value: unknown): ServerAction {
  return {
    command,
    async run(context) {
      const { client, server, fails } = context;
      if (!fails)
        await client.query(`UPDATE hetzner_servers SET ${column} = $2 WHERE id = $1`, [server.id, value]);
      return stay(context);
    },
  };
}

export const enableRescue = setColumn('enable_rescue', 'rescue_enabled', true);
export const disableRescue = setColumn('disable_rescue', 'rescue_enabled', false);
export const enableBackup = setColumn('enable_backup', 'backup_window', '22-02');
export const disableBackup = setColumn('disable_backup', 'backup_window', null);
export const resetPassword: ServerAction = { command: 'reset_password', run: stay };

/**
 * Deletes: the server is visible as `deleting` until the action ends. The firewalls let go of it at once, and
 * its backups go with it.
 */
export const deleteServer: ServerAction = {
  command: 'delete_server',
  async run(context) {
    const { client, server, status, now, finishesAt, fails } = context;
    if (server.protected) throw protectedError('delete');
    if (fails) return detour(status, 'deleting', ...times(context));
    await client.query('DELETE FROM hetzner_firewall_targets WHERE server_id = $1', [server.id]);
    await client.query(
      "UPDATE hetzner_images SET deleted_at = $2 WHERE server_id = $1 AND type = 'backup' AND deleted_at IS NULL",
      [server.id, finishesAt],
    );
    await client.query('UPDATE hetzner_servers SET deleted_at = $2, user_data = NULL WHERE id = $1', [
      server.id,
      finishesAt,
    ]);
    return [{ status: 'deleting', fromMs: now.getTime() }];
  },
};

function protectedError(what: string): HetznerError {
  return new HetznerError(423, 'protected', `${what} is protected for this server`);
}

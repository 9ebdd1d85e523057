import type { Updateable } from 'kysely';
import { z } from 'zod';
import { serverTypeById } from '../catalogue/server-types.ts';
import { HetznerError, invalidField } from '../errors.ts';
import { type IdOrName, idOrName } from '../input.ts';
import { type DnsPtr, setDnsPtr } from '../reverse-dns.ts';
import type { ServerTable } from '../tables.ts';
import type { ActionContext, ServerAction } from './actions.ts';
import { checkBootable, findImage, findServerType, userDataInput } from './order.ts';
import { detour, transition } from './phases.ts';
import { countStart, stay, times } from './power.ts';
import type { ServerRow } from './store.ts';

export const changeTypeInput = z.object({ server_type: idOrName, upgrade_disk: z.boolean() });
export const rebuildInput = z.object({ image: idOrName, user_data: userDataInput });
export const protectionInput = z.object({ delete: z.boolean().optional(), rebuild: z.boolean().optional() });

/** Changes the type of a server that is off, and starts it again, as Hetzner does. */
export function changeType(input: z.infer<typeof changeTypeInput>): ServerAction {
  return {
    command: 'change_server_type',
    async run(context) {
      const { server, status, fails } = context;
      if (status !== 'off') throw new HetznerError(422, 'server_not_stopped', 'server is not stopped');
      const diskGb = checkNewType(server, input);
      if (fails) return detour(status, 'migrating', ...times(context));
      const type = findServerType(input.server_type);
      await update(context, { server_type_id: type.id, primary_disk_gb: diskGb });
      await countStart(context);
      return transition(status, 'migrating', 'running', ...times(context));
    },
  };
}

/** Returns the server's disk size with the new type. @throws HetznerError if it cannot have that type */
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

/**
 * Reinstalls the disk. New user data replaces the old, which otherwise stays until a machine boots with it.
 */
export function rebuild(input: { image: IdOrName; user_data?: string | null | undefined }): ServerAction {
  return {
    command: 'rebuild_server',
    async run(context) {
      const { trx, server, status, now, finishesAt, fails, realMachines } = context;
      if (server.protected) throw protectedError('rebuild');
      const serverType = serverTypeById(server.server_type_id);
      const image = await findImage(trx, input.image, serverType, server.primary_disk_gb);
      if (realMachines) await checkBootable(trx, image);
      if (fails) return detour(status, 'rebuilding', ...times(context));
      await trx
        .updateTable('hetzner_servers')
        .set((eb) => ({
          image_id: image.id,
          user_data: eb.fn.coalesce(eb.val(input.user_data ?? null), 'user_data'),
          boot_pending: true,
          generation: eb('generation', '+', 1),
          rescue_enabled: false,
        }))
        .where('id', '=', server.id)
        .execute();
      return [
        { status: 'rebuilding', fromMs: now.getTime() },
        { status: 'running', fromMs: finishesAt.getTime() },
      ];
    },
  };
}

/** Protects a server from deletion and rebuild; Hetzner allows only both together. */
export function changeProtection(input: z.infer<typeof protectionInput>): ServerAction {
  return {
    command: 'change_protection',
    async run(context) {
      const { server, fails } = context;
      const remove = input.delete ?? server.protected;
      const rebuildToo = input.rebuild ?? server.protected;
      if (remove !== rebuildToo) throw invalidField('rebuild', 'must have the same value as delete');
      if (!fails) await update(context, { protected: remove });
      return stay(context);
    },
  };
}

/** Changes the reverse DNS name of one of the server's addresses. */
export function changeDnsPtr(input: DnsPtr): ServerAction {
  return {
    command: 'change_dns_ptr',
    async run(context) {
      const { trx, server, fails } = context;
      const rows = await trx
        .selectFrom('hetzner_primary_ips')
        .selectAll()
        .where('server_id', '=', server.id)
        .forUpdate()
        .execute();
      await setDnsPtr(trx, rows, input, !fails);
      return stay(context);
    },
  };
}

/** Sets properties of the server that have no effect on its status. */
function setProperties(command: string, properties: Updateable<ServerTable>): ServerAction {
  return {
    command,
    async run(context) {
      if (!context.fails) await update(context, properties);
      return stay(context);
    },
  };
}

async function update({ trx, server }: ActionContext, columns: Updateable<ServerTable>): Promise<void> {
  await trx.updateTable('hetzner_servers').set(columns).where('id', '=', server.id).execute();
}

export const enableRescue = setProperties('enable_rescue', { rescue_enabled: true });
export const disableRescue = setProperties('disable_rescue', { rescue_enabled: false });
export const enableBackup = setProperties('enable_backup', { backup_window: '22-02' });
export const disableBackup = setProperties('disable_backup', { backup_window: null });
export const resetPassword: ServerAction = { command: 'reset_password', run: stay };

/**
 * Deletes a server. It is visible as `deleting` until the action ends. Its firewall targets are removed
 * immediately, and its backups are deleted with it.
 */
export const deleteServer: ServerAction = {
  command: 'delete_server',
  async run(context) {
    const { trx, server, status, now, finishesAt, fails } = context;
    if (server.protected) throw protectedError('delete');
    if (fails) return detour(status, 'deleting', ...times(context));
    await trx.deleteFrom('hetzner_firewall_targets').where('server_id', '=', server.id).execute();
    await trx
      .updateTable('hetzner_images')
      .set({ deleted_at: finishesAt })
      .where('server_id', '=', server.id)
      .where('type', '=', 'backup')
      .where('deleted_at', 'is', null)
      .execute();
    await update(context, { deleted_at: finishesAt, user_data: null });
    return [{ status: 'deleting', fromMs: now.getTime() }];
  },
};

function protectedError(what: string): HetznerError {
  return new HetznerError(423, 'protected', `${what} is protected for this server`);
}

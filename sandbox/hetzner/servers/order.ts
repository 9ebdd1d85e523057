import { sql } from 'kysely';
import { z } from 'zod';
import type { SandboxDatabase, SandboxTransaction } from '../../database.ts';
import type { SandboxSettings } from '../../settings.ts';
import type { Image } from '../catalogue/images.ts';
import { LOCATIONS, type Location } from '../catalogue/locations.ts';
import { SERVER_TYPES, type ServerType } from '../catalogue/server-types.ts';
import { HetznerError, invalidField } from '../errors.ts';
import { readAllImages } from '../images/store.ts';
import { hostname, type IdOrName, idOrName, refersTo } from '../input.ts';
import { labelsInput } from '../labels.ts';

const none = z.array(z.never('does not exist')).nullish();

export const userDataInput = z
  .string()
  .refine((text) => Buffer.byteLength(text) <= 32 * 1024, 'is larger than 32 KiB')
  .nullish();

/** The body of `POST /servers`. The sandbox has no networks, volumes or placement groups. */
export const serverInput = z.object({
  name: hostname,
  server_type: idOrName,
  image: idOrName,
  location: idOrName.nullish(),
  ssh_keys: z.array(idOrName).nullish(),
  firewalls: z.array(z.object({ firewall: z.number().int().positive() })).nullish(),
  user_data: userDataInput,
  labels: labelsInput.nullish(),
  start_after_create: z.boolean().nullish(),
  automount: z.boolean().nullish(),
  volumes: none,
  networks: none,
  placement_group: z.null('does not exist').optional(),
  public_net: z
    .object({
      enable_ipv4: z.boolean().default(true),
      enable_ipv6: z.boolean().default(true),
      ipv4: z.null('does not exist').optional(),
      ipv6: z.null('does not exist').optional(),
    })
    .nullish(),
});
export type ServerInput = z.infer<typeof serverInput>;

/** An order with all its references resolved. */
export interface ServerOrder {
  serverType: ServerType;
  image: Image;
  location: Location;
  /** The public keys that may log in to the machine. */
  sshKeys: string[];
  firewallIds: number[];
}

/**
 * Resolves the references of an order.
 * @throws HetznerError 422 for missing or incompatible resources, 412 for sold-out ones.
 */
export async function resolveOrder(
  trx: SandboxTransaction,
  input: ServerInput,
  settings: Pick<SandboxSettings, 'realMachines'>,
): Promise<ServerOrder> {
  const serverType = findServerType(input.server_type);
  const image = await findImage(trx, input.image, serverType, serverType.disk);
  if (settings.realMachines) await checkBootable(trx, image);
  const location = findLocation(serverType, input.location ?? undefined);
  const sshKeys = await findSshKeys(trx, input.ssh_keys ?? []);
  const firewallIds = [...new Set((input.firewalls ?? []).map(({ firewall }) => firewall))];
  await checkFirewalls(trx, firewallIds);
  return { serverType, image, location, sshKeys, firewallIds };
}

export function findServerType(reference: IdOrName): ServerType {
  const found = SERVER_TYPES.find((type) => refersTo(reference, type));
  if (found === undefined) throw invalidField('server_type', `server type '${reference}' not found`);
  return found;
}

/**
 * Finds an image by name or id. A provider's name means one image per architecture, and the server type
 * selects it. Snapshots and backups have only ids, and may need a larger disk than the server's `diskGb`.
 */
export async function findImage(
  database: SandboxDatabase,
  reference: IdOrName,
  serverType: ServerType,
  diskGb: number,
): Promise<Image> {
  const candidates = (await readAllImages(database, new Date())).filter(
    ({ id, name }) =>
      (name !== null && refersTo(reference, { id, name })) || String(id) === String(reference),
  );
  if (candidates.length === 0) throw invalidField('image', `image '${reference}' not found`);
  const fitting = candidates.find((image) => image.architecture === serverType.architecture);
  if (fitting === undefined)
    throw invalidField('image', `image '${reference}' does not run on ${serverType.architecture}`);
  if (fitting.status !== 'available')
    throw invalidField('image', `image '${reference}' is ${fitting.status}`);
  if (fitting.disk_size > diskGb)
    throw invalidField('image', `image '${reference}' needs a disk of ${fitting.disk_size} GB`);
  return fitting;
}

/**
 * Real machines boot only the system that the setup has prepared and copies of their own disks, so other
 * images are unavailable. Locks the image, so that its copy stays until this order is committed.
 */
export async function checkBootable(trx: SandboxTransaction, image: Image): Promise<void> {
  if (image.name === 'debian-12') return;
  const own = await trx
    .selectFrom('hetzner_images')
    .select('machine_disk')
    .where('id', '=', image.id)
    .where('deleted_at', 'is', null)
    .forShare()
    .executeTakeFirst();
  if (own?.machine_disk === 'copied') return;
  const message = `image '${image.name ?? image.id}' is not available: the real machines of this sandbox are debian-12`;
  throw new HetznerError(412, 'resource_unavailable', message);
}

function findLocation(serverType: ServerType, reference: IdOrName | undefined): Location {
  const wanted = reference ?? serverType.locations[0]!.name;
  const location = LOCATIONS.find((candidate) => refersTo(wanted, candidate));
  if (location === undefined) throw invalidField('location', `location '${wanted}' not found`);
  const offer = serverType.locations.find((candidate) => candidate.id === location.id);
  if (offer === undefined)
    throw new HetznerError(422, 'invalid_input', 'unsupported location for server type');
  if (!offer.available)
    throw new HetznerError(
      412,
      'resource_unavailable',
      `${serverType.name} is not available in ${location.name}`,
    );
  return location;
}

async function findSshKeys(database: SandboxDatabase, references: IdOrName[]): Promise<string[]> {
  if (references.length === 0) return [];
  const wanted = references.map(String);
  const keys = await database
    .selectFrom('hetzner_ssh_keys')
    .select(['id', 'name', 'public_key'])
    .where((eb) => eb.or([eb('name', 'in', wanted), eb(sql<string>`id::text`, 'in', wanted)]))
    .execute();
  const missing = references.find((reference) => !keys.some((key) => refersTo(reference, key)));
  if (missing !== undefined) throw invalidField('ssh_keys', `SSH key '${missing}' not found`);
  return keys.map((key) => key.public_key);
}

async function checkFirewalls(trx: SandboxTransaction, ids: number[]): Promise<void> {
  if (ids.length === 0) return;
  // Shared locks, so that nothing deletes the firewalls before this server is committed.
  const firewalls = await trx
    .selectFrom('hetzner_firewalls')
    .select('id')
    .where('id', 'in', ids)
    .forKeyShare()
    .execute();
  if (firewalls.length !== ids.length) throw invalidField('firewalls', 'firewall not found');
}

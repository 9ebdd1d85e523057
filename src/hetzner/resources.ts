import { z } from 'zod';

/** Translates Hetzner's JSON to the service's terms: nothing outside this folder knows its field names. */

const labels = z.record(z.string(), z.string());

export interface Server {
  id: string;
  name: string;
  status: string;
  labels: Record<string, string>;
  /** Another action on it is running. */
  isLocked: boolean;
  /** Whether a person has protected it from delete and rebuild; Hetzner keeps the two equal. */
  isProtected: boolean;
  diskGb: number;
  /** The image that its disk was made from; null if Hetzner no longer tells. */
  imageId: string | null;
  ipv4: string | null;
  firewallIds: number[];
}

export const serverSchema = z
  .object({
    id: z.number(),
    name: z.string(),
    status: z.string(),
    labels,
    locked: z.boolean(),
    protection: z.object({ delete: z.boolean(), rebuild: z.boolean() }),
    primary_disk_size: z.number(),
    image: z.object({ id: z.number() }).nullish(),
    public_net: z.object({
      ipv4: z.object({ ip: z.string() }).nullable(),
      firewalls: z.array(z.object({ id: z.number().optional() })).default([]),
    }),
  })
  .transform(
    ({ id, name, status, labels, locked, protection, primary_disk_size, image, public_net }): Server => ({
      id: String(id),
      name,
      status,
      labels,
      isLocked: locked,
      isProtected: protection.rebuild || protection.delete,
      diskGb: primary_disk_size,
      imageId: image ? String(image.id) : null,
      ipv4: public_net.ipv4?.ip ?? null,
      firewallIds: public_net.firewalls.flatMap((firewall) => firewall.id ?? []),
    }),
  );

export interface SshKey {
  id: string;
  name: string;
  labels: Record<string, string>;
  /** In OpenSSH's format, with or without a comment. */
  publicKey: string;
}

export const sshKeySchema = z
  .object({ id: z.number(), name: z.string(), labels, public_key: z.string() })
  .transform(
    ({ id, name, labels, public_key }): SshKey => ({ id: String(id), name, labels, publicKey: public_key }),
  );

export const firewallSchema = z.object({ id: z.number(), name: z.string() });
export type Firewall = z.infer<typeof firewallSchema>;

export interface ServerType {
  name: string;
  diskGb: number;
}

export const serverTypeSchema = z
  .object({ name: z.string(), disk: z.number() })
  .transform(({ name, disk }): ServerType => ({ name, diskGb: disk }));

/** An image of a server's disk, which outlives the server. */
export interface Snapshot {
  id: string;
  /** Its description: images of the project have no names. */
  name: string;
  /** `creating`, `available`, or `unavailable` if its creation failed. */
  status: string;
  /** What is billed; null until it is available. */
  sizeGb: number | null;
  /** The server whose disk it holds. */
  serverId: string | null;
  labels: Record<string, string>;
  /** Whether a person has protected it from delete. */
  isProtected: boolean;
}

export const snapshotSchema = z
  .object({
    id: z.number(),
    description: z.string(),
    status: z.string(),
    image_size: z.number().nullable(),
    created_from: z.object({ id: z.number() }).nullable(),
    labels,
    protection: z.object({ delete: z.boolean() }),
  })
  .transform(
    ({ id, description, status, image_size, created_from, labels, protection }): Snapshot => ({
      id: String(id),
      name: description,
      status,
      sizeGb: image_size,
      serverId: created_from === null ? null : String(created_from.id),
      labels,
      isProtected: protection.delete,
    }),
  );

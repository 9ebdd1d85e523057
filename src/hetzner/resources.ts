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
  /** Where it is sold. */
  offers: ServerOffer[];
}

export interface ServerOffer {
  location: string;
  /** Whether it can be ordered there now. */
  isAvailable: boolean;
  /** With tax; undefined if Hetzner names no price. */
  eurosPerMonth: number | undefined;
}

const euros = z.string().transform(Number).pipe(z.number().min(0));

export const serverTypeSchema = z
  .object({
    name: z.string(),
    disk: z.number(),
    locations: z.array(z.object({ name: z.string(), available: z.boolean() })).default([]),
    prices: z
      .array(z.object({ location: z.string(), price_monthly: z.object({ gross: euros }) }))
      .default([]),
  })
  .transform(
    ({ name, disk, locations, prices }): ServerType => ({
      name,
      diskGb: disk,
      offers: locations.map((location) => ({
        location: location.name,
        isAvailable: location.available,
        eurosPerMonth: prices.find((price) => price.location === location.name)?.price_monthly.gross,
      })),
    }),
  );

/** What a server of this type costs, in the account's currency, with tax. */
export interface ServerPrice {
  serverType: string;
  location: string;
  perHour: number;
}

/** The answer to `GET /pricing`. */
export const pricingSchema = z
  .object({
    pricing: z.object({
      server_types: z.array(
        z.object({
          name: z.string(),
          prices: z.array(
            z.object({
              location: z.string(),
              price_hourly: z.object({ gross: euros }),
            }),
          ),
        }),
      ),
    }),
  })
  .transform(({ pricing }): ServerPrice[] =>
    pricing.server_types.flatMap(({ name, prices }) =>
      prices.map(({ location, price_hourly }) => ({
        serverType: name,
        location,
        perHour: price_hourly.gross,
      })),
    ),
  );

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
  /** When its making began. */
  createdAt: Date;
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
    created: z.string(),
  })
  .transform(
    ({ id, description, status, image_size, created_from, labels, protection, created }): Snapshot => ({
      id: String(id),
      name: description,
      status,
      sizeGb: image_size,
      serverId: created_from === null ? null : String(created_from.id),
      labels,
      isProtected: protection.delete,
      createdAt: new Date(created),
    }),
  );

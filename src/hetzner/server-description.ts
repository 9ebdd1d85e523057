import { z } from 'zod';
import { parseAnswer } from '../http-client/answer.ts';
import { type Call, HETZNER, orMissing, withName } from './calls.ts';
import { type Server, serverSchema } from './resources.ts';

/** A server with what decides whether it can become an agent's. */
export interface ServerDescription extends Server {
  serverType: string;
  location: string;
  /** The system that its disk was made from, such as `debian 12`; undefined if Hetzner no longer tells. */
  system: string | undefined;
  /** The name of its image, which snapshots have none of. */
  image: string | undefined;
  /** Ids of what is attached to it, and outlives it. */
  volumes: string[];
  floatingIps: string[];
  loadBalancers: string[];
  privateNetworks: number;
  isInPlacementGroup: boolean;
  isInRescue: boolean;
  hasIso: boolean;
}

const named = z.object({ name: z.string() });
const ids = z.array(z.number().transform(String)).default([]);

/** The answer has the location beside the server, or, in earlier versions of the API, in its data centre. */
const moreSchema = z
  .object({
    server_type: named,
    location: named.nullish(),
    datacenter: z.object({ location: named }).nullish(),
    image: z
      .object({ name: z.string().nullish(), os_flavor: z.string(), os_version: z.string().nullish() })
      .nullish(),
    volumes: ids,
    load_balancers: ids,
    public_net: z.object({ floating_ips: ids }),
    private_net: z.array(z.unknown()).default([]),
    placement_group: z.unknown(),
    rescue_enabled: z.boolean().default(false),
    iso: z.unknown(),
  })
  .transform(({ server_type, location, datacenter, image, ...more }) => ({
    serverType: server_type.name,
    location: (location ?? datacenter?.location)?.name ?? '',
    system: image ? `${image.os_flavor} ${image.os_version ?? ''}`.trim() : undefined,
    image: image?.name ?? undefined,
    volumes: more.volumes,
    floatingIps: more.public_net.floating_ips,
    loadBalancers: more.load_balancers,
    privateNetworks: more.private_net.length,
    isInPlacementGroup: more.placement_group != null,
    isInRescue: more.rescue_enabled,
    hasIso: more.iso != null,
  }));

const descriptionSchema: z.ZodType<ServerDescription> = z.intersection(serverSchema, moreSchema);

/** Digits are an id first: names may consist of digits too. Returns undefined if there is none. */
export async function describeServer(call: Call, idOrName: string): Promise<ServerDescription | undefined> {
  if (/^[0-9]{1,19}$/.test(idOrName)) {
    const answer = await orMissing(call('GET', `/servers/${idOrName}`));
    if (answer !== undefined)
      return parseAnswer(z.object({ server: descriptionSchema }), answer, HETZNER).server;
  }
  const answer = await call('GET', `/servers?${withName(idOrName)}`);
  return parseAnswer(z.object({ servers: z.array(descriptionSchema) }), answer, HETZNER).servers[0];
}

import type { SweepPlace } from '../../database/tables.ts';
import { CALLS_PER_SERVER_REMOVAL, type HetznerInventory, type Page } from '../../hetzner/inventory.ts';
import type { TailscaleClient } from '../../tailscale/tailscale.ts';
import type { Budget } from './budget.ts';
import type { CloudView } from './findings.ts';
import {
  deviceResource,
  type Resource,
  serverResource,
  sshKeyResource,
  tailnetKeyResource,
} from './resources.ts';

export interface SweptClouds {
  hetzner: HetznerInventory;
  tailscale: TailscaleClient;
}

/** Where a listing goes on that its budget had cut short. */
export type Place = SweepPlace;

export interface Inventory {
  cloud: CloudView;
  /** Null: the lists were read to their ends. */
  next: Place | null;
}

export const START: Place = { list: 'servers', page: 1, afterServerId: 0 };

/** A server, an SSH key, a tailnet key, a device, and an access token for the tailnet. */
const CALLS_PER_AGENT = CALLS_PER_SERVER_REMOVAL + 4;

const OURS = { 'managed-by': 'agents' };

/**
 * Reads the lists of what carries this service's mark, from `start` on, in pages of 50, as far as the budget goes: a quarter of it,
 * enough for one agent at least, is left for what has to be done about the findings.
 */
export async function takeInventory(
  { hetzner, tailscale }: SweptClouds,
  budget: Budget,
  { start, signal }: { start: Place; signal: AbortSignal },
): Promise<Inventory> {
  const tailnet = await listTailnet(tailscale);
  const pages = { budget, signal };
  let place: Place | null = start;
  let servers: Listed | undefined;
  if (place.list === 'servers') {
    servers = await readPages(pages, place.page, async (page) =>
      mapPage(await hetzner.serverPage(OURS, page), serverResource),
    );
    place =
      servers.nextPage === null
        ? { list: 'ssh-keys', page: 1, afterServerId: 0 }
        : { list: 'servers', page: servers.nextPage, afterServerId: highestId(servers, place) };
  }
  let sshKeys: Listed | undefined;
  if (place.list === 'ssh-keys') {
    sshKeys = await readPages(pages, place.page, async (page) =>
      mapPage(await hetzner.sshKeyPage(OURS, page), sshKeyResource),
    );
    place = sshKeys.nextPage === null ? null : { ...place, page: sshKeys.nextPage };
  }
  const resources = [...(servers?.items ?? []), ...(sshKeys?.items ?? []), ...tailnet];
  return { cloud: { resources, serverRange: rangeOf(servers, start) }, next: place };
}

async function listTailnet(tailscale: TailscaleClient): Promise<Resource[]> {
  const keys = (await tailscale.listKeys()).map(tailnetKeyResource);
  const devices = (await tailscale.listDevices()).map(deviceResource);
  return [...keys, ...devices].filter((resource) => resource !== undefined);
}

interface Listed {
  items: Resource[];
  nextPage: number | null;
}

async function readPages(
  { budget, signal }: { budget: Budget; signal: AbortSignal },
  first: number,
  read: (page: number) => Promise<Page<Resource>>,
): Promise<Listed> {
  const items: Resource[] = [];
  let nextPage: number | null = first;
  while (nextPage !== null && budget.left > Math.max(budget.used / 3, CALLS_PER_AGENT)) {
    signal.throwIfAborted();
    const page: Page<Resource> = await read(nextPage);
    items.push(...page.items);
    nextPage = page.nextPage;
  }
  return { items, nextPage };
}

function mapPage<T>(page: Page<T>, toResource: (item: T) => Resource): Page<Resource> {
  return { items: page.items.map(toResource), nextPage: page.nextPage };
}

function highestId(servers: Listed, place: Place): number {
  return servers.items.reduce((highest, { id }) => Math.max(highest, Number(id)), place.afterServerId);
}

function rangeOf(servers: Listed | undefined, start: Place): CloudView['serverRange'] {
  if (servers === undefined) return null;
  return {
    after: start.afterServerId,
    upTo: servers.nextPage === null ? Number.POSITIVE_INFINITY : highestId(servers, start),
  };
}

/** The same place after `removed` resources have gone from the pages before it: what follows has moved up. */
export function movedUp(place: Place, removed: number): Place {
  return { ...place, page: Math.max(1, place.page - Math.ceil(removed / 50)) };
}

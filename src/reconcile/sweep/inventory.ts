import type { SweepCursor } from '../../database/reconcile-tables.ts';
import { CALLS_PER_SERVER_REMOVAL, type HetznerClient, type Page } from '../../hetzner/hetzner.ts';
import type { TailscaleClient } from '../../tailscale/tailscale.ts';
import type { Budget } from './budget.ts';
import type { CloudView } from './findings.ts';
import { type Resource, toDevice, toServer, toSnapshot, toSshKey, toTailnetKey } from './resources.ts';

export type SweptHetzner = Pick<
  HetznerClient,
  | 'serverPage'
  | 'sshKeyPage'
  | 'snapshotPage'
  | 'getSnapshot'
  | 'deleteSnapshot'
  | 'getServer'
  | 'deleteServer'
  | 'deleteSshKey'
  | 'setServerLabels'
  | 'applyFirewall'
>;

export interface SweptClouds {
  hetzner: SweptHetzner;
  tailscale: TailscaleClient;
}

export interface Inventory {
  cloud: CloudView;
  /** Where the next sweep continues; null: all lists are complete. */
  next: SweepCursor | null;
  /** The SSH keys were only counted. */
  omittedKeys: boolean;
}

export const START: SweepCursor = { list: 'servers', page: 1, afterServerId: 0 };

/** Removals of a server, a snapshot and keys, a device, and an access token for the tailnet. */
const CALLS_PER_AGENT = CALLS_PER_SERVER_REMOVAL + 5;

/**
 * Lists the resources with this service's labels, beginning at `start`, in pages of 50, as far as the budget
 * allows. Reserves a quarter of the budget, at least enough for one agent, to act on the findings. Where the
 * SSH keys of a large fleet do not fit any more, they are left out if `isExpectedKeyCount` agrees with their
 * number.
 */
export async function takeInventory(
  { hetzner, tailscale }: SweptClouds,
  budget: Budget,
  options: {
    start: SweepCursor;
    isExpectedKeyCount: (total: number) => Promise<boolean>;
    signal: AbortSignal;
  },
): Promise<Inventory> {
  const { start, signal } = options;
  const tailnet = await listTailnet(tailscale);
  const pages = { budget, signal };
  let cursor: SweepCursor | null = start;
  const servers = await listServers(hetzner, pages, cursor);
  if (servers !== undefined)
    cursor =
      servers.nextPage === null
        ? { list: 'ssh-keys', page: 1, afterServerId: 0 }
        : { list: 'servers', page: servers.nextPage, afterServerId: highestId(servers, cursor) };
  const keyPages = { ...pages, mayOmit: options.isExpectedKeyCount };
  const sshKeys = await listSshKeys(hetzner, keyPages, cursor);
  if (sshKeys !== undefined)
    cursor =
      sshKeys.nextPage === null
        ? { list: 'snapshots', page: 1, afterServerId: 0 }
        : { ...cursor, page: sshKeys.nextPage };
  const snapshots = await listSnapshots(hetzner, pages, cursor);
  if (cursor.list === 'snapshots')
    cursor = snapshots.nextPage === null ? null : { ...cursor, page: snapshots.nextPage };
  const listed = [servers, sshKeys, snapshots].flatMap((list) => list?.items ?? []);
  return {
    cloud: {
      resources: [...listed, ...tailnet],
      serverRange: listedRange(servers, start),
      listsAllSnapshots: start.list !== 'snapshots' && cursor === null,
    },
    next: cursor,
    omittedKeys: sshKeys?.omitted === true,
  };
}

async function listServers(
  hetzner: SweptHetzner,
  pages: Pages,
  { list, page: first }: SweepCursor,
): Promise<Listed | undefined> {
  if (list !== 'servers') return undefined;
  return readPages(pages, first, async (page) => mapPage(await hetzner.serverPage(page), toServer));
}

/** Lists the SSH keys if the servers are complete. */
async function listSshKeys(
  hetzner: SweptHetzner,
  pages: Pages,
  { list, page: first }: SweepCursor,
): Promise<Listed | undefined> {
  if (list !== 'ssh-keys') return undefined;
  return readPages(pages, first, async (page) => mapPage(await hetzner.sshKeyPage(page), toSshKey));
}

/** Lists the snapshots if the earlier lists are complete. */
async function listSnapshots(
  hetzner: SweptHetzner,
  pages: Pages,
  { list, page: first }: SweepCursor,
): Promise<Listed> {
  if (list !== 'snapshots') return { items: [], nextPage: null, omitted: false };
  return readPages(pages, first, async (page) => mapPage(await hetzner.snapshotPage(page), toSnapshot));
}

async function listTailnet(tailscale: TailscaleClient): Promise<Resource[]> {
  const keys = (await tailscale.listKeys()).map(toTailnetKey);
  const devices = (await tailscale.listDevices()).map(toDevice);
  return [...keys, ...devices].filter((resource) => resource !== undefined);
}

interface Listed {
  items: Resource[];
  nextPage: number | null;
  /** What follows the first page was left out. */
  omitted: boolean;
}

interface Pages {
  budget: Budget;
  signal: AbortSignal;
  /** Asked on the first page of a list that does not fit into the budget. */
  mayOmit?: (total: number) => Promise<boolean>;
}

async function readPages(
  { budget, signal, mayOmit }: Pages,
  first: number,
  read: (page: number) => Promise<Page<Resource>>,
): Promise<Listed> {
  const items: Resource[] = [];
  let nextPage: number | null = first;
  while (nextPage !== null && hasRoom(budget, 1)) {
    signal.throwIfAborted();
    const page: Page<Resource> = await read(nextPage);
    items.push(...page.items);
    const { total } = page;
    const pagesLeft = Math.ceil((total ?? 0) / PAGE_SIZE) - 1;
    if (nextPage === 1 && total !== null && !hasRoom(budget, pagesLeft) && (await mayOmit?.(total)) === true)
      return { items, nextPage: null, omitted: true };
    nextPage = page.nextPage;
  }
  return { items, nextPage, omitted: false };
}

const PAGE_SIZE = 50;

/** Whether so many pages can be read and a quarter of the calls remains. */
function hasRoom({ used, left }: Budget, pages: number): boolean {
  const more = pages - 1;
  return left - more > Math.max((used + more) / 3, CALLS_PER_AGENT);
}

function mapPage<T>(page: Page<T>, toResource: (item: T) => Resource): Page<Resource> {
  return { ...page, items: page.items.map(toResource) };
}

function highestId(servers: Listed, cursor: SweepCursor): number {
  return servers.items.reduce((highest, { id }) => Math.max(highest, Number(id)), cursor.afterServerId);
}

function listedRange(servers: Listed | undefined, start: SweepCursor): CloudView['serverRange'] {
  if (servers === undefined) return null;
  return {
    after: start.afterServerId,
    upTo: servers.nextPage === null ? Number.POSITIVE_INFINITY : highestId(servers, start),
  };
}

/** Adjusts the cursor after `removed` resources before it were deleted, which moves the rest up. */
export function movedUp(cursor: SweepCursor, removed: number): SweepCursor {
  return { ...cursor, page: Math.max(1, cursor.page - Math.ceil(removed / PAGE_SIZE)) };
}

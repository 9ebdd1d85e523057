import { tokenVariable } from '../../config/hetzner-projects.ts';
import type { ProjectCursor, SweepPosition } from '../../database/reconcile-tables.ts';
import { CALLS_PER_SERVER_REMOVAL, type HetznerClient, type Page } from '../../hetzner/hetzner.ts';
import type { TailscaleClient } from '../../tailscale/tailscale.ts';
import type { Budget, Budgets } from './budget.ts';
import type { CloudView, ListedProject } from './findings.ts';
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
  /** The Hetzner projects by name. */
  projects: ReadonlyMap<string, SweptHetzner>;
  tailscale: TailscaleClient;
}

/** @throws Error for a project that this process does not have */
export function hetznerOf({ projects }: SweptClouds, project: string): SweptHetzner {
  const hetzner = projects.get(project);
  if (hetzner === undefined) throw new Error(`This worker does not know the Hetzner project ${project}`);
  return hetzner;
}

export interface Inventory {
  cloud: CloudView;
  /** Where the next sweep continues in the projects whose lists are not complete. */
  next: SweepPosition['projects'];
  /** The projects that could not be listed, and why. They begin with their first page again. */
  failed: ReadonlyMap<string, unknown>;
  /** The SSH keys of a project were only counted. */
  omittedKeys: boolean;
}

export const START: ProjectCursor = { list: 'servers', page: 1, afterServerId: 0 };

/** Removals of a server, a snapshot and keys, a device, and an access token for the tailnet. */
const CALLS_PER_AGENT = CALLS_PER_SERVER_REMOVAL + 5;

interface Options {
  start: SweepPosition['projects'];
  isExpectedKeyCount: (project: string, total: number) => Promise<boolean>;
  signal: AbortSignal;
}

/**
 * Lists the resources with this service's labels, in each project from where `start` says, in pages of 50, as
 * far as its budget allows. Reserves a quarter of the budget, at least enough for one agent, to act on the
 * findings. Where the SSH keys of a large fleet do not fit any more, they are left out if
 * `isExpectedKeyCount` agrees with their number. A project that fails does not hide what is found in others,
 * and
 * neither does a second token of one that is listed already.
 * @throws the error of the first project if all of them fail, or there is none; the signal's reason
 */
export async function takeInventory(
  { projects, tailscale }: SweptClouds,
  budgets: Budgets,
  { start, isExpectedKeyCount, signal }: Options,
): Promise<Inventory> {
  const resources = await listTailnet(tailscale);
  const listed = new Map<string, ListedProject>();
  const next: SweepPosition['projects'] = {};
  const failed = new Map<string, unknown>();
  const listedBy = new Map<string, string>();
  let omittedKeys = false;
  for (const [project, hetzner] of projects) {
    const from = start[project] ?? START;
    const mayOmit = (total: number) => isExpectedKeyCount(project, total);
    try {
      const found = await listProject(
        { project, hetzner, budget: budgets.of(project), mayOmit, signal },
        from,
      );
      refuseSameProject(project, found.resources, listedBy);
      resources.push(...found.resources);
      listed.set(project, found.listed);
      omittedKeys ||= found.omittedKeys;
      if (found.next !== null) next[project] = found.next;
    } catch (error) {
      signal.throwIfAborted();
      failed.set(project, error);
    }
  }
  if (listed.size === 0) throw [...failed.values()][0] ?? new Error('No Hetzner project can be swept');
  return { cloud: { resources, listed }, next, failed, omittedKeys };
}

/**
 * Hetzner's ids are the same for every token, so a resource that two tokens list means that they are of one
 * project. What is listed twice would look superfluous once.
 * @throws Error
 */
function refuseSameProject(
  project: string,
  resources: readonly Resource[],
  listedBy: Map<string, string>,
): void {
  const keys = resources.map(({ kind, id }) => `${kind} ${id}`);
  const other = keys.map((key) => listedBy.get(key)).find((name) => name !== undefined);
  if (other !== undefined)
    throw new Error(
      `${tokenVariable(other)} and ${tokenVariable(project)} are tokens of one Hetzner project`,
    );
  for (const key of keys) listedBy.set(key, project);
}

interface Listing {
  project: string;
  hetzner: SweptHetzner;
  budget: Budget;
  /** Asked on the first page of SSH keys that do not fit into the budget. */
  mayOmit: (total: number) => Promise<boolean>;
  signal: AbortSignal;
}

interface ProjectInventory {
  resources: Resource[];
  listed: ListedProject;
  next: ProjectCursor | null;
  omittedKeys: boolean;
}

async function listProject(listing: Listing, start: ProjectCursor): Promise<ProjectInventory> {
  let cursor: ProjectCursor | null = start;
  const servers = await listServers(listing, cursor);
  if (servers !== undefined)
    cursor =
      servers.nextPage === null
        ? { list: 'ssh-keys', page: 1, afterServerId: 0 }
        : { list: 'servers', page: servers.nextPage, afterServerId: highestId(servers, cursor) };
  const sshKeys = await listSshKeys(listing, cursor);
  if (sshKeys !== undefined)
    cursor =
      sshKeys.nextPage === null
        ? { list: 'snapshots', page: 1, afterServerId: 0 }
        : { ...cursor, page: sshKeys.nextPage };
  const snapshots = await listSnapshots(listing, cursor);
  if (cursor.list === 'snapshots')
    cursor = snapshots.nextPage === null ? null : { ...cursor, page: snapshots.nextPage };
  return {
    resources: [servers, sshKeys, snapshots].flatMap((list) => list?.items ?? []),
    listed: {
      serverRange: listedRange(servers, start),
      listsAllSnapshots: start.list !== 'snapshots' && cursor === null,
    },
    next: cursor,
    omittedKeys: sshKeys?.omitted === true,
  };
}

async function listServers(
  { project, hetzner, budget, signal }: Listing,
  { list, page: first }: ProjectCursor,
): Promise<Listed | undefined> {
  if (list !== 'servers') return undefined;
  return readPages({ budget, signal }, first, async (page) =>
    mapPage(await hetzner.serverPage(page), (one) => toServer(project, one)),
  );
}

/** Lists the SSH keys if the servers are complete. */
async function listSshKeys(
  { project, hetzner, ...pages }: Listing,
  { list, page: first }: ProjectCursor,
): Promise<Listed | undefined> {
  if (list !== 'ssh-keys') return undefined;
  return readPages(pages, first, async (page) =>
    mapPage(await hetzner.sshKeyPage(page), (one) => toSshKey(project, one)),
  );
}

/** Lists the snapshots if the earlier lists are complete. */
async function listSnapshots(
  { project, hetzner, budget, signal }: Listing,
  { list, page: first }: ProjectCursor,
): Promise<Listed> {
  if (list !== 'snapshots') return { items: [], nextPage: null, omitted: false };
  return readPages({ budget, signal }, first, async (page) =>
    mapPage(await hetzner.snapshotPage(page), (one) => toSnapshot(project, one)),
  );
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

async function readPages(
  { budget, signal, mayOmit }: Pick<Listing, 'budget' | 'signal'> & Partial<Pick<Listing, 'mayOmit'>>,
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

export const PAGE_SIZE = 50;

/** Whether so many pages can be read and a quarter of the calls remains. */
function hasRoom({ used, left }: Budget, pages: number): boolean {
  const more = pages - 1;
  return left - more > Math.max((used + more) / 3, CALLS_PER_AGENT);
}

function mapPage<T>(page: Page<T>, toResource: (item: T) => Resource): Page<Resource> {
  return { ...page, items: page.items.map(toResource) };
}

function highestId(servers: Listed, cursor: ProjectCursor): number {
  return servers.items.reduce((highest, { id }) => Math.max(highest, Number(id)), cursor.afterServerId);
}

function listedRange(servers: Listed | undefined, start: ProjectCursor): ListedProject['serverRange'] {
  if (servers === undefined) return null;
  return {
    after: start.afterServerId,
    upTo: servers.nextPage === null ? Number.POSITIVE_INFINITY : highestId(servers, start),
  };
}

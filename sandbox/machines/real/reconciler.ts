import { once } from 'node:events';
import { existsSync, mkdirSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { setTimeout as pause } from 'node:timers/promises';
import type { SandboxDatabase } from '../../database.ts';
import { cgroupsNamed, removeCgroup } from './cgroups.ts';
import { type DiskName, diskFolder, ensureDisk, finishRemovals, listDisks, removeDisk } from './disk.ts';
import { toRuleset } from './firewall.ts';
import { type DiskImages, openDiskImages, recordCopy, toDiskName } from './images.ts';
import type { Internet } from './internet.ts';
import { bootMachine, cgroupPrefix, type Ending, type Machine } from './machine.ts';
import { nextStep } from './next-step.ts';
import { type DesiredServer, readServers, recordOff } from './servers.ts';

export interface ReconcilerOptions {
  database: SandboxDatabase;
  internet: Internet;
  tag: string;
  /** Folder of the disks. */
  dir: string;
  /** Root folder of the base of new disks. */
  base: string;
}

export interface Reconciler {
  /** Reconciles now instead of at the next interval. */
  wake(): void;
  /** Cuts the power of all machines and resolves once none of their processes is left. The disks stay. */
  stop(): Promise<void>;
}

/** How often it looks where nobody wakes it: what was changed through Hetzner's API wakes it. */
const INTERVAL_MS = 1000;
/** How soon a failed write to the database is tried again. */
const RECORD_AGAIN_MS = 150;
/** A system that is still booting may have missed the first request to shut down. */
const SHUT_DOWN_AGAIN_MS = 5000;
const LONGEST_BACKOFF_MS = 10_000;

interface Slot {
  /** Set from its boot until its last process is gone. */
  machine?: Machine;
  /** We cut its power. */
  cut: boolean;
  busy: boolean;
  /** A round passed it over while it was busy. */
  missed: boolean;
  failures: number;
  notBeforeMs: number;
  shutDownAtMs: number;
}

/**
 * Makes the running machines match the servers in the database. It polls both and keeps no essential state:
 * after a kill, the next sandbox starts without running machines and boots those that should run.
 */
export async function startReconciler(options: ReconcilerOptions): Promise<Reconciler> {
  const { dir, tag } = options;
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  await finishRemovals(dir);
  for (const name of cgroupsNamed(cgroupPrefix(tag))) await removeCgroup(name);
  const stopping = new AbortController();
  const { environment } = options.internet;
  const images = await openDiskImages({ database: options.database, dir, environment });
  const loop = new ReconcileLoop({ ...options, images }, stopping.signal);
  const stopped = loop.run();
  return {
    wake: () => loop.wake(),
    stop: async () => {
      stopping.abort();
      await stopped;
    },
  };
}

class ReconcileLoop {
  readonly #options: ReconcilerOptions & { images: DiskImages };
  readonly #signal: AbortSignal;
  readonly #slots = new Map<number, Slot>();
  #wake = new AbortController();
  #ruleset = '';
  #lastError = '';

  constructor(options: ReconcilerOptions & { images: DiskImages }, signal: AbortSignal) {
    this.#options = options;
    this.#signal = signal;
  }

  wake(): void {
    this.#wake.abort();
  }

  async run(): Promise<void> {
    this.#signal.addEventListener('abort', () => this.wake());
    while (!this.#signal.aborted) {
      this.#wake = new AbortController();
      await this.#reconcile().catch((error) => this.#report('The machines cannot be reconciled', error));
      await pause(INTERVAL_MS, undefined, { signal: this.#wake.signal }).catch(() => undefined);
    }
    const machines = [...this.#slots.values()].flatMap(({ machine }) => machine ?? []);
    for (const machine of machines) machine.cutPower();
    await Promise.all(machines.map(({ ended }) => ended));
  }

  async #reconcile(): Promise<void> {
    const { database, images } = this.#options;
    const forgotten = await images.findForgotten();
    const servers = await readServers(database);
    await this.#applyFirewalls(servers);
    await images.remove(forgotten, servers);
    const byId = new Map(servers.map((server) => [server.id, server]));
    const disks = listDisks(this.#options.dir).map((disk) => disk.serverId);
    for (const id of new Set([...byId.keys(), ...this.#slots.keys(), ...disks])) {
      if (this.#signal.aborted) return;
      void this.#reconcileServer(id, byId.get(id));
    }
  }

  async #reconcileServer(id: number, server: DesiredServer | undefined): Promise<void> {
    const slot = this.#slots.get(id) ?? newSlot();
    if (slot.busy) {
      slot.missed = true;
      return;
    }
    this.#slots.set(id, slot);
    Object.assign(slot, { busy: true, missed: false });
    try {
      await this.#takeStep(id, slot, server);
    } catch (error) {
      this.#report(`The machine of server ${id}`, error);
    } finally {
      slot.busy = false;
      if (slot.missed) this.wake();
    }
  }

  async #takeStep(id: number, slot: Slot, server: DesiredServer | undefined): Promise<void> {
    if (server?.wantedImage !== undefined && isCurrent(slot, server))
      return this.#copyToImage(slot, server, server.wantedImage);
    const step = nextStep(server, slot.machine?.spec, Date.now());
    if (step === 'boot' && server !== undefined) return this.#boot(slot, server);
    if (step === 'record-off' && server !== undefined) return recordOff(this.#options.database, server);
    if (step === 'cut-power') {
      slot.cut = true;
      slot.machine?.cutPower();
    }
    if (step === 'shut-down' && Date.now() > slot.shutDownAtMs + SHUT_DOWN_AGAIN_MS) {
      slot.shutDownAtMs = Date.now();
      slot.machine?.shutDown();
    }
    if (step === 'remove-disks') {
      for (const disk of this.#findDisks(id)) await removeDisk(this.#options.dir, disk);
      this.#slots.delete(id);
    }
  }

  async #boot(slot: Slot, server: DesiredServer): Promise<void> {
    if (Date.now() < slot.notBeforeMs) return;
    const { internet, tag } = this.#options;
    const { id: serverId } = server;
    const disk = await this.#prepareDisk(server);
    if (this.#signal.aborted) return;
    const machine = bootMachine(internet, tag, disk, { ...server, serverId });
    Object.assign(slot, { machine, shutDownAtMs: 0, cut: false });
    void machine.ended
      .then((ending) => this.#recordEnding(slot, machine, ending))
      .catch((error) => this.#report(`The machine of server ${serverId}`, error))
      .finally(() => {
        delete slot.machine;
        this.wake();
      });
  }

  /** Returns the folder of the server's disk; a new one starts from the server's image. */
  async #prepareDisk(server: DesiredServer): Promise<string> {
    const { dir, base, images } = this.#options;
    for (const disk of this.#findDisks(server.id))
      if (disk.generation !== server.generation) await removeDisk(dir, disk);
    const folder = diskFolder(dir, toDiskName(server));
    if (server.diskImage !== undefined && !existsSync(folder)) await images.restore(server.diskImage, folder);
    return ensureDisk(dir, toDiskName(server), base);
  }

  /** Copies the server's disk into an image; a running machine is paused meanwhile. */
  async #copyToImage({ machine }: Slot, server: DesiredServer, imageId: number): Promise<void> {
    const { database, images } = this.#options;
    const keep = async () => images.keep(await this.#prepareDisk(server), imageId);
    const copied = await (machine === undefined ? keep() : machine.whileFrozen(keep)).then(
      (sizeGb) => ({ sizeGb }),
      (error: Error) => ({ problem: error.message }),
    );
    // The end of the sandbox ends the copying too: the next sandbox copies again.
    if (this.#signal.aborted) return;
    await recordCopy(database, { imageId, serverId: server.id }, copied);
  }

  /** Records how a machine ended; the next round decides whether it boots again. */
  async #recordEnding(slot: Slot, { spec }: Machine, ending: Ending): Promise<void> {
    // Retries until it is recorded; otherwise the next round would boot the machine again.
    while (ending === 'off' && !this.#signal.aborted) {
      const recorded = recordOff(this.#options.database, { ...spec, id: spec.serverId });
      if (await recorded.then(() => true).catch(() => pause(RECORD_AGAIN_MS).then(() => false))) break;
    }
    const failed = ending === 'broken' && !slot.cut && !this.#signal.aborted;
    slot.failures = failed ? slot.failures + 1 : 0;
    slot.notBeforeMs = failed ? Date.now() + Math.min(100 * 2 ** slot.failures, LONGEST_BACKOFF_MS) : 0;
    if (slot.failures === 1)
      console.error(`The machine of server ${spec.serverId} ended unexpectedly: booting it again`);
  }

  async #applyFirewalls(servers: readonly DesiredServer[]): Promise<void> {
    const ruleset = toRuleset(servers);
    if (ruleset === this.#ruleset) return;
    const nft = this.#options.internet.run(['nft', '-f', '-'], { stdio: ['pipe', 'ignore', 'pipe'] });
    const stderr = text(nft.stderr!);
    nft.stdin!.end(ruleset);
    const [code] = await once(nft, 'exit');
    if (code !== 0) throw new Error(`nft refused the firewall rules: ${await stderr}`);
    this.#ruleset = ruleset;
  }

  #findDisks(serverId: number): DiskName[] {
    return listDisks(this.#options.dir).filter((disk) => disk.serverId === serverId);
  }

  /** Prints an error once, however often it repeats. */
  #report(what: string, error: unknown): void {
    const message = `${what}: ${error instanceof Error ? error.message : error}`;
    if (!this.#signal.aborted && message !== this.#lastError) console.error(message);
    this.#lastError = message;
  }
}

/** Whether no machine runs on an earlier disk of the server. */
const isCurrent = ({ machine }: Slot, { generation }: DesiredServer): boolean =>
  machine === undefined || machine.spec.generation === generation;

function newSlot(): Slot {
  return { cut: false, busy: false, missed: false, failures: 0, notBeforeMs: 0, shutDownAtMs: 0 };
}

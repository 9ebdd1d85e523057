import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { setTimeout as pause } from 'node:timers/promises';
import type { SandboxDatabase } from '../../database.ts';
import { cgroupsNamed, removeCgroup } from './cgroups.ts';
import { decide } from './decide.ts';
import { type DiskName, ensureDisk, finishRemovals, listDisks, removeDisk } from './disk.ts';
import { rulesetOf } from './firewall.ts';
import type { World } from './internet.ts';
import { bootMachine, cgroupPrefix, type Ending, type Machine } from './machine.ts';
import { type DesiredServer, readServers, recordOff } from './servers.ts';

export interface KeeperOptions {
  database: SandboxDatabase;
  world: World;
  mark: string;
  /** Folder of the disks. */
  dir: string;
  /** Root folder of the system that new disks begin with. */
  base: string;
}

export interface Keeper {
  /** Looks at once, where something is known to have changed. */
  look(): void;
  /** Cuts the power of all machines, and ends when nothing of them runs; their disks stay. */
  stop(): Promise<void>;
}

const pollMs = 150;
/** A system that is only coming up may not have heard that it is to stop. */
const askAgainMs = 5000;
const longestPauseMs = 10_000;

/** `machine` is set from its boot until nothing of it runs any more; `cut`: its end is our doing. */
interface Slot {
  machine?: Machine;
  cut: boolean;
  busy: boolean;
  failures: number;
  notBeforeMs: number;
  askedMs: number;
}

/**
 * Keeps what runs like what was sold. It compares the two again and again and remembers nothing that matters: after any
 * kill the next one begins with no machine running, and boots those that should.
 */
export async function startKeeper(options: KeeperOptions): Promise<Keeper> {
  const { dir, mark } = options;
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  await finishRemovals(dir);
  for (const name of cgroupsNamed(cgroupPrefix(mark))) await removeCgroup(name);
  const ending = new AbortController();
  const keeping = new Keeping(options, ending.signal);
  const loop = keeping.run();
  return {
    look: () => keeping.wake(),
    stop: async () => {
      ending.abort();
      await loop;
    },
  };
}

class Keeping {
  readonly #options: KeeperOptions;
  readonly #signal: AbortSignal;
  readonly #slots = new Map<number, Slot>();
  #wake = new AbortController();
  #ruleset = '';
  #complaint = '';

  constructor(options: KeeperOptions, signal: AbortSignal) {
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
      await this.#look().catch((error) => this.#complain('The machines cannot be looked after', error));
      await pause(pollMs, undefined, { signal: this.#wake.signal }).catch(() => undefined);
    }
    const machines = [...this.#slots.values()].flatMap(({ machine }) => machine ?? []);
    for (const machine of machines) machine.cutPower();
    await Promise.all(machines.map(({ ended }) => ended));
  }

  async #look(): Promise<void> {
    const servers = await readServers(this.#options.database);
    await this.#applyFirewalls(servers);
    const byId = new Map(servers.map((server) => [server.id, server]));
    const disks = listDisks(this.#options.dir).map((disk) => disk.serverId);
    for (const id of new Set([...byId.keys(), ...this.#slots.keys(), ...disks])) {
      if (this.#signal.aborted) return;
      void this.#converge(id, byId.get(id));
    }
  }

  async #converge(id: number, server: DesiredServer | undefined): Promise<void> {
    const slot = this.#slots.get(id) ?? newSlot();
    if (slot.busy) return;
    this.#slots.set(id, slot);
    slot.busy = true;
    try {
      await this.#act(id, slot, server);
    } catch (error) {
      this.#complain(`The machine of server ${id}`, error);
    } finally {
      slot.busy = false;
    }
  }

  async #act(id: number, slot: Slot, server: DesiredServer | undefined): Promise<void> {
    const deed = decide(server, slot.machine?.spec, Date.now());
    if (deed === 'boot' && server !== undefined) return this.#boot(slot, server);
    if (deed === 'note-off' && server !== undefined) return recordOff(this.#options.database, server);
    if (deed === 'cut-power') {
      slot.cut = true;
      slot.machine?.cutPower();
    }
    if (deed === 'shut-down' && Date.now() > slot.askedMs + askAgainMs) {
      slot.askedMs = Date.now();
      slot.machine?.shutDown();
    }
    if (deed === 'remove') {
      for (const disk of this.#disksOf(id)) await removeDisk(this.#options.dir, disk);
      this.#slots.delete(id);
    }
  }

  async #boot(slot: Slot, server: DesiredServer): Promise<void> {
    if (Date.now() < slot.notBeforeMs) return;
    const { dir, base, world, mark } = this.#options;
    const { id: serverId, generation } = server;
    for (const disk of this.#disksOf(serverId))
      if (disk.generation !== generation) await removeDisk(dir, disk);
    const disk = ensureDisk(dir, { serverId, generation }, base);
    if (this.#signal.aborted) return;
    const machine = bootMachine(world, mark, disk, { ...server, serverId });
    Object.assign(slot, { machine, askedMs: 0, cut: false });
    void machine.ended
      .then((ending) => this.#afterwards(slot, machine, ending))
      .catch((error) => this.#complain(`The machine of server ${serverId}`, error))
      .finally(() => {
        delete slot.machine;
        this.wake();
      });
  }

  /** A machine has ended, on its own or not; whether it is to run again the next look decides. */
  async #afterwards(slot: Slot, { spec }: Machine, ending: Ending): Promise<void> {
    // Until it is written down, nothing says that the machine is not to be booted again.
    while (ending === 'off' && !this.#signal.aborted) {
      const noted = recordOff(this.#options.database, { ...spec, id: spec.serverId });
      if (await noted.then(() => true).catch(() => pause(pollMs).then(() => false))) break;
    }
    const failed = ending === 'broken' && !slot.cut && !this.#signal.aborted;
    slot.failures = failed ? slot.failures + 1 : 0;
    slot.notBeforeMs = failed ? Date.now() + Math.min(100 * 2 ** slot.failures, longestPauseMs) : 0;
    if (slot.failures === 1)
      console.error(`The machine of server ${spec.serverId} has ended unexpectedly: booting it again`);
  }

  async #applyFirewalls(servers: readonly DesiredServer[]): Promise<void> {
    const ruleset = rulesetOf(servers);
    if (ruleset === this.#ruleset) return;
    const { world } = this.#options;
    const nft = world.run(['nft', '-f', '-'], { stdio: ['pipe', 'ignore', 'pipe'] });
    const complaint = text(nft.stderr!);
    nft.stdin!.end(ruleset);
    const [code] = await once(nft, 'exit');
    if (code !== 0) throw new Error(`nft refuses the firewalls: ${await complaint}`);
    this.#ruleset = ruleset;
  }

  #disksOf(serverId: number): DiskName[] {
    return listDisks(this.#options.dir).filter((disk) => disk.serverId === serverId);
  }

  /** Says a thing once, however often it is met with again. */
  #complain(what: string, error: unknown): void {
    const complaint = `${what}: ${error instanceof Error ? error.message : error}`;
    if (!this.#signal.aborted && complaint !== this.#complaint) console.error(complaint);
    this.#complaint = complaint;
  }
}

const newSlot = (): Slot => ({ cut: false, busy: false, failures: 0, notBeforeMs: 0, askedMs: 0 });

import { audit } from '../agents/audit.ts';
import { type NewFinding, replaceFindings } from '../billing/follow/findings.ts';
import type { Database } from '../database/connect.ts';
import { jsonText } from '../database/storable.ts';
import { errorMessage } from '../errors.ts';
import { followEpochs } from '../keys/epochs.ts';
import type { Keyring } from '../keys/keyring.ts';
import type { Log } from '../log.ts';
import type { Clock } from '../processes/clock.ts';
import { repeatEvery } from '../processes/repeat.ts';
import { doAllSealWith } from './live-processes.ts';
import { listSealedPlaces, type SealedPlace } from './sealed-places.ts';
import { moveStacks, type StackMoveDeps, type StacksLeft } from './stacks.ts';
import { switchKey } from './switch.ts';
import { EarlierWork } from './work.ts';

export interface RekeyDeps {
  database: Database;
  log: Log;
  keyring: Keyring;
  clock: Clock;
  /** Opens what moves the stacks; called once, when it is needed. Undefined: the state is not in Postgres. */
  openStacks(): Promise<{ deps: StackMoveDeps; close(): Promise<void> } | undefined>;
}

const LOOK_SECONDS = 2;
/** Looking at all stacks decodes their states: it rests several times as long as it took. */
const REST = 3;
const MOST_NAMED = 20;
const WAITS_CURE =
  'Start them with PULUMI_CONFIG_PASSPHRASE and PULUMI_CONFIG_PASSPHRASE_BEFORE: docs/operating.md, "Changing the passphrase"';
const PROBLEM_CURE = 'npm run agents -- rekey says what is left of the change of the passphrase';

/**
 * Changes the passphrase in the background while this process has a former one: makes the new one the
 * installation's once every process has it, re-seals every value, and moves every stack. Each step is one
 * transaction, and a round begins by looking at what is left: a kill anywhere loses nothing.
 */
export function startRekeying(deps: RekeyDeps, lookSeconds = LOOK_SECONDS): { stop(): Promise<void> } {
  if (deps.keyring.former === undefined) return { stop: async () => {} };
  const stopping = new AbortController();
  const rekeying = new Rekeying(deps, stopping.signal);
  const repeating = repeatEvery(lookSeconds, () => rekeying.round());
  return {
    stop: async () => {
      stopping.abort();
      await repeating.stop();
      await rekeying.close();
    },
  };
}

/** A change of the passphrase, as one process carries it out. */
export class Rekeying {
  readonly #deps: RekeyDeps;
  readonly #signal: AbortSignal;
  readonly #places: SealedPlace[];
  /** By place: ids of values that neither passphrase opens. */
  readonly #unreadable = new Map<string, string[]>();
  readonly #earlier = new EarlierWork();
  #stacks: Awaited<ReturnType<RekeyDeps['openStacks']>>;
  #isOpen = false;
  #lookAgainAt = 0;
  #left: StacksLeft = { count: Number.NaN, problems: [] };
  #told = '';
  #reported = '';

  constructor(deps: RekeyDeps, signal: AbortSignal) {
    this.#deps = deps;
    this.#signal = signal;
    this.#places = listSealedPlaces(deps);
  }

  /** Does what can be done now. Never throws. */
  async round(): Promise<void> {
    try {
      await this.#advance();
    } catch (error) {
      if (!this.#signal.aborted)
        this.#tell('warn', 'rekey.failed', `the passphrase could not be changed: ${errorMessage(error)}`);
    }
  }

  async close(): Promise<void> {
    await this.#stacks?.close();
  }

  async #advance(): Promise<void> {
    const { database, keyring } = this.#deps;
    const switched = await switchKey(database, keyring);
    if (switched.result === 'waits') {
      const who = switched.for.join(', ');
      const text = `the passphrase changes when these have the new one: ${who}`;
      this.#tell('warn', 'rekey.waits', text);
      await this.#report([{ cause: `T${text.slice(1)}`, cure: WAITS_CURE }]);
      return;
    }
    if (switched.result === 'switched') {
      await followEpochs(database, keyring);
      this.#tell('info', 'rekey.begun', 'everything is sealed with the new passphrase from now on');
    }
    if (!(await this.#isUnderWay())) return;
    await this.#resealAll();
    const haveFollowed = await doAllSealWith(database, keyring.current.id);
    const isQuiet = haveFollowed && (await this.#earlier.countLeft(database)) === 0;
    // Without any left, only what earlier attempts may have created meanwhile is worth another look.
    if (this.#left.count === 0 ? !isQuiet : performance.now() < this.#lookAgainAt) return;
    await this.#moveStacks();
    if (isQuiet && this.#left.count === 0 && !this.#signal.aborted) await this.#complete();
  }

  async #isUnderWay(): Promise<boolean> {
    const { key_id: keyId, former_key_id: formerId } = await this.#deps.database
      .selectFrom('installation')
      .select(['key_id', 'former_key_id'])
      .executeTakeFirstOrThrow();
    return formerId !== null && keyId === this.#deps.keyring.current.id;
  }

  async #resealAll(): Promise<void> {
    for (const place of this.#places)
      while (!this.#signal.aborted) {
        const skip = this.#unreadable.get(place.name) ?? [];
        const { count, unreadable } = await place.resealSome(skip);
        if (unreadable.length > 0) this.#unreadable.set(place.name, [...skip, ...unreadable]);
        if (count + unreadable.length === 0) break;
      }
  }

  async #moveStacks(): Promise<void> {
    const begun = performance.now();
    if (!this.#isOpen) this.#stacks = await this.#deps.openStacks();
    this.#isOpen = true;
    const record = (left: number) => this.#record({ stacks_left: left });
    this.#left =
      this.#stacks === undefined
        ? { count: 0, problems: [] }
        : await moveStacks(this.#stacks.deps, { signal: this.#signal, onMoved: record });
    const { count } = this.#left;
    const problems = this.#problems();
    await this.#record({ stacks_left: count, rekey_problems: jsonText(problems) });
    await this.#report(problems.map((cause) => ({ cause, cure: PROBLEM_CURE })));
    const now = performance.now();
    this.#lookAgainAt = now + REST * (now - begun);
  }

  #problems(): string[] {
    const lost = [...this.#unreadable].map(
      ([name, ids]) =>
        `Neither passphrase opens the secrets of ${name}: ${ids.slice(0, MOST_NAMED).join(', ')}`,
    );
    return [...lost, ...this.#left.problems.slice(0, MOST_NAMED)];
  }

  async #record(values: {
    stacks_left: number;
    rekey_problems?: ReturnType<typeof jsonText>;
  }): Promise<void> {
    await this.#deps.database.updateTable('installation').set(values).execute();
  }

  /** Ends the change if nothing is left. An uncommitted write holds the row of the installation. */
  async #complete(): Promise<void> {
    const { database, keyring } = this.#deps;
    const isDone = await database.transaction().execute(async (trx) => {
      const { former_key_id: formerId } = await trx
        .selectFrom('installation')
        .select('former_key_id')
        .forUpdate()
        .executeTakeFirstOrThrow();
      if (formerId === null) return false;
      for (const place of listSealedPlaces({ database: trx, keyring }))
        if ((await place.countLeft()) > (this.#unreadable.get(place.name)?.length ?? 0)) return false;
      await trx.updateTable('installation').set({ former_key_id: null, stacks_left: 0 }).execute();
      const details = { from: formerId, to: keyring.current.id };
      await audit(trx, { actor: 'service', action: 'passphrase.changed', details });
      return true;
    });
    await this.#report([]);
    if (isDone)
      this.#tell(
        'info',
        'rekey.completed',
        'the passphrase is changed: PULUMI_CONFIG_PASSPHRASE_BEFORE can be taken out',
      );
  }

  /** Lists what a person has to do among what needs one. */
  async #report(problems: readonly Pick<NewFinding, 'cause' | 'cure'>[]): Promise<void> {
    const text = JSON.stringify(problems);
    if (text === this.#reported) return;
    const { database, clock } = this.#deps;
    const findings = problems.map((one) => ({ ...one, class: 'configuration' as const, key: one.cause }));
    await database
      .transaction()
      .execute((trx) => replaceFindings(trx, { source: 'rekey' }, findings, clock.now()));
    this.#reported = text;
  }

  /** Once for each message, not in every round. */
  #tell(level: 'info' | 'warn', event: string, text: string): void {
    if (text !== this.#told) this.#deps.log[level]({ event }, text);
    this.#told = text;
  }
}

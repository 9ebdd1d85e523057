import type { Database } from '../database/connect.ts';
import { countSealed } from '../keys/count-sealed.ts';
import { listChanges, listWithout } from './live-processes.ts';

/** How far a change of the passphrase is. */
export interface RekeyStatus {
  /**
   * `waiting`: some process does not have the new one yet. `moving`: everything new is sealed with it, and
   * the rest follows. `done`: nothing needs the former one, which some process still has.
   */
  state: 'none' | 'waiting' | 'moving' | 'done';
  /** Who does not have the new passphrase. */
  waitsFor: string[];
  /** What is still under the former one, by kind. `stacks`: null until a worker has looked. */
  left: { agents: number; slots: number; images: number; stacks: number | null };
  /** What needs a person. */
  problems: string[];
}

const NOTHING = { agents: 0, slots: 0, images: 0, stacks: 0 };

/** Reads how far a change of the passphrase is, from any process. */
export async function readRekeyStatus(database: Database): Promise<RekeyStatus> {
  const installation = await database
    .selectFrom('installation')
    .select(['key_id', 'former_key_id', 'stacks_left', 'rekey_problems', 'executor'])
    .executeTakeFirst();
  const idle = { waitsFor: [], left: NOTHING, problems: [] };
  if (installation === undefined || installation.key_id === null) return { state: 'none', ...idle };
  const { key_id: keyId, former_key_id: formerId, executor } = installation;
  if (formerId !== null) {
    const rows = await countSealed(database, keyId);
    const left = { ...rows, stacks: installation.stacks_left };
    return { state: 'moving', waitsFor: [], left, problems: installation.rekey_problems };
  }
  const changes = await listChanges(database);
  const [begun, ...others] = changes.filter(({ from }) => from === keyId);
  if (begun === undefined) return { state: changes.length > 0 ? 'done' : 'none', ...idle };
  const waitsFor = await listWithout(database, { keyId: begun.to, executor });
  const problems = others.length > 0 ? ['Processes have different new passphrases'] : [];
  const left = { ...(await countSealed(database, begun.to)), stacks: installation.stacks_left };
  return { state: 'waiting', waitsFor, left, problems };
}

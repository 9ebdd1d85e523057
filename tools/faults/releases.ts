import { fileURLToPath } from 'node:url';
import { configurationVersion } from '../../src/app/configuration-version.ts';
import { Keyring } from '../../src/keys/keyring.ts';
import { Secret } from '../../src/secret.ts';
import type { Act } from './actions.ts';
import type { Installation } from './installation.ts';
import type { Snapshot } from './snapshot.ts';
import { type Violation, violated } from './violation.ts';

const ANSIBLE_DIR = fileURLToPath(new URL('../../ansible', import.meta.url));

/** A release as it was rolled out, in milliseconds since 1970. */
export interface ReleaseChange {
  release: string;
  /** From when on a worker may have had it. */
  from: number;
  /** From when on all workers had it, and had told the database. */
  settled: number;
}

/** A release is told from another by a setting of what the agents are. */
const settingsOf = (number: number): Record<string, string> => ({ AGENT_PACKAGES: `release-${number}` });

function releaseOf(installation: Installation, variables: Record<string, string>): string {
  const { versions } = new Keyring(new Secret(installation.file.pulumiPassphrase));
  return configurationVersion(ANSIBLE_DIR, { variables, paths: [] }, versions);
}

export const firstRelease = (installation: Installation): ReleaseChange => ({
  release: releaseOf(installation, {}),
  from: 0,
  settled: 0,
});

/** Replaces the workers one after another by those of a new release, or of the one before: a rollback. */
export const changeRelease: Act = async (suite, [back]) => {
  const { installation, releases } = suite;
  const number = back! < 0.3 ? Math.max(1, releases.length - 2) : releases.length;
  installation.change(settingsOf(number));
  const change = {
    release: releaseOf(installation, settingsOf(number)),
    from: Date.now(),
    settled: Infinity,
  };
  releases.push(change);
  for (const worker of [...installation.workers]) {
    await worker.kill();
    await installation.startWorker();
  }
  change.settled = Date.now() + TOLD_MS;
  return `release ${number}: ${change.release}`;
};

/** A worker tells the database every second which slots fit. */
const TOLD_MS = 3_000;

/** Checks that every order that got a slot got one of a release that a worker had at that moment. */
export function checkReleases({ slots, agents }: Snapshot, changes: readonly ReleaseChange[]): Violation[] {
  if (changes.length === 0) return [];
  const claims = slots.flatMap(({ slot_id: slotId, agent_id: agentId, claimed_at: at, release }) => {
    const agent = agents.find((one) => one.agent_id === agentId);
    const of = release ?? agent?.release ?? null;
    return agentId === null || at === null || of === null ? [] : [{ slotId, agentId, at, of }];
  });
  return violated(
    'no customer is on a slot of an old release',
    claims
      .filter(({ at, of }) => !allowedAt(changes, at).includes(of))
      .map(({ slotId, agentId, of }) => `${agentId} is on ${slotId} of release ${of}`),
  );
}

/** The releases that a worker may have had at that moment. */
function allowedAt(changes: readonly ReleaseChange[], at: number): string[] {
  const last = changes.findLastIndex(({ settled }) => settled <= at);
  return changes.filter(({ from }, index) => index >= last && from <= at).map(({ release }) => release);
}

import type { EnvironmentReader } from './environment-reader.ts';
import type { HetznerProjectSettings } from './hetzner-projects.ts';
import type { PoolEntry, PoolSettings } from './pool.ts';

type Places = Pick<HetznerProjectSettings, 'name' | 'locations'>;

/**
 * Refuses entries of `POOL` that could never be filled: of a Hetzner project that is not configured, or in a
 * location that none takes. Problems are collected in the reader.
 */
export function checkPoolPlaces(
  reader: EnvironmentReader,
  { entries = [] }: Pick<PoolSettings, 'entries'>,
  projects: readonly Places[],
): void {
  // A list that is malformed is a problem of its own, and says nothing about the pool.
  if (reader.problems.some((problem) => problem.startsWith('HCLOUD_PROJECTS '))) return;
  const wrong = entries.map((entry) => whyNowhere(entry, projects)).filter((why) => why !== undefined);
  for (const why of new Set(wrong)) reader.problems.push(`POOL ${why}`);
}

function whyNowhere({ project, location }: PoolEntry, projects: readonly Places[]): string | undefined {
  const named = projects.filter(({ name }) => project === undefined || name === project);
  if (named.length === 0)
    return (
      `names the Hetzner project ${project}, but HCLOUD_PROJECTS names ${projects.map(({ name }) => name).join(', ')}. ` +
      'Correct the name, or name the project there too'
    );
  if (named.some(({ locations }) => locations === undefined || locations.includes(location)))
    return undefined;
  const where = project === undefined ? location : `${location} in the Hetzner project ${project}`;
  const why = project === undefined ? 'no Hetzner project is for that place' : 'it is not for that place';
  return `wants servers in ${where}, but by HCLOUD_PROJECTS ${why}. Name the place there, or take the entry out of POOL`;
}

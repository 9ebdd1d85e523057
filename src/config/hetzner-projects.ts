import { z } from 'zod';
import { Secret } from '../secret.ts';
import type { Environment, EnvironmentReader } from './environment-reader.ts';
import { hcloudToken } from './fields.ts';
import { locationsOf, PLACES } from './regions.ts';

/** A Hetzner project as the operator describes it. */
export interface HetznerProjectSettings {
  name: string;
  /** Empty where it is missing, which is legal if GitHub's runners have it. */
  token: Secret;
  /** Hetzner's locations that agents of the project may have; undefined: all. */
  locations: readonly string[] | undefined;
  /** How many servers the service may have in it; undefined: as many as Hetzner allows. */
  mostServers: number | undefined;
}

/** The project that every agent belongs to where no others are named. */
export const DEFAULT_PROJECT = 'default';
const EVERYWHERE = 'all';
/** `HCLOUD_PROJECTS` as it counts where it is not set. */
export const ONE_PROJECT = `${DEFAULT_PROJECT}=${EVERYWHERE}`;
const TOKEN = 'HCLOUD_TOKEN';

const FORM =
  'must be projects with the places of their agents and at most a number of servers, such as eu=eu, us=us+sg:40';
// 20 characters: the name becomes part of variables, stacks and firewalls.
const ENTRY = /^([a-z0-9](?:-?[a-z0-9]){0,19})=([a-z0-9+-]{1,200})(?::(\d{1,5}))?$/;

type Named = Omit<HetznerProjectSettings, 'token'>;

const ONLY: Named = { name: DEFAULT_PROJECT, locations: undefined, mostServers: undefined };

/** The projects of an installation that has one token. */
export const onlyProject = (token: Secret): HetznerProjectSettings => ({ ...ONLY, token });

/** @returns the project, or what is wrong with the text */
function parseProject(text: string): Named | string {
  const [, name, places = '', most] = ENTRY.exec(text) ?? [];
  if (name === undefined) return FORM;
  // HCLOUD_TOKEN_FILE is the file of HCLOUD_TOKEN.
  if (/(^|-)file$/.test(name)) return `names a project ${name}: no name may end in “file”`;
  const mostServers = most === undefined ? undefined : Number(most);
  if (places === EVERYWHERE) return { name, locations: undefined, mostServers };
  const parts = places.split('+').map((place) => ({ place, locations: locationsOf(place) }));
  const unknown = parts.find(({ locations }) => locations === undefined);
  if (unknown !== undefined)
    return `names an unknown place ${JSON.stringify(unknown.place)}; known: ${[EVERYWHERE, ...PLACES].join(', ')}`;
  const locations = [...new Set(parts.flatMap((part) => part.locations ?? []))];
  return { name, locations, mostServers };
}

/** `HCLOUD_PROJECTS`, as the projects that it names. */
export const projectList = z.string().transform((text, context): Named[] => {
  const parsed = text.split(',').map((entry) => parseProject(entry.trim()));
  const wrong = new Set(parsed.filter((entry) => typeof entry === 'string'));
  const found = parsed.filter((entry) => typeof entry !== 'string');
  if (new Set(found.map(({ name }) => name)).size < found.length) wrong.add('names a project twice');
  if (wrong.size === 0) return found;
  context.addIssue({ code: 'custom', message: [...wrong].join(', and ') });
  return z.NEVER;
});

/** The variable with a project's token: `HCLOUD_TOKEN_US_1` for `us-1`, and `HCLOUD_TOKEN` for `default`. */
export const tokenVariable = (project: string): string =>
  project === DEFAULT_PROJECT ? TOKEN : `${TOKEN}_${project.toUpperCase().replaceAll('-', '_')}`;

/** The project whose token a variable holds. */
export const projectOfVariable = (variable: string): string =>
  variable === TOKEN
    ? DEFAULT_PROJECT
    : variable.slice(`${TOKEN}_`.length).toLowerCase().replaceAll('_', '-');

/** Of the variables, those with a project's token, or with the file of one if `ending` says so. */
export const tokenVariablesIn = (environment: Environment, ending: '' | '_FILE' = ''): string[] =>
  Object.keys(environment).filter((name) =>
    ending === '_FILE'
      ? /^HCLOUD_TOKEN(_[A-Z0-9_]+)?_FILE$/.test(name)
      : /^HCLOUD_TOKEN(_[A-Z0-9_]+)?$/.test(name) && !name.endsWith('_FILE'),
  );

/**
 * Reads the projects that `HCLOUD_PROJECTS` names, in its order; without it the one project `default`.
 * Problems are collected in the reader. @returns at least one
 */
export function readHetznerProjects(
  reader: EnvironmentReader,
  { required }: { required: boolean },
): HetznerProjectSettings[] {
  const named = reader.read('HCLOUD_PROJECTS', projectList) ?? [ONLY];
  const found = named.map((project) => ({ ...project, token: readToken(reader, project.name, required) }));
  for (const [index, { name, token }] of found.entries()) {
    const other = found.slice(0, index).find((one) => one.token.reveal() === token.reveal());
    if (other !== undefined && token.reveal() !== '')
      reader.problems.push(
        `${tokenVariable(name)} is the token of ${tokenVariable(other.name)} too: each project has its own`,
      );
  }
  if (!named.some(({ name }) => name === DEFAULT_PROJECT) && reader.text(TOKEN) !== undefined)
    reader.problems.push(
      `${TOKEN} is the token of the project ${DEFAULT_PROJECT}, which HCLOUD_PROJECTS does not name`,
    );
  return found;
}

function readToken(reader: EnvironmentReader, project: string, required: boolean): Secret {
  const variable = tokenVariable(project);
  return required
    ? reader.requiredSecret(variable, hcloudToken, `a read and write token of ${whichProject(project)}`)
    : (reader.secret(variable, hcloudToken) ?? new Secret(''));
}

const whichProject = (project: string) =>
  project === DEFAULT_PROJECT ? 'the Hetzner project' : `the Hetzner project ${project}`;

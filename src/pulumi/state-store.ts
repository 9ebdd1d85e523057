import type pg from 'pg';
import { z } from 'zod';
import { readStates } from './state-rows.ts';

/** Direct access to Pulumi's rows of a stack, for work that its CLI cannot do or needs a process for. */
export interface StateStore {
  /**
   * Creates a stack with these resources, whose properties must not be secret, or an empty one, as `pulumi
   * stack init` would: with the salt, or the wrapped key, of another stack's secrets, if that one has this
   * secrets provider.
   * @returns whether the stack exists now; if not, the CLI has to create it.
   */
  makeSeeded(
    stackName: string,
    seed: { like: string; provider: string; resources: readonly SeedResource[] },
  ): Promise<boolean>;
  /** What encrypts the stack's secrets: `passphrase` or a key's address. Undefined: unknown, or no stack. */
  secretsProvider(stackName: string): Promise<string | undefined>;
  /** What encrypts each stack's secrets, by the stack's name; without those where it is unknown. */
  listSecretsProviders(): Promise<Map<string, string>>;
  /** Removes the remains of a deleted stack in the backend: state, backups, history, locks. */
  forget(stackName: string): Promise<void>;
  /**
   * Keeps only the newest entries of a stack's history, so that an old agent costs no more than a new one.
   */
  prune(stackName: string): Promise<void>;
}

/** A resource in a stack's state, in Pulumi's own form (deployment version 3). */
export interface SeedResource {
  urn: string;
  custom: boolean;
  type: string;
  id?: string;
  inputs?: Record<string, unknown>;
  outputs?: Record<string, unknown>;
  parent?: string;
  provider?: string;
  customTimeouts?: Record<string, number>;
  additionalSecretOutputs?: string[];
}

/** Updates that stay visible in `pulumi stack history`. */
const KEPT_UPDATES = 20;

/** The fields of an empty checkpoint. If another has anything else, the CLI creates the stack. */
const checkpointSchema = z.object({
  version: z.literal(3),
  checkpoint: z.strictObject({
    stack: z.string(),
    latest: z.object({
      manifest: z.record(z.string(), z.unknown()),
      secrets_providers: z.unknown(),
    }),
  }),
});

const providersSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('passphrase'), state: z.object({ salt: z.string() }) }),
  z.object({ type: z.literal('cloud'), state: z.object({ url: z.string(), encryptedkey: z.string() }) }),
]);

/** A stack's checkpoint, of which only the secrets provider matters. */
const providerSchema = z.object({
  checkpoint: z.object({ latest: z.object({ secrets_providers: providersSchema }) }),
});

const toProvider = (providers: z.infer<typeof providersSchema>) =>
  providers.type === 'passphrase' ? 'passphrase' : providers.state.url;

/**
 * Opens the Postgres backend's table `pulumi_state(key, data, updated_at)`. `data` is `{data: <base64>}`; the
 * keys are `<database>/.pulumi/{stacks,history,locks}/<project>/<stack>…`. Names have no `_` or `%`, so
 * `like` is exact.
 */
export function createPostgresStateStore(
  pool: pg.Pool,
  { database, project }: { database: string; project: string },
): StateStore {
  const root = `${database}/.pulumi`;
  const stackKey = (stackName: string) => `${root}/stacks/${project}/${stackName}.json`;
  const read = async (stackName: string) => {
    const found = await pool.query<{ data: { data: string } }>(
      'select data from pulumi_state where key = $1',
      [stackKey(stackName)],
    );
    return found.rows[0]?.data.data;
  };
  const makeSeeded: StateStore['makeSeeded'] = async (stackName, { like, provider, resources }) => {
    const made = firstCheckpoint(await read(like), { stackName, project, provider, resources });
    if (made === undefined) return false;
    await pool.query(INSERT, [stackKey(stackName), JSON.stringify({ data: made })]);
    return true;
  };
  return {
    makeSeeded,
    secretsProvider: async (stackName) => {
      const parsed = providerSchema.safeParse(decoded(await read(stackName)));
      return parsed.success ? toProvider(parsed.data.checkpoint.latest.secrets_providers) : undefined;
    },
    listSecretsProviders: async () => {
      // The CLI creates the table with the first stack.
      const table = await pool.query<{ name: string | null }>("select to_regclass('pulumi_state') as name");
      if (table.rows[0]?.name === null) return new Map();
      const rows = await readStates(pool, '{checkpoint,latest,secrets_providers}', [
        `${root}/stacks/${project}/%.json`,
      ]);
      const known = rows.flatMap(({ key, value }): [string, string][] => {
        const parsed = providersSchema.safeParse(value);
        return parsed.success
          ? [[key.split('/').at(-1)!.slice(0, -'.json'.length), toProvider(parsed.data)]]
          : [];
      });
      return new Map(known);
    },
    forget: async (stackName) => {
      for (const folder of foldersOfStack(root, project, stackName))
        await pool.query('delete from pulumi_state where key like $1 or key like $2', [
          `${folder}.%`,
          `${folder}/%`,
        ]);
    },
    // Each update has two rows: `…/<stack>-<nanoseconds>.history.json` and `….checkpoint.json`.
    prune: async (stackName) => {
      await pool.query(
        `delete from pulumi_state where key in (
           select key from pulumi_state where key like $1 order by key desc offset $2)`,
        [`${root}/history/${project}/${stackName}/%`, 2 * KEPT_UPDATES],
      );
    },
  };
}

const INSERT = 'insert into pulumi_state (key, data) values ($1, $2) on conflict (key) do nothing';

function foldersOfStack(root: string, project: string, stackName: string): string[] {
  const folders = ['stacks', 'history', 'locks', 'backups'];
  return [
    ...folders.map((folder) => `${root}/${folder}/${project}/${stackName}`),
    // The locks of an organization's stacks are one folder deeper.
    `${root}/locks/organization/${project}/${stackName}`,
  ];
}

function firstCheckpoint(
  base64: string | undefined,
  stack: { stackName: string; project: string; provider: string; resources: readonly SeedResource[] },
): string | undefined {
  const parsed = checkpointSchema.safeParse(decoded(base64));
  if (!parsed.success) return undefined;
  const { manifest, secrets_providers } = parsed.data.checkpoint.latest;
  const providers = providersSchema.safeParse(secrets_providers);
  if (!providers.success || toProvider(providers.data) !== stack.provider) return undefined;
  const checkpoint = {
    stack: `organization/${stack.project}/${stack.stackName}`,
    latest: {
      manifest,
      secrets_providers,
      ...(stack.resources.length > 0 && { resources: stack.resources }),
      metadata: {},
    },
  };
  return Buffer.from(JSON.stringify({ version: 3, checkpoint })).toString('base64');
}

/** The text of a row as JSON; undefined for an empty or missing row. */
function decoded(base64: string | undefined): unknown {
  return base64 ? JSON.parse(Buffer.from(base64, 'base64').toString()) : undefined;
}

/** For other backends: leaves everything to the CLI. */
export const passiveStateStore: StateStore = {
  makeSeeded: async () => false,
  secretsProvider: async () => undefined,
  listSecretsProviders: async () => new Map(),
  forget: async () => {},
  prune: async () => {},
};

import type { Database } from './connect.ts';
import { jsonText } from './storable.ts';

export interface Stamp {
  mode: 'sandbox' | 'live' | 'rehearsal';
  /**
   * The installation's accounts as its configuration identifies them: non-secret texts by name.
   */
  accounts: Record<string, string>;
  /** The accounts as their vendors identify them, without vendors that could not be asked now. */
  identities?: Record<string, string>;
  /** Why the missing identities are unknown, by name. */
  unknown?: Record<string, string>;
}

type Names = Record<string, string>;

/**
 * Stamps an empty database with its mode and accounts; later starts must match. The vendor's identity of an
 * account decides, because one account can have several keys and names. The configured texts count only if
 * the vendor has never been asked or cannot be asked now. Adds a new account and rejects a different one.
 * @throws Error that says which account differs, and what to do
 */
export async function checkStamp(database: Database, stamp: Stamp): Promise<void> {
  const { mode, accounts, identities = {} } = stamp;
  await database.transaction().execute(async (trx) => {
    await trx
      .insertInto('installation')
      .values({
        mode,
        accounts: jsonText(accounts),
        identities: jsonText(identities),
        // The project may have servers of a database that was lost (src/recovery).
        recovery: 'unchecked',
      })
      .onConflict((conflict) => conflict.doNothing())
      .execute();
    const found = await trx.selectFrom('installation').selectAll().forUpdate().executeTakeFirstOrThrow();
    const problem = compareStamp(found, stamp);
    if (problem !== undefined) throw new Error(problem);
    await trx
      .updateTable('installation')
      .set({
        accounts: jsonText({ ...found.accounts, ...accounts }),
        identities: jsonText({ ...found.identities, ...identities }),
      })
      .execute();
  });
}

/** Says what differs between the database's stamp and this one, and what to do; undefined if nothing does. */
export function compareStamp(
  found: Known & Pick<Stamp, 'mode'>,
  { mode, accounts, identities = {}, unknown = {} }: Stamp,
): string | undefined {
  if (found.mode !== mode)
    return `This database belongs to ${found.mode} mode and MODE is ${mode}. Use another DATABASE_URL or DATA_DIR, or MODE=${found.mode}.`;
  const names = new Set([...Object.keys(accounts), ...Object.keys(identities)]);
  const differing = [...names].filter((name) => differs(name, found, { accounts, identities }));
  return differing.length === 0 ? undefined : refusal(differing, found.identities, { identities, unknown });
}

interface Known {
  accounts: Names;
  identities: Names;
}

function differs(name: string, found: Known, now: Known): boolean {
  const [before, identity] = [found.identities[name], now.identities[name]];
  if (before !== undefined && identity !== undefined) return before !== identity;
  const [text, textNow] = [found.accounts[name], now.accounts[name]];
  return text !== undefined && textNow !== undefined && text !== textNow;
}

/** The variables that select an account. A sandbox's accounts depend on its DATA_DIR instead. */
const VARIABLES: Names = {
  stripe: 'STRIPE_SECRET_KEY',
  hcloud: 'HCLOUD_ENDPOINT and HCLOUD_TOKEN',
  tailscale: 'TAILSCALE_BASE_URL, TAILSCALE_TAILNET and the credential beside them',
};

function refusal(
  differing: string[],
  before: Names,
  { identities, unknown }: Pick<Required<Stamp>, 'identities' | 'unknown'>,
): string {
  const details = differing.flatMap((name) => {
    if (before[name] === undefined) return [];
    const why = unknown[name] === undefined ? '' : ` (${unknown[name]})`;
    const now =
      identities[name] === undefined
        ? `; the current one could not be determined${why}`
        : `, the current one is ${identities[name]}`;
    return [`${name}: the database belongs to ${before[name]}${now}.`];
  });
  const variables = differing.flatMap((name) => VARIABLES[name] ?? []);
  return [
    `This database was created for another ${differing.join(' and ')} account.`,
    ...details,
    variables.length === 0
      ? 'Its agents live there: use the credentials of that account, or another database.'
      : `Its agents live there: set ${variables.join(', ')} to that account’s, or use another database.`,
  ].join(' ');
}

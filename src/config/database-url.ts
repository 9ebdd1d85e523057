import { createHash } from 'node:crypto';

/** Returns the address of a sibling database on the server of DATABASE_URL: `<name>-<suffix>`. */
export function siblingUrl(databaseUrl: string, suffix: 'pulumi' | 'sandbox'): string {
  const url = new URL(databaseUrl);
  url.pathname = `/${encodeURIComponent(`${siblingPrefix(databaseName(url))}-${suffix}`)}`;
  return withoutTls(url.href);
}

export function databaseName(url: URL): string {
  return decodeURIComponent(url.pathname.slice(1)) || 'agents';
}

/**
 * Pulumi's backend finds its rows by patterns in which `_` and `%` are wildcards, and the database's name is
 * part of every key. So siblings' names contain neither, and still differ wherever the databases' names do.
 */
export function siblingPrefix(name: string): string {
  const plain = name.replace(/[_%]/g, '-');
  return plain === name ? name : `${plain}-${createHash('sha256').update(name).digest('hex').slice(0, 6)}`;
}

/** Pulumi's client requires TLS unless the address says otherwise; ours does not. */
export function withoutTls(url: string): string {
  const plain = new URL(url);
  if (!plain.searchParams.has('sslmode')) plain.searchParams.set('sslmode', 'disable');
  return plain.href;
}

/** Whether two addresses name the same database, regardless of the user. */
export function isSameDatabase(one: string, other: string): boolean {
  const name = (text: string) => {
    const { hostname, port, pathname } = new URL(text);
    const host = ['localhost', '[::1]'].includes(hostname) ? '127.0.0.1' : hostname;
    return `${host}:${port || '5432'}/${decodeURIComponent(pathname.slice(1)) || 'agents'}`;
  };
  return name(one) === name(other);
}

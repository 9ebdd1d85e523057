import { createHash } from 'node:crypto';

/** The address of a database of its own beside the one that DATABASE_URL names: `<name>-<suffix>` on the same server. */
export function siblingUrl(databaseUrl: string, suffix: 'pulumi' | 'sandbox'): string {
  const url = new URL(databaseUrl);
  url.pathname = `/${encodeURIComponent(`${siblingPrefix(databaseName(url))}-${suffix}`)}`;
  return withoutTls(url.href);
}

export function databaseName(url: URL): string {
  return decodeURIComponent(url.pathname.slice(1)) || 'agents';
}

/**
 * Pulumi's backend looks its rows up by patterns in which `_` and `%` stand for any letter, and the database's name is part of
 * every key: the siblings' names have neither, and still differ where the databases' names do.
 */
export function siblingPrefix(name: string): string {
  const plain = name.replace(/[_%]/g, '-');
  return plain === name ? name : `${plain}-${createHash('sha256').update(name).digest('hex').slice(0, 6)}`;
}

/** Pulumi's client wants TLS unless it is told otherwise; ours does not. */
export function withoutTls(url: string): string {
  const plain = new URL(url);
  if (!plain.searchParams.has('sslmode')) plain.searchParams.set('sslmode', 'disable');
  return plain.href;
}

/** Whether two addresses name the same database, whoever logs in. */
export function isSameDatabase(one: string, other: string): boolean {
  const name = (text: string) => {
    const { hostname, port, pathname } = new URL(text);
    const host = ['localhost', '[::1]'].includes(hostname) ? '127.0.0.1' : hostname;
    return `${host}:${port || '5432'}/${decodeURIComponent(pathname.slice(1)) || 'agents'}`;
  };
  return name(one) === name(other);
}

import { readdirSync, realpathSync, statSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Returns the files of a folder, sorted by their paths, without what Python compiles; a file alone is
 * returned as it is. Symlinks are followed, because Ansible reads what they lead to; one that leads nowhere,
 * or back to a folder above it, is left out.
 */
export function listFiles(path: string, above: readonly string[] = []): string[] {
  if (!statSync(path).isDirectory()) return [path];
  const real = realpathSync(path);
  if (above.includes(real)) return [];
  return readdirSync(path, { withFileTypes: true })
    .filter(({ name }) => name !== '__pycache__' && !name.endsWith('.pyc'))
    .flatMap((entry) => {
      const own = join(path, entry.name);
      const target = entry.isSymbolicLink() ? statSync(own, { throwIfNoEntry: false }) : entry;
      if (target?.isDirectory()) return listFiles(own, [...above, real]);
      return target?.isFile() ? [own] : [];
    })
    .sort();
}

/**
 * A text that changes when a file is written, replaced, added or removed, without reading what is in them.
 */
export function stampFiles(paths: readonly string[]): string {
  return paths
    .flatMap((path) => listFiles(path))
    .map((file) => {
      const { ino, size, mtimeNs, ctimeNs } = statSync(file, { bigint: true });
      return [file, ino, size, mtimeNs, ctimeNs].join(' ');
    })
    .join('\n');
}

import { isAbsolute, relative } from 'node:path';

/** A file's path as a person types it here: from this folder where the file is in it. */
export function shortPath(file: string): string {
  const fromHere = relative(process.cwd(), file);
  return fromHere.startsWith('..') || isAbsolute(fromHere) ? file : fromHere;
}

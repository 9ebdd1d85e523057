import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);

type Functions = Record<string, (...args: unknown[]) => unknown>;

/**
 * Returns a stand-in for a CommonJS module that exports these functions. The module is loaded when one of
 * them is called.
 */
export function lazyFunctions(name: string, names: readonly string[]): Functions {
  let loaded: Functions | undefined;
  const load = () => (loaded ??= require(name) as Functions);
  return Object.fromEntries(names.map((key) => [key, (...args) => load()[key]!(...args)]));
}

import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);

/**
 * Returns a stand-in for a CommonJS module, which is loaded when something is first read from it. It claims
 * to be an ES module, because TypeScript's `import *` would otherwise copy all of it at once.
 */
export function lazyModule(name: string): object {
  let loaded: object | undefined;
  const load = () => (loaded ??= require(name) as object);
  return new Proxy(
    {},
    {
      get: (_, key) => (key === '__esModule' ? true : Reflect.get(load(), key)),
      has: (_, key) => Reflect.has(load(), key),
      ownKeys: () => Reflect.ownKeys(load()),
      getOwnPropertyDescriptor: (_, key) => {
        const found = Reflect.getOwnPropertyDescriptor(load(), key);
        // A proxy may not report what its target lacks as fixed.
        return found && { ...found, configurable: true };
      },
    },
  );
}

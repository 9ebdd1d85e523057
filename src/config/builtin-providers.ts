/** The module that serves the sandbox's provider plugins. A runner process loads it from this address. */
export const builtinProviders = new URL('../../sandbox/providers/host.ts', import.meta.url).href;

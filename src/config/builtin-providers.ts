/** The module that serves the sandbox's provider plugins; a runner process loads it by this address. */
export const builtinProviders = new URL('../../sandbox/providers/host.ts', import.meta.url).href;

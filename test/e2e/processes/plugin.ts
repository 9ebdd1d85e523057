/**
 * Acts as an official provider plugin, which the engine starts and calls over gRPC: its first line of output
 * is the port. It serves the built-in providers, from the environment that the engine passed.
 */
import { startProviderHost } from '../../../sandbox/providers/host.ts';

const [name] = process.argv.slice(2);
const host = await startProviderHost();
host.use(process.env as Record<string, string>);
console.log(new RegExp(`${name}:(\\d+)`).exec(host.debugProviders)?.[1]);

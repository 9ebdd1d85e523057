/**
 * Stands for an official provider plugin, which the engine starts and asks over gRPC: its first line is the port. It serves what
 * the builtin providers do, from the environment that the engine gave it.
 */
import { startProviderHost } from '../../../sandbox/providers/host.ts';

const [name] = process.argv.slice(2);
const host = await startProviderHost();
host.use(process.env as Record<string, string>);
console.log(new RegExp(`${name}:(\\d+)`).exec(host.debugProviders)?.[1]);

import { readFile } from 'node:fs/promises';

/** 100.64.0.0/10, which holds every tailnet address. */
const TAILNET = 0x64400000;
const TAILNET_MASK = 0xffc00000;

/**
 * Whether this host itself has a route to tailnet addresses, e.g. through a router on the tailnet. Linux
 * only.
 */
export async function routesToTailnet(file = '/proc/net/route'): Promise<boolean> {
  const text = await readFile(file, 'utf8').catch(() => '');
  return text
    .split('\n')
    .slice(1)
    .map((line) => line.split('\t'))
    .some(([, destination, , , , , , mask]) => isTailnet(littleEndian(destination), littleEndian(mask)));
}

/** Excludes default routes: they lead to the internet, which has no tailnet addresses. */
function isTailnet(destination: number, mask: number): boolean {
  return mask >>> 0 >= TAILNET_MASK >>> 0 && (destination & TAILNET_MASK) >>> 0 === TAILNET;
}

function littleEndian(hex: string | undefined): number {
  if (hex === undefined || !/^[0-9A-F]{8}$/i.test(hex)) return 0;
  return Buffer.from(hex, 'hex').readUInt32LE();
}

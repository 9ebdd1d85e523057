const CARRIER_NET = { first: ipv4Number('100.64.0.0'), size: 2 ** 22 };

/** Ranges within 100.64.0.0/10 that Tailscale reserves (MagicDNS, ChromeOS). */
const RESERVED_RANGES = [
  { first: ipv4Number('100.100.0.0'), last: ipv4Number('100.100.0.255') },
  { first: ipv4Number('100.100.100.0'), last: ipv4Number('100.100.100.255') },
  { first: ipv4Number('100.115.92.0'), last: ipv4Number('100.115.93.255') },
];

/** Odd, so no two numbers below 2^22 get the same address; large, so consecutive devices look unrelated. */
const STRIDE = 1_779_033;

/** Returns the addresses of the n-th device ever, or undefined if that number falls on a reserved address. */
export function addressesFor(deviceNumber: bigint): { ipv4: string; ipv6: string } | undefined {
  const size = BigInt(CARRIER_NET.size);
  const address = CARRIER_NET.first + Number((deviceNumber * BigInt(STRIDE)) % size);
  const lastByte = address % 256;
  if (lastByte === 0 || lastByte === 255) return undefined;
  if (RESERVED_RANGES.some(({ first, last }) => address >= first && address <= last)) return undefined;
  const high = Math.floor(address / 65536).toString(16);
  const low = (address % 65536).toString(16);
  return { ipv4: ipv4Text(address), ipv6: `fd7a:115c:a1e0::${high}:${low}` };
}

function ipv4Number(text: string): number {
  return text.split('.').reduce((number, part) => number * 256 + Number(part), 0);
}

function ipv4Text(address: number): string {
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 255).join('.');
}

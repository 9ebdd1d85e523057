import { LOCATIONS, type Location } from './locations.ts';

export type Architecture = 'x86' | 'arm';

const EUROPE = ['fsn1', 'nbg1', 'hel1'];
const AMERICA = ['ash', 'hil'];
const SINGAPORE = ['sin'];
const EVERYWHERE = [...EUROPE, ...AMERICA, ...SINGAPORE];

const BYTES_PER_TERABYTE = 1024 ** 4;

interface Family {
  category: string;
  cpuType: 'shared' | 'dedicated';
  architecture: Architecture;
  locations: string[];
  /** [id, name, cores, memory in GB, disk in GB, euros a month in Europe without tax] */
  types: readonly (readonly [number, string, number, number, number, number])[];
}

const FAMILIES: readonly Family[] = [
  {
    category: 'Cost-Optimized',
    cpuType: 'shared',
    architecture: 'x86',
    locations: EUROPE,
    types: [
      [114, 'cx23', 2, 4, 40, 2.99],
      [115, 'cx33', 4, 8, 80, 4.99],
      [116, 'cx43', 8, 16, 160, 8.99],
      [117, 'cx53', 16, 32, 320, 16.99],
    ],
  },
  {
    category: 'Cost-Optimized',
    cpuType: 'shared',
    architecture: 'arm',
    locations: EUROPE,
    types: [
      [45, 'cax11', 2, 4, 40, 3.29],
      [93, 'cax21', 4, 8, 80, 5.99],
      [94, 'cax31', 8, 16, 160, 11.99],
      [95, 'cax41', 16, 32, 320, 23.99],
    ],
  },
  {
    category: 'Regular Performance',
    cpuType: 'shared',
    architecture: 'x86',
    locations: [...AMERICA, ...SINGAPORE],
    types: [
      [22, 'cpx11', 2, 2, 40, 4.49],
      [23, 'cpx21', 3, 4, 80, 8.49],
      [24, 'cpx31', 4, 8, 160, 14.99],
      [25, 'cpx41', 8, 16, 240, 27.49],
      [26, 'cpx51', 16, 32, 360, 54.9],
    ],
  },
  {
    category: 'Regular Performance',
    cpuType: 'shared',
    architecture: 'x86',
    locations: [...EUROPE, ...SINGAPORE],
    types: [
      [108, 'cpx12', 1, 2, 40, 5.49],
      [109, 'cpx22', 2, 4, 80, 5.99],
      [110, 'cpx32', 4, 8, 160, 10.49],
      [111, 'cpx42', 8, 16, 320, 19.49],
      [112, 'cpx52', 12, 24, 480, 27.49],
      [113, 'cpx62', 16, 32, 640, 38.99],
    ],
  },
  {
    category: 'General Purpose',
    cpuType: 'dedicated',
    architecture: 'x86',
    locations: EVERYWHERE,
    types: [
      [96, 'ccx13', 2, 8, 80, 12.49],
      [97, 'ccx23', 4, 16, 160, 24.49],
      [98, 'ccx33', 8, 32, 240, 48.49],
      [99, 'ccx43', 16, 64, 360, 96.49],
      [100, 'ccx53', 32, 128, 600, 192.49],
      [101, 'ccx63', 48, 192, 960, 288.49],
    ],
  },
];

/** A server type as the API shows it. */
export type ServerType = ReturnType<typeof toServerType>;

export const SERVER_TYPES: readonly ServerType[] = FAMILIES.flatMap((family) =>
  family.types.map((type) => toServerType(family, type)),
);

export function serverTypeById(id: number): ServerType {
  return SERVER_TYPES.find((candidate) => candidate.id === id)!;
}

/** Returns the traffic in bytes per month that the price includes in this location. */
export function includedTraffic(type: ServerType, location: Location): number {
  return type.prices.find((price) => price.location === location.name)?.included_traffic ?? 0;
}

function toServerType(family: Family, [id, name, cores, memory, disk, euros]: Family['types'][number]) {
  const offered = LOCATIONS.filter((location) => family.locations.includes(location.name));
  return {
    id,
    name,
    description: name.toUpperCase(),
    cores,
    memory,
    disk,
    deprecated: false,
    prices: offered.map((location) => priceAt(location, euros)),
    storage_type: 'local',
    cpu_type: family.cpuType,
    category: family.category,
    architecture: family.architecture,
    deprecation: null,
    locations: offered.map((location) => ({
      id: location.id,
      name: location.name,
      deprecation: null,
      recommended: true,
      available: true,
    })),
  };
}

function priceAt(location: Location, eurosInEurope: number) {
  const inEurope = EUROPE.includes(location.name);
  const inSingapore = SINGAPORE.includes(location.name);
  const euros = eurosInEurope * (inEurope ? 1 : inSingapore ? 1.3 : 1.1);
  const trafficTerabytes = inEurope ? 20 : inSingapore ? 0.5 : 1;
  return {
    location: location.name,
    // Hetzner charges by the hour up to the monthly price, which about 625 hours reach.
    price_hourly: money(euros / 625),
    price_monthly: money(euros),
    included_traffic: trafficTerabytes * BYTES_PER_TERABYTE,
    price_per_tb_traffic: money(inSingapore ? 7.4 : 1),
  };
}

/** Returns net and gross with German VAT, as decimal text. */
export function money(euros: number) {
  return { net: euros.toFixed(10), gross: (euros * 1.19).toFixed(10) };
}

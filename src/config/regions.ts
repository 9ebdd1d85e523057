/** The regions that a buyer can choose, and the Hetzner location behind each. */
const LOCATION_BY_REGION = new Map([
  ['us-east', 'ash'],
  ['us-west', 'hil'],
  ['eu-central', 'nbg1'],
  ['eu-west', 'fsn1'],
  ['eu-north', 'hel1'],
  ['ap-southeast', 'sin'],
]);

const LOCATIONS = new Set(LOCATION_BY_REGION.values());

export const REGIONS: readonly string[] = [...LOCATION_BY_REGION.keys()];

/** Returns the Hetzner location of a region. Accepts a location's own name; undefined for anything else. */
export function toLocation(region: string): string | undefined {
  return LOCATION_BY_REGION.get(region) ?? (LOCATIONS.has(region) ? region : undefined);
}

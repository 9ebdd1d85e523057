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

/** Whose law applies to a server, and the locations there. */
const LOCATIONS_BY_JURISDICTION = new Map([
  ['eu', ['nbg1', 'fsn1', 'hel1']],
  ['us', ['ash', 'hil']],
  ['sg', ['sin']],
]);

/** Everything that `locationsOf` understands, apart from locations' own names. */
export const PLACES: readonly string[] = [...LOCATIONS_BY_JURISDICTION.keys(), ...LOCATION_BY_REGION.keys()];

export const REGIONS: readonly string[] = [...LOCATION_BY_REGION.keys()];

/** Returns the Hetzner location of a region. Accepts a location's own name; undefined for anything else. */
export function toLocation(region: string): string | undefined {
  return LOCATION_BY_REGION.get(region) ?? (LOCATIONS.has(region) ? region : undefined);
}

/** Returns the Hetzner locations of a jurisdiction, a region or a location; undefined for anything else. */
export function locationsOf(place: string): readonly string[] | undefined {
  const location = toLocation(place);
  return LOCATIONS_BY_JURISDICTION.get(place) ?? (location === undefined ? undefined : [location]);
}

import { expect, it } from 'vitest';
import { IMAGES } from '../../sandbox/hetzner/catalogue/images.ts';
import { SERVER_TYPES } from '../../sandbox/hetzner/catalogue/server-types.ts';
import { PLANS, serverFor } from '../../src/agents/plans.ts';
import { REGIONS, toLocation } from '../../src/config/regions.ts';

it('maps each plan and region to a server type that Hetzner offers there', () => {
  expect(REGIONS.map(toLocation)).toEqual(['ash', 'hil', 'nbg1', 'fsn1', 'hel1', 'sin']);
  for (const location of REGIONS.map((region) => toLocation(region)!)) {
    expect(toLocation(location)).toBe(location);
    for (const plan of PLANS) {
      const { serverType, image } = serverFor(plan, location);
      const type = SERVER_TYPES.find((candidate) => candidate.name === serverType);
      expect(type?.locations.map((one) => one.name)).toContain(location);
      expect(IMAGES.some((one) => one.name === image && one.architecture === type?.architecture)).toBe(true);
    }
  }
  expect(toLocation('moon-1')).toBeUndefined();
  expect(() => serverFor('free', 'nbg1')).toThrow();
});

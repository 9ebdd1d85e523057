export { REGIONS, toLocation } from '../config/regions.ts';

import type { Principal } from './principal.ts';

/** Who holds API_TOKEN. */
export const INSTALLATION: Principal = { name: 'operator', role: 'admin', isSession: false };
export const PROGRAM: Principal = { name: 'program', role: 'program', isSession: false };
export const VIEWER: Principal = { name: 'viewer', role: 'viewer', isSession: false };

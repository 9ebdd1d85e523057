/**
 * What people may do, the least first; each may also do what those before it may. docs/people.md says what.
 */
export const ROLES = ['viewer', 'support', 'operator', 'admin'] as const;
export type Role = (typeof ROLES)[number];

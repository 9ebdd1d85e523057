/** The same as the npm package's: they are one interface. */
export const pulumiVersion = '3.259.0';

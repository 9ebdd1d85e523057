/** Same version as the npm package: they form one interface. */
export const pulumiVersion = '3.259.0';

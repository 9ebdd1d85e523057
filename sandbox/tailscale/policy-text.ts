/** Parses a policy file. HuJSON is JSON with comments and trailing commas. @throws SyntaxError */
export function parsePolicyText(text: string): unknown {
  return JSON.parse(
    text
      // Keeps strings, and removes comments and trailing commas.
      .replace(/("(?:\\.|[^"\\])*")|\/\/[^\n]*|\/\*[\s\S]*?\*\//g, (_all, quoted) => quoted ?? ' ')
      .replace(/("(?:\\.|[^"\\])*")|,(?=\s*[\]}])/g, (_all, quoted) => quoted ?? ''),
  );
}

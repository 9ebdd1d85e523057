/** The policy as plain JSON: HuJSON is JSON with comments and trailing commas. @throws SyntaxError */
export function policyJson(text: string): unknown {
  return JSON.parse(
    text
      // A string is kept as it is, a comment goes, and so does a comma before a closing bracket.
      .replace(/("(?:\\.|[^"\\])*")|\/\/[^\n]*|\/\*[\s\S]*?\*\//g, (_all, quoted) => quoted ?? ' ')
      .replace(/("(?:\\.|[^"\\])*")|,(?=\s*[\]}])/g, (_all, quoted) => quoted ?? ''),
  );
}

import { errorCatalogue, errorCodes } from "@skerry/model";
import { markdownTable } from "./table.ts";

/** Every error that Skerry answers with. */
export function errorsPage(): string {
  const rows = errorCodes.map((code) => [
    `\`${code}\``,
    String(errorCatalogue[code].status),
    errorCatalogue[code].title,
  ]);
  return `# Errors

Every error is a problem by RFC 9457 (\`application/problem+json\`): \`type\`, \`code\`, \`title\`, \`status\`, \`detail\` (what happened),
\`remedy\` (what to do next), \`errors\` (which fields are wrong, as JSON pointers) and \`facts\` (what a program may act on). Decide by
\`code\`: a code never changes its meaning, the other texts may.

${markdownTable(["code", "HTTP status", "title"], rows)}
`;
}

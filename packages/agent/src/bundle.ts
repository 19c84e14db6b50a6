import { join } from "node:path";

/**
 * Writes the agent as one file that plain Node 24 runs on a host with nothing else.
 * @returns its size in bytes
 */
export async function buildAgentBundle(outFile: string): Promise<number> {
  const { build } = await import("esbuild");
  const { metafile } = await build({
    entryPoints: [join(import.meta.dirname, "main.ts")],
    outfile: outFile,
    bundle: true,
    minify: true,
    keepNames: true,
    platform: "node",
    target: "node24",
    format: "esm",
    metafile: true,
    logLevel: "silent",
    legalComments: "inline",
    // Optional accelerators of ws; it does without them.
    external: ["bufferutil", "utf-8-validate"],
    // CommonJS packages in it ask for Node's own modules through require.
    banner: {
      js: 'import { createRequire as skerryCreateRequire } from "node:module"; const require = skerryCreateRequire(import.meta.url);',
    },
  });
  return Object.values(metafile.outputs).reduce((sum, output) => sum + output.bytes, 0);
}

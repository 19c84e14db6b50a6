import type { Command } from "commander";

export const shells = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof shells)[number];

/** Every command path with the words that may follow it: `{"": [...], "instance": [...], "instance list": [...]}`. */
function wordTable(program: Command): ReadonlyMap<string, readonly string[]> {
  const table = new Map<string, readonly string[]>();
  const walk = (command: Command, path: string): void => {
    const verbs = command.commands.map((child) => child.name());
    const flags = command.options.flatMap((option) => (option.long === undefined ? [] : [option.long]));
    table.set(path, [...verbs, ...flags, "--help"]);
    for (const child of command.commands) walk(child, path === "" ? child.name() : `${path} ${child.name()}`);
  };
  walk(program, "");
  return table;
}

/** A script for the shell's own start-up file; it needs no call of Skerry while completing. */
export function completionScript(program: Command, shell: Shell): string {
  const table = wordTable(program);
  switch (shell) {
    case "bash":
      return bash(table);
    case "zsh":
      return `#compdef skerry\nautoload -U bashcompinit && bashcompinit\n${bash(table)}`;
    case "fish":
      return fish(table);
  }
}

function bash(table: ReadonlyMap<string, readonly string[]>): string {
  const cases = [...table].map(([path, words]) => `    "${path}") words="${words.join(" ")}" ;;`);
  return `_skerry() {
  local path="" word words=""
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "$word" in -*) ;; *) path="\${path:+$path }$word" ;; esac
  done
  while :; do
    case "$path" in
${cases.map((line) => `  ${line}`).join("\n")}
    esac
    [ -n "$words" ] && break
    case "$path" in *" "*) path="\${path% *}" ;; *) break ;; esac
  done
  COMPREPLY=($(compgen -W "$words" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _skerry skerry ./skerry
`;
}

function fish(table: ReadonlyMap<string, readonly string[]>): string {
  const lines = [...table].flatMap(([path, words]) => {
    const seen = path === "" ? "__fish_use_subcommand" : `__fish_seen_subcommand_from ${path.split(" ").at(-1) ?? ""}`;
    return words.map((word) =>
      word.startsWith("--")
        ? `complete -c skerry -n "${seen}" -l ${word.slice(2)}`
        : `complete -c skerry -f -n "${seen}" -a ${word}`,
    );
  });
  return `${lines.join("\n")}\n`;
}

/** sshd hands the command to the login shell as one argument, which Linux limits to 128 KiB. */
const maxCommandBytes = 128 * 1024 - 1;

/**
 * The one way from words to the command line that SSH executes: each word stands in single quotes, so that a POSIX
 * shell on the far side gives it on as it is, whatever it holds.
 * @throws TypeError for what no argument can hold (NUL, half a surrogate pair) and for commands too long to execute
 */
export function remoteCommand(argv: readonly [string, ...string[]]): string {
  const line = argv.map(quoteWord).join(" ");
  const bytes = Buffer.byteLength(line);
  if (bytes > maxCommandBytes)
    throw new TypeError(`a remote command of ${bytes} bytes is longer than ${maxCommandBytes}`);
  return line;
}

function quoteWord(word: string): string {
  if (word.includes("\0")) throw new TypeError("a word of a remote command holds a NUL");
  if (!word.isWellFormed()) throw new TypeError("a word of a remote command is not well-formed Unicode");
  return `'${word.replaceAll("'", `'\\''`)}'`;
}
